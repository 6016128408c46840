"""A topic's history: how much is kept, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.core.history import Log
from hubbub.core.outbox import Publication
from hubbub.core.outgoing import PreparedMessage
from hubbub.core.rules import Rule
from support.histories import fill, offsets, position, since
from support.hub_pair import Message, config, tokens
from support.logged_hub import LoggedHub

RULES = (
    Rule(pattern="few.*", history=3),
    Rule(pattern="short.*", history=100, history_seconds=10),
    Rule(pattern="small.*", history_bytes=1000),
    Rule(pattern="all.*", history=1000),
    Rule(pattern="stored.*", history=1000, durable=True),
)


def logged_hub(**options: Any) -> LoggedHub:
    """A hub with these rules, and Ann who may do everything."""
    return LoggedHub(config(rules=RULES, auth=tokens("ann", "bob"), **options))


# What is kept.


class ModelOfLog:
    """What a log must keep, as a list."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.kept: list[tuple[int, float, int]] = []

    def append(self, offset: int, now: float, cost: int) -> None:
        self.kept.append((offset, now, cost))

    def trim(self, now: float) -> None:
        rule = self.rule
        while self.kept and (
            (rule.history is not None and len(self.kept) > rule.history)
            or (rule.history_seconds is not None and self.kept[0][1] < now - rule.history_seconds)
            or (
                rule.history_bytes is not None
                and sum(cost for *_, cost in self.kept) > rule.history_bytes
            )
        ):
            del self.kept[0]


