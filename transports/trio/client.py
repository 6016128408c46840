"""`connect(uri)` on trio."""

import errno
import os
import socket as stdlib_socket
from typing import Any

import trio

from ..client import BaseConnect
from ..driver import Clock, Driver
from .driver import driver_of_loop

__all__ = ["connect", "unix_connect"]


class connect(BaseConnect):  # noqa: N801 - a function to its users
    """A connection to a server, on trio; the arguments and the ways to use it are `BaseConnect`'s."""

    def _driver_of_loop(self, clock: Clock | None) -> Driver:
        return driver_of_loop(clock)

    async def _resolve(self, host: str, port: int) -> list[Any]:
        return await trio.socket.getaddrinfo(
            host, port, family=self._family, type=stdlib_socket.SOCK_STREAM
        )

    async def _connect_socket(self, sock: stdlib_socket.socket, address: Any) -> None:
        number = sock.connect_ex(address)
        if number in (errno.EINPROGRESS, errno.EAGAIN, errno.EINTR):
            await trio.lowlevel.wait_writable(sock)
            number = sock.getsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_ERROR)
        else:
            await trio.lowlevel.checkpoint()
        if number:
            raise OSError(number, f"cannot connect to {address}: {os.strerror(number).lower()}")

    async def _sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


def unix_connect(
    path: "str | os.PathLike[str]", uri: str | None = None, **keywords: Any
) -> connect:
    """Connect to a server on a Unix socket; the keywords are those of `connect`.

    Args:
        path: of the socket.
        uri: what to ask for; if left out, ws://localhost/, with `ssl=` wss://localhost/.
        keywords: those of `connect`.
    """
    if uri is None:
        uri = "ws://localhost/" if keywords.get("ssl") is None else "wss://localhost/"
    return connect(uri, path=path, **keywords)
