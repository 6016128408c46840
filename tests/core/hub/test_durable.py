"""Durable topics: stored before they are answered or delivered, over failures of the store and restarts."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.core.effects import Append, Done, Failed, Reopen
from hubbub.core.errors import LocalProtocolError
from hubbub.core.hub_events import StoreFailed, StoreReopened
from hubbub.core.messages import Published
from hubbub.core.records import Heads
from hubbub.core.rules import Rule
from support.histories import fill, numbers, position, resume, since
from support.hub_pair import Peer, config, tokens
from support.logged_hub import LoggedHub, answer_from

RULES = (
    Rule(pattern="stored.*", history=1000, durable=True),
    Rule(pattern="all.*", history=1000),
)
TOPIC = "stored.a"


def logged_hub(*, stored: bool = True, **options: Any) -> LoggedHub:
    """A hub with these rules, and users who may do everything."""
    limits: dict[str, Any] = {"request_burst": 1000} | options
    return LoggedHub(config(rules=RULES, auth=tokens("ann", "bob"), **limits), stored=stored)


def ask(peer: Peer, number: int, **fields: Any) -> None:
    """Publish something that begins with a number, which is also the request's."""
    fields = {"topic": TOPIC} | fields
    peer.send(action="publish", message=f"{number}:", id=number, **fields)


def batches(hub: LoggedHub) -> list[list[int]]:
    """The offsets in the appends that wait."""
    return [
        [record.offset for record in effect.records]
        for effect in hub.effects
        if isinstance(effect, Append)
    ]


# Storing.


def test_it_is_stored_first() -> None:
    """Nobody is answered, and nobody gets it, before the store has it."""
    hub = logged_hub()
    ann, bob = hub.user("ann"), hub.user("bob")
    position(bob, TOPIC)
    hub.held = True
    ask(ann, 1, idempotency_key="k", key="about")
    assert ann.take() == bob.take() == []
    (effect,) = hub.effects
    assert isinstance(effect, Append)
    (record,) = effect.records
    assert (record.topic, record.offset, record.user) == (TOPIC, 1, "ann")
    assert (record.idempotency_key, record.key, record.recipients) == ("k", "about", 1)
    hub.answer()
    (answer,) = ann.take()
    assert answer == {
        "type": "published",
        "topic": TOPIC,
        "recipients": 1,
        "offset": 1,
        "epoch": record.epoch,
        "id": 1,
    }
    assert numbers(bob, TOPIC) == [1]


def test_one_append_is_out_and_the_next_collects() -> None:
    """All that comes while one is out goes with the next, whatever its topic, in order."""
    hub = logged_hub()
    ann, bob = hub.user("ann"), hub.user("bob")
    hub.held = True
    ask(ann, 1)
    for number in range(2, 5):
        ask(ann, number)
        ask(bob, number, topic="stored.b")
    assert batches(hub) == [[1]]
    hub.answer()
    assert batches(hub) == [[2, 1, 3, 2, 4, 3]]
    assert [one["id"] for one in ann.take()] == [1]
    hub.answer()
    assert [one["id"] for one in ann.take()] == [2, 3, 4]
    assert [one["offset"] for one in bob.take()] == [1, 2, 3]


def test_who_is_answered_publishes_at_once() -> None:
    """What comes of answers is collected too, and goes behind what was there."""
    hub = logged_hub(max_pending_publishes=2)
    ann = hub.user("ann")
    hub.held = True
    for number in range(1, 8):
        ask(ann, number)
    sizes: list[int] = []
    while hub.effects:
        (batch,) = batches(hub)
        sizes.append(len(batch))
        hub.answer()
    assert sum(sizes) == 7
    assert [one["offset"] for one in ann.take()] == [1, 2, 3, 4, 5, 6, 7]


def test_an_append_has_a_bound() -> None:
    """What is beyond a megabyte waits for the next."""
    hub = logged_hub()
    hub.held = True
    fill(hub, TOPIC, 50, size=60_000)
    sizes = []
    while hub.effects:
        (batch,) = batches(hub)
        sizes.append(len(batch))
        hub.answer()
    assert sizes == [1, 17, 17, 15]
    assert offsets_stored(hub) == list(range(1, 51))


def offsets_stored(hub: LoggedHub, topic: str = TOPIC) -> list[int]:
    """What the store has."""
    return [record.offset for record in hub.stored(topic)]


def test_what_a_session_may_have_out() -> None:
    """Beyond it the session is not read, until the store answers; others are."""
    hub = logged_hub(max_pending_publishes=4)
    ann, bob = hub.user("ann"), hub.user("bob")
    hub.held = True
    for number in range(1, 10):
        ask(ann, number)
    assert not ann.session.wants_read
    assert bob.session.wants_read
    hub.answer()
    assert [one["id"] for one in ann.take()] == [1]
    hub.answer_all()
    assert [one["id"] for one in ann.take()] == list(range(2, 10))
    assert ann.session.wants_read


