"""A publication that its publisher has named is published once, however often it is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.core import idempotency
from hubbub.core.idempotency import KnownKeys
from hubbub.core.messages import Published
from hubbub.core.records import KEY_SECONDS, KnownKey
from hubbub.core.rules import Rule
from support.histories import position
from support.hub_pair import Message, Peer, config, tokens
from support.logged_hub import LoggedHub

RULES = (
    Rule(pattern="all.*", history=1000),
    Rule(pattern="stored.*", history=1000, durable=True),
)
ALL = pytest.mark.parametrize("topic", ["all.a", "stored.a", "plain"])


def logged_hub(**options: Any) -> LoggedHub:
    """A hub with these rules, and users who may do everything."""
    return LoggedHub(config(rules=RULES, auth=tokens("ann", "bob"), **options))


def say(peer: Peer, topic: str, key: str | None, number: int = 1, **fields: Any) -> None:
    """Publish a number under a key."""
    fields = {"idempotency_key": key} | fields if key is not None else fields
    peer.send(action="publish", topic=topic, message=number, id=number, **fields)


def answers(peer: Peer) -> list[Message]:
    """Take the answers."""
    return [one for one in peer.take() if "id" in one]


def got(peer: Peer) -> list[Any]:
    """Take publications; what they say."""
    return [one["message"] for one in peer.take() if "message" in one and "id" not in one]


@ALL
def test_a_repeat(topic: str) -> None:
    """It gets the first answer, marked, whatever it says and on whichever connection; nobody gets it twice."""
    hub = logged_hub()
    ann, bob = hub.user("ann"), hub.user("bob")
    position(bob, topic)
    say(ann, topic, "k", 1)
    (first,) = answers(ann)
    say(ann, topic, "k", 2)
    other = hub.user("ann")
    say(other, topic, "k", 3)
    for peer, number in ((ann, 2), (other, 3)):
        assert answers(peer) == [first | {"id": number, "duplicate": True}]
    assert got(bob) == [1]
    say(ann, topic, "other", 4)
    say(ann, topic, None, 5)
    say(ann, topic, None, 5)
    assert [one.get("duplicate") for one in answers(ann)] == [None, None, None]
    assert got(bob) == [4, 5, 5]


@ALL
def test_keys_belong_to_a_user_and_a_topic(topic: str) -> None:
    """The same key of somebody else, on another topic or of the server itself is another one."""
    hub = logged_hub()
    ann, bob = hub.user("ann"), hub.user("bob")
    position(bob, topic)
    say(ann, topic, "k", 1)
    say(bob, topic, "k", 2)
    say(ann, topic.replace("a", "b"), "k", 3)
    hub.hub.publish(topic, 4, hub.now, idempotency_key="k")
    hub.hub.publish(topic, 5, hub.now, idempotency_key="k")
    hub.settle()
    assert got(bob) == [1, 2, 4]


def test_a_repeat_waits_for_the_first() -> None:
    """While the store has not answered the first, a repeat waits, and gets its answer; or its failure."""
    hub = logged_hub()
    ann, other, bob = hub.user("ann"), hub.user("ann"), hub.user("bob")
    position(bob, "stored.a")
    for fails in (False, True):
        key = f"fails: {fails}"
        hub.held = True
        say(ann, "stored.a", key, 1)
        say(other, "stored.a", key, 2)
        say(ann, "stored.a", key, 3)
        assert answers(ann) == answers(other) == []
        hub.shelf.broken = "disk" if fails else None
        hub.answer()
        hub.shelf.broken = None
        hub.answer_all()
        hub.held = False
        found = answers(ann) + answers(other)
        assert [one["id"] for one in found] == [1, 3, 2]
        if fails:
            assert {one["code"] for one in found} == {"unavailable"}
        else:
            assert [one.get("duplicate", False) for one in found] == [False, True, True]
            assert {one["offset"] for one in found} == {1}
    assert got(bob) == [1]
    say(ann, "stored.a", "fails: True", 4)
    (answer,) = answers(ann)
    assert "duplicate" not in answer
    assert got(bob) == [4]


def test_a_repeat_after_a_failure_that_stored_it() -> None:
    """It was unavailable, but is there: the repeat gets its position, and nobody gets it twice."""
    hub = logged_hub()
    ann, bob = hub.user("ann"), hub.user("bob")
    position(bob, "stored.a")
    hub.held = True
    hub.shelf.broken, hub.shelf.fails_after_storing = "disk", True
    say(ann, "stored.a", "k", 1)
    hub.answer()
    (answer,) = answers(ann)
    assert answer["code"] == "unavailable"
    hub.shelf.broken = None
    say(ann, "stored.a", "k", 2)  # while the store is opened again
    hub.answer_all()
    (answer,) = answers(ann)
    assert (answer["offset"], answer["duplicate"]) == (1, True)
    assert got(bob) == [1]


@ALL
def test_restarts(topic: str) -> None:
    """Where it is stored a key is remembered by the next process, with its answer; elsewhere it is not."""
    hub = logged_hub()
    ann = hub.user("ann")
    say(ann, topic, "k", 1)
    (first,) = answers(ann)
    hub.kill()
    ann = hub.user("ann")
    say(ann, topic, "k", 1)
    (second,) = answers(ann)
    if topic == "stored.a":
        assert second == first | {"duplicate": True}
    else:
        assert "duplicate" not in second


@ALL
def test_how_long_a_key_is_remembered(topic: str) -> None:
    """So many seconds, over restarts too where it is stored."""
    hub = logged_hub()
    ann = hub.user("ann")
    say(ann, topic, "k", 1)
    hub.advance(KEY_SECONDS - 1)
    if topic == "stored.a":
        hub.kill()
        ann = hub.user("ann")
    say(ann, topic, "k", 2)
    assert answers(ann)[-1]["duplicate"]
    hub.advance(2)
    say(ann, topic, "k", 3)
    assert "duplicate" not in answers(ann)[-1]


def test_a_server_that_says_it_for_somebody() -> None:
    """The key is that of whoever is named as the sender."""
    hub = logged_hub()
    ann = hub.user("ann")
    say(ann, "all.a", "k", 1)
    again = hub.hub.publish("all.a", 2, hub.now, sender="ann", idempotency_key="k")
    assert isinstance(again, Published)
    assert again.duplicate


# What is remembered.


def published(number: int) -> Published:
    """An answer that can be told from others."""
    return Published(recipients=number, topic="t")


def test_the_bound_of_a_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it a topic's oldest key is forgotten; those of other topics stay."""
    monkeypatch.setattr(idempotency, "KEYS_REMEMBERED", 3)
    keys = KnownKeys(100)
    keys.remember("other", "ann", "k", published(0), 0.0)
    for number in range(5):
        keys.remember("t", "ann", f"{number}", published(number), float(number))
    found = [keys.answer("t", "ann", f"{number}", 5.0) for number in range(5)]
    assert found == [None, None, published(2), published(3), published(4)]
    assert keys.answer("other", "ann", "k", 5.0) == published(0)
    assert len(keys) == 4


