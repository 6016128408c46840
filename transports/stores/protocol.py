"""What a hub needs of a store. Others may write one: `conformance` has the tests that it must pass."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ...core.errors import WebSocketException
from ...core.records import Acknowledged, Heads, Record, Retention

__all__ = ["Counters", "Store", "StoreUnavailable"]


class StoreUnavailable(WebSocketException):
    """The store can't do what was asked, for a reason outside of the program. It answers nothing false.

    A failed `append` may or may not be stored. Before the next one `reopen` must have succeeded, and the
    heads that it returns say what was. After a failed `read` it is wise too: if the reason was damage,
    nothing is appended before the store was reopened.

    `reason` is for people: one line, without a path.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Counters(msgspec.Struct):
    """What a store has done since it was made. They only grow."""

    commits: int = 0
    """Appends that were stored."""
    records: int = 0
    """Records in them."""
    acknowledged: int = 0
    """Acknowledged positions in them."""
    reads: int = 0
    """Reads that were answered."""
    trimmed: int = 0
    """Records that retention removed."""
    failures: int = 0
    """Calls that raised StoreUnavailable."""
    damages: int = 0
    """Logs that now end earlier because records were damaged, and other damage found."""


class Store(Protocol):
    """Keeps the logs of durable topics, on asyncio and on trio.

    Calls may overlap. Those that change something are done in the order in which they were made. A call
    that was cancelled after it began runs to its end all the same.

    Every method but `close` raises StoreUnavailable. LocalProtocolError is a mistake of the caller, also
    for any call before `open` and after `close`; it changes nothing.
    """

    counters: Counters

    async def open(self) -> Heads:
        """Take the store for this process, repair what is damaged, and say what is there."""
        ...

    async def append(self, records: Sequence[Record], acknowledged: Sequence[Acknowledged]) -> None:
        """Store all of it or nothing; it is durable when this returns.

        For each topic the offsets go on from its head. The first record of a topic after `open` or
        `reopen` begins an epoch that the topic never had. A topic that the store does not know may begin
        at any offset. An acknowledged position replaces the one before it, wherever that was.
        """
        ...

    async def read(self, topic: str, after: int, max_bytes: int) -> list[Record]:
        """Return records of a topic in their order, from the first that is kept behind `after`.

        As many as have at most `max_bytes` of data together, but at least one if there is one. What
        `append` has stored before is seen, and so may be what it has stored without having returned.
        """
        ...

    async def reopen(self) -> Heads:
        """Begin anew after a failure: as `close` and `open`, but nobody else can come between.

        What it returns is durable. It fails for as long as nothing could be appended.
        """
        ...

    async def trim(self, topic: str, retention: Retention) -> int:
        """Remove what is beyond `retention` and return the first offset that is kept.

        It is done in small slices, and appends go between them. Cancelling it keeps what was done. It
        may forget a topic that keeps nothing and had no record for a week; its head then counts no more.
        """
        ...

    async def close(self) -> None:
        """Let go of the store. Closing it again does nothing; `open` may follow."""
        ...
