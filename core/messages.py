"""What clients ask a hub for, and what it tells them, as data. How it is written is a codec's matter.

Every request may carry an `id`, which its answer or its error carries back.
"""

from typing import Any, Literal

import msgspec

__all__ = [
    "Ack",
    "Answer",
    "Authenticate",
    "AuthResult",
    "Call",
    "CallResult",
    "Chat",
    "ChooseName",
    "Direct",
    "ErrorAnswer",
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
    "Unsubscribe",
    "Unsubscribed",
]

RequestId = str | int | None
"""What a client calls a request."""


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in a topic's history."""

    offset: int
    """1, 2, 3 and so on, without holes."""
    epoch: str
    """Opaque to clients: offsets of different epochs are told apart by it."""
    recovered: bool | None = None
    """In an answer: whether everything after the position that was asked for follows."""


# Requests.


class Authenticate(msgspec.Struct, frozen=True):
    """`{"token":"…"}`: say who is there."""

    token: str
    id: RequestId = None

    def __repr__(self) -> str:
        return "Authenticate(…)"  # tokens don't belong into logs


class ChooseName(msgspec.Struct, frozen=True):
    """`{"name":"ann"}`: a name, where anonymous access is on."""

    name: str
    id: RequestId = None


class Refresh(msgspec.Struct, frozen=True):
    """`{"action":"refresh","token":"…"}`: a newer token for the same user."""

    token: str
    id: RequestId = None

    def __repr__(self) -> str:
        return "Refresh(…)"


class Subscribe(msgspec.Struct, frozen=True):
    """`{"action":"subscribe","topics":["alerts"]}`: get what is published there from now on."""

    topics: tuple[str, ...]
    since: dict[str, Position] | None = None
    last: int | None = None
    ack: bool = False
    name: str | None = None
    presence: bool = False
    id: RequestId = None


class Unsubscribe(msgspec.Struct, frozen=True):
    """`{"action":"unsubscribe","topics":["alerts"]}`: get no more of it, not even what waits."""

    topics: tuple[str, ...]
    id: RequestId = None


class Publish(msgspec.Struct, frozen=True):
    """`{"action":"publish","topic":"alerts","message":…}`, or with `to` instead of `topic`."""

    message: Any  # any JSON value
    topic: str | None = None
    to: str | None = None
    idempotency_key: str | None = None
    key: str | None = None
    """What the message is about, for topics that keep the latest of each key."""
    id: RequestId = None


class Ack(msgspec.Struct, frozen=True):
    """`{"action":"ack","topic":"alerts","offset":8}`: everything up to there was handled."""

    topic: str
    offset: int
    id: RequestId = None


class QueryPresence(msgspec.Struct, frozen=True):
    """`{"action":"presence","topic":"room.lobby"}`: who is there."""

    topic: str
    id: RequestId = None


class QueryHistory(msgspec.Struct, frozen=True):
    """`{"action":"history","topic":"alerts"}`: what was published, newest last."""

    topic: str
    before: int | None = None
    limit: int | None = None
    id: RequestId = None


class Call(msgspec.Struct, frozen=True):
    """`{"action":"call","name":"…","data":…}`: ask the server's own functions."""

    name: str
    data: Any = None  # any JSON value
    id: RequestId = None


class Ping(msgspec.Struct, frozen=True):
    """`{"action":"ping"}`: for clients that cannot send a WebSocket ping, such as browsers."""

    id: RequestId = None


class Malformed(msgspec.Struct, frozen=True):
    """What came is no request; the fields are those of the error that answers it."""

    code: str
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


class AuthResult(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="auth"):
    """Who the peer is now, or why it is nobody."""

    status: Literal["ok", "error"]
    username: str | None = None
    message: str | None = None
    id: RequestId = None


class Subscribed(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="subscribed"
):
    """All of these topics are subscribed to."""

    topics: tuple[str, ...]
    positions: dict[str, Position] | None = None
    id: RequestId = None


class Unsubscribed(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="unsubscribed"
):
    """These topics are no longer subscribed to; nothing of them follows."""

    topics: tuple[str, ...]
    reason: str | None = None
    """Why, where the client did not ask for it: `revoked` or `replaced`."""
    id: RequestId = None


class Published(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="published"):
    """A publication was taken."""

    recipients: int
    """Sessions that were subscribed when it got its place, the publisher's included."""
    topic: str | None = None
    to: str | None = None
    offset: int | None = None
    epoch: str | None = None
    duplicate: bool = False
    id: RequestId = None


class Member(msgspec.Struct, frozen=True):
    """One user who is present."""

    user: str
    connections: int


class Presence(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="presence"
):
    """Who is subscribed to a topic."""

    topic: str
    members: tuple[Member, ...]
    """In order of coming; at most `max_members_told`."""
    count: int
    """Users, also those who are not named."""
    id: RequestId = None


class History(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="history"):
    """A part of a topic's history, oldest first."""

    topic: str
    publications: tuple[msgspec.Raw, ...]
    id: RequestId = None


class CallResult(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="result"):
    """What a call gave."""

    name: str
    data: Any = None  # any JSON value
    id: RequestId = None


class PongAnswer(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="pong"):
    """The answer to `Ping`."""

    id: RequestId = None


class ErrorAnswer(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="error"):
    """A request was refused, and changed nothing."""

    code: str
    message: str
    field: str | None = None
    id: RequestId = None


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


# Pushes.


class Chat(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="chat"):
    """Somebody said something in a room."""

    topic: str
    sender: str
    message: Any  # any JSON value
    timestamp: str
    offset: int | None = None
    epoch: str | None = None
    redelivered: bool = False


class Notification(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="notification"
):
    """Something was published on a topic that is no room."""

    topic: str
    message: Any  # any JSON value
    timestamp: str
    offset: int | None = None
    epoch: str | None = None
    redelivered: bool = False


class System(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="system"):
    """The hub itself says something in a room: who came and who left."""

    message: str
    timestamp: str
    topic: str | None = None


class Direct(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="direct"):
    """A message to one user, on all of its sessions."""

    sender: str
    message: Any  # any JSON value
    timestamp: str


class PresenceChange(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="presence"
):
    """A user came, with its first session, or left, with its last."""

    topic: str
    event: Literal["join", "leave"]
    user: str
    count: int
    """Users who are present now."""


class Gap(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="gap"):
    """Publications of a topic were lost here."""

    topic: str
    missed: int | None
    """How many; None where nobody knows."""
    offset: int | None = None
    epoch: str | None = None


class Reconnect(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="reconnect"):
    """The server is about to stop: come back after so many seconds."""

    after: float


Push = Chat | Notification | System | Direct | PresenceChange | Gap | Reconnect