def test_answers_keep_their_order() -> None:
    """Whatever is asked behind a publication is answered behind it, errors too."""
    hub = logged_hub()
    ann = hub.user("ann")
    hub.held = True
    ask(ann, 1)
    ann.send(action="ping", id=2)
    ann.send(action="nonsense", id=3)
    ask(ann, 4, topic="plain")
    ask(ann, 5)
    ann.send(action="history", topic=TOPIC, id=6)
    ann.send(action="unsubscribe", topics=["none"], id=7)
    assert ann.take() == []
    hub.answer_all()
    found = ann.take()
    assert [one["id"] for one in found] == [1, 2, 3, 4, 5, 6, 7]
    assert [one["type"] for one in found][:5] == [
        "published", "pong", "error", "published", "published",
    ]  # fmt: skip


def test_a_publisher_that_is_gone() -> None:
    """What it published is stored and delivered all the same."""
    hub = logged_hub()
    ann, bob = hub.user("ann"), hub.user("bob")
    position(bob, TOPIC)
    hub.held = True
    ask(ann, 1)
    ask(ann, 2)
    ann.cut_off()
    hub.answer_all()
    assert numbers(bob, TOPIC) == [1, 2]


def test_a_subscription_while_an_append_is_out() -> None:
    """It begins at what is stored, and gets what is stored then."""
    hub = logged_hub()
    fill(hub, TOPIC, 2)
    ann, bob = hub.user("ann"), hub.user("bob")
    hub.held = True
    ask(ann, 3)
    assert position(bob, TOPIC)["offset"] == 2
    hub.answer_all()
    assert numbers(bob, TOPIC) == [3]


def test_commands_of_the_server() -> None:
    """`publish` gives a number where something is stored first; the answer comes with it."""
    hub = logged_hub()
    hub.held = True
    machine = hub.hub
    first = machine.publish(TOPIC, 1, hub.now, idempotency_key="k")
    second = machine.publish(TOPIC, 1, hub.now, idempotency_key="k")
    assert isinstance(first, int)
    assert isinstance(second, int)
    hub.settle()
    assert machine.next_completion() is None
    hub.answer_all()
    number, answer = machine.next_completion() or (0, None)
    assert number == first
    assert isinstance(answer, Published)
    assert (answer.offset, answer.duplicate) == (1, False)
    number, again = machine.next_completion() or (0, None)
    assert number == second
    assert isinstance(again, Published)
    assert (again.offset, again.duplicate) == (1, True)
    at_once = machine.publish(TOPIC, 1, hub.now, idempotency_key="k")
    assert isinstance(at_once, Published)
    number_3 = machine.publish(TOPIC, 2, hub.now)
    hub.settle()
    hub.complete(Failed("disk"))
    assert machine.next_completion() == (number_3, None)


def test_without_a_store() -> None:
    """Durable topics live in memory like others, and end with the process."""
    hub = logged_hub(stored=False)
    ann = hub.user("ann")
    answer = ann.publish(TOPIC, "1:")
    assert answer["offset"] == 1
    hub.kill()
    ann = hub.user("ann")
    found = position(ann, TOPIC, since=since(TOPIC, 1, answer["epoch"]))
    assert (found["offset"], found["recovered"]) == (0, False)


# Failures.


@pytest.mark.parametrize("after_storing", [False, True])
def test_a_store_that_fails(after_storing: bool) -> None:
    """That batch and all behind it are unavailable; then it is opened again, and everybody agrees on it."""
    hub = logged_hub()
    fill(hub, TOPIC, 2)
    ann, bob = hub.user("ann"), hub.user("bob")
    old = position(bob, TOPIC)["epoch"]
    hub.held = True
    for number in (3, 4, 5):
        ask(ann, number, idempotency_key=f"k{number}")
    hub.shelf.broken, hub.shelf.fails_after_storing = "the disk is full", after_storing
    hub.answer()
    hub.shelf.broken = None
    assert [(one["id"], one["code"]) for one in ann.take()] == [
        (3, "unavailable"), (4, "unavailable"), (5, "unavailable"),
    ]  # fmt: skip
    (effect,) = hub.effects
    assert isinstance(effect, Reopen)
    hub.answer_all()
    # Only the first of them was given to the store.
    assert numbers(bob, TOPIC) == ([3] if after_storing else [])
    hub.held = False
    for number in (3, 4, 5):
        ask(ann, number, idempotency_key=f"k{number}")
    answers = ann.take()
    assert [one["offset"] for one in answers] == [3, 4, 5]
    assert [one.get("duplicate", False) for one in answers] == [after_storing, False, False]
    assert [one["epoch"] == old for one in answers] == [after_storing, False, False]
    assert numbers(bob, TOPIC) == ([4, 5] if after_storing else [3, 4, 5])
    events = hub.take_events()
    assert [one.reason for one in events if isinstance(one, StoreFailed)] == ["the disk is full"]
    assert [one.topics for one in events if isinstance(one, StoreReopened)] == [1]
    assert offsets_stored(hub) == [1, 2, 3, 4, 5]


