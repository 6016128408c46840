"""What a client of a hub asks of the outside, and what it tells beside what came from the hub."""

import msgspec

from .client_states import ClientState
from .messages import (
    Chat,
    Direct,
    Gap,
    Notification,
    Position,
    PresenceChange,
    System,
    Unsubscribed,
)

__all__ = [
    "CLOSED",
    "ClientEffect",
    "Connect",
    "Ending",
    "FetchToken",
    "Resumed",
    "StateChange",
    "StreamEvent",
]

CLOSED = "closed"
"""The code of the error that answers a request when the client has ended. No hub sends it."""


class Connect(msgspec.Struct, frozen=True):
    """Open a connection to the hub.

    Answered with `HubClient.connected(id, ws, now)` or `HubClient.failed(id, …)`. Where to, with which
    headers, through which proxy, and for how long to try is the adapter's business.
    """

    id: int
    attempt: int
    """1 for the first since there was a connection."""


class FetchToken(msgspec.Struct, frozen=True):
    """Get a token that is valid now.

    Answered with `HubClient.fetched(id, token, now)` or `HubClient.failed(id, …)`.
    """

    id: int
    refresh: bool = False
    """Whether it is for the connection that there is, before its token ends."""


ClientEffect = Connect | FetchToken


class Resumed(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="resumed"):
    """A subscription goes on after a lost connection, or began where the application said.

    It stands in the stream before what is new.
    """

    topic: str
    """As it was subscribed to."""
    recovered: bool
    """Whether all that was published meanwhile follows. If not, some may be missing, and nobody knows
    how much: the topic keeps no history, or not as far back, or it is a pattern."""
    offset: int | None = None
    """Where it goes on, where history is kept: behind this."""
    epoch: str | None = None
    """What the offset belongs to."""

    @property
    def position(self) -> Position | None:
        """Offset and epoch together."""
        if self.offset is None or self.epoch is None:
            return None
        return Position(self.offset, self.epoch)


StreamEvent = Chat | Notification | System | Direct | PresenceChange | Gap | Unsubscribed | Resumed
"""What a subscription gives. A `Gap` may also be the client's own: where it saw a hole in the offsets, or
had no room. `Unsubscribed` says which topics the hub took away, where others are left."""


class StateChange(msgspec.Struct, frozen=True):
    """The client is in another state."""

    state: ClientState
    reason: str = ""
    """Why, in words, where something failed. What a peer chose is quoted."""
    delay: float | None = None
    """Seconds until the next attempt, where it waits for that."""
    code: int | None = None
    """The close code, where a connection ended with one."""


class Ending(msgspec.Struct, frozen=True):
    """Why a client is over."""

    reason: str
    """In words; empty if the user wanted it."""
    code: int | None = None
    """The close code, where a connection ended with one."""
    error: str | None = None
    """The code of the error with which the hub refused us, where it did."""
