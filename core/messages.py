"""What clients ask a hub for, and what it tells them, as data. How it is written is a codec's matter.

Every request may carry an `id`, which its answer or its error carries back. Bounds that are part of a
type hold for what a peer sends; a codec checks them. Making an object checks nothing.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

__all__ = [
    "MAX_ID",
    "MAX_IDEMPOTENCY_KEY",
    "MAX_KEY",
    "Ack",
    "Answer",
    "AuthResult",
    "Authenticate",
    "Call",
    "CallResult",
    "Chat",
    "ChooseName",
    "Direct",
    "ErrorAnswer",
    "ErrorCode",
    "Gap",
    "History",
    "Malformed",
    "Member",
    "Notification",
    "Ping",
    "PongAnswer",
    "Position",
    "Presence",
    "PresenceChange",
    "Publish",
    "Published",
    "Push",
    "QueryHistory",
    "QueryPresence",
    "Reconnect",
    "Refresh",
    "Request",
    "RequestId",
    "Subscribe",
    "Subscribed",
    "System",
    "Unknown",
    "Unsubscribe",
    "Unsubscribed",
]

MAX_ID: Final = 64
"""Characters of a request's `id`. A UUID has 36."""

MAX_IDEMPOTENCY_KEY: Final = 64
"""Bytes of an idempotency key in UTF-8; a log remembers many of them."""

MAX_KEY: Final = 128
"""Bytes of a publication's `key` in UTF-8. As a topic's name."""

RequestId = (
    Annotated[str, Meta(max_length=MAX_ID)] | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None
)
"""What a client calls a request."""

_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A number of things, or an offset: what a store can keep."""

_AtLeastOne = Annotated[int, Meta(ge=1, le=2**63 - 1)]
_Topics = Annotated[tuple[str, ...], Meta(min_length=1)]


class ErrorCode(StrEnum):
    """What an error says to programs. The functions of a server's own may add codes."""

    BAD_JSON = "bad_json"
    """The message is not JSON."""
    BAD_REQUEST = "bad_request"
    """A field is missing, has a wrong type, or contradicts another."""
    UNKNOWN_ACTION = "unknown_action"
    """There is no such action."""
    TOO_DEEP = "too_deep"
    """Lists and objects stand in each other more than 32 deep."""
    TOO_LARGE = "too_large"
    """A name, a key or a list of topics is over its limit."""
    UNSUPPORTED = "unsupported"
    """The message was binary."""
    UNAUTHENTICATED = "unauthenticated"
    """This needs a token first."""
    ALREADY_AUTHENTICATED = "already_authenticated"
    """Who is there was said before; `refresh` renews a token."""
    ANONYMOUS_OFF = "anonymous_off"
    """A name is not enough here: a token is needed."""
    NAME_TAKEN = "name_taken"
    """Somebody who is connected has this name."""
    BAD_NAME = "bad_name"
    """This can't be a name."""
    BAD_TOPIC = "bad_topic"
    """This can't be a topic, or a pattern stands where only a topic can."""
    FORBIDDEN = "forbidden"
    """The peer may not do this."""
    NO_HISTORY = "no_history"
    """The topic keeps no history."""
    NO_PRESENCE = "no_presence"
    """The topic does not tell who is there."""
    NOT_SUBSCRIBED = "not_subscribed"
    """This needs a subscription to the topic."""
    UNKNOWN_CALL = "unknown_call"
    """The server has no function of this name."""
    TOO_MANY_SUBSCRIPTIONS = "too_many_subscriptions"
    """The session would have more subscriptions than it may."""
    MESSAGE_TOO_LARGE = "message_too_large"
    """The message is over the limit of its topic."""
    FULL = "full"
    """The hub is at a limit of its own: try again later."""
    UNAVAILABLE = "unavailable"
    """It was not done in time, and may or may not have been stored: repeat it with the same
    `idempotency_key`."""
    INTERNAL = "internal"
    """The server failed with this request."""


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in a topic's history."""

    offset: _Count
    """1, 2, 3 and so on, without holes; 0 is before the first."""
    epoch: str
    """Opaque to clients: offsets of different epochs are told apart by it."""
    recovered: bool | None = None
    """In an answer: whether everything after the position that was asked for follows."""


# Requests.


class _Action(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="action"):
    """What requests have in common."""


class Authenticate(msgspec.Struct, frozen=True, omit_defaults=True):
    """`{"token":"…"}`: say who is there."""

    token: str
    """What the server's authenticator knows. One of more than `max_token` characters is a wrong one."""
    id: RequestId = None
    """Comes back with the answer."""

    def __repr__(self) -> str:
        return "Authenticate(…)"  # tokens don't belong into logs


class ChooseName(msgspec.Struct, frozen=True, omit_defaults=True):
    """`{"name":"ann"}`: a name, where anonymous access is on."""

    name: str
    """At most `max_name` characters; nobody else who is connected may have it."""
    id: RequestId = None
    """Comes back with the answer."""


