"""What waits for a session: its order, its bound, and an account of everything that was lost."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubbub.core.outbox import ENTRY, GapMark, Outbox, Publication
from hubbub.core.outgoing import PreparedMessage
from hubbub.core.rules import Priority, SlowPolicy

SLOW: dict[str, SlowPolicy] = {"drop": "drop-oldest", "last": "latest", "keep": "disconnect"}
PRIORITY: dict[str, Priority] = {"h": "high", "n": "normal", "l": "low"}
TOPICS = [f"{slow}.{priority}" for slow in SLOW for priority in PRIORITY]


def gap(topic: str, missed: int) -> bytes:
    """The frame of a gap; never longer than one of a publication below."""
    return f"gap {topic} {missed}".encode()


def publication(
    topic: str | None, number: int, *, key: str | None = None, size: int = 40
) -> Publication:
    """A publication that its frame tells apart; the topic's name says its rule."""
    name = topic or "direct.n"
    slow, priority = name.split(".")
    text = f"{name} {number} {key} ".ljust(size, "-")
    return Publication(
        topic, PreparedMessage(text), PRIORITY[priority], SLOW.get(slow, "disconnect"), key
    )


def told(frames: list[bytes]) -> list[tuple[str, ...]]:
    """What frames say: the words of each."""
    found: list[tuple[str, ...]] = []
    for frame in frames:
        text = (
            frame[frame.index(b"gap") :] if b"gap" in frame else frame[2 if frame[1] < 126 else 4 :]
        )
        words = text.decode().split()
        found.append(tuple(words[:3] if words[0] == "gap" else words[:2]))
    return found


# Order.


def test_answers_go_first_and_inside_a_lane_order_holds() -> None:
    """Whatever was queued first in its lane leaves first, behind all answers."""
    outbox = Outbox(10_000)
    for number in range(5):
        assert outbox.push(publication("keep.n", number))
    outbox.answer(b"one")
    outbox.answer(b"two")
    assert outbox.answers_size == 6
    assert len(outbox) == 5
    frames = outbox.take_all()
    assert frames[:2] == [b"one", b"two"]
    assert told(frames[2:]) == [("keep.n", str(number)) for number in range(5)]
    assert not outbox
    assert outbox.size == outbox.answers_size == len(outbox) == 0


def test_lanes_are_weighted_and_none_starves() -> None:
    """Of seven that leave, four are high, two normal and one low, while all lanes have some."""
    outbox = Outbox(1_000_000)
    for number in range(70):
        for lane in PRIORITY:
            outbox.push(publication(f"keep.{lane}", number))
    order = [topic for topic, _ in told(outbox.take_all())]
    for start in range(0, 70, 7):
        assert Counter(order[start : start + 7]) == {"keep.h": 4, "keep.n": 2, "keep.l": 1}


@given(
    queued=st.lists(st.sampled_from(list(PRIORITY)), max_size=40),
    answers=st.integers(0, 3),
    cuts=st.lists(st.integers(1, 300), min_size=1),
)
def test_how_much_is_taken_at_once_changes_nothing(
    queued: list[str], answers: int, cuts: list[int]
) -> None:
    """Taken in pieces or at once, the frames are the same, in the same order."""

    def filled() -> Outbox:
        outbox = Outbox(1_000_000)
        for number, lane in enumerate(queued):
            outbox.push(publication(f"keep.{lane}", number, size=20 + number % 5 * 30))
        for number in range(answers):
            outbox.answer(b"answer %d" % number)
        return outbox

    whole = filled().take_all()
    outbox = filled()
    taken: list[bytes] = []
    turn = 0
    while outbox:
        size = cuts[turn % len(cuts)]
        turn += 1
        frames = outbox.take(size)
        assert frames
        assert len(frames) == 1 or sum(map(len, frames)) <= size
        taken += frames
    assert taken == whole
    assert outbox.size == outbox.answers_size == 0


def test_one_frame_at_a_time_does_not_starve_a_lane() -> None:
    """Large frames, of which one fits into each taking, still leave as the lanes' weights say."""
    outbox = Outbox(10**7)
    for number in range(14):
        outbox.push(publication("keep.h", number, size=60_000))
        outbox.push(publication("keep.l", number, size=60_000))
    order = [told(outbox.take(65536))[0][0] for _ in range(10)]
    assert order.count("keep.l") == 2


