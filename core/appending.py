"""Publications on durable topics on their way to the store.

A publication is stored before it is answered or delivered. One `Append` is out at a time, with all that
came before it; the next collects meanwhile, so that under load one commit serves many. What an append
that failed held, and all that waited behind it, is `unavailable`: perhaps stored, perhaps not. Then the
store is reopened, and says where each log stands, before anything else is appended; what is published
meanwhile gets its place then.
"""

from collections.abc import Callable
from typing import Final

from .effects import Append, Done, Failed, Outcome, Reopen
from .outbox import Publication
from .pending import PendingEffects
from .records import Acknowledged, Heads, Record

__all__ = ["UNSTORED_KEPT", "Appending"]

Stored = Callable[[bool, float], None]
"""Called with whether the publication was stored, and the time."""

Then = Callable[[bool, float], None]
"""Called with whether the store works again, and the time."""

UNSTORED_KEPT: Final = 1_000
"""Consumers whose position is kept to be stored later, when it could not be stored."""

_BATCH: Final = 2**20
"""Bytes of data in one append, beyond which the rest waits for the next."""


class Appending:
    """The queue in front of the store.

    Args:
        pending: where effects wait.
        placed: called for each publication that was stored, in the order of their offsets.
        reopened: called with what the store says after it was reopened.
        failed: called with the reason when the store fails.
    """

    def __init__(
        self,
        pending: PendingEffects,
        placed: Callable[[Publication, float], None],
        reopened: Callable[[Heads], None],
        failed: Callable[[str], None],
    ) -> None:
        self._pending = pending
        self._placed = placed
        self._reopened = reopened
        self._failed = failed
        self._waiting: list[tuple[Record, Publication, Stored]] = []
        self._acknowledged: dict[tuple[str, str, str], Acknowledged] = {}
        self._unstored: dict[tuple[str, str, str], Acknowledged] = {}
        self._later: list[Then] = []
        self._out = False
        self._broken = False

    def __len__(self) -> int:
        """Publications that wait."""
        return len(self._waiting)

    @property
    def broken(self) -> bool:
        """Whether the store failed, and is not known to work again."""
        return self._broken

    @property
    def busy(self) -> bool:
        """Whether the store was asked something and has not answered, or is about to be asked."""
        return self._out or bool(self._waiting or self._acknowledged or self._later)

    def append(self, record: Record, publication: Publication, stored: Stored, now: float) -> None:
        """Store a publication; `stored` is called when it is, after it was placed, or when it failed."""
        self._waiting.append((record, publication, stored))
        self._go_on(now)

    def after_reopening(self, then: Then, now: float) -> None:
        """The store is broken: have it opened again; `then` is called when it works, or does not."""
        self._later.append(then)
        self._go_on(now)

    def acknowledge(self, acknowledged: Acknowledged, now: float) -> None:
        """Store how far a consumer has come. A later one takes the place of one that waits."""
        key = (acknowledged.user, acknowledged.name, acknowledged.topic)
        self._acknowledged[key] = acknowledged
        self._go_on(now)

    def suspect(self, now: float) -> None:
        """Something that was stored could not be read: have the store opened again."""
        self._broken = True
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        if self._out:
            return
        if self._broken:
            self._reopen(now)
        elif self._waiting or self._acknowledged:
            self._append(now)

    def _append(self, now: float) -> None:
        size = count = 0
        for record, _, _ in self._waiting:
            size += len(record.data)
            if count and size > _BATCH:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        acknowledged, self._acknowledged = self._unstored | self._acknowledged, {}
        self._unstored = {}

        def answered(outcome: Outcome, at: float) -> None:
            # What is published meanwhile, by who was answered, waits for what is behind it in the batch.
            if isinstance(outcome, Done):
                for _, publication, stored in batch:
                    self._placed(publication, at)
                    stored(True, at)
            else:
                # They are stored with what comes next, so that a store that fails is not asked on and on.
                self._unstored = dict(list(acknowledged.items())[-UNSTORED_KEPT:])
                self._fail(batch, outcome, at)
            self._out = False
            self._go_on(at)

        self._out = True
        records = tuple(record for record, _, _ in batch)
        effect = Append(self._pending.new_id(), records, tuple(acknowledged.values()))
        self._pending.ask(effect, answered, now)

    def _reopen(self, now: float) -> None:
        def answered(outcome: Outcome, at: float) -> None:
            match outcome:
                case Done(Heads() as heads):
                    self._broken = False
                    # What waits was promised offsets that mean nothing now.
                    stale, self._waiting = self._waiting, []
                    self._reopened(heads)
                    self._go_on_with(True, at)
                    self._refuse(stale, at)
                case _:
                    self._fail([], outcome, at)
                    self._go_on_with(False, at)
            self._out = False
            if not self._broken or self._later:
                self._go_on(at)

        self._out = True
        self._pending.ask(Reopen(self._pending.new_id()), answered, now)

    def _fail(
        self,
        batch: list[tuple[Record, Publication, Stored]],
        outcome: Outcome,
        now: float,
    ) -> None:
        self._broken = True
        self._failed(outcome.reason if isinstance(outcome, Failed) else "it gave no answer")
        refused, self._waiting = batch + self._waiting, []
        self._refuse(refused, now)

    def _go_on_with(self, works: bool, now: float) -> None:
        later, self._later = self._later, []
        for then in later:
            then(works, now)

    def _refuse(self, refused: list[tuple[Record, Publication, Stored]], now: float) -> None:
        for _, _, stored in refused:
            stored(False, now)