@settings(max_examples=50)
@given(
    st.builds(
        Rule,
        pattern=st.just(">"),
        history=st.integers(1, 200),
        history_seconds=st.none() | st.integers(1, 20),
        history_bytes=st.none() | st.integers(50, 2000),
    ),
    st.lists(st.tuples(st.integers(0, 300), st.sampled_from([0, 0, 0, 1, 5]), st.integers(1, 100))),
)
def test_what_a_log_keeps(rule: Rule, steps: list[tuple[int, int, int]]) -> None:
    """By number, bytes and age, whichever goes beyond first; and all else is there, in order."""
    log, model, now = Log(rule, "e"), ModelOfLog(rule), 0.0
    for size, passed, count in steps:
        now += passed
        for _ in range(count):
            offset = log.next_offset()
            message = PreparedMessage.of_text(b"x" * size)
            publication = Publication("t", message, offset=offset)
            log.append(publication, now)
            model.append(offset, now, publication.cost)
            model.trim(now)
        log.trim(now)
        model.trim(now)
        kept = [offset for offset, *_ in model.kept]
        assert log.first == log.first_in_memory == log.last + 1 - len(kept)
        assert log.size == sum(cost for *_, cost in model.kept)
        if kept:
            read = [one.offset for one in log.read(kept[0], 2**30)]
            assert read == kept
            middle = kept[len(kept) // 2]
            assert [one.offset for one in log.before(middle, 3)] == [
                offset for offset in kept if middle - 3 <= offset < middle
            ]
            piece = log.read(middle, 500)
            cost = sum(one.cost for one in piece)
            assert piece[0].offset == middle
            assert cost <= 500 or len(piece) == 1
        assert log.recoverable(log.last, "e")
        assert log.recoverable(log.first - 1, "e")
        assert not log.recoverable(log.first - 2, "e")
        assert not log.recoverable(log.last + 1, "e")


def test_nothing_that_was_let_go_is_held() -> None:
    """A log holds no publication that it does not count."""
    log = Log(Rule(pattern=">", history=2), "e")
    for _ in range(50):
        message = PreparedMessage.of_text(b"x" * 1000)
        log.append(Publication("t", message, offset=log.next_offset()), 0.0)
    held = sum(entry.cost for entry in log._entries if entry.topic == "t")
    assert held == log.size


def test_by_number() -> None:
    """The rule's number of newest publications is kept, and `last` asks for fewer."""
    hub = logged_hub()
    fill(hub, "few.a", 5)
    ann, bob = hub.user("ann"), hub.user("bob")
    assert position(ann, "few.a", last=10)["offset"] == 2
    assert offsets(ann.take()) == [3, 4, 5]
    assert position(bob, "few.a", last=2)["offset"] == 3
    assert offsets(bob.take()) == [4, 5]


def test_by_age() -> None:
    """What is older than the rule says is not told any more, though nothing was published since."""
    hub = logged_hub()
    fill(hub, "short.a", 2)
    hub.advance(6)
    fill(hub, "short.a", 1)
    hub.advance(5)
    ann, bob = hub.user("ann"), hub.user("bob")
    assert position(ann, "short.a", last=10)["offset"] == 2
    assert offsets(ann.take()) == [3]
    hub.advance(6)
    answer = ann.ask(action="history", topic="short.a")
    assert answer["publications"] == []
    assert position(bob, "short.a", last=10)["offset"] == 3


def test_by_bytes() -> None:
    """The newest that fit are kept; one that is larger than all room is delivered, and not kept."""
    hub = logged_hub()
    ann = hub.user("ann")
    position(ann, "small.a")
    fill(hub, "small.a", 10, size=200)
    assert offsets(ann.take()) == list(range(1, 11))
    bob = hub.user("bob")
    assert position(bob, "small.a", last=10)["offset"] == 8
    fill(hub, "small.a", 1, size=2000)
    assert offsets(ann.take()) == [11]
    assert ann.ask(action="history", topic="small.a")["publications"] == []


# Where a subscription begins.


@pytest.mark.parametrize("topic", ["all.a", "stored.a"])
def test_a_subscription_begins_at_the_head(topic: str) -> None:
    """Unless it asks for more, it gets what comes from now on, and is told where that is."""
    hub = logged_hub()
    ann = hub.user("ann")
    assert position(ann, topic)["offset"] == 0
    fill(hub, topic, 3)
    ann.take()
    bob = hub.user("bob")
    found = position(bob, topic)
    assert (found["offset"], "recovered" in found) == (3, False)
    fill(hub, topic, 1)
    assert offsets(bob.take()) == [4]
    assert offsets(ann.take()) == [4]


@pytest.mark.parametrize("topic", ["all.a", "stored.a"])
@settings(max_examples=30)
@given(st.data())
def test_since(topic: str, data: st.DataObject) -> None:
    """Everything behind a position follows, once and in order; the position is told again."""
    hub = logged_hub()
    count = data.draw(st.integers(1, 12))
    fill(hub, topic, count)
    ann = hub.user("ann")
    epoch = position(ann, topic)["epoch"]
    offset = data.draw(st.integers(0, count))
    bob = hub.user("bob")
    found = position(bob, topic, since=since(topic, offset, epoch))
    assert found == {"offset": offset, "epoch": epoch, "recovered": True}
    fill(hub, topic, 2)
    assert offsets(bob.take()) == list(range(offset + 1, count + 3))


@pytest.mark.parametrize(
    ("offset", "epoch"),
    [(1, None), (6, None), (99, None), (5, "other"), (0, "other"), (0, "")],
)
def test_what_cannot_be_recovered(offset: int, epoch: str | None) -> None:
    """A position that is not kept, was never reached or is of another log: nothing old is sent."""
    hub = logged_hub()
    fill(hub, "few.a", 5)
    ann = hub.user("ann")
    head = position(ann, "few.a")
    bob = hub.user("bob")
    found = position(bob, "few.a", since=since("few.a", offset, epoch or head["epoch"]))
    assert found == head | {"recovered": False}
    fill(hub, "few.a", 1)
    assert offsets(bob.take()) == [6]


def test_since_counts_more_than_last() -> None:
    """Who gives both goes on at the position; where that can't be, nothing old is sent."""
    hub = logged_hub()
    fill(hub, "few.a", 5)
    ann = hub.user("ann")
    epoch = position(ann, "few.a")["epoch"]
    for offset, rest in ((4, [5]), (1, [])):
        peer = hub.user("bob")
        position(peer, "few.a", last=3, since=since("few.a", offset, epoch))
        assert offsets(peer.take()) == rest


def test_a_log_in_memory_ends_with_its_process() -> None:
    """A position of an earlier process is not recovered, not even 0: what came behind it is lost."""
    hub = logged_hub()
    ann = hub.user("ann")
    old = position(ann, "all.a")
    assert old["offset"] == 0
    fill(hub, "all.a", 2)
    hub.kill()
    fill(hub, "all.a", 3)
    ann = hub.user("ann")
    found = position(ann, "all.a", since={"all.a": old})
    assert (found["offset"], found["recovered"]) == (3, False)
    assert found["epoch"] != old["epoch"]


def test_several_topics_in_one_request() -> None:
    """Each begins where it was asked to; topics without history have no position."""
    hub = logged_hub()
    fill(hub, "all.a", 3)
    fill(hub, "all.b", 3)
    ann = hub.user("ann")
    epoch = position(hub.user("bob"), "all.a")["epoch"]
    topics = ["all.a", "all.b", "plain", "all.*"]
    answer = ann.ask(action="subscribe", topics=topics, since=since("all.a", 1, epoch))
    assert {topic: at["offset"] for topic, at in answer["positions"].items()} == {
        "all.a": 1,
        "all.b": 3,
    }
    assert [(one["topic"], one["offset"]) for one in ann.take()] == [("all.a", 2), ("all.a", 3)]
    fill(hub, "all.b", 1)
    assert [(one["topic"], one["offset"]) for one in ann.take()] == [("all.b", 4)]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"topics": ["plain"], "last": 1}, "no_history"),
        ({"topics": ["plain"], "since": since("plain", 1, "e")}, "no_history"),
        ({"topics": ["plain"], "ack": True}, "no_history"),
        ({"topics": ["all.*"], "last": 1}, "bad_topic"),
        ({"topics": ["all.*"], "since": since("all.*", 1, "e")}, "bad_topic"),
        ({"topics": ["all.*"], "ack": True}, "bad_topic"),
        ({"topics": ["all.a"], "since": since("all.b", 1, "e")}, "bad_request"),
    ],
)
def test_what_can_not_be_asked(fields: Message, code: str) -> None:
    """History is of topics that keep it, one by one; a request that is refused subscribes to nothing."""
    hub = logged_hub()
    ann = hub.user("ann")
    topics = ["all.c", *fields.pop("topics")]
    answer = ann.ask(action="subscribe", topics=topics, **fields)
    assert answer["code"] == code
    assert list(hub.hub.topics()) == []


