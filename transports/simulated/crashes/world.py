"""Everything together: the hub on its disk, its clients, and those who watch."""

from collections import Counter
from random import Random
from typing import Final

from ..agenda import Agenda
from ..insides import check_bounds
from ..link import Endpoint, seeded_entropy
from ..naive import matches
from ..recording import Record
from ..violation import Violation
from ..wire import WireReader
from .consumption import Consumption, Key
from .disk import Disk
from .faults import CrashFault
from .guest import Guest
from .ledger import Ledger, is_durable
from .plan import TOPICS, CrashPlan
from .roles import Consumer, Publisher, Reader
from .server import Server

__all__ = ["World"]

WALL: Final = 1_800_000_000.0
"""Seconds since 1970 at the start."""

_SLACK: Final = 0.05
"""Seconds by which the age of a publication may be told differently."""


class World:
    """One run's.

    Args:
        plan: what the seed stands for.
    """

    def __init__(self, plan: CrashPlan) -> None:
        self.plan = plan
        self.random = Random(plan.seed)
        """Decides everything that the plan does not."""
        self.entropy = seeded_entropy(plan.seed)
        self.agenda = Agenda()
        self.record = Record(self.agenda)
        self.occurred: Counter[str] = Counter()
        """How often what happened."""
        self.offset = WALL
        """What the clock on the wall is ahead of virtual time."""
        self.jumped = 0.0
        """Seconds by which that was changed, in all."""
        self.ledger = Ledger()
        self.consumption = Consumption(self.keeps, self.ledger.remembers)
        self.handled: dict[str, int] = {}
        """By topic, publications that this process was asked for."""
        self.leaving = False
        """Whether clients may end."""
        self.finishing = False
        """Whether nothing goes wrong any more."""
        self.disk = Disk(
            self.agenda,
            self.random,
            lambda: self.agenda.now + self.offset,
            self.ledger,
            self.consumption,
            plan.config.limits.store_timeout,
            self.occurred,
        )
        self.server = Server(self, plan.turn)
        self._wire = WireReader()
        self._covered: dict[Key, set[int]] = {}
        self._got: dict[Key, set[str]] = {}
        self._keeps = {rule.pattern: rule for rule in plan.config.rules}
        kinds = {"publisher": Publisher, "reader": Reader, "consumer": Consumer}
        self.guests: list[Guest] = [
            kinds[one.role](self, number, one) for number, one in enumerate(plan.guests, start=1)
        ]
        self.publishers = [one for one in self.guests if isinstance(one, Publisher)]
        self.readers = [one for one in self.guests if isinstance(one, Reader)]
        self.consumers = [one for one in self.guests if isinstance(one, Consumer)]

    def happens(self, fault: CrashFault) -> bool:
        """Whether something goes wrong now that the plan has sometimes."""
        often = self.plan.faults.get(fault, 0.0)
        if self.finishing or not often or self.random.random() >= often:
            return False
        self.occurred[f"fault {fault}"] += 1
        return True

    def note(self, whose: str, what: str) -> None:
        """Something happened."""
        self.record.note_hub(whose, what)

    def set_clock(self, jump: float) -> None:
        """The clock on the wall is set."""
        self.offset += jump
        self.jumped += abs(jump)
        if self.server.hub is not None:
            self.server.hub.set_wall_clock(self.offset, self.agenda.now)
            self.server.changed(self.agenda.now)

    # What is true.

    def topics_of(self, names: tuple[str, ...]) -> list[str]:
        """Topics that these names and patterns stand for."""
        return [topic for topic in TOPICS if any(matches(name, topic) for name in names)]

    def _age(self, topic: str, offset: int) -> float | None:
        """By how much a publication is older than its topic keeps it; None where age does not count."""
        rule = self._keeps.get(topic)
        if rule is None or rule.history_seconds is None:
            return None
        line = self.ledger.stored.get(topic, {}).get(offset)
        if line is None:
            return None
        slack = _SLACK + self.jumped + self.plan.turn
        return self.agenda.now + self.offset - line.at - rule.history_seconds + slack

    def keeps(self, topic: str, offset: int) -> bool:
        """Whether a publication must be kept."""
        rule = self._keeps.get(topic)
        if rule is None:
            return True
        if rule.history_bytes is not None:
            return False
        if is_durable(topic):
            age = self._age(topic, offset)
            return age is not None and age < 0
        assert rule.history is not None
        return offset > self.handled.get(topic, 0) - rule.history

    def must_resume(self, topic: str, offset: int, epoch: str) -> bool:
        """Whether all that followed a position must be kept, and nothing else ever followed it."""
        age = self._age(topic, offset + 1)
        kept_from = offset + 2 if age is not None and age >= 0 else 1
        return self.ledger.must_resume(topic, offset, epoch, kept_from)

    def cover(self, key: Key, offset: int) -> None:
        """A consumer's application has got something."""
        self._covered.setdefault(key, set()).add(offset)
        line = self.ledger.stored.get(key[2], {}).get(offset)
        if line is not None:
            self._got.setdefault(key, set()).add(line.name)

    def has_got(self, key: Key, name: str) -> bool:
        """Whether an application of a consumer ever got a publication."""
        return name in self._got.get(key, ())

    def check_handled(self, key: Key, offset: int) -> None:
        """A consumer acknowledges something. What is not kept any more may have been told as a gap."""
        line = self.ledger.stored.get(key[2], {}).get(offset)
        if line is not None and self.keeps(key[2], offset) and not self.has_got(key, line.name):
            text = f"{key} acknowledges {offset}, {line.name}, which no application of it got"
            raise Violation("only what was handled is acknowledged", text)

    def check_covered(self) -> None:
        """When everybody has caught up: whether each consumer got all from its beginning on."""
        for key, acked in self.consumption.known.items():
            topic, covered = key[2], self._covered.get(key, set())
            if topic not in ("d.a", "d.b") or topic in self.ledger.damaged:
                continue
            if topic in self.ledger.shortened or not covered:
                continue
            missing = set(range(min(covered), acked + 1)) - covered
            if missing:
                text = f"{key} acknowledged {acked}, and never got {sorted(missing)}"
                raise Violation("nothing is skipped", text)

    def check(self) -> None:
        """Look at everything that must hold at any time."""
        hub = self.server.hub
        if hub is not None:
            check_bounds(hub, self.agenda.now)
        for name, position in self.ledger.answered.items():
            topic = self.ledger.published[name][1]
            if not is_durable(topic) or name in self.ledger.excused:
                continue
            if self.ledger.places.get(name) != position:
                text = f"{name} of {topic} is told to be at {position}"
                raise Violation("what was answered is stored", text)

    # For links (see `LinkObserver`).

    def taken(self, side: Endpoint, frames: list[bytes]) -> None:
        """Look at what the hub puts on the wire, when it does."""
        connection = self.server.connections.get(side)
        if connection is None or side is not connection.hub_end:
            return
        now = self.agenda.now
        for data in frames:
            frame = self._wire.read(data)
            if self.record.lines is not None:
                self.record.note(connection, "hub gives out", f"{frame.kind} {frame.text}")
            connection.tap.taken(frame, now)

    def read(self, side: Endpoint, piece: bytes) -> None:
        """A piece arrives."""
        connection = self.server.connections.get(side)
        if connection is not None:
            self.record.note_bytes(connection, side is connection.hub_end, piece)

    def lost(self, side: Endpoint) -> None:
        """A socket is closed."""
        connection = self.server.connections.get(side)
        if connection is not None:
            self.record.note_loss(connection, side is connection.hub_end)
