"""What all sockets of one event loop share: a poller, one flush at the end of a turn, one timer.

An adapter adds the five things that differ between loops: to be told that the poller is readable, to be
called at the end of a turn and at a moment, and to let a task wait and wake it.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from ..core.timeouts import Deadlines
from .poller import make_poller

__all__ = ["Clock", "Driver", "Event", "Promise", "Watched"]

logger = logging.getLogger("hubbub.server")

Clock = Callable[[], float]
"""Seconds from any fixed origin; never goes back."""

_SLICE: Final = 0.005
"""Seconds of reading, or of writing, after which the loop gets a turn: a fan-out to thousands must not stop the rest."""

_RESOLUTION: Final = 1e-3
"""Seconds by which a loop's timer may be early."""

_BATCH: Final = 32
"""Sockets whose system calls are made in a row, and between two looks at the clock.

A system call leaves the processor's caches cold for the code that follows. So what is to be written is
gathered first for a batch, and then the batch is written: it saves about 2 µs for each receiver.
"""


class Watched(Protocol):
    """What a driver serves: a socket with its link, or one that listens."""

    marked: bool

    @property
    def send(self) -> Callable[[bytes], int]:
        """Gives bytes to the socket."""
        ...

    def on_ready(self, events: int, now: float) -> None:
        """The socket is ready for `events` (see `Poller`)."""
        ...

    def flush(self, now: float) -> bytes | None:
        """The turn ends: write what waits, or return it where writing it is all that is left to do."""
        ...

    def wrote(self, data: bytes, outcome: int | OSError, now: float) -> None:
        """What `flush` returned was given to `send`, which did not take all of it, or failed."""
        ...

    def next_timeout(self) -> float | None:
        """When to call `on_timeout`."""
        ...

    def on_timeout(self, now: float) -> None:
        """The moment has come."""
        ...

    def give_up(self, now: float) -> None:
        """Something that must not raise has: close the socket."""
        ...


class Bulk(Protocol):
    """Something that has much to write, to many sockets, when all that was marked has been flushed."""

    def take(self, most: int) -> "list[tuple[Watched, bytes]]":
        """What is to be written to the next sockets, `most` of them; empty if nothing is left."""
        ...


class Event(Protocol):
    """Something that happens once, for any number of waiters: `asyncio.Event`, `trio.Event`."""

    def set(self) -> None:
        """It happened."""
        ...

    async def wait(self) -> object:
        """Wait for it."""
        ...


class Promise(Protocol):
    """A result to come, for one waiter: an `asyncio.Future`, or what is like it on trio."""

    def done(self) -> bool:
        """Whether it has come."""
        ...

    def set_result(self, result: Any, /) -> None:
        """It has come."""
        ...

    def set_exception(self, error: BaseException, /) -> None:
        """It will never come."""
        ...

    def exception(self) -> BaseException | None:
        """Why it will never come."""
        ...

    def __await__(self) -> Any:
        """Wait for it."""
        ...


