"""A topic's log: what was published, by offset, as far back as its rule keeps it.

Offsets go 1, 2, 3 and so on, without holes, for as long as the log lives; an epoch and an offset together
name one publication. A log in memory has one epoch. A durable one begins another at every start and after
every failed append, and remembers how far each of the older ones went. Only its newest part is in memory;
what is older is read from the store.
"""

from typing import Final

from .outbox import ENTRY, Publication
from .outgoing import PreparedMessage
from .records import EPOCHS_REMEMBERED, Epoch, Head, Retention
from .rules import Rule

__all__ = ["Log"]

_COMPACT: Final = 64
"""Removed entries at the front after which the list may be made shorter."""

_GONE: Final = Publication(None, PreparedMessage.of_text(b""))
"""Stands where a publication was removed, so that its memory is free at once."""


class Log:
    """One topic's history.

    Args:
        rule: how much is kept.
        epoch: the one that begins now.
        durable: whether a store has all of it, and only its newest part is here.
        memory: how many publications that part has at most.
        head: where a durable log stands in the store; None for a new log.
    """

    __slots__ = (
        "_at",
        "_entries",
        "_epochs",
        "_max_age",
        "_max_count",
        "_max_size",
        "_start",
        "durable",
        "epoch",
        "first",
        "given",
        "last",
        "retention",
        "size",
        "trim_at",
        "untrimmed",
    )

    def __init__(
        self,
        rule: Rule,
        epoch: str,
        *,
        durable: bool = False,
        memory: int = 0,
        head: Head | None = None,
    ) -> None:
        self.durable = durable
        self.retention = Retention(
            max_records=rule.history, max_age=rule.history_seconds, max_bytes=rule.history_bytes
        )
        """What the rule keeps."""
        self.untrimmed = 0
        """Publications since the store was last told to trim."""
        self.trim_at = float("-inf")
        """When it is to be told again, where age counts, before somebody reads."""
        self.epoch = epoch
        self._max_count = rule.history
        self._max_age = rule.history_seconds
        self._max_size = rule.history_bytes
        if durable:
            # The store keeps what the rule says; here is only what is asked for most.
            self._max_count = min(memory, rule.history or memory)
        self._entries: list[Publication] = []
        self._at: list[float] = []
        self._start = 0
        self.size = 0
        """Bytes that the entries in memory count for."""
        self.last = 0 if head is None else head.last
        """The offset of the newest publication; 0 before the first."""
        self.given = self.last
        """The newest offset that was given out, perhaps to a publication that is not stored yet."""
        self.first = self.last + 1 if head is None else head.first
        """The oldest offset that is kept, here or in the store."""
        self._epochs: list[Epoch] = [] if head is None else list(head.epochs)

    # Writing.

    def next_offset(self) -> int:
        """Give out the next offset."""
        self.given += 1
        return self.given

    def append(self, publication: Publication, now: float) -> None:
        """Keep a publication; its offset is the next one."""
        assert publication.offset == self.last + 1
        self.last = publication.offset
        self._note_epoch()
        self._entries.append(publication)
        self._at.append(now)
        self.size += publication.cost
        self.trim(now)

    def _note_epoch(self) -> None:
        epochs = self._epochs
        if epochs and epochs[-1].epoch == self.epoch:
            epochs[-1] = Epoch(self.epoch, epochs[-1].first, self.last)
        else:
            epochs.append(Epoch(self.epoch, self.last, self.last))
            del epochs[:-EPOCHS_REMEMBERED]

    def trim(self, now: float) -> None:
        """Let go of what the rule does not keep any more."""
        entries = self._entries
        start = self._start
        count = len(entries) - start
        while count:
            if self._max_age is not None and self._at[start] < now - self._max_age:
                # What the store has before it is older still.
                self.first = entries[start].offset + 1
            elif not (
                (self._max_count is not None and count > self._max_count)
                or (self._max_size is not None and self.size > self._max_size)
            ):
                break
            self.size -= entries[start].cost
            start += 1
            count -= 1
        self._drop_to(start)

    def shrink(self, size: int) -> None:
        """Keep at most `size` bytes: all logs together are too large."""
        start = self._start
        while start < len(self._entries) and self.size > size:
            self.size -= self._entries[start].cost
            start += 1
        self._drop_to(start)

    def _drop_to(self, start: int) -> None:
        if start == self._start:
            return
        self._entries[self._start : start] = [_GONE] * (start - self._start)
        self._start = start
        if start > _COMPACT and start * 2 > len(self._entries):
            del self._entries[:start]
            del self._at[:start]
            self._start = 0
        if not self.durable:
            self.first = self.first_in_memory

    def forget_before(self, offset: int) -> None:
        """The store keeps nothing older than this any more."""
        self.first = max(self.first, offset)

    # Reading.

    @property
    def first_in_memory(self) -> int:
        """The oldest offset that is here; `last + 1` if none is."""
        return self.last + 1 - (len(self._entries) - self._start)

    def read(self, offset: int, max_bytes: int) -> list[Publication]:
        """What is in memory from an offset on: one publication at least, then up to `max_bytes`."""
        found: list[Publication] = []
        at = self._start + offset - self.first_in_memory
        for publication in self._entries[at : at + 1 + max_bytes // ENTRY]:
            max_bytes -= publication.cost
            if found and max_bytes < 0:
                break
            found.append(publication)
        return found

    def before(self, offset: int, limit: int) -> list[Publication]:
        """The last `limit` publications in memory before an offset, oldest first."""
        end = self._start + offset - self.first_in_memory
        return self._entries[max(self._start, end - limit) : max(self._start, end)]

    def recoverable(self, offset: int, epoch: str) -> bool:
        """Whether all that came behind a position is kept, and nothing else would be sent as such."""
        if not self.durable and epoch != self.epoch:
            # Another log in memory is all that it knows; even what came behind 0 there is lost.
            return False
        return self.head("").recoverable(offset, epoch)

    def tear(self) -> None:
        """What followed the newest publication is lost, and may have been sent to somebody."""
        if self._epochs:
            newest = self._epochs[-1]
            self._epochs[-1] = Epoch(newest.epoch, newest.first, newest.last, torn=True)

    def torn(self, offset: int) -> int | None:
        """The next offset, from this one on, behind which something was lost; None if there is none."""
        return next((one.last for one in self._epochs if one.torn and one.last >= offset), None)

    def kept_until(self, offset: int, epoch: str) -> int:
        """The last offset, up to a position, up to which nothing has been replaced by something else."""
        for known in self._epochs:
            if known.epoch == epoch:
                return min(offset, known.last)
        if epoch == self.epoch:
            return min(offset, self.last)
        return min(offset, self.first - 1)

    def head(self, topic: str) -> Head:
        """Where it stands, as a store says it."""
        epochs = tuple(self._epochs)
        if not epochs or epochs[-1].epoch != self.epoch:
            # Nothing was published in this epoch: positions in it are those before its first offset.
            epochs = (*epochs, Epoch(self.epoch, self.last + 1, self.last))
        return Head(topic, self.first, self.last, self.size, epochs)

    def epoch_of(self, offset: int) -> str:
        """The epoch to tell with an offset: its own, where that is known."""
        for known in self._epochs:
            if known.first <= offset <= known.last:
                return known.epoch
        return self.epoch
