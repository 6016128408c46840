"""What sessions missed is read from the store, if it is not in memory any more."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.core.effects import Append, Failed, Read
from hubbub.core.rules import Rule
from support.histories import fill, numbers, position, resume
from support.hub_pair import config, tokens
from support.logged_hub import LoggedHub, answer_from

RULES = (
    Rule(pattern="all.*", history=1000),
    Rule(pattern="stored.*", history=1000, durable=True),
)


def logged_hub(**options: Any) -> LoggedHub:
    """A hub that keeps little in memory, and users who may do everything."""
    limits: dict[str, Any] = {"outbox_size": 2000, "durable_memory": 4} | options
    return LoggedHub(config(rules=RULES, auth=tokens("ann", "bob"), **limits))


def test_the_store_is_asked_for_one_piece_at_a_time() -> None:
    """A session that is behind on several topics has one question out, and gets all of them."""
    hub = logged_hub()
    names = ["stored.a", "stored.b", "stored.c"]
    for topic in names:
        fill(hub, topic, 30)
    ann = hub.user("ann")
    hub.held = True
    answer = ann.ask(action="subscribe", topics=names, last=30)
    assert {at["offset"] for at in answer["positions"].values()} == {0}
    for _ in range(200):
        reads = [effect for effect in hub.effects if isinstance(effect, Read)]
        assert len(reads) <= 1
        if not reads:
            break
        hub.answer()
    found = ann.take()
    for topic in names:
        assert [one["offset"] for one in found if one["topic"] == topic] == list(range(1, 31))


def test_what_is_read_while_others_fill_the_outbox() -> None:
    """A piece that comes when there is no room for it any more is read again later."""
    hub = logged_hub(outbox_size=4000)
    fill(hub, "stored.a", 40)
    ann = hub.user("ann")
    ann.subscribe("plain")
    hub.held = True
    resume(ann, "stored.a", 0)
    assert ann.take() == []
    ann.stall()
    for _ in range(11):
        hub.hub.publish("plain", "p" * 150, hub.now)
    hub.settle()
    filled = ann.session.outbox.size
    assert 3200 < filled < 4000
    hub.answer_all()
    assert ann.session.outbox.size == filled
    hub.held = False
    ann.read_on()
    hub.answer_all()
    assert numbers(ann, "stored.a") == list(range(1, 41))


def test_what_the_store_has_but_nobody_was_answered() -> None:
    """A piece holds nothing that is not placed yet: it comes when it is."""
    hub = logged_hub(outbox_size=100_000)
    fill(hub, "stored.a", 10)
    ann = hub.user("ann")
    bob = hub.user("bob")
    hub.held = True
    resume(ann, "stored.a", 4)
    bob.send(action="publish", topic="stored.a", message="11:", id=1)
    read, append = hub.effects
    assert isinstance(read, Read)
    # The store writes before it reads, and the answer about that is late.
    stored = answer_from(hub.shelf, append)
    hub.answer()
    assert numbers(ann, "stored.a") == list(range(5, 11))
    assert bob.take() == []
    hub.complete(stored, append)
    assert numbers(ann, "stored.a") == [11]
    assert bob.answer(1)["offset"] == 11


@pytest.mark.parametrize("how", ["set back", "acknowledged"])
def test_a_consumer_that_moves_while_it_is_read(how: str) -> None:
    """What was read for where it stood is thrown away; it gets what it is to get where it stands."""
    hub = logged_hub(max_unacknowledged=6, ack_timeout=10.0)
    fill(hub, "stored.a", 20)
    ann = hub.user("ann")
    position(ann, "stored.a", ack=True, last=20)
    assert numbers(ann, "stored.a") == [1, 2, 3, 4, 5, 6]
    hub.held = True
    ann.send(action="ack", topic="stored.a", offset=3)
    assert [type(effect) for effect in hub.effects] == [Append, Read]
    if how == "set back":
        hub.advance(10)
    else:
        ann.send(action="ack", topic="stored.a", offset=6)
    hub.answer(1)
    assert numbers(ann, "stored.a") == ([] if how == "set back" else [7, 8, 9, 10])
    hub.held = False
    hub.answer_all()
    rest = [4, 5, 6, 7, 8, 9] if how == "set back" else [11, 12]
    assert numbers(ann, "stored.a") == rest


@pytest.mark.parametrize("how", ["revoked", "unsubscribed", "gone"])
def test_a_subscription_that_ends_while_it_is_read(how: str) -> None:
    """What was read then is thrown away; who comes back gets it once."""
    hub = logged_hub()
    fill(hub, "stored.a", 20)
    ann = hub.user("ann")
    hub.held = True
    resume(ann, "stored.a", 0)
    if how == "revoked":
        hub.hub.revoke("ann", "stored.a", hub.now)
        hub.settle()
    elif how == "unsubscribed":
        ann.send(action="unsubscribe", topics=["stored.a"])
        resume(ann, "stored.a", 2)
    else:
        ann.cut_off()
    hub.held = False
    hub.answer_all()
    assert numbers(ann, "stored.a") == (list(range(3, 21)) if how == "unsubscribed" else [])


def test_a_store_that_cannot_be_read() -> None:
    """It is asked again a second later, after it was opened again; nothing is lost, and nobody is closed."""
    hub = logged_hub()
    fill(hub, "stored.a", 20)
    ann = hub.user("ann")
    hub.held = True
    resume(ann, "stored.a", 0)
    hub.complete(Failed("unreadable"))
    hub.answer_all()
    assert numbers(ann, "stored.a") == []
    hub.held = False
    hub.advance(1.0)
    assert numbers(ann, "stored.a") == list(range(1, 21))


# Answers before publications.


def test_the_answer_comes_before_what_it_is_about() -> None:
    """A subscription behind publications that wait for the store begins once those are answered."""
    hub = logged_hub()
    fill(hub, "stored.a", 2)
    ann, bob = hub.user("ann"), hub.user("bob")
    hub.held = True
    ann.send(action="publish", topic="stored.a", message="3:", id="p1")
    ann.send(action="publish", topic="stored.a", message="4:", id="p2")
    ann.send(action="subscribe", topics=["stored.a"], last=3, id="s1")
    ann.send(action="subscribe", topics=["plain"], id="s2")
    hub.hub.publish("plain", "early", hub.now)
    hub.settle()
    assert ann.take() == []
    assert list(hub.hub.topics()) == []
    assert bob.ask(action="ping") == {"type": "pong"}
    hub.answer_all()
    hub.hub.publish("plain", "late", hub.now)
    hub.settle()
    found = ann.take()
    assert [one.get("id") for one in found[:4]] == ["p1", "p2", "s1", "s2"]
    assert found[2]["positions"]["stored.a"]["offset"] == 1
    assert [one["message"] for one in found[4:]] == ["2:".ljust(100), "3:", "4:", "late"]


def test_a_subscription_that_waits_is_checked_again() -> None:
    """Rights that are taken away while it waits count."""
    hub = logged_hub()
    ann = hub.user("ann")
    hub.held = True
    ann.send(action="publish", topic="stored.a", message="1:", id="p")
    ann.send(action="subscribe", topics=["all.a"], id="s")
    hub.hub.revoke("ann", "all.a", hub.now)
    hub.answer_all()
    assert ann.answer("p")["offset"] == 1
    assert ann.answer("s")["code"] == "forbidden"
    ann.cut_off()


def test_a_session_that_ends_while_its_subscription_waits() -> None:
    """Nothing is subscribed for it."""
    hub = logged_hub()
    ann = hub.user("ann")
    hub.held = True
    ann.send(action="publish", topic="stored.a", message="1:", id="p")
    ann.send(action="subscribe", topics=["all.a"], id="s")
    ann.cut_off()
    hub.answer_all()
    assert list(hub.hub.topics()) == []
    assert len(hub.stored("stored.a")) == 1
