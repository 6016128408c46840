"""Clients that join at a steady pace while a server does something else."""

from __future__ import annotations

import select
import socket
import time
from typing import Self

from .load import new_socket, reset_connections
from .wire import REQUESTS

_SOURCE = "127.0.0.200"
"""An address of their own, since the others may use up the ports of theirs."""


class Joiners:
    """Connects one client after the other, and keeps how long each waited for its handshake.

    A client waits from the moment at which it was due: if the generator is late, that counts too.
    Those who join have a poller of their own, so that they need not queue behind all others who are
    ready; wait for it in the other's poller.

    Args:
        port: the server's.
        every: seconds from one to the next.
    """

    def __init__(self, port: int, every: float) -> None:
        self._port = port
        self._every = every
        self._joining: dict[int, tuple[socket.socket, float]] = {}
        self._waited: list[float] = []
        self.next_at = time.perf_counter()
        """When the next one is due."""
        self.poller = select.epoll()
        self.joined: list[socket.socket] = []
        """Those that were let in since somebody took them out."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let all go, at once."""
        reset_connections([*self.joined, *(sock for sock, _ in self._joining.values())])
        self.poller.close()

    def work(self) -> None:
        """Let those join whose time has come, and do what is next for those who do."""
        while self.next_at <= time.perf_counter():
            sock = new_socket(_SOURCE)
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", self._port))
            self._joining[sock.fileno()] = (sock, self.next_at)
            self.poller.register(sock, select.EPOLLOUT)
            self.next_at += self._every
        for number, events in self.poller.poll(0):
            sock, due = self._joining[number]
            if events & select.EPOLLOUT:
                sock.send(REQUESTS["5 headers"])
                self.poller.modify(number, select.EPOLLIN)
                continue
            answer = sock.recv(4096)
            if not (answer.startswith(b"HTTP/1.1 101 ") and answer.endswith(b"\r\n\r\n")):
                raise ConnectionError(f"the handshake was answered with {answer!r}")
            self._waited.append(time.perf_counter() - due)
            self.poller.unregister(number)
            del self._joining[number]
            self.joined.append(sock)

    def waits(self) -> list[float]:
        """How long each waited; for one that has no answer yet, how long it does by now."""
        now = time.perf_counter()
        return self._waited + [now - due for _, due in self._joining.values()]
