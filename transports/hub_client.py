"""What a client of a hub is on every event loop: sockets, tasks and waiting around the machine.

`hubbub.core.client.HubClient` decides everything. Here is what connects, fetches tokens, and wakes who
waits.
"""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context, copy_context
from inspect import isawaitable
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from weakref import WeakSet

from ..core.backoff import Backoff
from ..core.client import HubClient
from ..core.client_events import CLOSED, Connect, FetchToken, StateChange
from ..core.client_options import ClientLimits, HubClientOptions
from ..core.client_states import ClientState
from ..core.messages import (
    Answer,
    AuthResult,
    CallResult,
    Chat,
    ErrorAnswer,
    History,
    Notification,
    Position,
    Presence,
    Published,
)
from ..core.sender import Entropy
from .client import BaseConnect
from .driver import Clock, Driver, Event, Promise
from .hub_client_connection import HubConnection
from .hub_client_exceptions import HubError, closed_of, error_of
from .hub_client_streams import AckMode, Directs, States, Subscription
from .hub_link import HubPulse
from .reconnecting import process_exception

__all__ = ["BaseRemoteHub", "FetchesToken"]

FetchesToken = Callable[[], str | Awaitable[str]]
"""Gets a token that is valid now: a plain function or an async one."""

default_logger = logging.getLogger("hubbub.client")

_TOKEN_TIMEOUT: Final = 30.0
"""Seconds that a function has to fetch a token."""

_TASKS_END: Final = 5.0
"""Seconds that tasks which are cancelled have to end."""

AnswerType = TypeVar("AnswerType")


