"""What stands for a hub in its driver: turns, one timer, and each minute the time of day."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hubbub.transports.hub_link import HubPulse
from support.hand_driver import HandClock, HandDriver


class Hub:
    """What a pulse calls, and what it wants."""

    def __init__(self, driver: HandDriver) -> None:
        self.timeout: float | None = None
        self.settled = 0
        self.expired: list[float] = []
        self.told: list[float] = []
        self.fails = False
        self.pulse = HubPulse(
            driver,
            next_timeout=lambda: self.timeout,
            settle=self.settle,
            expire=self.expire,
            tell_time=self.told.append,
        )

    def settle(self) -> None:
        """The turn ends."""
        self.settled += 1

    def expire(self, now: float) -> None:
        """The moment has come."""
        if self.fails:
            raise RuntimeError("expire")
        self.expired.append(now)
        self.timeout = None


@pytest.fixture
def hand() -> Iterator[HandDriver]:
    """A driver that is turned by hand."""
    driver = HandDriver(HandClock())
    driver.hold()
    yield driver
    driver.release()


def test_one_timer_follows_the_hub(hand: HandDriver) -> None:
    """At the end of a turn the driver's alarm is where the hub wants it; nothing else moves it."""
    hub = Hub(hand)
    hub.pulse.rearm()
    assert hand.alarm == 60
    hub.timeout = 5.0
    hand.mark(hub.pulse)
    hand.mark(hub.pulse)
    assert hand.alarm == 60
    assert hand.turn()
    assert (hub.settled, hand.alarm) == (1, 5)
    hand.wake()
    assert (hub.expired, hub.told) == ([5.0], [])
    assert hand.alarm == 60


def test_each_minute_the_time_is_told(hand: HandDriver) -> None:
    """Also where the hub itself wants nothing."""
    hub = Hub(hand)
    hub.pulse.rearm()
    for minute in (1, 2, 3):
        hand.wake()
        assert len(hub.told) == minute
    assert hub.told == [60, 120, 180]


def test_a_hub_that_raises_is_called_again(
    hand: HandDriver, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of the machine is logged; its sessions still need it, but not in a busy loop."""
    hub = Hub(hand)
    hub.timeout = 5.0
    hub.fails = True
    hub.pulse.rearm()
    hand.wake()
    assert "internal error" in caplog.text
    assert hand.alarm == 6
    hub.fails = False
    hand.wake()
    assert hub.expired == [6]


def test_a_pulse_that_was_stopped(hand: HandDriver) -> None:
    """It wants nothing any more, and may be marked and given up all the same."""
    hub = Hub(hand)
    hub.timeout = 5.0
    hub.pulse.rearm()
    hub.pulse.stop()
    hand.mark(hub.pulse)
    hand.turn()
    hub.pulse.give_up(1.0)
    hub.pulse.on_ready(0, 1.0)
    assert hub.pulse.send(b"x") == 1
    hub.pulse.wrote(b"x", 0, 1.0)
    assert hub.settled == 0
    assert hub.pulse.next_timeout() is None
