"""What a store has lost is told to everybody who misses it, and nobody gets something else instead."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.core.effects import Failed
from hubbub.core.hub_events import StoreDamaged
from hubbub.core.rules import Rule
from support.histories import fill, numbers, position, since
from support.hub_pair import Message, Peer, config, tokens
from support.logged_hub import LoggedHub

TOPIC = "stored.a"
RULES = (Rule(pattern="stored.*", history=1000, durable=True),)


def logged_hub(**options: Any) -> LoggedHub:
    """A hub that keeps little in memory, and users who may do everything."""
    limits: dict[str, Any] = {"durable_memory": 3, "max_unacknowledged": 4} | options
    return LoggedHub(config(rules=RULES, auth=tokens("ann", "bob", "carol"), **limits))


def lose(hub: LoggedHub, after: int, how: str) -> None:
    """Let the store lose what is behind an offset: without a word, or so that it notices."""
    if how == "silently":
        hub.shelf.lose(TOPIC, after)
    else:
        hub.shelf.damage(TOPIC, after + 1)


def reopen(hub: LoggedHub) -> None:
    """Have the store opened again."""
    hub.held = True
    hub.hub.publish("stored.b", "x", hub.now)
    hub.settle()
    hub.complete(Failed("disk"))
    hub.held = False
    hub.answer_all()


def taken(peer: Peer) -> list[tuple[str, int | None]]:
    """Publications and gaps: their kinds, with offsets, or how many are missing."""
    return [
        ("gap", one.get("missed")) if one["type"] == "gap" else ("", one["offset"])
        for one in peer.take()
        if one.get("topic") == TOPIC
    ]


def publications(*offsets: int) -> list[tuple[str, int | None]]:
    """These."""
    return [("", offset) for offset in offsets]


HOW = pytest.mark.parametrize("how", ["silently", "noticed"])


# Found at a start.


@HOW
def test_positions_in_what_was_lost(how: str) -> None:
    """Whoever saw some of it is told that not all follows; and whoever saw less, if the store knows."""
    hub = logged_hub()
    fill(hub, TOPIC, 9)
    head = position(hub.user("ann"), TOPIC)
    lose(hub, 6, how)
    hub.kill()
    fill(hub, TOPIC, 2)
    for offset in range(10):
        bob = hub.user("bob")
        found = position(bob, TOPIC, since=since(TOPIC, offset, head["epoch"]))
        assert found["recovered"] == (how == "silently" and offset <= 6)
        expected = range(offset + 1, 9) if found["recovered"] else ()
        assert numbers(bob, TOPIC) == list(expected)
    told = [event.damage.last for event in hub.events if isinstance(event, StoreDamaged)]
    hub.settle()
    assert hub.hub.counters.store_damages == (how == "noticed")
    assert told in ([], [6])


@HOW
@pytest.mark.parametrize("acked", [3, 6, 7, 9])
def test_a_consumer_of_what_was_lost(how: str, acked: int) -> None:
    """It gets all that is there and that it has not acknowledged, and is told of what it can't get."""
    hub = logged_hub()
    fill(hub, TOPIC, 9)
    ann = hub.user("ann")
    position(ann, TOPIC, ack=True, last=9)
    for offset in (3, 6, 7, 9):
        if offset <= acked:
            ann.send(action="ack", topic=TOPIC, offset=offset)
    lose(hub, 6, how)
    hub.kill()
    fill(hub, TOPIC, 2)
    ann = hub.user("ann")
    found = position(ann, TOPIC, ack=True)
    assert found["offset"] == min(acked, 6)
    kept = publications(*range(found["offset"] + 1, 7))
    gap: list[tuple[str, int | None]] = [("gap", None)] if how == "noticed" else []
    assert taken(ann) == [*kept, *gap, *publications(7, 8)[: 4 - len(kept)]]
    ann.send(action="ack", topic=TOPIC, offset=7)
    ann.take()
    ann.send(action="ack", topic=TOPIC, offset=8)
    ann.cut_off()
    assert position(hub.user("ann"), TOPIC, ack=True)["offset"] == 8


def test_who_asks_for_the_newest_across_a_loss() -> None:
    """It is told where something is missing between what it gets."""
    hub = logged_hub()
    fill(hub, TOPIC, 9)
    hub.shelf.damage(TOPIC, 7)
    hub.kill()
    fill(hub, TOPIC, 2)
    for last, expected in (
        (4, [*publications(5, 6), ("gap", None), *publications(7, 8)]),
        (2, publications(7, 8)),
        (1, publications(8)),
    ):
        bob = hub.user("bob")
        position(bob, TOPIC, last=last)
        assert taken(bob) == expected


