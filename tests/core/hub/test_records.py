"""Which positions can be recovered from, and the bounds of retention."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.core.records import EPOCHS_REMEMBERED, Epoch, Head, Record, Retention
from hubbub.transports.stores.logs import Log

HEAD = Head(
    "alerts",
    first=50,
    last=120,
    epochs=(Epoch("e1", 1, 60), Epoch("e2", 61, 100), Epoch("e3", 101, 120)),
)


@pytest.mark.parametrize(
    ("offset", "epoch", "expected"),
    [
        (48, "e1", False),  # offset 49 was removed
        (49, "e1", True),
        (60, "e1", True),
        (61, "e1", False),  # e1 ended before: that record was lost, and another has its offset
        (60, "e2", True),  # what who subscribed before the first record of e2 may have been told
        (61, "e2", True),
        (59, "e2", False),
        (100, "e2", True),
        (101, "e2", False),
        (120, "e3", True),
        (121, "e3", False),
        (120, "e4", False),
        (0, "e1", False),
        (-1, "e1", False),
    ],
)
def test_positions(offset: int, epoch: str, expected: bool) -> None:
    """The epoch must be known, the offset not beyond its end, and the next offset kept."""
    assert HEAD.recoverable(offset, epoch) is expected


def test_the_beginning() -> None:
    """Offset 0 is the beginning in every epoch, while nothing was removed or lost."""
    assert Head("a", 1, 0).recoverable(0, "anything")
    assert Head("a", 1, 5, epochs=(Epoch("e1", 1, 5),)).recoverable(0, "e0")
    assert not Head("a", 2, 5, epochs=(Epoch("e1", 1, 5),)).recoverable(0, "e1")
    torn = (Epoch("e1", 1, 5, torn=True), Epoch("e2", 6, 9))
    assert not Head("a", 1, 9, epochs=torn).recoverable(0, "e1")
    assert not Head("a", 1, 9, epochs=torn).recoverable(5, "e1")
    assert Head("a", 1, 9, epochs=torn).recoverable(6, "e2")


@dataclass
class Life:
    """A log, and every record that was ever in it, by offset and epoch."""

    log: Log = field(default_factory=lambda: Log("alerts"))
    kept: list[tuple[int, str]] = field(default_factory=list)
    """In the log or removed from its beginning."""
    gone: list[tuple[int, str]] = field(default_factory=list)
    """Lost from its end without a trace."""
    torn: list[int] = field(default_factory=list)
    """How many were kept when records behind them were found to be lost."""
    epochs: int = 0

    def expected(self, offset: int, epoch: str) -> bool:
        """Whether all that came behind a record is there."""
        if (offset, epoch) not in self.kept:
            return False
        place = self.kept.index((offset, epoch))
        return offset >= self.log.trimmed and all(place >= cut for cut in self.torn)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["append", "start", "trim", "lose", "tear"]), st.integers(0, 5)),
        max_size=40,
    )
)
@example(steps=[("append", 2), ("tear", 1), ("lose", 1), ("append", 1)])
def test_any_life(steps: list[tuple[str, int]]) -> None:
    """Whatever happens to a log, exactly those positions are recovered behind which nothing is missing."""
    life = Life()
    log = life.log
    for step, count in steps:
        match step:
            case "append":
                for _ in range(count):
                    if log.ended:
                        life.epochs += 1
                    record = Record("alerts", log.last + 1, f"e{life.epochs}", b"", 0.0)
                    log.take(record)
                    life.kept.append((record.offset, record.epoch))
            case "start":
                log.ended = True
            case "trim":
                log.trim(min(log.last, log.trimmed + count), 0)
            case "lose" | "tear":
                after = max(log.trimmed, log.last - count)
                cut = [place for place in life.kept if place[0] > after]
                life.gone += cut
                del life.kept[len(life.kept) - len(cut) :]
                life.torn = [min(place, len(life.kept)) for place in life.torn]
                if step == "lose":
                    log.lose(after)
                elif cut:
                    log.tear(after)
                    life.torn.append(len(life.kept))
    head = log.head()
    assert len(head.epochs) <= EPOCHS_REMEMBERED
    for offset, epoch in life.kept + life.gone:
        assert head.recoverable(offset, epoch) is life.expected(offset, epoch), (offset, epoch)


@pytest.mark.parametrize(
    "bounds",
    [{"max_records": 0}, {"max_bytes": -1}, {"max_age": 0.0}, {"max_age": float("inf")}],
)
def test_retention_that_can_not_work(bounds: dict[str, float]) -> None:
    """A bound that would keep nothing is refused, by name."""
    (name,) = bounds
    with pytest.raises(ValueError, match=name):
        Retention(**bounds)  # type: ignore[arg-type]


def test_retention_that_can() -> None:
    """None of the bounds, or any, is fine."""
    assert Retention() == Retention(max_records=None, max_age=None, max_bytes=None)
    assert Retention(max_records=1, max_age=0.5, max_bytes=1).max_age == 0.5