class Refresh(_Action, frozen=True, tag="refresh"):
    """`{"action":"refresh","token":"…"}`: a newer token for the same user."""

    token: str
    """As in the first message."""
    id: RequestId = None
    """Comes back with the answer."""

    def __repr__(self) -> str:
        return "Refresh(…)"


class Subscribe(_Action, frozen=True, tag="subscribe"):
    """`{"action":"subscribe","topics":["alerts"]}`: get what is published there from now on."""

    topics: _Topics
    """Topics or patterns, at most `max_topics_per_request`. All or none are subscribed to."""
    since: dict[str, Position] | None = None
    """By topic, the last position that the client knows: what came after it is sent first."""
    last: _Count | None = None
    """So many of the newest publications are sent first, at most."""
    ack: bool = False
    """Whether the client acknowledges what it handled; what it does not is sent again."""
    name: str | None = None
    """With `ack`: tells a user's clients apart."""
    presence: bool = False
    """Whether to be told who comes and goes."""
    id: RequestId = None
    """Comes back with the answer."""


class Unsubscribe(_Action, frozen=True, tag="unsubscribe"):
    """`{"action":"unsubscribe","topics":["alerts"]}`: get no more of it, not even what waits."""

    topics: _Topics
    """As they were subscribed to, at most `max_topics_per_request`."""
    id: RequestId = None
    """Comes back with the answer."""


class Publish(_Action, frozen=True, kw_only=True, tag="publish"):
    """`{"action":"publish","topic":"alerts","message":…}`, or with `to` instead of `topic`."""

    topic: str | None = None
    """Where to. Either this or `to` is needed."""
    to: str | None = None
    """The user whose sessions get the message."""
    message: Any  # any JSON value
    """What is published."""
    idempotency_key: str | None = None
    """At most 64 bytes. A repeat with the same key is answered, and not published again."""
    key: str | None = None
    """What the message is about, for topics that keep the latest of each key. At most 128 bytes."""
    id: RequestId = None
    """Comes back with the answer."""


class Ack(_Action, frozen=True, tag="ack"):
    """`{"action":"ack","topic":"alerts","offset":8}`: everything up to there was handled."""

    topic: str
    """One that was subscribed to with `ack`."""
    offset: _Count
    """The last that was handled, and all before it."""
    id: RequestId = None
    """Comes back with an error; there is no other answer."""


class QueryPresence(_Action, frozen=True, tag="presence"):
    """`{"action":"presence","topic":"room.lobby"}`: who is there."""

    topic: str
    """One whose rule turns on presence."""
    id: RequestId = None
    """Comes back with the answer."""


class QueryHistory(_Action, frozen=True, tag="history"):
    """`{"action":"history","topic":"alerts"}`: what was published, newest last."""

    topic: str
    """One whose rule keeps history."""
    before: _AtLeastOne | None = None
    """An offset: only what came before it. Without it, the newest."""
    limit: _AtLeastOne | None = None
    """How many publications, at most."""
    id: RequestId = None
    """Comes back with the answer."""


class Call(_Action, frozen=True, tag="call"):
    """`{"action":"call","name":"…","data":…}`: ask the server's own functions."""

    name: str
    """Which function, at most `max_name` characters."""
    data: Any = None  # any JSON value
    """What it is given."""
    id: RequestId = None
    """Comes back with the answer."""


class Ping(_Action, frozen=True, tag="ping"):
    """`{"action":"ping"}`: for clients that cannot send a WebSocket ping, such as browsers."""

    id: RequestId = None
    """Comes back with the answer."""


class Malformed(msgspec.Struct, frozen=True):
    """What came is no message of the protocol; the fields are those of the error that answers it."""

    code: ErrorCode
    message: str
    field: str | None = None
    id: RequestId = None


Request = (
    Authenticate
    | ChooseName
    | Refresh
    | Subscribe
    | Unsubscribe
    | Publish
    | Ack
    | QueryPresence
    | QueryHistory
    | Call
    | Ping
    | Malformed
)


# Answers.