def test_a_store_that_stays_broken() -> None:
    """Each publication has it opened again; topics that are not durable go on all the while."""
    hub = logged_hub()
    ann, bob = hub.user("ann"), hub.user("bob")
    position(bob, "all.a")
    hub.shelf.broken = "read-only"
    for number in (1, 2, 3):
        ask(ann, number)
        assert ann.answer(number)["code"] == "unavailable"
        ask(ann, number, topic="all.a")
        assert ann.answer(number)["offset"] == number
    assert numbers(bob, "all.a") == [1, 2, 3]
    hub.shelf.broken = None
    ask(ann, 4)
    assert ann.answer(4)["offset"] == 1
    assert hub.hub.counters.store_failures == 4  # the first append, and three times opening


def test_what_comes_while_the_store_is_opened_again() -> None:
    """It gets its place when it is open: in the order in which it came, what is behind it too."""
    hub = logged_hub(max_pending_publishes=3)
    ann, bob = hub.user("ann"), hub.user("bob")
    ask(ann, 1)
    hub.held = True
    ask(bob, 1, topic="stored.b")
    hub.complete(Failed("disk"))
    for number in range(2, 10):
        ask(ann, number)
    ask(bob, 2, topic="stored.b")
    assert [type(effect) for effect in hub.effects] == [Reopen]
    hub.answer_all()
    answers = ann.take()
    assert [one["id"] for one in answers] == [one["offset"] for one in answers] == [*range(1, 10)]
    assert [one.get("code") for one in bob.take()] == ["unavailable", None]
    assert [one.data for one in hub.stored(TOPIC)] == sorted(one.data for one in hub.stored(TOPIC))
    assert len([one for one in hub.take_events() if isinstance(one, StoreFailed)]) == 1


def test_what_waits_when_the_store_can_not_be_read() -> None:
    """What had its offset before the store is opened again is unavailable; what comes of that is not."""
    hub = logged_hub(max_pending_publishes=3, durable_memory=1)
    fill(hub, TOPIC, 5)
    ann, bob = hub.user("ann"), hub.user("bob")
    hub.held = True
    resume(bob, TOPIC, 0)
    for number in range(1, 8):
        ask(ann, number)
    read, append = hub.effects
    assert isinstance(append, Append)
    hub.complete(Failed("unreadable"), read)
    hub.answer_all()
    answers = ann.take()
    assert [one["id"] for one in answers] == [1, 2, 3, 4, 5, 6, 7]
    # The first was out. Two waited behind it with offsets; and one that was read when it was answered.
    assert [one.get("offset") for one in answers] == [6, None, None, 7, 8, 9, 10]
    assert hub.hub.counters.store_failures == 0
    hub.held = False
    hub.advance(1)
    assert numbers_of_others(bob) == list(range(1, 11))


def numbers_of_others(peer: Peer) -> list[int]:
    """The offsets of what came, whatever it says."""
    return [one["offset"] for one in peer.take() if "message" in one]


def test_a_mistake_of_the_server_while_the_store_is_broken() -> None:
    """What has no form in JSON raises at once; what may change later is published as it was."""
    hub = logged_hub()
    hub.shelf.broken = "disk"
    fill(hub, TOPIC, 1)
    hub.held = True
    with pytest.raises(LocalProtocolError):
        hub.hub.publish(TOPIC, object(), hub.now)
    message = [1]
    hub.hub.publish(TOPIC, message, hub.now)
    message.append(2)
    hub.shelf.broken = None
    hub.settle()
    hub.answer_all()
    (record,) = hub.stored(TOPIC)
    assert b'"message":[1]' in record.data


def test_a_store_that_takes_too_long() -> None:
    """After `store_timeout` it counts as failed. What it says later is passed over; what it did counts."""
    hub = logged_hub(store_timeout=20.0)
    ann, bob = hub.user("ann"), hub.user("bob")
    position(bob, TOPIC)
    hub.held = True
    ask(ann, 1, idempotency_key="k")
    append = hub.effects[0]
    hub.advance(19.0)
    assert ann.take() == []
    hub.advance(1.0)
    assert ann.answer(1)["code"] == "unavailable"
    assert [type(effect) for effect in hub.effects] == [Append, Reopen]
    hub.complete(answer_from(hub.shelf, append), append)
    assert ann.take() == bob.take() == []
    hub.held = False
    hub.answer_all()
    assert numbers(bob, TOPIC) == [1]
    ask(ann, 2, idempotency_key="k")
    assert ann.answer(2)["duplicate"]
    hub.complete(Done(), append) if append in hub.effects else None
    assert numbers(bob, TOPIC) == []


@pytest.mark.parametrize("outcome", [Done(), Done(7), Failed("no")])
def test_a_store_that_answers_nonsense(outcome: Done | Failed) -> None:
    """Opening that gives no heads counts as failed."""
    hub = logged_hub()
    ann = hub.user("ann")
    hub.held = True
    ask(ann, 1)
    hub.complete(Failed("disk"))
    hub.complete(outcome)
    ask(ann, 2)
    assert isinstance(hub.effects[0], Reopen)
    hub.complete(Done(Heads()))
    hub.answer_all()
    assert [one.get("code") for one in ann.take()] == ["unavailable", None]