class Driver(ABC):
    """Serves the sockets of one event loop. Use it from the loop's thread.

    A socket that has something to do is marked; all that were marked in one turn of the loop are flushed
    together at its end. So what several tasks send to one peer leaves in one system call, and a message
    to a thousand peers schedules one callback. Batches form by themselves; nothing waits to make one.

    Args:
        clock: where the time comes from.
    """

    checks_cancellation = False
    """Whether a coroutine that need not wait asks for cancellation all the same, as trio's do."""

    def __init__(self, clock: Clock) -> None:
        self.now = clock
        self._poller = make_poller()
        self._watched: dict[int, Watched] = {}
        self._deadlines: Deadlines[Watched] = Deadlines()
        self._alarm_at: float | None = None
        self._dirty: list[Watched] = []
        self._older: list[Watched] = []
        self._bulk: list[Bulk] = []
        self._flushing = False
        self._holders = 0
        self._unreached: list[int] = []
        """Sockets that were ready when a slice of reading ended."""
        self.stopped = False
        """Whether it served its last socket and let go of the loop."""

    # What differs between loops.

    @abstractmethod
    def _flush_soon(self) -> None:
        """Have `_flush` called once, after the tasks that are ready to run now."""

    @abstractmethod
    def _set_alarm(self, at: float | None) -> None:
        """Have `_expire` called at this moment, instead of any other; None is never."""

    @abstractmethod
    def _stop(self) -> None:
        """Nothing is watched any more: let go of the loop."""

    @abstractmethod
    def promise(self) -> Promise:
        """A result that somebody will wait for."""

    @abstractmethod
    def event(self) -> Event:
        """An event that has not happened."""

    @abstractmethod
    def checkpoint(self) -> Awaitable[None]:
        """Let other tasks run."""

    @abstractmethod
    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        """Raise if this task is cancelled."""

    @abstractmethod
    def fail_after(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Raise TimeoutError in the block after so many seconds."""

    # For sockets.

    def watch(self, fd: int, watched: Watched, before: int, events: int) -> None:
        """Serve `watched` when its socket is ready for `events` (see `Poller.watch`)."""
        self._poller.watch(fd, before, events)
        self._watched[fd] = watched

    def forget(self, fd: int, watched: Watched, before: int) -> None:
        """The socket is about to be closed."""
        if self._watched.pop(fd, None) is not None:
            self._poller.watch(fd, before, 0)
            self._deadlines.set(watched, None)
            self._stop_if_unused()

    def served(self) -> list[Watched]:
        """All that it serves now."""
        return list(self._watched.values())

    def hold(self) -> None:
        """Go on though nothing is watched: somebody is about to."""
        self._holders += 1

    def release(self) -> None:
        """The end of a `hold`."""
        self._holders -= 1
        self._stop_if_unused()

    def _stop_if_unused(self) -> None:
        if not self._watched and not self._holders and not self.stopped:
            self.stopped = True
            self._alarm_at = None
            self._set_alarm(None)
            self._stop()
            self._poller.close()

    def mark(self, watched: Watched) -> None:
        """Flush it at the end of the loop's turn."""
        if not watched.marked:
            if not self._flushing:
                self._flush_soon()
                self._flushing = True
            watched.marked = True
            self._dirty.append(watched)

    def mark_bulk(self, bulk: Bulk) -> None:
        """Write what it has behind all that is marked, and let what is marked meanwhile overtake it."""
        if bulk not in self._bulk:
            self._bulk.append(bulk)
            if not self._flushing:
                self._flush_soon()
                self._flushing = True

    def reschedule(self, watched: Watched, at: float | None) -> None:
        """Note when it wants to be called."""
        self._deadlines.set(watched, at)
        if at is not None and (self._alarm_at is None or at < self._alarm_at):
            self._alarm_at = at
            self._set_alarm(at)

    # For the loop.

    def _poll(self) -> None:
        """The poller is readable."""
        if self.stopped:
            return
        now = self.now()
        watched = self._watched
        end = now + _SLICE
        ready = self._poller.ready()
        if self._unreached:
            # They come first. The poller tells them again, but perhaps behind the same busy ones.
            first = set(self._unreached)
            ready.sort(key=lambda told: told[0] not in first)
            self._unreached = []
        for at, (fd, events) in enumerate(ready):
            if at and self.now() > end:
                self._unreached = [fd for fd, _ in ready[at:]]
                return
            one = watched.get(fd)
            if one is not None:
                try:
                    one.on_ready(events, now)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is one socket's
                    self._give_up(one, error)

    def _flush(self) -> None:
        """The turn ends. What became dirty since the last slice comes before the rest of that."""
        if self._older or self._bulk:
            # A fan-out goes on. A loop may call us twice before it tells us what came meanwhile.
            self._poll()
        self._flushing = False
        dirty, self._dirty = self._dirty, []
        if self._older:
            dirty += self._older
            self._older = []
        now = self.now()
        end = now + _SLICE
        for at in range(0, len(dirty), _BATCH):
            writes: list[tuple[Callable[[bytes], int], bytes, Watched]] = []
            for one in dirty[at : at + _BATCH]:
                one.marked = False
                try:
                    data = one.flush(now)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is one socket's
                    self._give_up(one, error)
                    continue
                if data is not None:
                    writes.append((one.send, data, one))
            for send, data, one in writes:
                try:
                    sent = send(data)
                except OSError as error:
                    self._wrote(one, data, error, now)
                else:
                    if sent != len(data):
                        self._wrote(one, data, sent, now)
            now = self.now()
            if now > end and at + _BATCH < len(dirty):
                self._older = dirty[at + _BATCH :]
                break
        while self._bulk:
            self._write_bulk(self._bulk[0], now)
            now = self.now()
            if now > end:
                break
        if (self._older or self._bulk) and not self._flushing:
            self._flush_soon()
            self._flushing = True

    def _write_bulk(self, bulk: Bulk, now: float) -> None:
        try:
            writes = bulk.take(_BATCH)
        except Exception:
            logger.exception("an internal error; what is left of a fan-out waits for the next one")
            writes = []
        if not writes:
            self._bulk.remove(bulk)
        for one, data in writes:
            send = one.send  # apart, since CPython looks for a method otherwise
            try:
                sent = send(data)
            except OSError as error:
                self._wrote(one, data, error, now)
            else:
                if sent != len(data):
                    self._wrote(one, data, sent, now)

    def _wrote(self, one: Watched, data: bytes, outcome: int | OSError, now: float) -> None:
        try:
            one.wrote(data, outcome, now)
        except Exception as error:  # noqa: BLE001
            self._give_up(one, error)

    def _expire(self) -> None:
        """The alarm's moment came."""
        self._alarm_at = None
        now = self.now()
        # A loop may be a little early; what is due within its resolution is due now.
        soon = now + _RESOLUTION
        for one in self._deadlines.due(soon):
            at = one.next_timeout()
            try:
                # It may want another moment by now.
                one.on_timeout(at if at is not None and now < at <= soon else now)
            except Exception as error:  # noqa: BLE001
                self._give_up(one, error)
        at = self._deadlines.next()
        if at is not None and self._alarm_at is None:
            self._alarm_at = at
            self._set_alarm(at)

    def _give_up(self, watched: Watched, error: Exception) -> None:
        logger.error("a connection is dropped after an internal error", exc_info=error)
        try:
            watched.give_up(self.now())
        except Exception:
            logger.exception("another internal error while it was closed")