def test_nothing_is_taken_that_does_not_fit_unless_asked_for() -> None:
    """`at_least_one` decides whether one larger frame leaves."""
    outbox = Outbox(10_000)
    outbox.answer(b"a" * 50)
    outbox.push(publication("keep.n", 1, size=100))
    assert outbox.take(10, at_least_one=False) == []
    assert outbox.take(10) == [b"a" * 50]
    assert outbox.take(10, at_least_one=False) == []
    assert len(outbox.take(10)) == 1


def test_answers_can_be_taken_alone() -> None:
    """Publications stay where they are."""
    outbox = Outbox(10_000)
    assert outbox.take_answers() == []
    outbox.answer(b"a")
    outbox.push(publication("keep.n", 1))
    assert outbox.take_answers() == [b"a"]
    assert outbox.answers_size == 0
    assert len(outbox) == 1


def test_a_session_with_compression_gets_other_frames() -> None:
    """Publications leave as `compress` gives them; answers were made for it, and gaps are plain."""
    for lane in PRIORITY:
        topic = f"drop.{lane}"
        outbox = Outbox(700)
        outbox.compress = lambda message: b"small %d" % message.size
        outbox.answer(b"answer")
        number = 0
        while outbox.push(publication(topic, number)):
            number += 1
        lost = outbox.push_lossy(publication(topic, number), 700, gap)
        assert lost
        assert outbox.take_all() == [b"answer", gap(topic, lost)] + [b"small 40"] * (
            number + 1 - lost
        )


# Taking back.


def test_what_is_taken_back_is_gone() -> None:
    """`discard` removes the publications and gaps of topics; direct messages have none, and stay."""
    outbox = Outbox(10_000)
    for topic in ("keep.h", "keep.n", "keep.l", None, "drop.n"):
        for number in range(3):
            outbox.push(publication(topic, number))
    assert outbox.discard(lambda topic: topic.startswith("keep")) == 9
    assert [topic for topic, _ in told(outbox.take_all())] == ["direct.n"] * 3 + ["drop.n"] * 3
    assert outbox.size == 0


def test_all_can_be_thrown_away() -> None:
    """`clear` says how many publications it was, and leaves an empty outbox that works."""
    outbox = Outbox(1000)
    outbox.answer(b"a")
    number = 0
    while outbox.push(publication("drop.h", number)):
        number += 1
    lost = outbox.push_lossy(publication("drop.h", number), 1000, gap)
    assert lost is not None
    assert outbox.clear() == number + 1 - lost
    assert not outbox
    assert outbox.take(1000) == []
    assert outbox.push(publication("drop.h", 0))
    assert len(outbox.take_all()) == 1


# The bound, and what happens there: against a list.


@dataclass
class Entry:
    """A publication, or with `missed` a gap."""

    topic: str
    number: int
    key: str | None
    cost: int
    missed: int = 0


@dataclass
class Naive:
    """The same as plainly as possible."""

    limit: int
    lanes: dict[str, list[Entry]] = field(default_factory=lambda: {lane: [] for lane in PRIORITY})
    turn: int = 0

    @property
    def size(self) -> int:
        return sum(entry.cost for lane in self.lanes.values() for entry in lane)

    def push(self, new: Entry, limit: int) -> int | None:
        """How many were lost; None if the session can't be kept."""
        lane = self.lanes[new.topic[-1]]
        if self.size + new.cost <= limit:
            lane.append(new)
            return 0
        if new.topic.startswith("keep"):
            return None
        lost = 0
        if new.topic.startswith("last"):
            mine = [e for e in lane if e.topic == new.topic and not e.missed]
            for entry in mine:
                later = [e.key for e in mine if e.number > entry.number] + [new.key]
                if entry.key in later:
                    self.drop(lane, entry)
                    lost += 1
        while self.size + new.cost > limit:
            oldest = next((e for e in lane if e.topic == new.topic and not e.missed), None)
            if oldest is None:
                mark = self.mark(lane, new.topic)
                if mark is None:
                    mark = Entry(new.topic, -1, None, GapMark(new.topic, gap).cost)
                    if self.size + mark.cost > self.limit:
                        return None
                    lane.append(mark)
                mark.missed += 1
                return lost + 1
            self.drop(lane, oldest)
            lost += 1
        lane.append(new)
        return lost

    @staticmethod
    def mark(lane: list[Entry], topic: str) -> Entry | None:
        return next((e for e in lane if e.topic == topic and e.missed), None)

    def drop(self, lane: list[Entry], entry: Entry) -> None:
        """The topic's one mark stands where the first that was dropped stood."""
        at = lane.index(entry)
        mark = self.mark(lane, entry.topic)
        if mark is None or lane.index(mark) > at:
            new = Entry(entry.topic, -1, None, GapMark(entry.topic, gap).cost, 1)
            if mark is not None:
                new.missed += mark.missed
                lane.remove(mark)
            lane[at] = new
        else:
            mark.missed += 1
            lane.remove(entry)

    def take(self, count: int) -> list[tuple[str, ...]]:
        taken: list[tuple[str, ...]] = []
        while len(taken) < count and any(self.lanes.values()):
            lane = self.lanes["hhhhnnl"[self.turn]]
            self.turn = (self.turn + 1) % 7
            if lane:
                entry = lane.pop(0)
                if entry.missed:
                    taken.append(("gap", entry.topic, str(entry.missed)))
                else:
                    taken.append((entry.topic, str(entry.number)))
        if not any(self.lanes.values()):
            self.turn = 0
        while any(self.lanes.values()) and not self.lanes["hhhhnnl"[self.turn]]:
            self.turn = (self.turn + 1) % 7
        return taken


