"""What a hub tells those who run it: for logs, metrics and dashboards.

Texts that a peer chose, such as names, are as it sent them: escape them before they go into a log.
"""

import msgspec

from .records import Damage

__all__ = [
    "AuthFailed",
    "Counters",
    "HubEvent",
    "Joined",
    "Left",
    "OpeningRefused",
    "RequestFailed",
    "Slow",
    "StoreDamaged",
    "StoreFailed",
    "StoreReopened",
    "TurnedAway",
]


class Joined(msgspec.Struct, frozen=True):
    """A peer was let in."""

    session: int
    user: str
    address: str | None
    anonymous: bool


class Left(msgspec.Struct, frozen=True):
    """A session that was let in has ended."""

    session: int
    user: str
    address: str | None
    code: int
    """Ours, if the hub closed it; else the peer's, or 1006 if none came."""
    cause: str
    """Why, in words that hold nothing a peer chose."""
    unsent: int
    """Publications that waited for it and were not sent."""


class AuthFailed(msgspec.Struct, frozen=True):
    """Somebody was not let in."""

    session: int
    address: str | None
    reason: str


class TurnedAway(msgspec.Struct, frozen=True):
    """A limit of connections was reached."""

    address: str | None
    limit: str
    """The field of `HubLimits`."""
    untold: int = 0
    """Events of this kind and of `OpeningRefused` before it that were counted and not told: of a flood
    about ten a second are."""


class OpeningRefused(msgspec.Struct, frozen=True):
    """A request to open a WebSocket, or what should have been one, was answered with an error.

    Such as 403 for a page of another origin, 426 for another version, 400 for what is no HTTP. Answers of
    a user's function for HTTP requests are none of these.
    """

    address: str | None
    status: int
    """Of the HTTP response."""
    reason: str
    """The first line of its text, in words that hold nothing a peer chose."""
    untold: int = 0
    """See `TurnedAway`."""


class Slow(msgspec.Struct, frozen=True):
    """A session did not keep up, and its topic's policy acted. Told once until it has caught up."""

    session: int
    user: str
    topic: str | None
    policy: str
    """What was done: that of the topic's rule, or `behind`: it gets the rest from history."""


class RequestFailed(msgspec.Struct, frozen=True):
    """A user's hook, authenticator or HTTP function failed or took too long."""

    session: int
    what: str
    reason: str


class StoreFailed(msgspec.Struct, frozen=True):
    """The store could not do what was asked. Publications on durable topics are refused until it can."""

    reason: str


class StoreDamaged(msgspec.Struct, frozen=True):
    """The store found something broken when it was opened, and has lost it."""

    damage: Damage


class StoreReopened(msgspec.Struct, frozen=True):
    """The store works again."""

    topics: int


HubEvent = (
    Joined
    | Left
    | AuthFailed
    | TurnedAway
    | OpeningRefused
    | Slow
    | RequestFailed
    | StoreDamaged
    | StoreFailed
    | StoreReopened
)


class Counters(msgspec.Struct):
    """How often what happened since the hub was made. They only grow."""

    connections: int = 0
    """Sockets that were taken."""
    sessions: int = 0
    """Peers that were let in."""
    turned_away: int = 0
    """Peers that a limit of connections kept out."""
    openings_refused: int = 0
    """Opening requests that were answered with an error."""
    auth_failures: int = 0
    requests: int = 0
    bytes_in: int = 0
    publications: int = 0
    deliveries: int = 0
    """Publications times their receivers."""
    bytes_out: int = 0
    """Of frames that left."""
    messages_out: int = 0
    """Publications and answers that left."""
    errors: int = 0
    """Requests that were refused."""
    dropped_disconnect: int = 0
    """Publications that a session lost because it was closed as too slow."""
    dropped_oldest: int = 0
    dropped_latest: int = 0
    announcements_dropped: int = 0
    """Who came or left, not told to a session that does not keep up with a topic with history."""
    gaps: int = 0
    """Times that a session was told that history no longer has what it missed."""
    unsent: int = 0
    """Publications that waited for a session when it ended for another reason."""
    hook_failures: int = 0
    store_failures: int = 0
    """Times that the store could not do what was asked."""
    store_damages: int = 0
    """Logs that end earlier than they did, because the store found records broken, and other damage."""
    events_dropped: int = 0
    """Events that nobody took in time."""
