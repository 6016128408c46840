"""What a hub's client gives to iterate over: subscriptions, direct messages, changes of state."""

import contextlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Iterable, Mapping
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from ..core.client import HubClient
from ..core.client_events import StateChange, StreamEvent
from ..core.client_states import ClientState
from ..core.client_streams import Stream, StreamState
from ..core.messages import Chat, Direct, Gap, Notification, Position
from .driver import Driver, Promise
from .exceptions import ConcurrencyError
from .hub_client_exceptions import HubError, error_of

__all__ = ["AckMode", "Directs", "States", "Subscription"]

AckMode = bool | Literal["manual"]
"""Whether publications are acknowledged: not, each when the next is taken, or when `ack` says so."""

_TURN: Final = 16
"""Events that a task takes without waiting before other tasks get a turn."""

_CHANGES: Final = 64
"""Changes of state that wait for one watcher; beyond it the oldest are dropped."""


class Hosting(Protocol):
    """What a stream needs of its client."""

    driver: Driver
    machine: HubClient

    def changed(self) -> None:
        """The machine was given something."""
        ...

    def closed_error(self) -> HubError:
        """Why the client is over."""
        ...


class _Events(ABC):
    """Events of one kind, one after the other."""

    def __init__(self, hub: Hosting) -> None:
        self._hub = hub
        self._stream: Stream | None = None
        self._waiter: Promise | None = None
        self._taken = 0
        self._done = False

    def __aiter__(self) -> Self:
        """Events until it is closed."""
        return self

    async def __aenter__(self) -> Self:
        """Begin; itself.

        Raises:
            HubError: the hub refused.
            HubClosed: the client is over.
        """
        await self._begun()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it. Where the block did not raise, what was taken last counts as handled."""
        self._end(fine=kind is None)

    async def close(self) -> None:
        """End it, and throw away what waits. The last event that was taken does not count as handled."""
        self._end(fine=False)

    @abstractmethod
    def _make(self) -> Stream:
        """Ask the machine for it."""

    def _end(self, *, fine: bool) -> None:
        self._done = True
        stream, hub = self._stream, self._hub
        if stream is None:
            return
        now = hub.driver.now()
        if fine and not stream.ended:
            hub.machine.finish(stream, now)
        hub.machine.unsubscribe(stream, now)
        hub.changed()

    async def _begun(self) -> Stream:
        """The stream, once it has begun."""
        hub = self._hub
        stream = self._stream
        if stream is None:
            if self._done:
                raise HubError("closed", "this subscription is closed: make another one")
            stream = self._stream = self._make()
            hub.changed()
        try:
            while stream.state in (StreamState.WANTED, StreamState.ASKED) and not stream.began:
                await self._wait(stream)
        except BaseException:
            # Whoever was cancelled here knows of no subscription.
            self._stream = None
            hub.machine.unsubscribe(stream, hub.driver.now())
            hub.changed()
            raise
        if stream.ended and not stream.began:
            self._stream = None
            raise self._why(stream)
        return stream

    async def _next(self) -> StreamEvent:
        hub = self._hub
        driver = hub.driver
        if driver.checks_cancellation:
            await driver.checkpoint_if_cancelled()
        if self._taken >= _TURN:
            self._taken = 0
            await driver.checkpoint()
        if self._waiter is not None:
            raise ConcurrencyError("another task iterates over this: let one task do it")
        if self._done and self._stream is None:
            raise StopAsyncIteration
        stream = await self._begun()
        while True:
            event = hub.machine.take(stream, driver.now())
            if event is not None:
                self._taken += 1
                hub.changed()
                return event
            hub.changed()
            if stream.ended:
                if self._done or stream.failure is None:
                    raise StopAsyncIteration
                raise self._why(stream)
            self._taken = 0
            await self._wait(stream)

    async def _wait(self, stream: Stream) -> None:
        self._waiter = stream.carrier = self._hub.driver.promise()
        try:
            await self._waiter
        finally:
            self._waiter = stream.carrier = None

    def _why(self, stream: Stream) -> HubError:
        if self._hub.machine.ending is not None or stream.failure is None:
            return self._hub.closed_error()
        return error_of(stream.failure)

    def __del__(self) -> None:
        """A loop was left, and nobody has this any more."""
        if self._stream is not None and not self._done:
            with contextlib.suppress(Exception):  # the event loop may be gone
                self._end(fine=False)


class Subscription(_Events):
    """A subscription to topics. Made by `hub.subscribe()`.

    `async for event in subscription` gives events: `Chat`, `Notification`, `System`, `PresenceChange`, `Gap`,
    `Resumed`, `Unsubscribed`. It ends when the subscription or the client is closed, and raises where
    either ended otherwise. `async with` begins it at once, and ends it; without, it begins with the first
    event that is asked for, and ends when the loop is left and nobody has it any more.

    One task may iterate. Where that is cancelled, no event was taken, and nothing has changed.
    """

    def __init__(
        self,
        hub: Hosting,
        topics: tuple[str, ...],
        *,
        since: Position | Mapping[str, Position] | None,
        last: int | None,
        ack: AckMode,
        name: str | None,
        presence: bool,
    ) -> None:
        super().__init__(hub)
        self._topics = topics
        if isinstance(since, Position):
            since = dict.fromkeys(topics, since)
        self._since = since
        self._last = last
        self._ack = ack
        self._name = name
        self._presence = presence

    def __repr__(self) -> str:
        return f"<Subscription {', '.join(self.topics)}>"

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics and patterns that it is subscribed to; not those that the hub took away."""
        return self._topics if self._stream is None else self._stream.topics

    def position(self, topic: str) -> Position | None:
        """That of the last publication that was taken, for `since`; None where no history is kept.

        Before the first it is where the subscription began.
        """
        return None if self._stream is None else self._stream.position(topic)

    def __anext__(self) -> Awaitable[StreamEvent]:
        """The next event.

        Raises:
            HubError: the hub refused the subscription, or ended it (`revoked`, `replaced`).
            HubClosed: the client gave up.
            ConcurrencyError: another task iterates.
        """
        return self._next()

    async def ack(self, event: Chat | Notification) -> None:
        """Acknowledge a publication, and all of its topic before it.

        That leaves soon; nothing is waited for, and no answer comes. What was not acknowledged when the
        connection ends, or in time, is sent again to the next who asks for it; here each comes once.

        Raises:
            LocalProtocolError: the subscription acknowledges nothing.
            ValueError: the topic keeps no history, so there is nothing to acknowledge.
        """
        hub = self._hub
        if hub.driver.checks_cancellation:
            await hub.driver.checkpoint_if_cancelled()
        if event.offset is None or event.epoch is None:
            raise ValueError(f"{event.topic!r} keeps no history: there is nothing to acknowledge")
        if self._stream is not None:
            position = Position(event.offset, event.epoch)
            hub.machine.acknowledge(self._stream, event.topic, position, hub.driver.now())
            hub.changed()

    def _make(self) -> Stream:
        machine = self._hub.machine
        if machine.ending is not None:
            raise self._hub.closed_error()
        return machine.subscribe(
            self._topics,
            self._hub.driver.now(),
            since=self._since,
            last=self._last,
            ack=bool(self._ack),
            manual=self._ack == "manual",
            name=self._name,
            presence=self._presence,
        )


