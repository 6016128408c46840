"""What SQLite's and the system's errors mean to us."""

import sqlite3
from typing import Final

from .protocol import StoreUnavailable
from .schema import MalformedFile

__all__ = ["READING_ERRORS", "is_damage", "unavailable"]

READING_ERRORS: Final = (sqlite3.Error, MalformedFile, UnicodeDecodeError)
"""What using a file may raise. The last is SQLite's own message, where it quotes damaged text."""

_DAMAGE: Final = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CONSTRAINT,  # a row is there that should not be
        sqlite3.SQLITE_ERROR,  # our statements are right, so a table's definition is wrong
        sqlite3.SQLITE_TOOBIG,  # so is a length
    }
)

_REASONS: Final = {
    sqlite3.SQLITE_BUSY: "another program has locked the file",
    sqlite3.SQLITE_CANTOPEN: "the file can't be opened",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk fails",
    sqlite3.SQLITE_NOTADB: "the file is damaged",
    sqlite3.SQLITE_PERM: "we may not use the file",
    sqlite3.SQLITE_READONLY: "the file is read-only",
}


def is_damage(error: Exception) -> bool:
    """Whether the file itself is wrong, rather than the disk or the moment."""
    if isinstance(error, (MalformedFile, UnicodeDecodeError)):
        return True
    return _code(error) & 0xFF in _DAMAGE


def unavailable(error: Exception) -> StoreUnavailable:
    """The same, for callers of the store."""
    if isinstance(error, StoreUnavailable):
        return error
    if isinstance(error, OSError):
        return StoreUnavailable(
            f"the file system refuses: {error.strerror or type(error).__name__}"
        )
    if isinstance(error, UnicodeDecodeError):
        return StoreUnavailable("the file is damaged")
    reason = _REASONS.get(_code(error) & 0xFF)
    return StoreUnavailable(f"{reason} ({error})" if reason else str(error))


def _code(error: Exception) -> int:
    code = getattr(error, "sqlite_errorcode", 0)
    return code if isinstance(code, int) else 0