Op = tuple[Literal["push", "take", "discard"], str, str, int]
ops = st.lists(
    st.one_of(
        st.tuples(
            st.just("push"),
            st.sampled_from(TOPICS),
            st.sampled_from("abc"),
            st.sampled_from((40, 40, 40, 60, 120, 900)),
        ),
        st.tuples(st.just("take"), st.just(""), st.just(""), st.integers(1, 400)),
        st.tuples(st.just("discard"), st.sampled_from(TOPICS), st.just(""), st.just(0)),
        # Many of one topic in a row are what fills an outbox.
        st.tuples(
            st.just("push"), st.just("drop.n"), st.sampled_from("abc"), st.sampled_from((40, 41))
        ),
    ),
    min_size=10,
    max_size=120,
)
pressed = st.sampled_from((1.0, 1.0, 0.6))


@settings(max_examples=350)
@given(ops=ops, limit=st.integers(300, 2500), press=pressed)
@example([("push", "last.n", key, 40) for key in "abcabcabccba" * 9], 1000, 1.0)
def test_at_the_bound_each_topics_policy_acts(ops: list[Op], limit: int, press: float) -> None:
    """An outbox does what a list does that is searched from the start each time; nothing goes uncounted."""
    outbox, naive = Outbox(limit), Naive(limit)
    lower = int(limit * press)
    account: Counter[str] = Counter()
    for number, (op, topic, key, size) in enumerate(ops):
        if op == "push":
            one = publication(topic, number, key=key, size=size)
            lost: int | None = 0
            if outbox.size + one.cost > lower or not outbox.push(one):
                lost = None
                if one.slow != "disconnect":
                    lost = outbox.push_lossy(one, lower, gap)
            assert lost == naive.push(Entry(topic, number, key, one.cost), lower)
            if lost is None:
                assert outbox.size == naive.size
                assert outbox.clear() == sum(
                    not entry.missed for lane in naive.lanes.values() for entry in lane
                )
                naive = Naive(limit, turn=naive.turn)
                account.clear()
                continue
            account[topic] += 1
        elif op == "take":
            frames = outbox.take(size)
            words = told(frames)
            assert words == naive.take(len(words))
            for word in words:
                account[word[1] if word[0] == "gap" else word[0]] -= (
                    int(word[2]) if word[0] == "gap" else 1
                )
        else:
            lane = naive.lanes[topic[-1]]
            gone = [entry for entry in lane if entry.topic == topic]
            assert outbox.discard(topic.__eq__) == sum(not entry.missed for entry in gone)
            lane[:] = [entry for entry in lane if entry.topic != topic]
            account[topic] = 0
        assert outbox.size == naive.size <= limit
        assert len(outbox) == sum(
            not entry.missed for lane in naive.lanes.values() for entry in lane
        )
    rest = told(outbox.take_all())
    assert rest == naive.take(10**6)
    for word in rest:
        account[word[1] if word[0] == "gap" else word[0]] -= int(word[2]) if word[0] == "gap" else 1
    assert not any(account.values())


def test_only_the_newest_of_each_key_is_kept() -> None:
    """At the bound `latest` drops what was superseded; the gap stands where the first of it stood."""
    outbox = Outbox(2800)
    number = 0
    while outbox.push(publication("last.n", number, key="abc"[number % 3])):
        number += 1
    lost = outbox.push_lossy(publication("last.n", number, key="abc"[number % 3]), 2800, gap)
    assert lost == number - 2
    frames = told(outbox.take_all())
    assert frames[0] == ("gap", "last.n", str(lost))
    assert [word[1] for word in frames[1:]] == [str(number - 2), str(number - 1), str(number)]