class _Told(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """What answers and pushes have in common."""


class AuthResult(_Told, frozen=True, tag="auth"):
    """Who the peer is now, or why it is nobody."""

    status: Literal["ok", "error"]
    """Whether it is somebody."""
    username: str | None = None
    """Who, where it is."""
    message: str | None = None
    """Why not, where it is not."""
    id: RequestId = None
    """The request's."""


class Subscribed(_Told, frozen=True, tag="subscribed"):
    """All of these topics are subscribed to."""

    topics: tuple[str, ...]
    """As the request named them."""
    positions: dict[str, Position] | None = None
    """By topic, where history is kept: where the subscription begins."""
    id: RequestId = None
    """The request's."""


class Unsubscribed(_Told, frozen=True, tag="unsubscribed"):
    """These topics are no longer subscribed to; nothing of them follows."""

    topics: tuple[str, ...]
    """As they were subscribed to."""
    reason: str | None = None
    """Why, where the client did not ask for it: `revoked` or `replaced`."""
    id: RequestId = None
    """The request's."""


class Published(_Told, frozen=True, kw_only=True, tag="published"):
    """A publication was taken."""

    topic: str | None = None
    """Where to."""
    to: str | None = None
    """Or to whom."""
    recipients: _Count
    """Sessions that were subscribed when it got its place, the publisher's included."""
    offset: _Count | None = None
    """Its place, where history is kept."""
    epoch: str | None = None
    """What the offset belongs to."""
    duplicate: bool = False
    """Whether it had been published before, with the same `idempotency_key`."""
    id: RequestId = None
    """The request's."""


class Member(msgspec.Struct, frozen=True):
    """One user who is present."""

    user: str
    """The name."""
    connections: _Count
    """How many sessions of that user are subscribed."""


class Presence(_Told, frozen=True, tag="presence"):
    """Who is subscribed to a topic."""

    topic: str
    """Which."""
    members: tuple[Member, ...]
    """In order of coming; at most `max_members_told`."""
    count: _Count
    """Users, also those who are not named."""
    id: RequestId = None
    """The request's."""


class CallResult(_Told, frozen=True, tag="result"):
    """What a call gave."""

    name: str
    """Which function."""
    data: Any  # any JSON value
    """What it gave."""
    id: RequestId = None
    """The request's."""


class PongAnswer(_Told, frozen=True, tag="pong"):
    """The answer to `ping`."""

    id: RequestId = None
    """The request's."""


class ErrorAnswer(_Told, frozen=True, tag="error"):
    """A request was refused, and changed nothing."""

    code: str
    """What went wrong, for programs: one of the codes below, or one of the server's own."""
    message: str
    """What went wrong, for people."""
    field: str | None = None
    """The field of the request that is at fault."""
    id: RequestId = None
    """The request's, where it could be read."""


# Pushes.


class Chat(_Told, frozen=True, tag="chat"):
    """Somebody said something in a room."""

    topic: str
    """Which room."""
    sender: str
    """Who."""
    message: Any  # any JSON value
    """What."""
    timestamp: str
    """When, as ISO 8601 in UTC."""
    offset: _Count | None = None
    """Its place, where history is kept."""
    epoch: str | None = None
    """What the offset belongs to."""
    redelivered: bool = False
    """Whether it may have been sent before."""


class Notification(_Told, frozen=True, tag="notification"):
    """Something was published on a topic that is no room."""

    topic: str
    """Where."""
    message: Any  # any JSON value
    """What."""
    timestamp: str
    """When, as ISO 8601 in UTC."""
    offset: _Count | None = None
    """Its place, where history is kept."""
    epoch: str | None = None
    """What the offset belongs to."""
    redelivered: bool = False
    """Whether it may have been sent before."""


class System(_Told, frozen=True, tag="system"):
    """The hub itself says something in a room: who came and who left."""

    message: str
    """What, for people."""
    timestamp: str
    """When, as ISO 8601 in UTC."""
    topic: str | None = None
    """Which room."""


class Direct(_Told, frozen=True, tag="direct"):
    """A message to one user, on all of its sessions."""

    sender: str
    """Who sent it."""
    message: Any  # any JSON value
    """What."""
    timestamp: str
    """When, as ISO 8601 in UTC."""


class PresenceChange(_Told, frozen=True, tag="presence"):
    """A user came, with its first session, or left, with its last. Unlike the answer of the same type
    it has an `event`.
    """

    topic: str
    """Where."""
    event: Literal["join", "leave"]
    """Which of both."""
    user: str
    """Who."""
    count: _Count
    """Users who are present now."""


class Gap(_Told, frozen=True, tag="gap"):
    """Publications of a topic were lost here."""

    topic: str
    """Which topic."""
    missed: _Count | None
    """How many; null where nobody knows."""
    offset: _Count | None = None
    """Where history is kept: the last that is missing."""
    epoch: str | None = None
    """What the offset belongs to."""


class Reconnect(_Told, frozen=True, tag="reconnect"):
    """The server is about to stop: come back after so many seconds."""

    after: float
    """Seconds, another number for each client."""


class History(_Told, frozen=True, tag="history"):
    """A part of a topic's history, oldest first. It is an answer."""

    topic: str
    """Which topic."""
    # Raw: a server gives what it kept as it wrote it.
    publications: tuple[Chat | Notification | msgspec.Raw, ...]
    """As they were pushed, or would have been."""
    id: RequestId = None
    """The request's."""


class Unknown(msgspec.Struct, frozen=True):
    """What a newer server tells an older client: to be passed over."""

    type: str
    """The type that is not known here, as the peer wrote it."""


Answer = (
    AuthResult
    | Subscribed
    | Unsubscribed
    | Published
    | Presence
    | History
    | CallResult
    | PongAnswer
    | ErrorAnswer
)
Push = Chat | Notification | System | Direct | PresenceChange | Gap | Reconnect
