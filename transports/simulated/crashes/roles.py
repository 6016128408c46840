"""What clients are there for: they publish, read, or consume and acknowledge."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ....core.client_streams import Stream
from ....core.errors import LocalProtocolError
from ....core.messages import Answer, Gap, Notification, Position, Published
from ..violation import Violation
from .book import Book
from .guest import Guest
from .ledger import is_durable
from .plan import GuestPlan

if TYPE_CHECKING:
    from .world import World

__all__ = ["Consumer", "Publisher", "Reader"]

_SIZES: Final = (10, 10, 10, 60, 400)

_PAUSE: Final = 1.0
"""Seconds after which something is published again that may not have been stored."""

_REPEATED: Final = 90.0
"""Seconds in which something is published again: hubs remember it longer."""


class Publisher(Guest):
    """Publishes under names, until each is answered."""

    def __init__(self, world: "World", number: int, plan: GuestPlan) -> None:
        super().__init__(world, number, plan)
        self.open: dict[str, None] = {}
        """Names of what is not answered."""
        self._messages: dict[str, tuple[str, str, float]] = {}
        self._asked: dict[int, str] = {}
        self._repeats = False

    def begin(self) -> None:
        """Publish again what was not answered."""
        self._asked.clear()
        for name in tuple(self.open):
            self._say(name)

    def publish(self, topics: Sequence[str]) -> None:
        """Publish something new on each of these."""
        world = self.world
        for topic in topics:
            name = world.ledger.publish(self.plan.user, topic)
            message = f"{name}:".ljust(world.random.choice(_SIZES), ".")
            self._messages[name] = topic, message, world.agenda.now
            self.open[name] = None
            self._say(name)
        self.changed()

    def repeat(self) -> bool:
        """Publish something again, that may have been answered; False if nothing would be known again."""
        since = self.world.agenda.now - _REPEATED
        names = [name for name, (_, _, at) in self._messages.items() if at > since]
        if not names:
            return False
        self._say(self.world.random.choice(names[-20:]))
        self.changed()
        return True

    def answered(self, number: int, answer: Answer) -> None:
        """What was published was stored, or may have been."""
        name = self._asked.pop(number, None)
        if name is None:
            super().answered(number, answer)
            return
        topic = self._messages[name][0]
        if isinstance(answer, Published):
            if self.world.ledger.answered.get(name) != (answer.offset, answer.epoch):
                raise Violation("answers are right", f"{self.whose}: {name} {answer}")
            self.open.pop(name, None)
        elif name in self.open:
            if not is_durable(topic):
                raise Violation("memory never fails", f"{self.whose}: {name} {answer}")
            self._later()

    def _later(self) -> None:
        """Publish again what may not have been stored, all of it at once."""
        if not self._repeats:
            self._repeats = True
            self.world.agenda.at(self.world.agenda.now + _PAUSE, self._say_again)

    def _say_again(self) -> None:
        self._repeats = False
        asked = set(self._asked.values())
        for name in self.open:
            if name not in asked:
                self._say(name)
        self.changed()

    def _say(self, name: str) -> None:
        topic, message, _ = self._messages[name]
        try:
            number = self.machine.publish(
                topic, message, self.world.agenda.now, idempotency_key=name
            )
        except LocalProtocolError as error:
            raise Violation("a client takes what fits", f"{self.whose}: {error}") from error
        self._asked[number] = name


class _Listener(Guest):
    """Has a subscription."""

    def __init__(self, world: "World", number: int, plan: GuestPlan) -> None:
        super().__init__(world, number, plan)
        self.book = Book(world.ledger, self.whose)
        self.stream: Stream

    def ready(self, stream: Stream) -> None:
        """Take what came, unless it is lazy."""
        if stream is self.stream:
            if stream.ended:
                self.ended()
            elif not self.lazy:
                self.take()

    def ended(self) -> None:
        """The subscription has ended, though nobody wanted that."""
        if not self.world.leaving:
            raise Violation("a subscription holds", f"{self.whose}: {self.stream.failure}")

    def take(self, most: int = 1 << 30) -> int:
        """Take events; how many."""
        now, stream, taken = self.world.agenda.now, self.stream, 0
        while taken < most and (event := self.machine.take(stream, now)) is not None:
            taken += 1
            self.book.take(event)
            if isinstance(event, Notification | Gap) and event.offset is not None:
                missed = event.missed or 1 if isinstance(event, Gap) else 1
                self.took(event.topic or "", Position(event.offset, event.epoch or ""), missed)
        return taken

    def took(self, topic: str, position: Position, count: int) -> None:
        """It has come so far, with so many publications, which came or were told to be missing."""

    @property
    def behind(self) -> str | None:
        """What it has not come to yet; None if it has all."""
        raise NotImplementedError


class Reader(_Listener):
    """Reads on where it was, whatever happens."""

    def begin(self) -> None:
        """Subscribe behind what was taken."""
        places = self.book.places
        since = {
            topic: place
            for topic in self.plan.topics
            if topic != ">" and (place := places.get(topic)) is not None
        }
        self.book.places = dict(since)
        last = None if since or ">" in self.plan.topics else self.plan.last
        self.stream = self.machine.subscribe(
            self.plan.topics, self.world.agenda.now, since=since, last=last
        )

    @property
    def behind(self) -> str | None:
        """What it has not got, in words; None if it has all."""
        for topic in self.world.topics_of(self.plan.topics):
            place, last = self.book.places.get(topic), self.world.ledger.last.get(topic, 0)
            if place is None and topic not in self.plan.topics:
                continue  # by a pattern nobody goes on, so it may have come back behind the last
            if place is None or place.offset != last:
                return f"{topic} at {place}, and its last is {last}"
        return None


class Consumer(_Listener):
    """Acknowledges what it has handled: some of it, or late, or not before it ends."""

    def __init__(self, world: "World", number: int, plan: GuestPlan) -> None:
        super().__init__(world, number, plan)
        self.replaced = False
        """Whether another connection has its name."""
        self._manual = plan.lazy
        self._handled: list[tuple[str, Position]] = []

    def begin(self) -> None:
        """Subscribe, and go on where the hub says."""
        self.replaced = False
        self._handled.clear()
        self.book = Book(self.world.ledger, self.whose, self._got)
        self.stream = self.machine.subscribe(
            self.plan.topics,
            self.world.agenda.now,
            ack=True,
            manual=self._manual,
            name=self.plan.name,
        )

    def ready(self, stream: Stream) -> None:
        """Take what came at once, also where it acknowledges late."""
        if stream is self.stream:
            self.take()
            if stream.ended:
                self.ended()
            elif self.world.finishing:
                self.acknowledge(len(self._handled))

    def _got(self, topic: str, name: str) -> bool:
        return self.world.has_got((self.plan.user, self.plan.name or "", topic), name)

    def ended(self) -> None:
        """Another connection took over."""
        failure = self.stream.failure
        if failure is None or failure.code != "replaced":
            super().ended()
        self.replaced = True

    def take_over(self) -> bool:
        """Become the consumer of its name again; False if it is."""
        if not self.replaced:
            return False
        self.begin()
        self.changed()
        return True

    def took(self, topic: str, position: Position, count: int) -> None:
        """It has come so far, and has not said so."""
        if self._manual:
            self._handled.append((topic, position))
        key = (self.plan.user, self.plan.name or "", topic)
        for offset in range(position.offset - count + 1, position.offset + 1):
            self.world.cover(key, offset)

    def acknowledge(self, count: int) -> int:
        """Say that the first so many were handled; how many there were."""
        said, self._handled = self._handled[:count], self._handled[count:]
        for topic, position in said:
            self.machine.acknowledge(self.stream, topic, position, self.world.agenda.now)
        if said:
            self.changed()
        return len(said)

    @property
    def behind(self) -> str | None:
        """What it has not acknowledged, in words; None if it has all, or another has its name."""
        if self.replaced:
            return None
        for topic in self.stream.topics:
            key = (self.plan.user, self.plan.name or "", topic)
            acked = self.world.consumption.known.get(key)
            last = self.world.ledger.last.get(topic, 0)
            if acked != last:
                return f"{key} at {acked}, and the last is {last}"
        return None
