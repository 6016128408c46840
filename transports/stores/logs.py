"""Where a log stands while a store is open, and how it changes. The same for every kind of store."""

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from ...core.errors import LocalProtocolError
from ...core.records import EPOCHS_REMEMBERED, Acknowledged, Epoch, Head, KnownKey, Record

__all__ = ["ACKNOWLEDGED_KEPT", "FORGET_SECONDS", "Log", "check_acknowledged", "plan_append"]

ACKNOWLEDGED_KEPT: Final = 100_000
"""Acknowledged positions that a store keeps; beyond it the oldest go."""

FORGET_SECONDS: Final = 7 * 86_400.0
"""A topic that keeps nothing is forgotten so long after its last record."""

_MAX_OFFSET: Final = 2**53 - 1
"""What JSON can carry to every client."""


class Log(msgspec.Struct):
    """One topic's log: which offsets are kept, and which epochs they belong to."""

    topic: str
    trimmed: int = 0
    """Everything up to this offset was removed; what follows is kept, up to `last`."""
    last: int = 0
    size: int = 0
    """Bytes of data that are kept."""
    at: float = 0.0
    """When the newest record was published."""
    epochs: list[Epoch] = []
    ended: bool = True
    """Whether the newest epoch is of an earlier opening, so that the next record begins one."""

    def copy(self) -> "Log":
        """An equal one, to be changed and thrown away if storing fails."""
        return Log(
            self.topic,
            self.trimmed,
            self.last,
            self.size,
            self.at,
            self.epochs.copy(),
            self.ended,
        )

    def take(self, record: Record) -> None:
        """Let `record` be the newest.

        Raises:
            LocalProtocolError: its offset or its epoch does not go on from here.
        """
        if record.offset != self.last + 1:
            raise LocalProtocolError(
                f"offset {record.offset} of {self.topic!r}: the next one is {self.last + 1}"
            )
        same = not self.ended and self.epochs[-1].epoch == record.epoch
        if not same and any(known.epoch == record.epoch for known in self.epochs):
            raise LocalProtocolError(
                f"epoch {record.epoch!r} of {self.topic!r} has ended: begin a new one after each "
                "opening of the store"
            )
        self.grow(record.offset, record.epoch, len(record.data), record.at)
        self.ended = False

    def grow(self, offset: int, epoch: str, size: int, at: float) -> None:
        """Let the newest record be one of so many bytes."""
        if self.epochs and self.epochs[-1].epoch == epoch:
            self.epochs[-1] = Epoch(epoch, self.epochs[-1].first, offset, self.epochs[-1].torn)
        else:
            self.epochs.append(Epoch(epoch, offset, offset))
            del self.epochs[:-EPOCHS_REMEMBERED]
        self.last = offset
        self.size += size
        self.at = at

    def trim(self, upto: int, size: int) -> None:
        """Remove the records up to an offset, which have so many bytes."""
        self.trimmed = upto
        self.size -= size
        # From the end of an older epoch the next offset is not kept either.
        self.epochs = [known for known in self.epochs if known.last >= upto] or self.epochs[-1:]

    def tear(self, after: int) -> None:
        """Let the log end at an offset, because what follows was damaged. The caller corrects `size`."""
        self._cut(after, after + 1, torn=True)

    def lose(self, after: int) -> None:
        """Let the log end at an offset, as if nothing had followed. The caller corrects `size`."""
        torn = any(known.torn for known in self.epochs if known.first > after)
        self._cut(after, after + torn, torn=torn)

    def _cut(self, after: int, first: int, *, torn: bool) -> None:
        """End the log, and forget the epochs that begin behind `first`."""
        kept = [
            Epoch(known.epoch, known.first, min(known.last, after), known.torn)
            for known in self.epochs
            if known.first <= first
        ]
        if kept and torn:
            newest = kept[-1]
            kept[-1] = Epoch(newest.epoch, newest.first, newest.last, torn=True)
        self.epochs = kept
        self.trimmed = min(self.trimmed, after)
        self.last = after
        self.ended = True

    def head(self, keys: Sequence[KnownKey] = ()) -> Head:
        """Where it stands, for the hub."""
        first = self.trimmed + 1
        return Head(self.topic, first, self.last, self.size, tuple(self.epochs), tuple(keys))


def plan_append(logs: dict[str, Log], records: Sequence[Record]) -> dict[str, Log]:
    """Return changed copies of the logs that `records` go to.

    Raises:
        LocalProtocolError: a record can't be stored as it is, or does not go on from its log's head.
    """
    changed: dict[str, Log] = {}
    for record in records:
        topic = record.topic
        log = changed.get(topic)
        if log is None:
            if not topic:
                raise LocalProtocolError("a record without a topic: name one")
            before = logs.get(topic)
            if before is None:
                log = Log(topic, record.offset - 1, record.offset - 1)
            else:
                log = before.copy()
            changed[topic] = log
        if not 0 < record.offset <= _MAX_OFFSET:
            raise LocalProtocolError(
                f"offset {record.offset} of {topic!r}: must be from 1 to 2**53 - 1"
            )
        if not math.isfinite(record.at):
            raise LocalProtocolError(f"at={record.at!r} in a record of {topic!r}: must be finite")
        if not 0 <= record.recipients <= _MAX_OFFSET:
            raise LocalProtocolError(
                f"recipients={record.recipients!r} in a record of {topic!r}: must be at least 0"
            )
        log.take(record)
    return changed


def check_acknowledged(acknowledged: Sequence[Acknowledged]) -> None:
    """Return if all of these can be stored.

    Raises:
        LocalProtocolError: one can't.
    """
    for each in acknowledged:
        if not 0 <= each.offset <= _MAX_OFFSET:
            raise LocalProtocolError(
                f"acknowledged offset {each.offset} of {each.topic!r}: must be from 0 to 2**53 - 1"
            )
        if not math.isfinite(each.at):
            raise LocalProtocolError(
                f"at={each.at!r} in an acknowledgement of {each.topic!r}: must be finite"
            )
