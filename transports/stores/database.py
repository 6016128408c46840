"""One open SQLite file, without threads and loops: every call blocks.

Two connections: one writes, the other reads, and never waits until a commit is on the disk. One thread at
a time may write, and one may read; neither while the file is opened or closed.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ...core.errors import LocalProtocolError
from ...core.records import KEY_SECONDS, Acknowledged, Damage, Heads, Record, Retention
from . import files
from .logs import ACKNOWLEDGED_KEPT, FORGET_SECONDS, Log, check_acknowledged, plan_append
from .protocol import Counters, StoreUnavailable
from .reading import (
    load_acknowledged,
    load_logs,
    read_records,
    remembered_keys,
    verify_records,
)
from .reasons import READING_ERRORS, is_damage, unavailable
from .rows import row_of_log, rows_of
from .salvaging import recognised, salvage
from .schema import (
    ForeignFile,
    MalformedFile,
    check_head,
    connect,
    connect_to_read,
    migrate,
    prepare_to_write,
)
from .statements import (
    ACKNOWLEDGED,
    COUNT_ACKNOWLEDGED,
    DROP_ACKNOWLEDGED,
    DROP_LOG,
    DROP_RECORDS,
    LOGS,
    RECORDS,
)
from .trimming import slice_beyond

__all__ = ["VERIFIED_BYTES", "Database"]

logger = logging.getLogger("hubbub.store")

VERIFIED_BYTES: Final = 32 * 2**20
"""A file of at most this size is verified when it is opened. Of a larger one the newest records are, and
the others when they are read."""

_ACKNOWLEDGED_SLACK: Final = 1_000
"""Positions that are stored before they are counted again."""

_DAMAGES_TOLD: Final = 1_000
_DAMAGES_LOGGED: Final = 20


class Database:
    """The file at `path`.

    Args:
        path: where it is, or will be.
        clock: the seconds since 1970.
        counters: what is counted.
    """

    def __init__(self, path: Path, clock: Callable[[], float], counters: Counters) -> None:
        self._path = path
        self._clock = clock
        self._counters = counters
        self._lock: files.Lock | None = None
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._logs: dict[str, Log] = {}
        self._acknowledged = 0
        """Positions stored since they were counted."""
        self._refused = ""
        """Why nothing is written before the next opening."""
        self._damaged = False
        """Whether the next opening must rebuild the file."""

    # Opening and closing.

    def open(self) -> Heads:
        """Lock the file, make it if there is none, repair it if it is damaged, and say what is there.

        Raises:
            StoreUnavailable: it can't be used; then it is closed.
            LocalProtocolError: it is open.
        """
        if self._lock is not None:
            raise LocalProtocolError("the store is open: close it first, or reopen it")
        try:
            self._lock = files.Lock(self._path)
            return self._open(verify=True)
        except (OSError, StoreUnavailable, *READING_ERRORS) as error:
            self.close()
            raise self._failure(error) from error

    def reopen(self) -> Heads:
        """Close the file and open it again, keeping the lock.

        Raises:
            StoreUnavailable: it can't be used now; try again later.
            LocalProtocolError: it was never opened, or is closed.
        """
        if self._lock is None:
            raise LocalProtocolError("the store is not open: open it first")
        self._disconnect()
        self._refused = "it must be reopened after a failure"
        try:
            return self._open(verify=False)
        except (OSError, StoreUnavailable, *READING_ERRORS) as error:
            self._disconnect()
            # What is there can often be read all the same, for example on a full disk.
            with contextlib.suppress(sqlite3.Error):
                self._reader = connect_to_read(self._path)
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the file and release the lock; doing it again does nothing."""
        self._disconnect()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _open(self, *, verify: bool) -> Heads:
        files.finish_replacing(self._path)
        files.create(self._path)
        damages: tuple[Damage, ...] = ()
        try:
            heads = self._load(verify=verify)
        except READING_ERRORS as error:
            if not is_damage(error):
                raise
            self._disconnect()
            if not recognised(self._path):
                raise ForeignFile(f"the file is no store: {error}") from error
            damages = self._rebuild(error)
            self._damaged = False
            heads = self._load(verify=False)  # a rebuilt file was verified row by row
        self._refused = ""
        return Heads(heads.topics, heads.acknowledged, damages)

    def _load(self, *, verify: bool) -> Heads:
        """Connect and read all that a start needs. Until that is whole nothing is written."""
        if self._damaged:
            raise MalformedFile("damage was found while it was in use")
        check_head(self._path)
        self._writer = writer = connect(self._path)
        migrate(writer)
        prepare_to_write(writer)
        logs = load_logs(writer)
        since = self._clock() - KEY_SECONDS
        if verify and self._size() <= VERIFIED_BYTES:
            keys = verify_records(writer, logs, since)
        else:
            recent = (log for log in logs.values() if log.at >= since)
            keys = {log.topic: remembered_keys(writer, log, since) for log in recent}
        heads = {topic: log.head(keys.get(topic, ())) for topic, log in logs.items()}
        acknowledged = load_acknowledged(writer)
        # This proves that writing works. The checkpoint makes durable what a failed fsync may have left
        # in the system's cache only, from where it was read as if it were on the disk.
        writer.execute("UPDATE meta SET opened = opened + 1")
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._reader = connect_to_read(self._path)
        self._logs = logs
        self._acknowledged = _ACKNOWLEDGED_SLACK  # the first commit counts them
        return Heads(heads, acknowledged)

    def _rebuild(self, why: Exception) -> tuple[Damage, ...]:
        damages, kept = salvage(self._path)
        self._counters.damages += len(damages)
        for damage in damages[:_DAMAGES_LOGGED]:
            where = (
                "" if damage.topic is None else f"{damage.topic!r} ends at offset {damage.last}: "
            )
            lost = "" if damage.lost is None else f"; lost: {damage.lost}"
            logger.error(
                "store %s: %s%s%s; the old file is %s (%s)",
                *(self._path.name, where, damage.reason, lost, kept, why),
            )
        if len(damages) > _DAMAGES_LOGGED:
            more = len(damages) - _DAMAGES_LOGGED
            logger.error("store %s: and %d more logs are damaged", self._path.name, more)
        return tuple(damages[:_DAMAGES_TOLD])

    def _size(self) -> int:
        assert self._writer is not None
        (pages,) = self._writer.execute("PRAGMA page_count").fetchone()
        (size,) = self._writer.execute("PRAGMA page_size").fetchone()
        return int(pages) * int(size)

    def _disconnect(self) -> None:
        # The reader first: the last one to close writes the log into the file.
        for connection in (self._reader, self._writer):
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
        self._reader = self._writer = None

    # Writing.

    def append(self, records: Sequence[Record], acknowledged: Sequence[Acknowledged]) -> None:
        """Store all of it or nothing, as `Store.append`.

        Raises:
            StoreUnavailable: it may or may not be stored.
            LocalProtocolError: something of it can't be stored; nothing was.
        """
        writer = self._writable()
        changed = plan_append(self._logs, records)
        check_acknowledged(acknowledged)
        rows, logs, places = rows_of(records, changed.values(), acknowledged)
        if not rows and not places:
            return
        try:
            writer.execute("BEGIN IMMEDIATE")
            writer.executemany(RECORDS.insert, rows)
            writer.executemany(LOGS.replace, logs)
            if places:
                writer.executemany(ACKNOWLEDGED.replace, places)
                self._bound_acknowledged(writer, len(places))
            writer.execute("COMMIT")
        except READING_ERRORS as error:
            raise self._refuse(error) from error
        self._logs.update(changed)
        self._counters.commits += 1
        self._counters.records += len(rows)
        self._counters.acknowledged += len(places)

    def _bound_acknowledged(self, writer: sqlite3.Connection, more: int) -> None:
        self._acknowledged += more
        if self._acknowledged < _ACKNOWLEDGED_SLACK:
            return
        self._acknowledged = 0
        (count,) = writer.execute(COUNT_ACKNOWLEDGED).fetchone()
        if count > ACKNOWLEDGED_KEPT:
            writer.execute(DROP_ACKNOWLEDGED, (count - ACKNOWLEDGED_KEPT,))

    def trim(self, topic: str, retention: Retention) -> tuple[int, bool]:
        """Remove one slice of what is beyond `retention`.

        Returns:
            The first offset that is kept, and whether there is more to look at.

        Raises:
            StoreUnavailable: it may or may not be done.
        """
        writer = self._writable()
        log = self._logs.get(topic)
        if log is None:
            return 1, False
        log = log.copy()
        now = self._clock()
        try:
            upto, size, more = slice_beyond(writer, log, retention, now)
            before = log.trimmed
            if upto > before:
                log.trim(upto, size)
            forgotten = log.trimmed == log.last and log.at < now - FORGET_SECONDS
            if upto > before or forgotten:
                writer.execute("BEGIN IMMEDIATE")
                if upto > before:
                    writer.execute(DROP_RECORDS, (topic, upto))
                    writer.execute(LOGS.replace, row_of_log(log))
                if forgotten:
                    writer.execute(DROP_LOG, (topic,))
                writer.execute("COMMIT")
        except READING_ERRORS as error:
            raise self._refuse(error) from error
        self._logs[topic] = log
        if forgotten:
            del self._logs[topic]
        self._counters.trimmed += upto - before
        return log.trimmed + 1, more

    def _writable(self) -> sqlite3.Connection:
        if self._lock is None:
            raise LocalProtocolError("the store is not open: open it first")
        if self._refused or self._writer is None:
            self._counters.failures += 1
            raise StoreUnavailable(self._refused)
        return self._writer

    def _refuse(self, error: Exception) -> StoreUnavailable:
        """Write no more before the next opening."""
        if self._writer is not None and self._writer.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
        self._damaged = self._damaged or is_damage(error)
        self._refused = "it must be reopened after a failure"
        return self._failure(error)

    def _failure(self, error: Exception) -> StoreUnavailable:
        self._counters.failures += 1
        return unavailable(error)

    # Reading.

    def read(self, topic: str, after: int, max_bytes: int) -> list[Record]:
        """Return records, as `Store.read`.

        Raises:
            StoreUnavailable: they can't be read.
            LocalProtocolError: nothing can be read so.
        """
        if self._lock is None:
            raise LocalProtocolError("the store is not open: open it first")
        if after < 0 or max_bytes < 1:
            raise LocalProtocolError(
                f"after={after} max_bytes={max_bytes}: must be at least 0, and at least 1"
            )
        if self._reader is None:
            self._counters.failures += 1
            raise StoreUnavailable("it must be reopened after a failure")
        try:
            records = read_records(self._reader, topic, after, max_bytes)
        except READING_ERRORS as error:
            if is_damage(error):
                self._damaged = True
                self._refused = "damage was found: it must be reopened"
            raise self._failure(error) from error
        self._counters.reads += 1
        return records
