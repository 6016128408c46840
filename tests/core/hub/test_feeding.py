"""Sessions that are behind get the rest from the log: once, in order, and no more than they have room for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.core.hub_events import Slow
from hubbub.core.outbox import ENTRY
from hubbub.core.rules import Rule
from support.histories import fill, numbers, position, resume, since
from support.hub_pair import config, tokens
from support.logged_hub import LoggedHub

RULES = (
    Rule(pattern="few.*", history=5),
    Rule(pattern="all.*", history=1000),
    Rule(pattern="stored.*", history=1000, durable=True),
    Rule(pattern="urgent.*", history=1000, priority="high"),
    Rule(pattern="room.*", history=1000, presence=True, announce=True),
)
BOTH = pytest.mark.parametrize("topic", ["all.a", "stored.a"])


def logged_hub(**options: Any) -> LoggedHub:
    """A hub with these rules, and users who may do everything."""
    limits: dict[str, Any] = {"outbox_size": 2000, "durable_memory": 4} | options
    return LoggedHub(config(rules=RULES, auth=tokens("ann", "bob", "carol"), **limits))


# A resume.


@BOTH
@settings(max_examples=30)
@given(
    count=st.integers(1, 120),
    size=st.integers(5, 700),
    room=st.integers(1, 3000),
    more=st.integers(0, 30),
)
def test_a_resume_of_any_length(topic: str, count: int, size: int, room: int, more: int) -> None:
    """However slowly it is read, and whatever comes meanwhile, an outbox stays within its bound."""
    hub = logged_hub()
    fill(hub, topic, count, size)
    ann = hub.user("ann")
    ann.stall()
    session = ann.session
    log = hub.hub._logs.find(topic)
    assert log is not None
    ann.send(action="subscribe", topics=[topic], since=since(topic, 0, log.epoch))
    largest = size + 200 + ENTRY
    for _ in range(2 * (count + more) + 20):
        assert session.outbox.size <= 2000 + largest
        if more:
            more -= 1
            fill(hub, topic, 1, size)
        for frame in session.data_to_send(hub.now, room):
            ann.receive(frame, hub.now)
        hub.settle()
    ann.read_on()
    log = hub.hub._logs.find(topic)
    assert log is not None
    assert numbers(ann, topic) == list(range(1, log.last + 1))
    assert session.behind is None
    assert hub.hub.outbox_bytes == 0


@BOTH
def test_many_that_resume_and_do_not_read(topic: str) -> None:
    """All together hold little more than they may; who reads gets everything all the same."""
    total, count = 20_000, 40
    hub = logged_hub(total_outbox_size=total)
    fill(hub, topic, 100)
    log = hub.hub._logs.find(topic)
    assert log is not None
    asked = {"topics": [topic], "since": since(topic, 0, log.epoch)}
    peers = [hub.user("ann") for _ in range(count)]
    for peer in peers:
        peer.stall()
        peer.send(action="subscribe", **asked)
    one = 300 + ENTRY
    assert total // 2 < hub.hub.outbox_bytes < total + count * one
    bob = hub.user("bob")
    bob.send(action="subscribe", **asked)
    assert numbers(bob, topic) == list(range(1, 101))
    fill(hub, topic, 1)
    assert hub.hub.outbox_bytes < total + count * one
    for peer in peers:
        peer.read_on()
        assert numbers(peer, topic) == list(range(1, 102))
    assert numbers(bob, topic) == [101]
    assert hub.hub.outbox_bytes == 0


@BOTH
def test_one_publication_that_is_larger_than_an_outbox(topic: str) -> None:
    """It is sent alone: live, and in a resume."""
    hub = logged_hub()
    ann = hub.user("ann")
    position(ann, topic)
    fill(hub, topic, 3, 5000)
    assert numbers(ann, topic) == [1, 2, 3]
    bob = hub.user("bob")
    resume(bob, topic, 0)
    assert numbers(bob, topic) == [1, 2, 3]


@BOTH
def test_who_does_not_keep_up_is_set_behind(topic: str) -> None:
    """It is told to nobody but the operator, once; it loses nothing, and becomes live again."""
    hub = logged_hub()
    ann = hub.user("ann")
    position(ann, topic)
    ann.stall()
    fill(hub, topic, 60)
    assert ann.session.behind is not None
    slow = [event for event in hub.take_events() if isinstance(event, Slow)]
    assert [(event.topic, event.policy) for event in slow] == [(topic, "behind")]
    ann.read_on()
    assert numbers(ann, topic) == list(range(1, 61))
    assert ann.session.behind is None
    fill(hub, topic, 1)
    assert numbers(ann, topic) == [61]


def test_a_topic_with_priority() -> None:
    """What is read from the log goes into the lane of its topic, so that order holds with what is live."""
    hub = logged_hub()
    ann = hub.user("ann")
    position(ann, "urgent.a")
    ann.stall()
    fill(hub, "urgent.a", 50)
    ann.read_on()
    fill(hub, "urgent.a", 2)
    assert numbers(ann, "urgent.a") == list(range(1, 53))


def test_coming_and_going_is_no_history() -> None:
    """In a room with history, announcements have no place in the log, and are not sent again."""
    hub = logged_hub()
    ann, bob = hub.user("ann"), hub.user("bob")
    position(ann, "room.a")
    position(bob, "room.a")
    bob.publish("room.a", "1:")
    bob.close()
    found = [(one["type"], one.get("offset")) for one in ann.take()]
    assert found == [("system", None), ("chat", 1), ("system", None)]
    carol = hub.user("carol")
    carol.ask(action="subscribe", topics=["room.a"], last=10)
    assert [(one["type"], one.get("offset")) for one in carol.take()] == [("chat", 1)]


# What the log does not have any more.


def test_a_gap_stands_where_something_is_missing() -> None:
    """It says how many are missing, and the position of the last of them."""
    hub = logged_hub()
    ann = hub.user("ann")
    position(ann, "few.a")
    ann.stall()
    fill(hub, "few.a", 40)
    ann.read_on()
    found = ann.take()
    kinds = [one["type"] for one in found]
    at = kinds.index("gap")
    assert kinds.count("gap") == 1
    before, gap, behind = found[:at], found[at], found[at + 1 :]
    assert [one["offset"] for one in before] == list(range(1, len(before) + 1))
    assert [one["offset"] for one in behind] == [36, 37, 38, 39, 40]
    assert gap == {
        "type": "gap",
        "topic": "few.a",
        "missed": 35 - len(before),
        "offset": 35,
        "epoch": before[0]["epoch"],
    }
    assert hub.hub.counters.gaps == 1


def test_records_that_the_store_has_not() -> None:
    """What was trimmed in the store meanwhile is told as a gap, and the rest is sent."""
    hub = logged_hub()
    fill(hub, "stored.a", 20)
    records = hub.shelf._records["stored.a"]
    while records[0].offset < 11:
        records.popleft()
    ann = hub.user("ann")
    resume(ann, "stored.a", 5)
    found = ann.take()
    assert (found[0]["type"], found[0]["missed"], found[0]["offset"]) == ("gap", 5, 10)
    assert [one["offset"] for one in found[1:]] == list(range(11, 21))


@pytest.mark.parametrize("state", ["live", "behind", "live by a pattern", "consumer"])
def test_a_log_that_is_forgotten(state: str) -> None:
    """Who has not got all of it is told how much is missing; what comes then begins anew, for everybody."""
    hub = logged_hub(max_logs=1)
    ann = hub.user("ann")
    if state == "consumer":
        ann.ask(action="subscribe", topics=["all.a"], ack=True)
    else:
        position(ann, "all.*" if state == "live by a pattern" else "all.a")
    fill(hub, "all.a", 3)
    assert numbers(ann, "all.a") == [1, 2, 3]
    ann.stall()
    fill(hub, "all.a", 30 if state == "behind" else 1)
    hub.hub.publish("all.b", "another", hub.now)
    if state == "live by a pattern":
        hub.hub.publish("few.b", "another", hub.now)
    fill(hub, "all.a", 2)
    ann.read_on()
    found = [one for one in ann.take() if one.get("topic") == "all.a"]
    epochs = list(dict.fromkeys(one["epoch"] for one in found if "epoch" in one))
    assert len(epochs) == 2
    old = [one["offset"] for one in found if one.get("epoch") == epochs[0]]
    new = [one["offset"] for one in found if one.get("epoch") == epochs[1]]
    assert old == list(range(4, 4 + len(old)))
    assert new == [1, 2]
    gaps = [one for one in found if one["type"] == "gap"]
    if state == "behind":
        assert [gap["missed"] for gap in gaps] == [30 - len(old)]
    else:
        assert gaps == []
    if state == "consumer":
        ann.send(action="ack", topic="all.a", offset=2)
        fill(hub, "all.a", 1)
        assert numbers(ann, "all.a") == [3]


def test_logs_that_are_forgotten_again_and_again() -> None:
    """What a session misses of them is told at once when it reads; until then nothing of it waits."""
    hub = logged_hub(max_logs=1)
    ann = hub.user("ann")
    position(ann, "all.a")
    ann.stall()
    for _ in range(200):
        fill(hub, "all.a", 3)
        fill(hub, "all.b", 1)
        assert ann.session.outbox.size <= 2000
    fill(hub, "all.a", 2)
    ann.read_on()
    found = [one for one in ann.take() if one["topic"] == "all.a"]
    gaps = [one["missed"] for one in found if one["type"] == "gap"]
    got = [one["offset"] for one in found if one["type"] == "notification"]
    assert len(gaps) == 1
    assert len(got) + gaps[0] == 3 * 200 + 2
    assert got[-2:] == [1, 2]


# Several subscriptions that match.


@BOTH
@pytest.mark.parametrize("first", ["pattern", "topic"])
def test_a_pattern_and_a_topic_deliver_once(topic: str, first: str) -> None:
    """A resume of a topic that a pattern matches too: everything once, in order."""
    hub = logged_hub()
    fill(hub, topic, 30)
    ann = hub.user("ann")
    pattern = f"{topic[:-1]}*"
    if first == "pattern":
        position(ann, pattern)
    resume(ann, topic, 10)
    if first == "topic":
        position(ann, pattern)
    fill(hub, topic, 2)
    assert numbers(ann, topic) == list(range(11, 33))


@BOTH
@pytest.mark.parametrize("queued", [3, 60])
@pytest.mark.parametrize("last", [None, 0, 2, 100])
def test_a_topic_that_a_pattern_reaches_already(topic: str, queued: int, last: int | None) -> None:
    """A subscription by its own name goes on where the session stands, though that has not left yet."""
    hub = logged_hub()
    fill(hub, topic, 2)
    ann = hub.user("ann")
    position(ann, f"{topic[:-1]}*")
    ann.stall()
    fill(hub, topic, queued)
    fields = {} if last is None else {"last": last}
    ann.send(action="subscribe", topics=[topic], id=1, **fields)
    ann.read_on()
    begin = ann.answer(1)["positions"][topic]["offset"]
    assert begin == (0 if last == 100 else 2)
    assert numbers(ann, topic) == list(range(begin + 1, queued + 3))


@BOTH
@pytest.mark.parametrize("queued", [3, 60])
def test_a_repeated_subscription(topic: str, queued: int) -> None:
    """It is answered with where the session stands. With `since` it goes back there, and nothing doubles."""
    hub = logged_hub()
    fill(hub, topic, 2)
    ann = hub.user("ann")
    epoch = position(ann, topic)["epoch"]
    ann.stall()
    fill(hub, topic, queued)
    ann.send(action="subscribe", topics=[topic], last=1, id=1)
    ann.send(action="subscribe", topics=[topic], since=since(topic, 1, epoch), id=2)
    ann.send(action="subscribe", topics=[topic], id=3)
    ann.read_on()
    assert ann.answer(1)["positions"][topic]["offset"] == 2
    assert ann.answer(2)["positions"][topic]["offset"] == 1
    assert ann.answer(3)["positions"][topic]["offset"] == 1
    assert numbers(ann, topic) == list(range(2, queued + 3))


@BOTH
def test_since_that_cannot_be_recovered_drops_what_waits(topic: str) -> None:
    """Then nothing old is sent, also not what waited, so the position in the answer is true."""
    hub = logged_hub()
    ann = hub.user("ann")
    position(ann, topic)
    ann.stall()
    fill(hub, topic, 60)
    ann.send(action="subscribe", topics=[topic], since=since(topic, 3, "unknown"), id=1)
    ann.read_on()
    answer = ann.answer(1)["positions"][topic]
    assert (answer["offset"], answer["recovered"]) == (60, False)
    fill(hub, topic, 1)
    assert numbers(ann, topic) == [61]


@BOTH
def test_unsubscribing_ends_it(topic: str) -> None:
    """Nothing more of the topic comes, and it is not read on, unless a pattern reaches it."""
    hub = logged_hub()
    for pattern in (None, f"{topic[:-1]}*"):
        ann = hub.user("ann")
        position(ann, topic)
        if pattern is not None:
            position(ann, pattern)
        ann.stall()
        log = hub.hub._logs.find(topic)
        assert log is not None
        first = log.last + 1
        fill(hub, topic, 60)
        ann.send(action="unsubscribe", topics=[topic])
        assert (ann.session.behind is None) == (pattern is None)
        ann.read_on()
        fill(hub, topic, 1)
        expected = [] if pattern is None else list(range(first, first + 61))
        assert numbers(ann, topic) == expected
