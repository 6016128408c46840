"""Saving what can be read of a damaged file into a fresh one, and saying what could not.

Any damage is answered so, not only a file that SQLite calls malformed. One wrong bit in a topic's name
puts a row out of order, and then SQLite may miss rows by its side, for ever. In the fresh file each log has
its records up to the first that is missing or damaged; what lies behind stays in the old file.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from ...core.records import Damage
from .carving import carve
from .files import beside, partial_path, replace
from .logs import Log
from .rows import acknowledged_of, log_of, record_of, row_of_log
from .schema import APPLICATION_ID, TABLES, connect, migrate, tables
from .statements import (
    ACKNOWLEDGED,
    COUNT_BETWEEN,
    FIRST_OFFSET,
    KEEP_ONLY,
    LOGS,
    RECORDS,
    SIZES,
    TOPICS,
    Table,
)
from .sweeping import sweep

__all__ = ["recognised", "salvage"]

_WAL_MODE: Final = b"\x02\x02"
_ALL: Final = -1
"""As a limit."""

_HEAD: Final = 100
"""Bytes that the head of a file has."""


def salvage(path: Path) -> tuple[list[Damage], str]:
    """Replace the file by a fresh one with what can be read of it.

    Nobody may have it open. After an error the old one is still in its place, or `finish_replacing`
    goes on.

    Returns:
        What was lost, and the name that the old file has now.

    Raises:
        OSError: the files can't be made or moved.
        sqlite3.Error: the disk fails.
    """
    partial = partial_path(path)
    mended = beside(path, ".mended")
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(connect(partial)) as fresh:
            fresh.execute(f"PRAGMA page_size={_page_size(path)}")
            # It counts for nothing until it is whole; then all of it is synced.
            fresh.execute("PRAGMA journal_mode=OFF")
            fresh.execute("PRAGMA synchronous=OFF")
            migrate(fresh)
            _copy_with_head(path, mended, partial)
            with closing(connect(mended)) as old:
                # What the log has goes into the copy, so that all pages are in one file.
                old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                fresh.execute("BEGIN")
                damages = _Salvage(old, fresh, mended, _page_size(path)).run()
                fresh.execute("COMMIT")
    finally:
        for ending in ("", "-wal", "-shm"):
            beside(mended, ending).unlink(missing_ok=True)
    return damages, replace(path)


def recognised(path: Path) -> bool:
    """Whether a file that can't be used as it should was a store; any other is left alone.

    Raises:
        OSError: it can't be read at all.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if int.from_bytes(head[68:72]) == APPLICATION_ID:
        return True
    try:
        with closing(connect(path)) as connection:
            return tables(connection) >= TABLES
    except (sqlite3.Error, UnicodeDecodeError):
        return any(record_of(row) is not None for row in carve(path, _page_size(path)))


def _page_size(path: Path) -> int:
    sizes: list[int] = []
    with path.open("rb") as file:
        size = int.from_bytes(file.read(_HEAD)[16:18])
        sizes.append(65536 if size == 1 else size)
    wal = beside(path, "-wal")
    if wal.exists():
        with wal.open("rb") as file:
            sizes.append(int.from_bytes(file.read(_HEAD)[8:12]))
    for size in sizes:
        if 512 <= size <= 65536 and size.bit_count() == 1:  # one wrong bit makes it two, or none
            return size
    return 4096


def _copy_with_head(path: Path, mended: Path, fresh: Path) -> None:
    """Copy the file and its log, but take the first page from a fresh one.

    That page says all that SQLite must know before it reads a row: the size of pages, the encoding of
    text, the tables and where they begin. It is the same in every store, so a wrong one need not be
    believed. What it says of free pages is not read.
    """
    shutil.copyfile(path, mended)
    if beside(path, "-wal").exists():
        shutil.copyfile(beside(path, "-wal"), beside(mended, "-wal"))
    with fresh.open("rb") as source:
        page = bytearray(source.read(_page_size(path)))
    page[18:20] = _WAL_MODE
    page[28:32] = bytes(4)  # so many pages as the file has
    with mended.open("r+b") as target:
        target.write(page)
        # Each table begins somewhere, also where the end of the file is cut off.
        target.truncate(max(mended.stat().st_size, fresh.stat().st_size))


