"""Where a server listens, and the sockets for it."""

import contextlib
import errno
import os
import socket as stdlib_socket
import stat
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

__all__ = ["AddressInfo", "Place"]

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]
"""What `getaddrinfo` gives."""


class Place(msgspec.Struct, frozen=True):
    """Where to listen: on addresses and a port, on a Unix socket, or on a socket that exists.

    Raises:
        TypeError: not exactly one of port, socket and path is given.
    """

    host: str | Iterable[str | None] | None
    port: int | None
    sock: stdlib_socket.socket | None
    path: str | os.PathLike[str] | None
    reuse_port: bool
    backlog: int

    def __post_init__(self) -> None:
        if sum(thing is not None for thing in (self.sock, self.path, self.port)) != 1:
            raise TypeError("say where to listen: give port, sock or path, one of the three")

    async def listen(
        self, resolve: Callable[[str | None, int], Awaitable[list[Any]]]
    ) -> list[stdlib_socket.socket]:
        """Listening, non-blocking sockets.

        Args:
            resolve: gives the addresses of a host, None being every interface.

        Raises:
            OSError: it cannot listen; the message names the address.
        """
        if self.sock is not None:
            _listen(self.sock, self.backlog)
            return [self.sock]
        if self.path is not None:
            return [_bind_unix(self.path, self.backlog)]
        assert self.port is not None
        hosts = [self.host] if self.host is None or isinstance(self.host, str) else self.host
        found = [address for host in hosts for address in await resolve(host or None, self.port)]
        return _bind_tcp(found, reuse_port=self.reuse_port, backlog=self.backlog)


_TRIES: Final = 10
"""A port that is free on one address may be taken on the next: then another is tried."""


def _bind_tcp(
    found: Sequence[AddressInfo], *, reuse_port: bool, backlog: int
) -> list[stdlib_socket.socket]:
    """See `_bind_all`."""
    any_port = all(address[4][1] == 0 for address in found)
    for _ in range(_TRIES if any_port else 0):
        try:
            return _bind_all(found, reuse_port=reuse_port, backlog=backlog)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return _bind_all(found, reuse_port=reuse_port, backlog=backlog)


def _bind_all(
    found: Sequence[AddressInfo], *, reuse_port: bool, backlog: int
) -> list[stdlib_socket.socket]:
    """Listen on each address; where the port is 0, on one free port on all of them.

    Raises:
        OSError: it cannot listen; the message names the address.
    """
    sockets: list[stdlib_socket.socket] = []
    picked = 0
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                sock = stdlib_socket.socket(family, kind, protocol)
            except OSError as error:
                if error.errno == errno.EAFNOSUPPORT:
                    continue  # a system without IPv6 may still have its addresses
                raise
            sockets.append(sock)
            if os.name == "posix" and sys.platform != "cygwin":
                sock.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_REUSEPORT, 1)
            if family == stdlib_socket.AF_INET6:
                sock.setsockopt(stdlib_socket.IPPROTO_IPV6, stdlib_socket.IPV6_V6ONLY, 1)
            if picked and not address[1]:
                address = (address[0], picked, *address[2:])
            _bind(sock, address)
            picked = picked or sock.getsockname()[1]
            _listen(sock, backlog)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    if not sockets:
        raise OSError("no address of this host can be listened on")
    return sockets


def _bind(sock: stdlib_socket.socket, address: Any) -> None:
    try:
        sock.bind(address)
    except OSError as error:
        # The system's words don't say where.
        text = os.strerror(error.errno).lower() if error.errno else str(error)
        words = f"cannot listen on {address!r}: {text}"
        raise (OSError(error.errno, words) if error.errno else OSError(words)) from None


def _listen(sock: stdlib_socket.socket, backlog: int) -> None:
    sock.setblocking(False)
    sock.listen(backlog)


def _bind_unix(path: str | bytes | os.PathLike[Any], backlog: int) -> stdlib_socket.socket:
    """Listen on a Unix socket. One that a server before us left behind is replaced.

    Raises:
        OSError: it cannot listen; the message names the path.
    """
    place = os.fspath(path)
    if place[:1] not in (b"\0", "\0"):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.stat(place).st_mode):  # noqa: PTH116 - it may be bytes
                os.remove(place)  # noqa: PTH107
    sock = stdlib_socket.socket(stdlib_socket.AF_UNIX, stdlib_socket.SOCK_STREAM)
    try:
        _bind(sock, place)
        _listen(sock, backlog)
    except BaseException:
        sock.close()
        raise
    return sock
