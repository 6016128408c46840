"""What was published, stored and told, written down by somebody who knows nothing of logs.

Each publication says who it is: its message begins with a name that no other has. So a few dictionaries
tell whether it was lost, doubled, or put in another's place.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ....core.records import Record
from ..violation import Violation

__all__ = ["Ledger", "Line", "Position", "is_durable", "name_in"]

_REMEMBERED: Final = 30
"""Epochs of one log that are surely remembered. Those that were begun in vain count, too."""

Position = tuple[int, str]
"""An offset and an epoch."""


class Line(NamedTuple):
    """One publication that is stored."""

    name: str
    epoch: str
    at: float
    """When it was published, in seconds since 1970."""


def is_durable(topic: str) -> bool:
    """Whether the plans store a topic."""
    return topic.startswith("d.")


def name_in(message: Any) -> str:
    """Which publication a message is."""
    return str(message).partition(":")[0]


class Ledger:
    """The truth about all topics."""

    def __init__(self) -> None:
        self.published: dict[str, tuple[str, str]] = {}
        """By name, who published it, and where."""
        self.stored: dict[str, dict[int, Line]] = {}
        """By topic and offset, what the store was given and kept, be it trimmed since."""
        self.last: dict[str, int] = {}
        """By topic, the newest offset: of durable ones that of the store, of others that was seen."""
        self.places: dict[str, Position] = {}
        """By name, where each stored publication is."""
        self.damaged: dict[str, list[int]] = {}
        """By topic, offsets behind which something was found to be lost."""
        self.shortened: set[str] = set()
        """Topics that have lost something that was answered."""
        self.excused: set[str] = set()
        """Names of what was lost so, or was answered by a process that is no more from memory."""
        self.life = 0
        """How many processes there were."""
        self._names: dict[tuple[str, int, str], str] = {}
        self._over: dict[str, set[str]] = {}
        self._epochs: dict[str, set[str]] = {}
        self._lives: dict[tuple[str, str], int] = {}
        self._told: dict[str, Position] = {}

    # Publishing.

    def publish(self, user: str, topic: str) -> str:
        """A name for something that a user is about to publish."""
        name = f"p{len(self.published) + 1}"
        self.published[name] = user, topic
        return name

    def see(self, topic: str, offset: int, epoch: str, name: str) -> None:
        """Something is said to be at a position."""
        if self._names.setdefault((topic, offset, epoch), name) != name:
            before = self._names[topic, offset, epoch]
            text = f"{topic} {offset} {epoch} is {name}, and was {before}"
            raise Violation("an offset and an epoch name one publication", text)
        if self.published.get(name, ("", ""))[1] != topic:
            raise Violation("nothing comes that nobody published", f"{name} on {topic}")
        if is_durable(topic):
            if self.places.get(name) != (offset, epoch) and name not in self.excused:
                text = f"{name} at {offset} {epoch} of {topic}; stored: {self.places.get(name)}"
                raise Violation("it is stored before it is told", text)
        else:
            self.check_life(topic, epoch)
            self.last[topic] = max(self.last.get(topic, 0), offset)

    def check_name(self, topic: str, offset: int, epoch: str, name: str) -> None:
        """An application has something at a position."""
        if self._names.get((topic, offset, epoch)) != name:
            text = (
                f"{topic} {offset} {epoch} is {self._names.get((topic, offset, epoch))}, not {name}"
            )
            raise Violation("an offset and an epoch name one publication", text)

    def check_life(self, topic: str, epoch: str) -> None:
        """An epoch of a log in memory is told."""
        if self._lives.setdefault((topic, epoch), self.life) != self.life:
            text = f"{topic} has the epoch {epoch} of an earlier process"
            raise Violation("each start begins a new epoch", text)

    def answer(self, topic: str, name: str, position: Position, duplicate: bool) -> None:
        """A publisher is answered."""
        self.see(topic, *position, name)
        before = self._told.get(name)
        if before is not None and name not in self.excused:
            if before != position:
                text = f"{name} of {topic} is at {position}, and was at {before}"
                raise Violation("a name that is known is not published again", text)
            if not duplicate:
                text = f"{name} of {topic} at {position} was answered before"
                raise Violation("a repeat is told to be one", text)
        self._told[name] = position
        self.excused.discard(name)

    @property
    def answered(self) -> dict[str, Position]:
        """What publishers were told, by name."""
        return self._told

    # The store.

    def asked(self, records: Sequence[Record]) -> list[str]:
        """The store is asked to keep these; their names."""
        names: list[str] = []
        for record in records:
            told = msgspec.json.decode(record.data)
            name = name_in(told["message"])
            names.append(name)
            key = (record.topic, record.offset, record.epoch)
            if record.epoch in self._over.get(record.topic, ()):
                text = f"{record.topic} goes on in {record.epoch} with {record.offset}"
                raise Violation("each start begins a new epoch", text)
            if self._names.setdefault(key, name) != name:
                text = f"{key} is {name}, and was {self._names[key]}"
                raise Violation("an offset and an epoch name one publication", text)
            user, topic = self.published.get(name, ("", ""))
            said = (told["topic"], told["offset"], told["epoch"], record.idempotency_key)
            if (user, topic) != (record.user, record.topic) or said != (*key, name):
                raise Violation("nothing is stored that nobody published", f"{record}")
            self._epochs.setdefault(record.topic, set()).add(record.epoch)
        return names

    def keep(self, records: Sequence[Record], names: Sequence[str]) -> None:
        """They are stored."""
        for record, name in zip(records, names, strict=True):
            topic, offset = record.topic, record.offset
            if offset != self.last.get(topic, 0) + 1:
                text = f"{offset} of {topic} comes behind {self.last.get(topic, 0)}"
                raise Violation("offsets have no holes", text)
            before = self.places.get(name)
            if before is not None and name not in self.excused:
                text = f"{name} of {topic} is at {before}, and again at {offset} {record.epoch}"
                raise Violation("a name that is known is not published again", text)
            self.stored.setdefault(topic, {})[offset] = Line(name, record.epoch, record.at)
            self.places[name] = (offset, record.epoch)
            self.last[topic] = offset

    def opened(self, kept_from: Mapping[str, int]) -> None:
        """The store was opened: no log goes on in an epoch that it has.

        Args:
            kept_from: by topic, the oldest offset that the store has.
        """
        for topic, epochs in self._epochs.items():
            self._over.setdefault(topic, set()).update(epochs)
        # Where an append failed, what the store says counts; and a name goes with the record that has it.
        for line in self._gone(kept_from):
            if line.name not in self._told:
                self.excused.add(line.name)

    def _gone(self, kept_from: Mapping[str, int]) -> Iterator[Line]:
        for topic, first in kept_from.items():
            for offset, line in self.stored.get(topic, {}).items():
                if offset >= first:
                    break
                yield line

    def cut(self, topic: str, after: int, *, damaged: bool, answered: bool) -> None:
        """What a topic has behind an offset is lost.

        Args:
            topic: which.
            after: the offset.
            damaged: whether the store will say so.
            answered: whether it was answered.
        """
        log = self.stored[topic]
        for offset in range(after + 1, self.last[topic] + 1):
            name = log.pop(offset).name
            del self.places[name]
            self.excused.add(name)
        self.last[topic] = after
        cuts = self.damaged.setdefault(topic, [])
        # What was damaged before, and lies behind the end now, is told with the newest that is left.
        torn = damaged or any(cut > after for cut in cuts)
        cuts[:] = [cut for cut in cuts if cut <= after]
        if torn:
            cuts.append(after)
        if answered:
            self.shortened.add(topic)

    def restarted(self, kept_from: Mapping[str, int]) -> None:
        """A process begins. What was only in memory is gone, such as the names of what is not kept."""
        self.life += 1
        for topic in [topic for topic in self.last if not is_durable(topic)]:
            self.last[topic] = 0
        for name in self._told:
            if not is_durable(self.published[name][1]):
                self.excused.add(name)
        self.excused.update(line.name for line in self._gone(kept_from))

    # Resuming.

    def remembers(self, topic: str, offset: int) -> bool:
        """Whether the epoch of what is stored at an offset is one of the newest, which logs remember."""
        log = self.stored.get(topic, {})
        if offset not in log:
            return True
        newest = list(dict.fromkeys(line.epoch for line in reversed(log.values())))
        return log[offset].epoch in newest[:_REMEMBERED]

    def may_resume(self, topic: str, offset: int, epoch: str) -> bool:
        """Whether what the hub has behind a position may be what followed it."""
        if not is_durable(topic):
            return self._lives.get((topic, epoch)) == self.life or offset == 0
        if offset > self.last.get(topic, 0):
            return False
        line = self.stored.get(topic, {}).get(offset)
        return offset == 0 or (line is not None and line.epoch == epoch)

    def must_resume(self, topic: str, offset: int, epoch: str, kept_from: int) -> bool:
        """Whether all that followed a position is stored, and nothing else ever followed it."""
        if not is_durable(topic) or not self.may_resume(topic, offset, epoch):
            return False
        whole = all(cut < offset for cut in self.damaged.get(topic, ()))
        return whole and self.remembers(topic, offset) and kept_from <= offset + 1 and offset > 0
