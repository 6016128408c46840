"""Work that a hub asks of the outside, and how it is answered.

A machine runs no user's code and waits for nothing. Where it needs an answer it queues an effect with an
id; whoever drives it does the work and calls `Hub.complete(id, outcome, now)`. An answer that comes late,
twice or never harms nothing: ids are used once, and the machine gives up after `hook_timeout`.
"""

from enum import Enum
from typing import Any

import msgspec

from .forwarded import PeerAddress
from .http import Request
from .records import Acknowledged, Record, Retention

__all__ = [
    "Append",
    "Authenticate",
    "Denied",
    "Done",
    "Effect",
    "Failed",
    "HookKind",
    "HttpRequest",
    "Outcome",
    "Read",
    "Reopen",
    "RunHook",
    "Trim",
    "Who",
]


class HookKind(Enum):
    """When a user's function is asked."""

    CONNECT = "connect"
    """A peer is known, and about to be let in."""
    SUBSCRIBE = "subscribe"
    """A session, which may read the topic, is about to subscribe to it."""
    PUBLISH = "publish"
    """A session, which may write to the topic, is about to publish; the message may be changed."""
    CALL = "call"
    """A session calls a function by name."""
    DISCONNECT = "disconnect"
    """A session that was let in has ended. Nothing waits for the answer."""


class Who(msgspec.Struct, frozen=True):
    """The session that something is about."""

    session: int
    """Its number, which no other session of this hub ever has."""
    user: str
    address: str | None
    """Of the client, behind trusted proxies; None on a Unix socket."""
    anonymous: bool
    admin: bool


class Authenticate(msgspec.Struct, frozen=True):
    """Whose token is it? Answered with `Done(Grant)`, or with `Done(None)` for nobody's."""

    id: int
    token: str
    session: int
    address: str | None

    def __repr__(self) -> str:
        return f"Authenticate(id={self.id}, session={self.session})"  # no tokens in logs


class RunHook(msgspec.Struct, frozen=True):
    """Run a user's function.

    Answered with `Done()`, with `Done(value)` for a changed message or a call's result, or with `Denied`.
    """

    id: int
    kind: HookKind
    hook: int
    """Which of its kind: the index of the pattern that matched."""
    who: Who
    topic: str | None = None
    """Of a subscription or a publication."""
    message: Any = None  # any JSON value
    name: str | None = None
    """Of a call."""
    data: Any = None  # any JSON value
    """Of a call."""


class HttpRequest(msgspec.Struct, frozen=True):
    """Answer an ordinary HTTP request. Answered with `Done(Response)`."""

    id: int
    request: Request
    body: bytes
    address: str | None
    """Of the client, behind trusted proxies."""
    peer: PeerAddress
    """Of the socket itself."""


class Append(msgspec.Struct, frozen=True):
    """Store all of this or nothing, durably. Answered with `Done()`, or with `Failed`."""

    id: int
    records: tuple[Record, ...]
    acknowledged: tuple[Acknowledged, ...]


class Read(msgspec.Struct, frozen=True):
    """Read stored publications of a topic. Answered with `Done(records)`, a sequence of `Record`."""

    id: int
    topic: str
    after: int
    """The offset behind which to begin."""
    max_bytes: int
    """Of data; one record at least, if there is one."""


class Reopen(msgspec.Struct, frozen=True):
    """The store failed: open it again. Answered with `Done(Heads)`, or with `Failed`."""

    id: int


class Trim(msgspec.Struct, frozen=True):
    """Remove from a topic's log what is not kept any more. Answered with `Done(first offset kept)`."""

    id: int
    topic: str
    retention: Retention


Effect = Authenticate | RunHook | HttpRequest | Append | Read | Reopen | Trim


class Done(msgspec.Struct, frozen=True):
    """It was done."""

    value: Any = msgspec.UNSET  # what the effect says
    """What it gave; left out, nothing."""


class Denied(msgspec.Struct, frozen=True):
    """A user's function says no."""

    code: str
    """Of the error that the client gets."""
    message: str


class Failed(msgspec.Struct, frozen=True):
    """It could not be done. The client is told no more than that."""

    reason: str = "failed"
    """For the hub's events, not for the client."""


Outcome = Done | Denied | Failed