@settings(max_examples=60)
@given(
    st.integers(0, 12),
    st.lists(
        st.tuples(
            st.sampled_from(["t", "u", "v"]),
            st.sampled_from("abcdefghijklmnop"),
            st.sampled_from([0.0, 0.0, 1.0, 50.0, -20.0]),
        ),
        max_size=80,
    ),
)
def test_beside_a_dictionary(limit: int, steps: list[tuple[str, str, float]]) -> None:
    """What is remembered is right, at least the newest of all are, and no more than may be."""
    keys = KnownKeys(limit)
    known: dict[tuple[str, str], Published] = {}
    newest: list[tuple[str, str]] = []
    wall = 1000.0
    for number, (topic, key, passed) in enumerate(steps):
        wall += passed
        answer = keys.answer(topic, "ann", key, wall)
        if answer is not None:
            assert answer == known[topic, key]
            continue
        # Unless the clock jumped, or there was no room, it was never said, or long ago.
        if all(step[2] == 0 for step in steps):
            assert (topic, key) not in newest[len(newest) - limit :]
        known[topic, key] = published(number)
        newest.append((topic, key))
        keys.remember(topic, "ann", key, known[topic, key], wall)
        assert len(keys) <= limit
        assert len(keys._order) <= 2 * len(keys) + 64 + 1


def test_keys_that_a_store_remembers() -> None:
    """They are known by their answers; what is known already stays."""
    keys = KnownKeys(100)
    keys.remember("t", "ann", "a", published(7), 10.0)
    keys.load(
        "t",
        [
            KnownKey("ann", "a", offset=1, epoch="e", recipients=1, at=5.0),
            KnownKey(None, "b", offset=2, epoch="e", recipients=2, at=6.0),
        ],
    )
    assert keys.answer("t", "ann", "a", 11.0) == published(7)
    assert keys.answer("t", None, "b", 11.0) == Published(
        recipients=2, topic="t", offset=2, epoch="e"
    )
    assert keys.answer("t", "ann", "b", 11.0) is None


def test_waiting_is_for_one_answer() -> None:
    """Who waits is called once, in order, and the next of this name begins anew."""
    keys = KnownKeys(100)
    told: list[tuple[str, Published | None]] = []

    def then(name: str) -> Callable[[Published | None, float], None]:
        return lambda answer, _: told.append((name, answer))

    assert not keys.wait("t", "ann", "k", then("nobody"))
    keys.begin("t", "ann", "k")
    assert keys.wait("t", "ann", "k", then("a"))
    assert keys.wait("t", "ann", "k", then("b"))
    for one in keys.end("t", "ann", "k", None, 0.0):
        one(None, 0.0)
    assert told == [("a", None), ("b", None)]
    assert not keys.wait("t", "ann", "k", then("late"))
    assert keys.answer("t", "ann", "k", 0.0) is None
