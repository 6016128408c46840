"""What an application is told of its subscription over all connections, and what must hold of that."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ....core.client_events import Resumed, StreamEvent
from ....core.messages import Gap, Notification, Position
from ..violation import Violation
from .ledger import name_in

if TYPE_CHECKING:
    from .ledger import Ledger

__all__ = ["Book"]


class Book:
    """One subscription's.

    Args:
        ledger: what is true.
        whose: for the report.
        got: whether an application of this consumer ever got a publication of a topic; None where nobody
            acknowledges.
    """

    def __init__(
        self, ledger: "Ledger", whose: str, got: Callable[[str, str], bool] | None = None
    ) -> None:
        self._got_before = got
        self._ledger = ledger
        self._whose = whose
        self._seen: set[tuple[str, int, str]] = set()
        self.places: dict[str, Position | None] = {}
        """By topic, where it stands; None where nobody knows."""
        self.got: list[Notification] = []
        """Publications in the order in which they came."""
        self.gaps = 0
        """How often it was told that something is missing."""

    def take(self, event: StreamEvent) -> None:
        """The application takes an event."""
        match event:
            case Notification():
                self._publication(event)
            case Gap():
                self._gap(event)
            case Resumed():
                self._resumed(event)
            case _:
                pass

    def _fail(self, invariant: str, text: str) -> Violation:
        return Violation(invariant, f"{self._whose}: {text}")

    def _publication(self, event: Notification) -> None:
        topic, offset, epoch = event.topic, event.offset, event.epoch
        assert offset is not None
        assert epoch is not None
        self._ledger.check_name(topic, offset, epoch, name_in(event.message))
        if (topic, offset, epoch) in self._seen:
            raise self._fail("an application gets nothing twice", f"{topic} {offset} {epoch}")
        self._seen.add((topic, offset, epoch))
        place = self.places.get(topic)
        if self._got_before is not None and place is not None and offset <= place.offset:
            # The hub does not know how far its consumer was when this began, and sends what came before.
            self.got.append(event)
            return
        if place is not None and not self._has(topic, place.offset + 1, offset):
            text = f"{topic} {offset} {epoch} behind {place}"
            raise self._fail("an application is told of every hole", text)
        self.places[topic] = Position(offset, epoch)
        self.got.append(event)

    def _has(self, topic: str, first: int, end: int) -> bool:
        """Whether nothing is missing from an offset up to another: a consumer may have got that before."""
        got = self._got_before
        if first >= end or got is None:
            return first == end
        log = self._ledger.stored.get(topic, {})
        return all(offset in log and got(topic, log[offset].name) for offset in range(first, end))

    def _gap(self, event: Gap) -> None:
        topic, place = event.topic, self.places.get(event.topic)
        self.gaps += 1
        if event.offset is None:
            self.places[topic] = None
            return
        if place is not None and event.missed not in (None, event.offset - place.offset):
            raise self._fail(
                "an application is told how much is missing", f"{event} behind {place}"
            )
        self.places[topic] = Position(event.offset, event.epoch or "")

    def _resumed(self, event: Resumed) -> None:
        place, position = self.places.get(event.topic), event.position
        if event.recovered:
            if place is not None and (position is None or position.offset != place.offset):
                raise self._fail("who resumes goes on where it was", f"{event} behind {place}")
            if place is None:
                self.places[event.topic] = position
            return
        self.gaps += 1
        if position is None:
            self.places = {
                topic: None if _names(event.topic, topic) else where
                for topic, where in self.places.items()
            }
        elif self._got_before is not None:
            # It is not given again what it has, and nobody knows how much of that was lost.
            self.places[event.topic] = None
        else:
            self.places[event.topic] = position


def _names(pattern: str, topic: str) -> bool:
    """Whether a pattern of the plans has a topic."""
    return topic == pattern or (pattern.endswith(">") and topic.startswith(pattern[:-1]))
