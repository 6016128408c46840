"""A driver whose loop is turned by hand, on a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager

from hubbub.transports.driver import Driver, Event, Promise


class HandClock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.at


class HandDriver(Driver):
    """A loop that does what it is asked to when the test says so. No task waits here."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.alarm: float | None = None
        """When it asked to be woken."""
        self.flush_due = False
        self.let_go = 0
        """How often it let go of the loop."""
        super().__init__(clock)

    def poll(self) -> None:
        """The poller's descriptor is readable."""
        self._poll()

    def turn(self) -> bool:
        """The turn of the loop ends; whether a flush was due."""
        due, self.flush_due = self.flush_due, False
        if due:
            self._flush()
        return due

    def wake(self, early: float = 0.0) -> None:
        """Its alarm's moment has come, and the loop is a little early."""
        assert self.alarm is not None
        self.clock.at = max(self.clock.at, self.alarm - early)
        self.alarm = None
        self._expire()

    def _flush_soon(self) -> None:
        assert not self.flush_due, "asked for twice"
        self.flush_due = True

    def _set_alarm(self, at: float | None) -> None:
        self.alarm = at

    def _stop(self) -> None:
        self.let_go += 1

    def promise(self) -> Promise:
        """Nobody waits."""
        raise NotImplementedError

    def event(self) -> Event:
        """Nobody waits."""
        raise NotImplementedError

    def checkpoint(self) -> Awaitable[None]:
        """Nobody waits."""
        raise NotImplementedError

    def checkpoint_if_cancelled(self) -> Awaitable[None]:
        """Nobody waits."""
        raise NotImplementedError

    def fail_after(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Nobody waits."""
        raise NotImplementedError