# Found when it is opened again.


@HOW
def test_who_is_live_has_lost_nothing(how: str) -> None:
    """It has all that was lost, and goes on with what comes, under another epoch."""
    hub = logged_hub()
    bob = hub.user("bob")
    position(bob, TOPIC)
    fill(hub, TOPIC, 9)
    before = bob.take()
    lose(hub, 6, how)
    reopen(hub)
    fill(hub, TOPIC, 1)
    (after,) = bob.take()
    assert (after["offset"], after["epoch"] != before[0]["epoch"]) == (7, True)


def stalled_reader(hub: LoggedHub) -> Peer:
    """Who has been sent 1 and 2, and is behind."""
    bob = hub.user("bob")
    position(bob, TOPIC)
    fill(hub, TOPIC, 2, size=1200)
    assert numbers(bob, TOPIC) == [1, 2]
    bob.stall()
    fill(hub, TOPIC, 7, size=1200)
    assert bob.session.behind is not None
    return bob


@HOW
@pytest.mark.parametrize("last", [2, 6, 8])
def test_who_is_behind_is_told(how: str, last: int) -> None:
    """It gets what is left, then a gap, then what comes; not something else under offsets that it expects."""
    hub = logged_hub(outbox_size=3000)
    bob = stalled_reader(hub)
    assert bob.session.behind is not None
    sent = bob.session.behind[TOPIC].next - 1
    lose(hub, last, how)
    reopen(hub)
    fill(hub, TOPIC, 2)
    bob.read_on()
    found = taken(bob)
    old = publications(*range(3, max(sent, last) + 1))
    missed = 9 - sent if sent >= last else None
    assert found == [*old, ("gap", missed), *publications(last + 1, last + 2)]
    assert bob.session.behind is None
    fill(hub, TOPIC, 1)
    assert numbers(bob, TOPIC) == [last + 3]


@HOW
@pytest.mark.parametrize("acked", [0, 2, 3, 4])
@pytest.mark.parametrize("last", [2, 3, 6])
def test_a_consumer_is_told(how: str, acked: int, last: int) -> None:
    """The same for who acknowledges; an acknowledgement of what was lost changes nothing any more."""
    hub = logged_hub()
    fill(hub, TOPIC, 9)
    ann = hub.user("ann")
    position(ann, TOPIC, ack=True, last=9)
    if acked:
        ann.send(action="ack", topic=TOPIC, offset=acked)
    sent = acked + 4
    assert taken(ann) == publications(*range(1, sent + 1))
    lose(hub, last, how)
    reopen(hub)
    found = taken(ann)
    at = min(acked, last)
    assert ann.session.behind is not None
    cursor = ann.session.behind[TOPIC]
    assert (cursor.acked, cursor.next) == (at, max(min(sent, last), at) + 1)
    ann.send(action="ack", topic=TOPIC, offset=last + 1, id=1)
    if last < sent:
        assert ann.answer(1)["code"] == "not_subscribed"
    fill(hub, TOPIC, 9)
    for _ in range(9):
        ann.send(action="ack", topic=TOPIC, offset=cursor.next - 1)
        found += taken(ann)
    new = publications(*range(last + 1, last + 10))
    old = publications(*range(sent + 1, last + 1))
    missed = 9 - sent if sent >= last else None
    assert found == [*old, ("gap", missed), *new]


@HOW
def test_a_log_that_is_lost_as_a_whole(how: str) -> None:
    """It begins anew at 1, and nobody passes over that."""
    hub = logged_hub(outbox_size=3000)
    bob = stalled_reader(hub)
    ann = hub.user("ann")
    position(ann, TOPIC, ack=True, last=3)
    ann.take()
    assert bob.session.behind is not None
    sent = bob.session.behind[TOPIC].next - 1
    lose(hub, 0, how)
    if how == "silently":
        del hub.shelf._logs[TOPIC]
    reopen(hub)
    fill(hub, TOPIC, 2)
    bob.read_on()
    assert taken(bob) == [
        *publications(*range(3, sent + 1)),
        ("gap", 9 - sent),
        *publications(1, 2),
    ]
    assert taken(ann) == publications(1, 2)
    ann.send(action="ack", topic=TOPIC, offset=2)
    assert position(hub.user("ann"), TOPIC, ack=True)["offset"] == 2
    carol = hub.user("carol")
    answer: Message = carol.ask(action="history", topic=TOPIC)
    assert [one["offset"] for one in answer["publications"]] == [1, 2]
