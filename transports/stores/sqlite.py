"""A store in one SQLite file, on asyncio and on trio. Needs the extra `server`.

Blocking calls run in worker threads, one that writes and one that reads. Nothing is decided here.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from ...core.records import Acknowledged, Heads, Record, Retention
from .database import Database
from .protocol import Counters

__all__ = ["SQLiteStore"]


class SQLiteStore:
    """A `Store` in the file at `path`, which is made if there is none; its folder must exist.

    Write-ahead log, `synchronous=FULL`: when `append` returns, the records have been written and synced.
    The file must be on a local disk. Only its owner may read it, and one process at a time may open it.

    Args:
        path: the file.
        clock: the seconds since 1970, for the age of records and keys.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time
    ) -> None:
        self.counters = Counters()
        # Links are followed now, so that the lock is that of the file itself.
        self._database = Database(Path(path).resolve(), clock, self.counters)
        self._writing = CapacityLimiter(1)
        self._reading = CapacityLimiter(1)

    async def open(self) -> Heads:
        """Take the store for this process, repair what is damaged, and say what is there.

        Raises:
            StoreUnavailable: it can't be used; `reason` says why.
            LocalProtocolError: it is open.
        """
        async with self._reading:
            return await run_sync(self._database.open, limiter=self._writing)

    async def append(self, records: Sequence[Record], acknowledged: Sequence[Acknowledged]) -> None:
        """Store all of it or nothing; it is durable when this returns. See `Store`.

        Raises:
            StoreUnavailable: it may or may not be stored; `reopen` says what was.
            LocalProtocolError: something of it can't be stored, or the store is not open; nothing was.
        """
        await run_sync(self._database.append, records, acknowledged, limiter=self._writing)

    async def read(self, topic: str, after: int, max_bytes: int) -> list[Record]:
        """Return records of a topic from behind `after`, with at most `max_bytes`, but at least one.

        Raises:
            StoreUnavailable: they can't be read.
            LocalProtocolError: `after` or `max_bytes` is wrong, or the store is not open.
        """
        return await run_sync(self._database.read, topic, after, max_bytes, limiter=self._reading)

    async def reopen(self) -> Heads:
        """Begin anew after a failure, and say what is there. It is durable.

        Raises:
            StoreUnavailable: it can't be used now; try again later.
            LocalProtocolError: the store is not open.
        """
        async with self._reading:
            return await run_sync(self._database.reopen, limiter=self._writing)

    async def trim(self, topic: str, retention: Retention) -> int:
        """Remove what is beyond `retention`, slice by slice; return the first offset that is kept.

        Raises:
            StoreUnavailable: it may be done in part.
            LocalProtocolError: the store is not open.
        """
        more = True
        first = 1
        while more:
            first, more = await run_sync(
                self._database.trim, topic, retention, limiter=self._writing
            )
        return first

    async def close(self) -> None:
        """Let go of the file. Closing it again does nothing; `open` may follow."""
        async with self._reading:
            await run_sync(self._database.close, limiter=self._writing)