class _Salvage:
    """What is copied from one connection to another."""

    def __init__(
        self, old: sqlite3.Connection, fresh: sqlite3.Connection, file: Path, page_size: int
    ) -> None:
        self._old = old
        self._fresh = fresh
        self._file = file
        self._page_size = page_size
        self._broken = False
        """Whether a table could not be read from one end to the other."""

    def run(self) -> list[Damage]:
        """Copy all, and return what was lost."""
        logs: dict[str, Log] = {}
        unknown = 0
        for row in self._rows(LOGS):
            log = log_of(row)
            if log is None:
                unknown += 1
            else:
                logs[log.topic] = log
        states_broken = self._broken
        self._broken = False
        self._copy_records(logs)
        topics = self._topics(logs)
        damages = [damage for topic in topics for damage in self._settle(topic, logs)]
        if states_broken or unknown > len(topics) - len(logs):
            damages.append(Damage("whole logs may be lost: nobody knows which"))
        self._broken = False
        damages += self._copy_acknowledged()
        return damages or [Damage("the file was damaged; all that was in it is kept", lost=0)]

    def _rows(self, table: Table) -> Iterator[tuple[object, ...]]:
        return sweep(self._old, table, self._failed)

    def _failed(self, _: Exception) -> None:
        self._broken = True

    def _copy_records(self, logs: Mapping[str, Log]) -> None:
        damaged = self._insert_records(self._rows(RECORDS))
        missing = sum(map(self._missing, logs.values()))
        if self._broken or missing > damaged:  # else those that are missing are those damaged
            self._insert_records(carve(self._file, self._page_size))

    def _missing(self, log: Log) -> int:
        between = (log.topic, log.trimmed + 1, log.last)
        (count,) = self._fresh.execute(COUNT_BETWEEN, between).fetchone()
        return log.last - log.trimmed - int(count)

    def _insert_records(self, rows: Iterator[tuple[object, ...]]) -> int:
        """Insert those that are whole, and return how many are not."""
        damaged = 0

        def whole() -> Iterator[tuple[object, ...]]:
            nonlocal damaged
            for row in rows:
                if record_of(row) is None:
                    damaged += 1
                else:
                    yield row

        self._fresh.executemany(RECORDS.insert_once, whole())
        return damaged

    def _copy_acknowledged(self) -> list[Damage]:
        lost = 0
        for row in self._rows(ACKNOWLEDGED):
            if acknowledged_of(row) is None:
                lost += 1
            else:
                self._fresh.execute(ACKNOWLEDGED.insert_once, row)
        if not lost and not self._broken:
            return []
        reason = "acknowledged positions are damaged: their consumers are not known any more"
        return [Damage(reason, lost=None if self._broken else lost)]

    def _topics(self, logs: Mapping[str, Log]) -> list[str]:
        found = self._fresh.execute(TOPICS)
        return sorted({topic for (topic,) in found} | logs.keys())

    def _settle(self, topic: str, logs: Mapping[str, Log]) -> Iterator[Damage]:
        """Let a log end before the first record that is missing."""
        log = logs.get(topic)
        known = log is not None
        if log is None:
            (first,) = self._fresh.execute(FIRST_OFFSET, (topic,)).fetchone()
            log = Log(topic, first - 1, first - 1)
        before = log.last
        after = log.trimmed
        size = 0
        rows = self._fresh.execute(SIZES, (topic, log.trimmed, _ALL))
        for offset, epoch, at, length in rows:
            if offset == after + 1:
                after = offset
                size += length
                if offset > log.last:  # only where the state of the log is lost or older
                    log.grow(offset, epoch, length, at)
        if after != before or not known:
            log.tear(after)
            yield _damage(log, before, known=known)
        log.size = size
        self._fresh.execute(KEEP_ONLY, (topic, log.trimmed + 1, log.last))
        self._fresh.execute(LOGS.insert, row_of_log(log))


def _damage(log: Log, before: int, *, known: bool) -> Damage:
    if not known:
        return Damage("the state of its log was lost", log.topic, log.last)
    if log.last > before:
        return Damage("the state of its log was too old", log.topic, log.last)
    reason = f"its record {log.last + 1} is damaged or missing"
    return Damage(reason, log.topic, log.last, before - log.last)
