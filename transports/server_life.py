"""How every kind of server begins and ends: where it listens, that it starts once, and that it closes once.

What it serves is added by `BaseServer` and `BaseHubServer`; how tasks are made, by each event loop.
"""

import contextvars
import logging
import socket as stdlib_socket
import ssl as stdlib_ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final

from .driver import Clock, Driver, Event
from .listener import Listener
from .listening import Place
from .server_opening import printable

__all__ = ["TASKS_END", "ServerLife"]

TASKS_END: Final = 1.0
"""Seconds that a server's tasks have to return once nothing is left for them, and again after cancelling."""


class ServerLife(ABC):
    """Listening sockets, the tasks of a server, and its end.

    Args:
        place: where to listen.
        ssl: a context, for wss.
        family: of addresses, such as `socket.AF_INET`.
        start_serving: False waits for `start_serving()` or `serve_forever()`.
        logger: where to log.
        clock: where the time comes from.

    Raises:
        TypeError: `ssl` is no context.
        ValueError: it is a client's.
    """

    def __init__(
        self,
        place: Place,
        *,
        ssl: stdlib_ssl.SSLContext | None,
        family: int,
        start_serving: bool,
        logger: "logging.Logger | logging.LoggerAdapter[Any]",
        clock: Clock | None,
    ) -> None:
        if ssl is not None and not isinstance(ssl, stdlib_ssl.SSLContext):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"ssl={ssl!r}: give an ssl.SSLContext with the server's certificate")
        if ssl is not None and ssl.protocol is stdlib_ssl.PROTOCOL_TLS_CLIENT:
            raise ValueError("ssl: the context is a client's; use PROTOCOL_TLS_SERVER")
        self.logger = logger
        self._place = place
        self._ssl = ssl
        self._family = family
        self._start_at_once = start_serving
        self._clock = clock
        self._context: contextvars.Context
        self._driver: Driver | None = None
        self._listeners: list[Listener] = []
        self._serving = False
        self._ended: Event | None = None
        """Set when something ended, while somebody waits for that."""
        self._shut_down: Event | None = None
        self._done: Event

    # What differs between loops.

    @abstractmethod
    def _make_driver(self, clock: Clock | None) -> Driver:
        """The loop's driver, or one with a clock of its own."""

    @abstractmethod
    async def _resolve(self, host: str | None, port: int) -> list[Any]:
        """The addresses to listen on."""

    @abstractmethod
    def _spawn(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """Run a coroutine function as a task that does not raise."""

    @abstractmethod
    def _cancel_tasks(self) -> None:
        """Cancel every task that `_spawn` made."""

    @abstractmethod
    def _spawn_shut_down(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """Run it as a task that no cancelling of the others reaches."""

    @abstractmethod
    async def _finish(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """Run it to its end, though this task is cancelled."""

    # What differs between kinds of servers.

    @abstractmethod
    def _accepted(self, sock: stdlib_socket.socket, address: Any) -> None:
        """A connection was accepted; its socket is non-blocking."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening, and end every connection. Calling it again does nothing."""

    # What it is.

    @property
    def sockets(self) -> tuple[stdlib_socket.socket, ...]:
        """The listening sockets; none once the server is closed."""
        return tuple(listener.sock for listener in self._listeners)

    def is_serving(self) -> bool:
        """Whether it accepts."""
        return self._serving

    # Start and stop.

    def _check_started(self) -> None:
        if self._driver is None:
            raise RuntimeError("the server is not started: use `async with serve(…)`")

    def _check_new(self) -> None:
        if self._driver is not None:
            raise RuntimeError("this server was started before: make another one")

    async def _listen(self) -> None:
        """Make the listening sockets.

        Raises:
            OSError: it cannot listen; the message says where and why.
        """
        self._check_new()
        sockets = await self._place.listen(self._resolve)
        self._context = contextvars.copy_context()
        try:
            driver = self._make_driver(self._clock)
        except BaseException:
            for sock in sockets:
                sock.close()
            raise
        self._driver = driver
        driver.hold()
        self._done = driver.event()
        self._listeners = [
            Listener(driver, sock, self._accepted, ours=self._place.sock is None)
            for sock in sockets
        ]
        self._started(driver)
        if self._start_at_once:
            self._accept()

    def _started(self, driver: Driver) -> None:  # noqa: B027 - nothing to do is the rule
        """It has its driver and accepts nothing yet."""

    def _accept(self) -> None:
        if not self._serving and self._shut_down is None:
            self._serving = True
            for listener in self._listeners:
                listener.start()
                self.logger.info("listening on %s", printable(listener.sock.getsockname()))

    async def start_serving(self) -> None:
        """Begin to accept, if `start_serving=False` was asked for."""
        self._check_started()
        self._accept()

    def _begin_shut_down(
        self,
        function: Callable[..., Awaitable[None]],
        *arguments: Any,
        still_listen: bool = False,
    ) -> None:
        """Stop listening and run what ends the rest, then calls `_closed`. The first time only.

        Args:
            function: what ends the rest.
            arguments: of it.
            still_listen: whether `function` calls `_stop_listening` itself, when it is time.
        """
        if self._driver is None or self._shut_down is not None:
            return
        self._shut_down = self._driver.event()
        if not still_listen:
            self._stop_listening()
        self._spawn_shut_down(function, *arguments)

    def _stop_listening(self) -> None:
        self._serving = False
        for listener in self._listeners:
            if listener.sock.fileno() >= 0:
                listener.close()
        self._listeners = []

    def _closed(self) -> None:
        """Everything has ended."""
        assert self._driver is not None
        self._driver.release()
        self._done.set()

    async def wait_closed(self) -> None:
        """Wait until every connection is closed and every task of the server has returned.

        A task that does not return within a second after its connection is closed is cancelled; one
        that resists is left to itself.
        """
        if self._driver is not None:
            await self._done.wait()

    async def _wait_until(self, holds: Callable[[], bool], seconds: float | None) -> bool:
        """Wait until something holds, looking again at each `look_if_empty`. False if it does not."""
        driver = self._driver
        assert driver is not None
        try:
            async with driver.fail_after(seconds):
                while not holds():
                    self._ended = driver.event()
                    await self._ended.wait()
        except TimeoutError:
            return False
        return True

    def look_if_empty(self) -> None:
        """For the server's own parts: something has ended; who waits for that looks again."""
        if self._ended is not None:
            self._ended.set()
