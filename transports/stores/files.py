"""The files of a SQLite store: made for their owner only, locked, and replaced so that a crash at any
moment leaves the old one or the new one.

Beside `hub.db` stand SQLite's own `hub.db-wal` and `hub.db-shm` while it is open and after a crash;
`hub.db-lock`, which stays; after a repair `hub.db.corrupt-1` and so on; and, while one is going on, what ends
in `.partial` and `.new`.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

from .protocol import StoreUnavailable

__all__ = ["Lock", "beside", "create", "finish_replacing", "partial_path", "replace", "sync"]

CORRUPT_KEPT: Final = 10
"""Damaged files that are kept; an eleventh takes the place of the tenth."""

_WAL: Final = "-wal"


def beside(path: Path, ending: str) -> Path:
    """The file of that name with something behind it."""
    return path.with_name(path.name + ending)


class Lock:
    """Holds a store for one process, until it is released or the process ends.

    Args:
        path: the store's.

    Raises:
        StoreUnavailable: another holds it, or there is no folder for it.
        OSError: the file of the lock can't be made.
    """

    def __init__(self, path: Path) -> None:
        if not path.parent.is_dir():
            raise StoreUnavailable("its folder does not exist: make it first")
        # A file of its own: whoever closes any descriptor of the database drops SQLite's locks. It
        # stays, for who deletes it may delete the one that somebody else has just locked.
        self._file = os.open(beside(path, "-lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 20).decode("ascii", "replace").strip()
            os.close(self._file)
            raise StoreUnavailable(
                f"it is in use by process {holder or 'unknown'}: one process at a time may open it"
            ) from error
        # On a full disk nobody learns the number, and the lock holds all the same.
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others have it."""
        os.close(self._file)


def create(path: Path) -> None:
    """Make an empty file that only its owner may read, unless there is a file.

    Raises:
        OSError: it can't be made.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    sync(path.parent)


def sync(path: Path) -> None:
    """Let what was written to a file, or the names in a folder, survive a loss of power.

    Raises:
        OSError: it can't be promised.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def partial_path(path: Path) -> Path:
    """Where a file that is to replace another is written. What an earlier attempt left is removed.

    Raises:
        OSError: that can't be removed.
    """
    partial = beside(path, ".partial")
    for ending in ("", "-journal", _WAL, "-shm"):
        beside(partial, ending).unlink(missing_ok=True)
    return partial


def replace(path: Path) -> str:
    """Put the file at `partial_path` in the place of `path`; return the name that the old one has now.

    Raises:
        OSError: it can't be done; then the old one is still there, or `finish_replacing` goes on.
    """
    partial = beside(path, ".partial")
    sync(partial)
    partial.rename(beside(path, ".new"))
    sync(path.parent)
    return finish_replacing(path) or ""


def finish_replacing(path: Path) -> str | None:
    """Go on where `replace` was interrupted, if it was; return the name that the old one has now.

    Raises:
        OSError: it can't be done.
    """
    new = beside(path, ".new")
    if not new.exists():
        return None
    number = _free_number(path)
    if not path.exists():
        number -= 1  # it has its name already
    kept = beside(path, f".corrupt-{number}")
    if path.exists():
        if kept.exists():
            beside(kept, _WAL).unlink(missing_ok=True)
            kept.unlink()
        # The log goes first: it must never lie beside the new file, whose pages it does not know.
        if beside(path, _WAL).exists():
            beside(path, _WAL).rename(beside(kept, _WAL))
        beside(path, "-shm").unlink(missing_ok=True)
        path.rename(kept)
    sync(path.parent)
    new.rename(path)
    sync(path.parent)
    return kept.name


def _free_number(path: Path) -> int:
    for number in range(1, CORRUPT_KEPT):
        if not beside(path, f".corrupt-{number}").exists():
            return number
    return CORRUPT_KEPT
