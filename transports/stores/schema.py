"""The tables of the SQLite store, their versions, and how a connection is set up."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from .protocol import StoreUnavailable
from .rows import decode_text

__all__ = [
    "APPLICATION_ID",
    "STEPS",
    "TABLES",
    "ForeignFile",
    "MalformedFile",
    "check_head",
    "connect",
    "connect_to_read",
    "migrate",
    "prepare_to_write",
    "tables",
]

APPLICATION_ID: Final = 0x68756262
"""`hubb`: what `file` and SQLite's tools tell the store by."""

_BUSY_SECONDS: Final = 5.0
"""How long we wait for another program that has the file open, such as SQLite's own shell."""

_WAL_PAGES: Final = 1000
"""Pages in the write-ahead log after which a commit also writes them to the file."""

_WAL_BYTES: Final = 64 * 2**20
"""What the write-ahead log is cut to when it begins anew after having grown beyond that."""

TABLES: Final = frozenset({"acknowledged", "logs", "meta", "records"})

_SCHEMAS_EVER: Final = 1000
"""A number from here on is damage rather than the schema of a later hubbub."""

STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (
        # How often the store was opened: a write that proves that writing works.
        "CREATE TABLE meta (opened INTEGER NOT NULL)",
        "INSERT INTO meta VALUES (0)",
        (
            "CREATE TABLE logs (topic TEXT PRIMARY KEY, trimmed INTEGER NOT NULL, last INTEGER NOT NULL,"
            " size INTEGER NOT NULL, at REAL NOT NULL, epochs TEXT NOT NULL, checksum BLOB NOT NULL)"
            " WITHOUT ROWID"
        ),
        # In the order of reading. `data` is last, so that what comes before is read without it.
        (
            "CREATE TABLE records (topic TEXT NOT NULL, offset INTEGER NOT NULL, epoch TEXT NOT NULL,"
            " at REAL NOT NULL, user TEXT, idempotency_key TEXT, key TEXT, recipients INTEGER NOT NULL,"
            " checksum BLOB NOT NULL, data BLOB NOT NULL, PRIMARY KEY (topic, offset)) WITHOUT ROWID"
        ),
        (
            "CREATE TABLE acknowledged (user TEXT NOT NULL, name TEXT NOT NULL, topic TEXT NOT NULL,"
            " offset INTEGER NOT NULL, epoch TEXT NOT NULL, at REAL NOT NULL, checksum BLOB NOT NULL,"
            " PRIMARY KEY (user, name, topic)) WITHOUT ROWID"
        ),
    ),
)
"""What leads from each version to the next; version 0 is an empty file."""


class ForeignFile(StoreUnavailable):
    """The file is whole, and no store, or one of a later version of hubbub."""


class MalformedFile(Exception):
    """The file was a store, and is damaged."""


def check_head(path: Path) -> None:
    """Return if the head of a file is that of a store, of another program, or there is none.

    SQLite takes some wrong heads for good ones, of a file that it may not write or in another encoding.

    Raises:
        MalformedFile: it was the head of a store.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        head = file.read(100)
    if int.from_bytes(head[68:72]) != APPLICATION_ID:
        return
    fixed = (
        head.startswith(b"SQLite format 3\0")
        and head[18] in (1, 2)  # with rollback journals, as it is made, or a write-ahead log
        and head[19] in (1, 2)
        and head[20:24] == bytes((0, 64, 32, 32))
        and int.from_bytes(head[44:48]) == 4
        and int.from_bytes(head[56:60]) == 1  # UTF-8
        and int.from_bytes(head[60:64]) < _SCHEMAS_EVER
    )
    if not fixed:
        raise MalformedFile("the head of the file is damaged")


def tables(connection: sqlite3.Connection) -> set[str]:
    """The names of all tables.

    Raises:
        sqlite3.Error: they can't be read.
    """
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def connect(path: Path) -> sqlite3.Connection:
    """Connect to a file that exists, to write.

    Raises:
        sqlite3.Error: it can't be opened.
    """
    return _connect(path, "rw")


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Connect to a file that exists, and change nothing in it.

    Raises:
        sqlite3.Error: it can't be opened.
    """
    connection = _connect(path, "ro")
    connection.execute("PRAGMA query_only=ON")
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,  # transactions are ours to begin and end
        check_same_thread=False,  # worker threads take turns
    )
    connection.text_factory = decode_text
    return connection


def prepare_to_write(connection: sqlite3.Connection) -> None:
    """Let what is committed be durable when the commit returns.

    Raises:
        StoreUnavailable: the file system can't do it.
        sqlite3.Error: the file can't be read or written.
    """
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise StoreUnavailable("its file system has no write-ahead logs: use a local disk")
    for pragma in (
        "synchronous=FULL",
        "fullfsync=ON",  # macOS: through the disk's own cache
        "checkpoint_fullfsync=ON",
        f"wal_autocheckpoint={_WAL_PAGES}",
        f"journal_size_limit={_WAL_BYTES}",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def migrate(connection: sqlite3.Connection, steps: Sequence[Sequence[str]] = STEPS) -> None:
    """Bring the tables to the newest version, in one transaction.

    Raises:
        ForeignFile: this file is not ours to write.
        MalformedFile: what SQLite reads of it makes no sense.
        sqlite3.Error: the file is damaged, or can't be read or written.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    names = tables(connection)
    ours = names >= TABLES
    empty = not names and application == version == 0
    if not empty and application != APPLICATION_ID and not ours:
        raise ForeignFile("the file is a database of another program")
    if application == APPLICATION_ID and version > len(steps):
        raise ForeignFile(
            f"the file was written by a later hubbub: its schema is {version}, and this one knows "
            f"those up to {len(steps)}"
        )
    if not empty and not (ours and application == APPLICATION_ID and version > 0):
        raise MalformedFile("the head of the file is damaged")
    if version == len(steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={len(steps)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