class BaseRemoteHub(ABC):
    """A client of a hub: `async with connect_hub(uri) as hub`.

    It connects when the block is entered, and again whenever the connection is lost, until the block is
    left: it says who it is, subscribes again, goes on where it was, and repeats publications that were not
    answered. Any number of tasks may use it, on the event loop that it was made on.

    Cancellation: every method and iteration leaves the client usable. A request that is cancelled was done
    or not; one that was not sent yet is not sent any more. Where the block is cancelled or raises,
    the client says goodbye without waiting for answers.

    Args:
        uri: ws:// or wss://.
        token: who we are; or a function, plain or async, that fetches a token, before each connection.
        name: what to be called, where the hub lets nameless peers in. With neither the hub picks a name, and
            publications are not repeated, since the next connection has another one.
        patient: whether the first connection, too, is tried again and again; else the block raises what
            `connect` does.
        refresh_interval: seconds after which a newer token is fetched and said on the same connection.
        backoff: the delays between attempts.
        limits: the bounds of everything that is not a connection's.
        process_exception: decides whether to try again after a failed attempt or fetch; see the function of
            that name.
        logger: where to log.
        clock: where the time comes from.
        entropy: where masks, keys and jitter come from.
        connecting: the other keywords are those of `connect`, such as `ssl`, `additional_headers`, `proxy`,
            `origin`, `path` and `max_size`.

    Raises:
        InvalidURI: as `connect`.
        TypeError: an unknown keyword.
        ValueError: a keyword's value can't work.
    """

    driver: Driver
    machine: HubClient

    def __init__(
        self,
        uri: str,
        *,
        token: str | FetchesToken | None = None,
        name: str | None = None,
        patient: bool = False,
        refresh_interval: float | None = None,
        backoff: Backoff | None = None,
        limits: ClientLimits | None = None,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        logger: "logging.Logger | logging.LoggerAdapter[Any] | None" = None,
        clock: Clock | None = None,
        entropy: Entropy = os.urandom,
        **connecting: Any,  # those of `connect`, which checks them
    ) -> None:
        fetches = token is not None and not isinstance(token, str)
        if fetches and not callable(token):
            raise TypeError("token: give a string, or a function that returns one")
        self._options = HubClientOptions(
            token=token if isinstance(token, str) else None,
            fetches=fetches,
            name=name,
            patient=patient,
            refresh_interval=refresh_interval,
            backoff=backoff if backoff is not None else Backoff(),
            limits=limits if limits is not None else ClientLimits(),
        )
        self._fetch: FetchesToken | None = None if isinstance(token, str) else token
        if "sock" in connecting:
            raise TypeError("sock: serves one connection only; give path, host or port")
        self._uri = uri
        self._connecting: dict[str, Any] = {  # as above
            **connecting,
            "clock": clock,
            "entropy": entropy,
            "create_connection": HubConnection,
            "logger": logger,
        }
        self._make_connect()  # what can't work is told now
        self._process_exception = process_exception
        self.logger = logger if logger is not None else default_logger
        self._clock = clock
        self._entropy = entropy
        self._started = False
        self._pulse: HubPulse
        self._context: Context
        self._connection: HubConnection | None = None
        self._open: set[HubConnection] = set()
        self._tasks: dict[int, Callable[[], object]] = {}
        self._promises: dict[int, Promise] = {}
        self._error: Exception | None = None
        self._moved: Event | None = None
        self._watchers: WeakSet[States] = WeakSet()
        self._changing = False
        self._again = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state.value}>"

    # What differs between loops.

    @abstractmethod
    def _make_driver(self, clock: Clock | None) -> Driver:
        """The loop's driver, or one with a clock of its own."""

    @abstractmethod
    def _make_connect(self) -> BaseConnect:
        """The loop's `connect`."""

    @abstractmethod
    def _spawn(
        self, function: Callable[[], Awaitable[None]], context: Context, ended: Callable[[], None]
    ) -> Callable[[], object]:
        """Run a function, which never raises, in a task of its own.

        Args:
            function: what to run.
            context: the variables that it sees.
            ended: called at the task's end, however that comes.

        Returns:
            What cancels it.
        """

    @abstractmethod
    async def _finish(self, function: Callable[[], Awaitable[None]]) -> None:
        """Await a function to its end, which comes soon, though this task is cancelled."""

    # What it is.

    @property
    def state(self) -> ClientState:
        """Where it stands."""
        return self.machine.state if self._started else ClientState.WAITING

    @property
    def username(self) -> str | None:
        """Who we are, once the hub said so. It does not tell a name that it picked."""
        return self.machine.username if self._started else None

    def states(self) -> States:
        """Changes of state: `async for change in hub.states()`. The state that there is comes first."""
        self._check_started()
        states = States(self.driver, [StateChange(self.machine.state)])
        if self.machine.state is not ClientState.OVER:
            self._watchers.add(states)
        return states

    # Subscribing.

    def subscribe(
        self,
        *topics: str,
        since: Position | Mapping[str, Position] | None = None,
        last: int | None = None,
        ack: AckMode = False,
        name: str | None = None,
        presence: bool = False,
    ) -> Subscription:
        """A subscription, to be iterated over; it goes on over all connections.

        Args:
            topics: topics and patterns, one at least; each in one subscription of a client at a time.
            since: the position behind which to begin, or one for each topic that has one.
            last: so many of the newest publications come first.
            ack: True acknowledges each publication when the next is taken, "manual" when `ack` says so.
                What is not acknowledged comes again, also to a client that is started anew. It needs a
                token, and topics with history.
            name: with `ack`, which of the user's consumers this is.
            presence: whether to be told who comes and goes.

        Raises:
            TypeError: no topic.
        """
        self._check_started()
        if not topics:
            raise TypeError("subscribe() needs a topic; messages to the user are directs()")
        return Subscription(
            self, topics, since=since, last=last, ack=ack, name=name, presence=presence
        )

    def directs(self) -> Directs:
        """Messages to the user whom we are, to be iterated over. None are kept while nobody does."""
        self._check_started()
        return Directs(self)

    # Requests. Each waits for its answer, over lost connections if need be.

    async def publish(
        self,
        topic: str,
        message: Any,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
    ) -> Published:
        """Publish on a topic; once answered, it is stored where the topic is durable.

        While there is no connection it waits for one. If an answer is lost, it is sent again, and the hub
        knows it by its key. Cancelling it leaves it published or not; before it was sent, it is not.

        Args:
            topic: a concrete one.
            message: any JSON value.
            key: what the message is about, for topics that keep the latest of each key.
            idempotency_key: a name of yours for this publication, at most 64 bytes: publish it again with the
                same name, within two minutes, if you don't know whether it was. Left out, it gets one.

        Returns:
            How many sessions were subscribed, and the position where history is kept.

        Raises:
            HubError: the hub refused it; or `unavailable`: it may or may not have been published.
            HubClosed: the client is over.
            LocalProtocolError: no topic, or no JSON.
        """
        return await self._ask(
            Published,
            lambda now: self.machine.publish(
                topic, message, now, key=key, idempotency_key=idempotency_key
            ),
        )

    async def send_to(self, user: str, message: Any) -> Published:
        """Send a message to all sessions of a user. It is not repeated: see `publish` for the rest."""
        return await self._ask(Published, lambda now: self.machine.send_to(user, message, now))

    async def presence(self, topic: str) -> Presence:
        """Who is subscribed to a topic.

        Raises:
            HubError: the hub refused.
            HubClosed: the client is over.
            LocalProtocolError: no topic.
        """
        return await self._ask(Presence, lambda now: self.machine.presence(topic, now))

    async def history(
        self, topic: str, *, before: int | None = None, limit: int | None = None
    ) -> tuple[Chat | Notification, ...]:
        """What was published on a topic, oldest first: the last before an offset, or before the end.

        Args:
            topic: one that keeps history.
            before: an offset.
            limit: how many, at most; the hub has a bound of its own, by default 1,000 and 32 KiB. None
                leaves it to the hub.

        Raises:
            HubError: the hub refused.
            HubClosed: the client is over.
            LocalProtocolError: no topic.
        """
        answer = await self._ask(
            History, lambda now: self.machine.history(topic, now, before=before, limit=limit)
        )
        return tuple(one for one in answer.publications if isinstance(one, (Chat, Notification)))

    async def call(self, name: str, data: Any = None) -> Any:  # any JSON value
        """Ask a function of the hub's; what it gives.

        It is not repeated: where the connection is lost before the answer, that is `unavailable`.

        Raises:
            HubError: the hub, or the function, refused.
            HubClosed: the client is over.
            LocalProtocolError: no JSON.
        """
        answer = await self._ask(CallResult, lambda now: self.machine.call(name, data, now))
        return answer.data

    async def refresh(self, token: str | None = None) -> None:
        """Say a newer token, before the old one ends.

        Args:
            token: the newer one; if left out, it is fetched.

        Raises:
            HubError: the hub refused it; the old one goes on until its end.
            HubClosed: the client is over.
            LocalProtocolError: there is no way to get one.
        """
        await self._ask(AuthResult, lambda now: self.machine.refresh(now, token))

    async def _ask(self, kind: type[AnswerType], ask: Callable[[float], int]) -> AnswerType:
        self._check_started()
        driver = self.driver
        if driver.checks_cancellation:
            await driver.checkpoint_if_cancelled()
        while self.machine.full and self.machine.ending is None:
            await self._movement()
        if self.machine.closing:
            raise self.closed_error()
        number = ask(driver.now())
        promise = self._promises[number] = driver.promise()
        self.changed()
        try:
            answer: Answer = await promise
        except BaseException:
            if self._promises.pop(number, None) is not None:
                self.machine.withdraw(number, driver.now())
                self.changed()
            raise
        if isinstance(answer, ErrorAnswer):
            raise self.closed_error() if answer.code == CLOSED else error_of(answer)
        if not isinstance(answer, kind):
            raise HubError("internal", f"the hub answered with a {type(answer).__name__}")
        return answer

    # Begin and end.

    async def __aenter__(self) -> Self:
        """Connect; the client itself.

        Raises:
            OSError: there is no way to the hub; so are the other exceptions of `connect`.
            HubClosed: the hub did not let us in.
            Exception: what the function that fetches tokens raised.
        """
        if self._started:
            raise RuntimeError("this connect_hub() is in use: make another one")
        self.driver = self._make_driver(self._clock)
        self.driver.hold()
        self.machine = HubClient(self._options, entropy=self._entropy)
        self._pulse = HubPulse(
            self.driver,
            next_timeout=self.machine.next_timeout,
            settle=lambda: None,
            expire=self._expire,
            tell_time=lambda _: None,
        )
        self._context = copy_context()
        self._started = True
        self.changed()
        try:
            await self._ready()
        except BaseException:
            await self._finish(self._abandon)
            raise
        return self

    async def _ready(self) -> None:
        while self.machine.state not in (ClientState.READY, ClientState.OVER):
            await self._movement()
        if self.machine.state is ClientState.OVER:
            raise self._error if self._error is not None else self.closed_error()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it; without waiting for answers where the block raised."""
        try:
            if kind is None:
                await self.close()
        finally:
            await self._finish(self._abandon)

    async def close(self) -> None:
        """End it, and wait until that is done. Subscriptions end at once.

        Requests that were not answered have `leave_timeout`, then they fail with `HubClosed`. If it is
        cancelled, closing goes on.
        """
        self._check_started()
        self.machine.close(self.driver.now())
        self.changed()
        while self.machine.state is not ClientState.OVER or self._open:
            await self._movement()

    async def _abandon(self) -> None:
        """End at once, and leave nothing behind but sockets that say goodbye."""
        if self.machine.state is not ClientState.OVER:
            self.machine.abort(self.driver.now())
            self.changed()
        for cancel in tuple(self._tasks.values()):
            cancel()
        try:
            async with self.driver.fail_after(_TASKS_END):
                while self._tasks:
                    await self._movement()
        except TimeoutError:
            self.logger.error("the function that fetches tokens did not end when it was cancelled")  # noqa: TRY400
        self._pulse.stop()
        self.driver.release()

    def closed_error(self) -> HubError:
        """For its own parts: why it is over."""
        error = closed_of(self.machine.ending)
        error.__cause__ = self._error
        return error

    def _check_started(self) -> None:
        if not self._started:
            raise RuntimeError("the client is not started: use `async with connect_hub(…)`")

    # What the machine wants.

    def changed(self) -> None:
        """For its own parts: the machine was given something. See to what it wants."""
        if self._changing:
            self._again = True
            return
        self._changing = True
        try:
            self._again = True
            while self._again:
                self._again = False
                self._see_to_it()
        finally:
            self._changing = False

    def _see_to_it(self) -> None:
        machine = self.machine
        while (effect := machine.next_effect()) is not None:
            self._start(effect)
        while (change := machine.next_event()) is not None:
            self._tell(change)
        while (answer := machine.next_answer()) is not None:
            promise = self._promises.pop(answer[0], None)
            if promise is not None and not promise.done():
                promise.set_result(answer[1])
        while (stream := machine.next_ready()) is not None:
            waiter = stream.carrier
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        for connection in tuple(self._open):
            connection.socket.room_wanted = machine.wants_room
            if connection.ws.dirty:
                connection.driver.mark(connection.socket)
            if connection.socket.closed:
                self._open.discard(connection)
                self._move()
        if self._moved is not None and not machine.full:
            self._move()
        self._pulse.rearm()

    def _tell(self, change: StateChange) -> None:
        if change.state is ClientState.WAITING:
            self.logger.info("connecting again in %.1f s: %s", change.delay, change.reason)
        elif change.state is ClientState.OVER and change.reason:
            self.logger.warning("giving up: %s", change.reason)
        for watcher in tuple(self._watchers):
            watcher.tell(change)
        self._move()

    def _expire(self, now: float) -> None:
        self.machine.handle_timeout(now)
        self.changed()

    async def _movement(self) -> None:
        """Wait until something may have changed."""
        if self._moved is None:
            self._moved = self.driver.event()
        await self._moved.wait()

    def _move(self) -> None:
        moved, self._moved = self._moved, None
        if moved is not None:
            moved.set()

    # What it asks for.

    def _start(self, effect: Connect | FetchToken) -> None:
        number = effect.id
        work = self._connect if isinstance(effect, Connect) else self._fetch_token

        async def run() -> None:
            try:
                await work(number)
            except Exception as error:  # noqa: BLE001 - the user's, or whatever the network comes up with
                self._failed(number, error)

        def ended() -> None:
            self._tasks.pop(number, None)
            self._move()

        self._tasks[number] = self._spawn(run, self._context.copy(), ended)

    async def _connect(self, effect: int) -> None:
        connection: HubConnection = await self._make_connect().__aenter__()
        self._error = None
        connection.on_change = self._connection_changed
        self._open.add(connection)
        self.machine.connected(effect, connection.ws, self.driver.now())
        self.changed()

    async def _fetch_token(self, effect: int) -> None:
        assert self._fetch is not None
        async with self.driver.fail_after(_TOKEN_TIMEOUT):
            token: object = self._fetch()
            if isawaitable(token):
                token = await token
        if not isinstance(token, str) or not token:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("token: the function must return a string, and not an empty one")
        self.machine.fetched(effect, token, self.driver.now())
        self.changed()

    def _failed(self, effect: int, error: Exception) -> None:
        try:
            raised = self._process_exception(error)
        except Exception as wrong:  # noqa: BLE001 - to raise instead of returning is a usual slip
            raised = wrong
        self._error = raised if raised is not None else error
        reason = f"{type(error).__name__}: {error}"
        self.machine.failed(effect, reason, self.driver.now(), final=raised is not None)
        self.changed()

    def _connection_changed(self) -> None:
        self.machine.work(self.driver.now())
        self.changed()