def test_a_key_that_is_none_is_a_key_too() -> None:
    """Without keys, only the newest publication of a topic with `latest` is kept."""
    outbox = Outbox(1500)
    number = 0
    while outbox.push(publication("last.n", number)):
        number += 1
    assert outbox.push_lossy(publication("last.n", number), 1500, gap) == number
    assert told(outbox.take_all()) == [("gap", "last.n", str(number)), ("last.n", str(number))]


def test_what_does_not_fit_even_alone_is_counted() -> None:
    """It is lost itself, and the others of its topic with it; the rest of the outbox is left."""
    outbox = Outbox(1000)
    outbox.push(publication("keep.n", 1))
    outbox.push(publication("drop.n", 2))
    assert outbox.push_lossy(publication("drop.n", 3, size=2000), 1000, gap) == 2
    assert outbox.push_lossy(publication("drop.n", 4, size=2000), 1000, gap) == 1
    assert told(outbox.take_all()) == [("keep.n", "1"), ("gap", "drop.n", "3")]
    assert outbox.push_lossy(publication("drop.n", 5, size=2000), 1000, gap) == 1
    assert told(outbox.take_all()) == [("gap", "drop.n", "1")]


def test_where_not_even_the_gap_fits_the_session_cannot_be_kept() -> None:
    """Others fill the outbox: then nothing helps, and nothing is changed."""
    outbox = Outbox(1000)
    number = 0
    while outbox.push(publication("keep.n", number)):
        number += 1
    before = outbox.size
    assert outbox.push_lossy(publication("drop.n", 0), 1000, gap) is None
    assert outbox.size == before
    assert len(outbox.take_all()) == number


@pytest.mark.parametrize("topic", ["drop.n", "last.n"])
@pytest.mark.parametrize("others", [False, True])
def test_a_full_outbox_costs_no_more_than_an_empty_one(topic: str, others: bool) -> None:
    """However much waits, and of whom, dropping takes no walk: a few sessions can't hold up the rest."""

    def cost(limit: int) -> float:
        best = float("inf")
        for _ in range(3):
            outbox = Outbox(limit)
            number = 0
            while others and outbox.size < limit - 1000:
                outbox.push(publication("keep.n", number))
                number += 1
            pushed = [
                publication(topic, number, key=str(number % 100)) for number in range(limit // 100)
            ]
            began = time.process_time()
            for one in pushed:
                if not outbox.push(one):
                    assert outbox.push_lossy(one, limit, gap) is not None
            best = min(best, (time.process_time() - began) / len(pushed))
        return best

    assert cost(400_000) < 12 * cost(20_000)  # a walk would make it more than 20 times as much


def test_a_full_outbox_keeps_no_places_of_what_it_dropped() -> None:
    """Holes are filled: a session that never reads does not grow."""
    outbox = Outbox(20_000)
    cost = publication("drop.n", 0).cost
    for number in range(5000):
        one = publication("drop.n", number)
        if not outbox.push(one):
            outbox.push_lossy(one, 20_000, gap)
    assert len(outbox.normal) < 3 * len(outbox) + 200
    assert told(outbox.take_all())[0] == ("gap", "drop.n", str(5000 - (20_000 - 100) // cost))


def test_what_is_queued_costs_more_than_its_bytes() -> None:
    """A flood of tiny messages is bounded too, and what may be dropped counts for its place in lists."""
    costs = [publication(f"{slow}.n", 1).cost for slow in SLOW]
    assert min(costs) == len(publication("keep.n", 1).frame) + ENTRY
    assert len(set(costs)) == 3


def test_a_gap_moves_to_where_the_first_loss_is() -> None:
    """An older publication that is superseded later lies before the mark, which then stands there."""
    outbox = Outbox(2000)
    cost = publication("last.n", 0, key="a").cost
    for number, key in enumerate("abb"):
        outbox.push(publication("last.n", number, key=key))
    assert outbox.push_lossy(publication("last.n", 3, key="c"), 4 * cost - 1, gap) == 1
    assert outbox.push_lossy(publication("last.n", 4, key="a"), 4 * cost - 1, gap) == 1
    assert told(outbox.take_all()) == [
        ("gap", "last.n", "2"),
        ("last.n", "2"),
        ("last.n", "3"),
        ("last.n", "4"),
    ]
