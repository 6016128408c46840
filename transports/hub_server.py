"""What a server of a hub is on every event loop: sockets around sessions, and what the hub asks for.

The machine decides everything. Here is only what moves bytes and time, and runs users' functions.
"""

import logging
import os
import socket as stdlib_socket
import ssl as stdlib_ssl
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from ..core.auth import External
from ..core.effects import Outcome
from ..core.errors import LocalProtocolError
from ..core.hub import Hub
from ..core.hub_config import HubConfig
from ..core.hub_events import HubEvent
from ..core.link import LINGER
from ..core.records import Heads
from ..core.sender import Entropy
from .driver import Clock, Driver, Watched
from .hooks import Hooks
from .hub_commands import HubCommands
from .hub_effects import AnswerHttp, Authenticator, Effects
from .hub_link import HubPulse, SessionLink
from .hub_log import log_event
from .listening import Place
from .server_life import TASKS_END
from .stores.protocol import Store
from .tls import TLSLink

__all__ = ["BaseHubServer"]

default_logger = logging.getLogger("hubbub.hub")

_DEFAULT: Final = HubConfig()


class BaseHubServer(HubCommands):
    """A hub that listens: its sessions' sockets, the users' functions that it asks, its end.

    No task runs for a connection, and nothing is kept for one but its socket and its session.

    Args:
        config: who may come in, what topics do, and how much of everything there may be.
        host: a name or address, or several; None is every interface.
        port: 0 picks a free one, the same on every address; see `sockets`.
        hooks: functions that are asked before something happens.
        authenticate: called with a token, plain or async; returns a `Grant`, or None for nobody's. With
            it, `config.auth` is `External()`.
        store: where durable topics are kept; it is opened at the start and closed at the end. Without
            one they are kept in memory only.
        http: called with an ordinary HTTP request that no route answers, its body and the client's
            address, plain or async; returns a `Response`. Without it they get 426.
        sock: an existing listening socket instead of host and port.
        path: of a Unix socket, instead of host and port.
        ssl: a context, for wss.
        family: of addresses, such as `socket.AF_INET`.
        reuse_port: let several processes share the port.
        backlog: connections that the system holds until we accept them.
        start_serving: False waits for `start_serving()` or `serve_forever()`.
        logger: where to log; "hubbub.hub" if left out.
        clock: where the time comes from.
        wall_clock: seconds since 1970, for timestamps and the end of grants.
        entropy: where pings and identifiers come from.
        on_event: called with each `HubEvent`, for metrics. It must not wait for anything.
        on_fan_out: called when what was published in a turn of the loop has been written, as far as
            sockets took it: with the number of deliveries, and the seconds since it was queued.

    Raises:
        TypeError: what is given is not what it should be.
        ValueError: `config` counts on a function that is not given, or on no `authenticate`.
    """

    def __init__(
        self,
        config: HubConfig = _DEFAULT,
        host: str | Iterable[str | None] | None = None,
        port: int | None = None,
        *,
        hooks: Hooks | None = None,
        store: Store | None = None,
        authenticate: Authenticator | None = None,
        http: AnswerHttp | None = None,
        sock: stdlib_socket.socket | None = None,
        path: str | os.PathLike[str] | None = None,
        ssl: stdlib_ssl.SSLContext | None = None,
        family: int = stdlib_socket.AF_UNSPEC,
        reuse_port: bool | None = None,
        backlog: int = 1024,
        start_serving: bool = True,
        logger: "logging.Logger | logging.LoggerAdapter[Any] | None" = None,
        clock: Clock | None = None,
        wall_clock: Clock = time.time,
        entropy: Entropy = os.urandom,
        on_event: Callable[[HubEvent], object] | None = None,
        on_fan_out: Callable[[int, float], object] | None = None,
    ) -> None:
        super().__init__(
            Place(host, port, sock, path, bool(reuse_port), backlog),
            ssl=ssl,
            family=family,
            start_serving=start_serving,
            logger=logger if logger is not None else default_logger,
            clock=clock,
        )
        if not isinstance(config, HubConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"config={config!r}: give a HubConfig(), with host and port after it")
        if hooks is not None and not isinstance(hooks, Hooks):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"hooks={hooks!r}: give a Hooks() with your functions in it")
        self._config = _with_functions(config, authenticate, http)
        self._limits = self._config.limits
        self._hooks = hooks
        self._store = store
        self._heads: Heads | None = None
        self._authenticate = authenticate
        self._http = http
        self._wall_clock = wall_clock
        self._entropy = entropy
        self._on_event = on_event
        self._on_fan_out = on_fan_out
        self._delivered = 0
        self._fan_out_at = 0.0
        self._pulse: HubPulse
        self._effects: Effects
        self._sockets = 0
        self._awaited = {}
        self._hurry = False

    # Start and stop.

    async def _listen(self) -> None:
        self._check_new()
        if self._store is None:
            await super()._listen()
            return
        try:
            self._heads = await self._store.open()
            await super()._listen()
        except LocalProtocolError:
            raise  # somebody else has opened it
        except BaseException:
            await self._finish(self._store.close)
            raise

    def _started(self, driver: Driver) -> None:
        now = driver.now()
        hub = self._hub = Hub(
            self._config,
            now=now,
            entropy=self._entropy,
            hooks={} if self._hooks is None else self._hooks.table(),
            heads=self._heads,
        )
        self._tell_time(now)
        self._pulse = HubPulse(
            driver,
            next_timeout=hub.next_timeout,
            settle=self._settle,
            expire=self._expire,
            tell_time=self._tell_time,
        )
        self._pulse.rearm()
        self._effects = Effects(
            hooks=self._hooks,
            authenticate=self._authenticate,
            http=self._http,
            store=self._store,
            driver=driver,
            context=self._context,
            spawn=self._spawn,
            complete=self._complete,
            ended=self._task_ended,
            logger=self.logger,
            hook_timeout=self._limits.hook_timeout,
            store_timeout=self._limits.store_timeout,
            most=self._limits.max_connections,
        )

    def close(self, drain: bool = True) -> None:
        """Stop listening, tell every client to come back later, and close every connection with 1001.

        What waits for a client is sent first; who takes too long is cut off. With `drain_delay` it goes
        on for so long before that, and only refuses newcomers, with 503. Calling it again does nothing,
        except that `close(drain=False)` ends a drain that lasts too long, or the delay before it.

        Args:
            drain: False closes every connection at once, and what waits for its client is lost.
        """
        if not drain and self._driver is not None:
            self._hurry = True
            self.look_if_empty()
        delayed = self._serving and not self._hurry and self._limits.drain_delay > 0
        if delayed and self._shut_down is None and self._driver is not None:
            self.hub.retire(self._driver.now())
        self._begin_shut_down(self._close_all, still_listen=delayed)

    async def _close_all(self) -> None:
        driver = self._driver
        assert driver is not None
        hub, limits = self.hub, self._limits
        try:
            if self._serving:
                await self._wait_until(self._in_a_hurry, limits.drain_delay)
                self._stop_listening()
            hub.drain(driver.now())
            self.changed()
            batches = self._sockets / limits.drain_batch + 1
            # Each machine ends its own connection in time; this is for what nobody foresaw.
            ending = (
                limits.close_timeout + limits.drain_timeout + limits.answer_timeout + LINGER + 1
            )
            patience = limits.close_timeout + ending + 1.5 * batches * limits.drain_interval
            await self._wait_until(self._drained, patience)
            hub.close(driver.now())
            self.changed()
            await self._wait_until(self._empty, TASKS_END)
            for link in self._links(driver):
                link.lose(driver.now())
            self.changed()
            # Each task has its own time, too; so these are what was asked last, on_disconnect mostly.
            await self._wait_until(self._ready, max(limits.hook_timeout, limits.store_timeout))
            if not await self._wait_until(self._idle, min(TASKS_END, limits.hook_timeout)):
                self._cancel_tasks()
                if not await self._wait_until(self._idle, TASKS_END):
                    self.logger.error(
                        "%d functions did not end though they were cancelled", self._effects.running
                    )
            self._effects.closed = True
            if self._store is not None:
                await self._store.close()
        finally:
            self._effects.closed = True
            self._settle()
            self._pulse.stop()
            self._give_up_publications()
            self._closed()

    def _links(self, driver: Driver) -> list[SessionLink]:
        """Its connections. They are looked for, so that nothing need be kept for each."""
        links = (one for one in driver.served() if isinstance(one, SessionLink))
        return [link for link in links if link.owner is self]

    def _in_a_hurry(self) -> bool:
        return self._hurry

    def _drained(self) -> bool:
        return self._hurry or not self._sockets

    def _empty(self) -> bool:
        return not self._sockets

    def _ready(self) -> bool:
        return self._hurry or not self._effects.running

    def _idle(self) -> bool:
        return not self._effects.running

    # Connections.

    def _accepted(self, sock: stdlib_socket.socket, address: Any) -> None:
        driver = self._driver
        assert driver is not None
        now = driver.now()
        session = self.hub.connect(address, now)
        link = session if self._ssl is None else TLSLink(session, self._ssl, server_side=True)
        socket = SessionLink(driver, sock, link, self)
        session.carrier = socket
        session.plain = self._ssl is None
        self._sockets += 1
        try:
            socket.start()
        except OSError as error:
            self.logger.error("a connection can't be served: %s", error.strerror)  # noqa: TRY400
            socket.lose(now)
        self.changed()

    def left(self) -> None:
        """For the server's own parts: a connection's socket is closed."""
        self._sockets -= 1
        if not self._sockets:
            self.look_if_empty()

    # The hub's wishes.

    def changed(self) -> None:
        """See `Owner`. The hub was given something: see to what it wants."""
        hub, driver = self._hub, self._driver
        assert hub is not None
        assert driver is not None
        mark = driver.mark
        while True:
            while (session := hub.next_dirty(crowd=False)) is not None:
                if session.carrier is not None:
                    mark(session.carrier)
            effect = hub.next_effect()
            if effect is None:
                break
            self._effects.start(effect)
        while (completion := hub.next_completion()) is not None:
            self._stored(*completion)
        if (
            self._on_fan_out is not None
            and self._pulse.written is None
            and hub.counters.deliveries != self._delivered
        ):
            self._fan_out_at = driver.now()
            self._pulse.written = self._fan_out_written
        if hub.crowded:
            driver.mark_bulk(self)
        mark(self._pulse)

    def take(self, most: int) -> list[tuple[Watched, bytes]]:
        """See `Bulk`: what a fan-out to many has for the next of them."""
        hub = self.hub
        writes = hub.take_crowd(most)
        if not writes or hub.has_dirty:
            self.changed()  # those for whom there is more to do than to write; or all were written to
        return writes or hub.take_crowd(most)

    def _complete(self, effect: int, outcome: Outcome) -> None:
        assert self._driver is not None
        self.hub.complete(effect, outcome, self._driver.now())

    def _task_ended(self) -> None:
        self.changed()
        self.look_if_empty()

    def _settle(self) -> None:
        """The turn ends: hand on what the hub tells."""
        self._turn_ended()
        hub = self.hub
        while (event := hub.next_event()) is not None:
            log_event(self.logger, event)
            if self._on_event is not None:
                try:
                    self._on_event(event)
                except Exception:
                    self.logger.exception("on_event raised")

    def _fan_out_written(self) -> None:
        assert self._driver is not None
        if self.hub.crowded:
            self._pulse.written = self._fan_out_written  # the end of it comes here again
            return
        assert self._on_fan_out is not None
        count = self.hub.counters.deliveries - self._delivered
        self._delivered += count
        try:
            self._on_fan_out(count, self._driver.now() - self._fan_out_at)
        except Exception:
            self.logger.exception("on_fan_out raised")

    def _expire(self, now: float) -> None:
        self.hub.handle_timeout(now)
        self.changed()

    def _tell_time(self, now: float) -> None:
        self.hub.set_wall_clock(self._wall_clock() - now, now)


def _with_functions(
    config: HubConfig, authenticate: Authenticator | None, http: AnswerHttp | None
) -> HubConfig:
    """The configuration, where the machine knows which functions it may ask."""
    for name, function in (("authenticate", authenticate), ("http", http)):
        if function is not None and not callable(function):
            raise TypeError(f"{name}={function!r}: give a function")
    if http is not None:
        options = msgspec.structs.replace(config.options, http=True)
        config = msgspec.structs.replace(config, options=options)
    elif config.options.http:
        raise ValueError("config.options.http is True: give http=, which is then asked")
    external = isinstance(config.auth, External)
    if authenticate is not None and config.auth is None:
        return msgspec.structs.replace(config, auth=External())
    if authenticate is None and external:
        raise ValueError("config.auth is External(): give authenticate=, which is then asked")
    if authenticate is not None and not external:
        raise ValueError("authenticate: config.auth knows the tokens already; give one of the two")
    return config
