"""What hubbub asks of TCP."""

import socket as stdlib_socket
from typing import Final

__all__ = ["UNSENT_LIMIT", "prepare"]

UNSENT_LIMIT: Final = 2**19
"""Bytes that the system takes before it can send them; it asks for more at half of that. A burst of so
much is nobody's fault."""


def prepare(sock: stdlib_socket.socket) -> None:
    """Ask TCP to send at once, and to take from us no more than it can soon send.

    Without the second a socket takes up to 4 MiB for a slow peer and then nothing, until a third of
    them has arrived: who reads 100 kB/s would seem not to read for 14 s. What is on its way does not count,
    so a fast peer is not slowed down. Systems without the option go on as they do.

    Args:
        sock: not yet connected, or listening: what it accepts inherits both.
    """
    sock.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
    option = getattr(stdlib_socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None:
        sock.setsockopt(stdlib_socket.IPPROTO_TCP, option, UNSENT_LIMIT)
