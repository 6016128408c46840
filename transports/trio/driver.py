"""The driver of trio's event loop."""

import math
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import trio
from trio.lowlevel import Abort, RunVar, Task

from ..driver import Clock, Driver, Event

__all__ = ["Promise", "TrioDriver", "driver_of_loop"]


class Promise:
    """A result to come, like an `asyncio.Future`: what `ping()` returns."""

    __slots__ = ("_done", "_error", "_result", "_waiting")

    def __init__(self) -> None:
        self._done = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._waiting: list[Task] = []

    def done(self) -> bool:
        """Whether it has come."""
        return self._done

    def set_result(self, result: Any, /) -> None:
        """It has come."""
        self._done = True
        self._result = result
        self._wake()

    def set_exception(self, error: BaseException, /) -> None:
        """It will never come."""
        self._done = True
        self._error = error
        self._wake()

    def exception(self) -> BaseException | None:
        """Why it will never come."""
        return self._error

    def _wake(self) -> None:
        for task in self._waiting:
            trio.lowlevel.reschedule(task)
        self._waiting.clear()

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for it. Cancelling that leaves it as it is."""
        if self._done:
            yield from trio.lowlevel.checkpoint().__await__()  # noqa: ASYNC105
        else:
            task = trio.lowlevel.current_task()
            self._waiting.append(task)

            def abort(_: object) -> Abort:
                self._waiting.remove(task)
                return Abort.SUCCEEDED

            yield from trio.lowlevel.wait_task_rescheduled(abort).__await__()  # noqa: ASYNC105
        if self._error is not None:
            raise self._error
        return self._result


class TrioDriver(Driver):
    """Lets trio serve sockets, with three system tasks: one reads, one flushes, one keeps the time.

    None of them belongs to a user's nursery, so a connection needs none, and answers pings and keeps
    its deadlines while nobody waits for it.
    """

    checks_cancellation = True

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._flush_due = False
        self._flusher: Task | None = None
        self._alarm = math.inf
        self._scope: trio.CancelScope | None = None
        # It is that, without a coroutine around it for each message.
        self.checkpoint_if_cancelled = trio.lowlevel.checkpoint_if_cancelled  # type: ignore[method-assign]
        for task in (self._read, self._write, self._keep_time):
            trio.lowlevel.spawn_system_task(task)

    def _flush_soon(self) -> None:
        if self._flusher is not None:
            trio.lowlevel.reschedule(self._flusher)
            self._flusher = None
        self._flush_due = True

    def _set_alarm(self, at: float | None) -> None:
        self._alarm = math.inf if at is None else trio.current_time() + (at - self.now())
        if self._scope is not None:
            self._scope.deadline = self._alarm

    def _stop(self) -> None:
        trio.lowlevel.notify_closing(self._poller.fileno())
        self._flush_soon()
        if self._scope is not None:
            self._scope.cancel()

    async def _read(self) -> None:
        try:
            while not self.stopped:
                await trio.lowlevel.wait_readable(self._poller.fileno())
                self._poll()
        except trio.ClosedResourceError:
            pass

    async def _write(self) -> None:
        def abort(_: object) -> Abort:
            self._flusher = None
            return Abort.SUCCEEDED

        while not self.stopped:
            if self._flush_due:
                await trio.lowlevel.cancel_shielded_checkpoint()
            else:
                self._flusher = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(abort)
            self._flush_due = False
            self._flush()

    async def _keep_time(self) -> None:
        while not self.stopped:
            with trio.CancelScope(deadline=self._alarm) as self._scope:
                await trio.sleep_forever()
            if not self.stopped:
                self._alarm = math.inf
                self._expire()

    def promise(self) -> Promise:
        """A result that somebody will wait for."""
        return Promise()

    def event(self) -> Event:
        """An event."""
        return trio.Event()

    async def checkpoint(self) -> None:
        """Let other tasks run."""
        await trio.lowlevel.checkpoint()

    async def checkpoint_if_cancelled(self) -> None:
        """Raise if this task is cancelled."""
        await trio.lowlevel.checkpoint_if_cancelled()

    def fail_after(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """A timeout that raises TimeoutError."""
        return _fail_after(math.inf if seconds is None else seconds)


@asynccontextmanager
async def _fail_after(seconds: float) -> AsyncGenerator[None]:
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise TimeoutError


_driver: "RunVar[TrioDriver | None]" = RunVar("hubbub driver", None)


def driver_of_loop(clock: Clock | None) -> TrioDriver:
    """The running loop's driver, shared by all that use it; one of its own for each clock."""
    if clock is not None:
        return TrioDriver(clock)
    found = _driver.get()
    if found is None or found.stopped:
        now: Callable[[], float] = trio.lowlevel.current_clock().current_time
        found = TrioDriver(now)
        _driver.set(found)
    return found
