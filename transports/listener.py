"""Accepting from a listening socket."""

import contextlib
import errno
import logging
import os
import socket as stdlib_socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from .driver import Driver
from .poller import READ
from .tcp import prepare

__all__ = ["Listener"]

logger = logging.getLogger("hubbub.server")

_ACCEPTS: Final = 64
"""Sockets that are accepted in one go, so that the open ones get their turn."""

_PEERS: Final = frozenset(
    getattr(errno, name)
    for name in [
        "ECONNABORTED",
        "EPROTO",
        "ENOPROTOOPT",
        "EOPNOTSUPP",
        "ETIMEDOUT",
        "ENONET",
        "ENETDOWN",
        "ENETUNREACH",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "EPERM",
    ]
    if hasattr(errno, name)
)
"""What accept(2) calls the fault of one connection. Anything else lasts, such as a lack of descriptors."""

_PAUSE: Final = 1.0
"""Seconds without accepting when that fails, for example for lack of descriptors; as in asyncio."""


def _unix_path(sock: stdlib_socket.socket) -> tuple[Path, int] | None:
    """Where a Unix socket stands in the file system, and the number of that file."""
    if sock.family != getattr(stdlib_socket, "AF_UNIX", None):
        return None
    name = os.fsdecode(sock.getsockname())
    if not name or name.startswith("\0"):
        return None
    path = Path(name).absolute()
    with contextlib.suppress(OSError):
        return path, path.stat().st_ino
    return None


class Listener:
    """Accepts from one listening socket.

    Args:
        driver: that of the loop.
        sock: listening and non-blocking.
        accepted: called with each new socket, non-blocking, and its peer's address.
        ours: whether the path of a Unix socket is removed at the end.
    """

    def __init__(
        self,
        driver: Driver,
        sock: stdlib_socket.socket,
        accepted: Callable[[stdlib_socket.socket, Any], None],
        *,
        ours: bool,
    ) -> None:
        self._driver = driver
        self.sock = sock
        self._accepted = accepted
        self._resume_at: float | None = None
        self._watching = 0
        self.marked = False
        self._path = _unix_path(sock) if ours else None
        if sock.family in (stdlib_socket.AF_INET, stdlib_socket.AF_INET6):
            prepare(sock)

    def start(self) -> None:
        """Begin to accept."""
        self._driver.watch(self.sock.fileno(), self, 0, READ)
        self._watching = READ

    def close(self) -> None:
        """Accept no more, and close the socket. Calling it again does nothing."""
        if self.sock.fileno() >= 0:
            self._driver.forget(self.sock.fileno(), self, self._watching)
            self._watching = 0
            self.sock.close()
            if self._path is not None:
                path, number = self._path
                with contextlib.suppress(OSError):
                    # Another server may have taken the place meanwhile.
                    if path.stat().st_ino == number:
                        path.unlink()

    # For the driver.

    def on_ready(self, events: int, now: float) -> None:
        """Accept what waits."""
        for _ in range(_ACCEPTS):
            if self.sock.fileno() < 0:
                return  # closed by what was accepted before
            try:
                sock, address = self.sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _PEERS:
                    continue
                # No traceback: it is the system's trouble, and comes when logs are read in haste.
                logger.error(  # noqa: TRY400
                    "cannot accept: %s; trying again in %.0f s", error.strerror, _PAUSE
                )
                self._watch(0)
                self._resume_at = now + _PAUSE
                self._driver.reschedule(self, self._resume_at)
                return
            sock.setblocking(False)
            self._accepted(sock, address)

    def next_timeout(self) -> float | None:
        """When to accept again after a shortage."""
        return self._resume_at

    def on_timeout(self, now: float) -> None:
        """Accept again."""
        self._resume_at = None
        self._watch(READ)

    def flush(self, now: float) -> None:
        """Nothing waits here."""

    def send(self, data: bytes) -> int:
        """Nothing is written here."""
        return len(data)

    def wrote(self, data: bytes, outcome: int | OSError, now: float) -> None:
        """Nothing is written here."""

    def give_up(self, now: float) -> None:
        """Accepting one socket failed; the next may not."""

    def _watch(self, events: int) -> None:
        self._driver.watch(self.sock.fileno(), self, self._watching, events)
        self._watching = events