class Directs(_Events):
    """Messages to the user whom we are. Made by `hub.directs()`.

    While there is none, such messages are thrown away. Where there was no room for some, a `Gap` without a
    topic says how many.
    """

    def __repr__(self) -> str:
        return "<Directs>"

    def __anext__(self) -> Awaitable[Direct | Gap]:
        """The next message (see `Subscription.__anext__`)."""
        return self._next()  # type: ignore[return-value]  # nothing else reaches such a stream

    def _make(self) -> Stream:
        if self._hub.machine.ending is not None:
            raise self._hub.closed_error()
        return self._hub.machine.subscribe((), self._hub.driver.now())


class States:
    """Changes of state, as they come. Made by `hub.states()`.

    It ends when the client is over; that change is the last. At most 64 wait, of which the oldest are dropped.
    """

    def __init__(self, driver: Driver, now: Iterable[StateChange]) -> None:
        self._driver = driver
        self._changes: deque[StateChange] = deque(now, maxlen=_CHANGES)
        self._waiter: Promise | None = None
        self._over = False

    def tell(self, change: StateChange) -> None:
        """For the client: there is a change."""
        self._changes.append(change)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Self:
        """The state that there is, then each other."""
        return self

    async def __anext__(self) -> StateChange:
        """The next change; cancelling it takes none.

        Raises:
            ConcurrencyError: another task waits.
        """
        driver = self._driver
        if driver.checks_cancellation:
            await driver.checkpoint_if_cancelled()
        if self._waiter is not None:
            raise ConcurrencyError("another task waits for changes: let each have its own states()")
        while not self._changes:
            if self._over:
                raise StopAsyncIteration
            self._waiter = driver.promise()
            try:
                await self._waiter
            finally:
                self._waiter = None
        change = self._changes.popleft()
        self._over = change.state is ClientState.OVER
        return change
