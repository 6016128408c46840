"""Logs in a store outlive the process, and are kept as long as their rule says."""

from __future__ import annotations

from typing import Any

from hubbub.core.effects import Failed, Trim
from hubbub.core.records import EPOCHS_REMEMBERED
from hubbub.core.rules import Rule
from support.histories import fill, numbers, offsets, position, resume, since
from support.hub_pair import config, tokens
from support.logged_hub import LoggedHub, answer_from

RULES = (
    Rule(pattern="stored.*", history=1000, durable=True),
    Rule(pattern="brief.*", history=1000, history_seconds=60, durable=True),
    Rule(pattern="few.*", history=10, durable=True),
)
TOPIC = "stored.a"


def logged_hub(**options: Any) -> LoggedHub:
    """A hub with these rules, and users who may do everything."""
    return LoggedHub(config(rules=RULES, auth=tokens("ann", "bob"), **options))


def offsets_stored(hub: LoggedHub, topic: str) -> list[int]:
    """What the store has."""
    return [record.offset for record in hub.stored(topic)]


def test_positions_over_restarts() -> None:
    """Offsets go on; each start begins an epoch in each log; what is behind a known position follows."""
    hub = logged_hub()
    places: list[tuple[int, str]] = []
    for _ in range(4):
        fill(hub, TOPIC, 3)
        head = position(hub.user("ann"), TOPIC)
        places.append((head["offset"], head["epoch"]))
        hub.kill()
    assert [offset for offset, _ in places] == [3, 6, 9, 12]
    assert len({epoch for _, epoch in places}) == 4
    for offset, epoch in places:
        for at in range(offset - 3, offset + 1):
            bob = hub.user("bob")
            found = position(bob, TOPIC, since=since(TOPIC, at, epoch))
            assert (found["offset"], found["recovered"]) == (at, True)
            assert numbers(bob, TOPIC) == list(range(at + 1, 13))
        for at in (offset - 4, offset + 1):
            bob = hub.user("bob")
            found = position(bob, TOPIC, since=since(TOPIC, max(at, 1), epoch))
            assert found["recovered"] == (at < 0)
            assert numbers(bob, TOPIC) == (list(range(2, 13)) if at < 0 else [])


def test_an_epoch_in_which_nothing_was_published() -> None:
    """The head's position is that of the newest record, so it is known after any number of starts."""
    hub = logged_hub()
    assert position(hub.user("ann"), TOPIC)["offset"] == 0
    fill(hub, TOPIC, 2)
    first = position(hub.user("ann"), TOPIC)
    for _ in range(3):
        hub.kill()
        assert position(hub.user("ann"), TOPIC) == first
    bob = hub.user("bob")
    assert position(bob, TOPIC, since={TOPIC: first})["recovered"]
    fill(hub, TOPIC, 1)
    assert numbers(bob, TOPIC) == [3]
    assert position(bob, TOPIC)["epoch"] != first["epoch"]


def test_the_beginning_of_a_log_that_was_empty() -> None:
    """Offset 0 is the same in every epoch: who saw an empty log gets all that came since."""
    hub = logged_hub()
    empty = position(hub.user("ann"), TOPIC)
    hub.kill()
    fill(hub, TOPIC, 2)
    hub.kill()
    bob = hub.user("bob")
    assert position(bob, TOPIC, since={TOPIC: empty})["recovered"]
    assert numbers(bob, TOPIC) == [1, 2]


def test_epochs_that_are_forgotten() -> None:
    """Beyond the newest so many, a position can't be recovered, and says so."""
    hub = logged_hub()
    places: list[dict[str, Any]] = []
    for _ in range(EPOCHS_REMEMBERED + 2):
        fill(hub, TOPIC, 1)
        places.append(position(hub.user("ann"), TOPIC))
        hub.kill()
    recovered = [
        position(hub.user("bob"), TOPIC, since={TOPIC: place})["recovered"] for place in places
    ]
    assert recovered == [False] * 2 + [True] * EPOCHS_REMEMBERED


def test_a_crash_between_storing_and_answering() -> None:
    """Nobody was answered, but it is there: a repeat gets its position, and who resumes gets it."""
    hub = logged_hub()
    ann, bob = hub.user("ann"), hub.user("bob")
    empty = position(bob, TOPIC)
    hub.held = True
    ann.send(action="publish", topic=TOPIC, message="1:", idempotency_key="k", id=1)
    answer_from(hub.shelf, hub.effects[0])
    hub.kill()
    hub.held = False
    ann, bob = hub.user("ann"), hub.user("bob")
    answer = ann.publish(TOPIC, "1:", idempotency_key="k")
    assert (answer["offset"], answer["duplicate"]) == (1, True)
    assert position(bob, TOPIC, since={TOPIC: empty})["recovered"]
    assert numbers(bob, TOPIC) == [1]


def test_a_topic_that_is_no_longer_durable() -> None:
    """What the store has of it is left alone; it begins anew in memory."""
    hub = logged_hub()
    fill(hub, TOPIC, 3)
    old = position(hub.user("ann"), TOPIC)
    hub.config = config(rules=[Rule(pattern=">", history=10)], auth=tokens("ann"))
    hub.kill()
    ann = hub.user("ann")
    found = position(ann, TOPIC, since={TOPIC: old})
    assert (found["offset"], found["recovered"]) == (0, False)
    assert len(hub.stored(TOPIC)) == 3


# What is kept.


def test_the_store_is_trimmed() -> None:
    """A log is never much longer than its rule says; what was removed is no longer recoverable."""
    hub = logged_hub(durable_memory=5)
    ann = hub.user("ann")
    epoch = position(ann, "few.a")["epoch"]
    for _ in range(40):
        fill(hub, "few.a", 10)
        assert len(hub.stored("few.a")) <= 10 + 64
    first = offsets_stored(hub, "few.a")[0]
    for offset, recovered in ((first - 2, False), (first - 1, True)):
        bob = hub.user("bob")
        found = position(bob, "few.a", since=since("few.a", offset, epoch))
        assert found["recovered"] == recovered


def test_trimming_that_fails() -> None:
    """Nothing depends on it, and it is asked again."""
    hub = logged_hub()
    hub.held = True
    trims = 0
    for _ in range(200):
        fill(hub, "few.a", 1)
        while hub.effects:
            if isinstance(hub.effects[0], Trim):
                trims += 1
                hub.complete(Failed("busy"))
            else:
                hub.answer()
    assert trims == 3
    assert hub.hub.counters.store_failures == 0
    assert len(hub.stored("few.a")) == 200
    ann = hub.user("ann")
    hub.held = False
    resume(ann, "few.a", 0)
    assert numbers(ann, "few.a") == list(range(1, 201))


def test_age_counts_where_nothing_is_published() -> None:
    """What is older than the rule says is not told, and leaves the store when somebody looks."""
    hub = logged_hub()
    fill(hub, "brief.a", 3)
    hub.advance(40)
    fill(hub, "brief.a", 2)
    hub.advance(30)
    ann = hub.user("ann")
    assert position(ann, "brief.a", last=10)["offset"] == 3
    assert offsets(ann.take()) == [4, 5]
    assert offsets_stored(hub, "brief.a") == [4, 5]
    hub.kill()
    hub.advance(40)
    ann = hub.user("ann")
    position(ann, "brief.a")
    assert ann.ask(action="history", topic="brief.a")["publications"] == []
    assert offsets_stored(hub, "brief.a") == []
    fill(hub, "brief.a", 1)
    assert numbers(ann, "brief.a") == [6]