# Questions about history.


@pytest.mark.parametrize("topic", ["all.a", "stored.a"])
@settings(max_examples=30)
@given(
    count=st.integers(0, 20),
    before=st.none() | st.integers(1, 25),
    limit=st.none() | st.integers(1, 25),
)
def test_history_backwards(topic: str, count: int, before: int | None, limit: int | None) -> None:
    """The last so many before an offset, or before the head, oldest first; without subscribing."""
    hub = logged_hub(durable_memory=5)
    fill(hub, topic, count)
    ann = hub.user("ann")
    fields = {"before": before, "limit": limit}
    answer = ann.ask(
        action="history", topic=topic, **{k: v for k, v in fields.items() if v is not None}
    )
    end = count + 1 if before is None else min(before, count + 1)
    expected = list(range(1, end))[-(limit or 100) :]
    assert offsets(answer["publications"]) == expected
    assert list(hub.hub.topics()) == []


@pytest.mark.parametrize("topic", ["all.a", "stored.a"])
@settings(max_examples=30)
@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=30))
def test_history_of_large_publications(topic: str, sizes: list[int]) -> None:
    """An answer has as many as fit; who asks on before the first of them gets all, and each once."""
    hub = logged_hub(durable_memory=3, answers_size=4096, outbox_size=2048)
    for number, size in enumerate(sizes, 1):
        hub.hub.publish(topic, f"{number}:".ljust(size), hub.now)
        hub.settle()
    ann = hub.user("ann")
    got: list[int] = []
    before = len(sizes) + 1
    while before > 1:
        answer = ann.ask(action="history", topic=topic, before=before)
        found = offsets(answer["publications"])
        assert found == list(range(found[0], before))
        got = found + got
        before = found[0]
    assert got == list(range(1, len(sizes) + 1))


@pytest.mark.parametrize("topic", ["all.a", "stored.a"])
def test_an_answer_about_history_has_a_bound(topic: str) -> None:
    """It has at most `max_history_told` publications, whatever is asked for."""
    hub = logged_hub(max_history_told=4, durable_memory=2)
    fill(hub, topic, 10)
    ann = hub.user("ann")
    answer = ann.ask(action="history", topic=topic, limit=100)
    assert offsets(answer["publications"]) == [7, 8, 9, 10]


def test_history_needs_the_right_to_read() -> None:
    """Who may not read a topic gets none of it, also where that was taken away while the store was read."""
    hub = logged_hub(durable_memory=1)
    fill(hub, "stored.a", 3)
    ann = hub.user("ann")
    hub.held = True
    ann.send(action="history", topic="stored.a", id=1)
    assert ann.take() == []
    hub.hub.revoke("ann", "stored.*", hub.now)
    hub.answer_all()
    assert ann.answer(1)["code"] == "forbidden"
    assert ann.ask(action="history", topic="stored.a")["code"] == "forbidden"
    assert ann.ask(action="history", topic="plain")["code"] == "no_history"
