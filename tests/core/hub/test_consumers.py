"""Consumers acknowledge what they handled, and are sent again what they did not."""

from __future__ import annotations

import pytest

from hubbub.core.effects import Read
from support.consuming import TIMEOUT, ack, again, consumer, first_time, logged_hub, received
from support.histories import fill, numbers, position, since
from support.hub_pair import Message
from support.logged_hub import answer_from

BOTH = pytest.mark.parametrize("topic", ["all.a", "stored.a"])


# Where it begins.


@BOTH
def test_where_a_new_consumer_begins(topic: str) -> None:
    """At the head, or where `last` or `since` say; its next connection goes on there, also untouched."""
    hub = logged_hub()
    fill(hub, topic, 5)
    epoch = position(hub.user("bob"), topic)["epoch"]
    asked: list[tuple[str, Message, int]] = [
        ("head", {}, 5),
        ("last", {"last": 2}, 3),
        ("since", {"since": since(topic, 1, epoch)}, 1),
        ("lost", {"since": since(topic, 1, "unknown")}, 5),
    ]
    for name, fields, begin in asked:
        ann, at = consumer(hub, topic, name, **fields)
        assert at == begin
        expected = list(range(begin + 1, 6))
        assert received(ann, topic) == first_time(*expected)
        ann.cut_off()
        ann, at = consumer(hub, topic, name)
        assert at == begin
        assert received(ann, topic) == again(*expected)


@BOTH
def test_what_was_acknowledged_counts_more_than_since(topic: str) -> None:
    """A name that is known goes on behind what it acknowledged last."""
    hub = logged_hub()
    fill(hub, topic, 5)
    ann, _ = consumer(hub, topic, last=5)
    epoch = ann.take()[0]["epoch"]
    assert ack(ann, topic, 3) is None
    asked: list[Message] = [{}, {"last": 5}, {"since": since(topic, 1, epoch)}]
    for fields in asked:
        ann, at = consumer(hub, topic, **fields)
        assert at == 3
        assert received(ann, topic) == again(4, 5)


def test_names_users_and_topics_are_apart() -> None:
    """Each name of each user has a position of its own in each topic."""
    hub = logged_hub()
    fill(hub, "all.a", 3)
    fill(hub, "all.b", 3)
    places = [
        ("ann", "x", "all.a"),
        ("ann", "y", "all.a"),
        ("bob", "x", "all.a"),
        ("ann", "x", "all.b"),
    ]
    for number, (user, name, topic) in enumerate(places):
        peer, at = consumer(hub, topic, name, user=user, last=3)
        assert at == 0
        assert ack(peer, topic, number) is None
        peer.cut_off()
    for number, (user, name, topic) in enumerate(places):
        assert consumer(hub, topic, name, user=user)[1] == number


def test_only_users_may_acknowledge() -> None:
    """Nobody can prove that an anonymous name is the one of before."""
    hub = logged_hub()
    stranger = hub.named("zoe")
    answer = stranger.ask(action="subscribe", topics=["all.a"], ack=True)
    assert answer["code"] == "forbidden"
    assert stranger.session.subscriptions == {}


# The window.


@BOTH
def test_the_window(topic: str) -> None:
    """At most so many are out; each acknowledgement lets as many more come."""
    hub = logged_hub(max_unacknowledged=4)
    fill(hub, topic, 20)
    ann, _ = consumer(hub, topic, last=20)
    assert received(ann, topic) == first_time(1, 2, 3, 4)
    fill(hub, topic, 1)
    assert received(ann, topic) == []
    ack(ann, topic, 1)
    assert received(ann, topic) == first_time(5)
    ack(ann, topic, 5)
    assert received(ann, topic) == first_time(6, 7, 8, 9)
    ack(ann, topic, 3)  # it has been said already
    assert received(ann, topic) == []
    while ann.session.behind is not None and (cursor := ann.session.behind[topic]).acked < 21:
        ack(ann, topic, cursor.next - 1)
    assert received(ann, topic) == first_time(*range(10, 22))
    fill(hub, topic, 1)
    assert received(ann, topic) == first_time(22)


def test_a_full_window_asks_the_store_for_nothing() -> None:
    """What can not be sent is not read either."""
    hub = logged_hub(max_unacknowledged=2, durable_memory=1)
    fill(hub, "stored.a", 10)
    ann, _ = consumer(hub, "stored.a", last=10)
    hub.held = True
    for number in range(3):
        hub.hub.publish("stored.a", f"{11 + number}:", hub.now)
        hub.settle()
        append = hub.effects[0]
        hub.complete(answer_from(hub.shelf, append), append)
        assert not any(isinstance(effect, Read) for effect in hub.effects)
    hub.held = False
    hub.answer_all()
    ack(ann, "stored.a", 2)
    assert received(ann, "stored.a") == first_time(1, 2, 3, 4)


# Sending again.


@BOTH
def test_what_is_not_acknowledged_in_time(topic: str) -> None:
    """When nothing was acknowledged for so long, all that is out is sent again, marked, in order."""
    hub = logged_hub(max_unacknowledged=4)
    fill(hub, topic, 3)
    ann, _ = consumer(hub, topic, last=3)
    assert received(ann, topic) == first_time(1, 2, 3)
    hub.advance(TIMEOUT - 1)
    ack(ann, topic, 1)
    hub.advance(TIMEOUT - 1)
    fill(hub, topic, 3)
    assert received(ann, topic) == first_time(4, 5)
    hub.advance(1)
    assert received(ann, topic) == again(2, 3, 4, 5)
    hub.advance(TIMEOUT)
    assert received(ann, topic) == again(2, 3, 4, 5)
    ack(ann, topic, 5)
    assert received(ann, topic) == first_time(6)
    ack(ann, topic, 6)
    hub.advance(2 * TIMEOUT)
    assert received(ann, topic) == []


@BOTH
def test_what_waits_is_not_sent_twice(topic: str) -> None:
    """What has not left when it is to be sent again leaves once."""
    hub = logged_hub()
    ann, _ = consumer(hub, topic)
    ann.stall()
    fill(hub, topic, 3)
    hub.hub.handle_timeout(hub.now)
    hub.now += TIMEOUT
    hub.hub.handle_timeout(hub.now)
    hub.settle()
    ann.read_on()
    assert received(ann, topic) == again(1, 2, 3)


@BOTH
def test_acknowledged_while_it_is_sent_again(topic: str) -> None:
    """What was handled late is acknowledged all the same, and what is behind it goes on."""
    hub = logged_hub(max_unacknowledged=4)
    fill(hub, topic, 6)
    ann, _ = consumer(hub, topic, last=6)
    assert received(ann, topic) == first_time(1, 2, 3, 4)
    ann.stall()
    hub.now += TIMEOUT
    hub.hub.handle_timeout(hub.now)
    assert ack(ann, topic, 3) is None
    ann.read_on()
    found = received(ann, topic)
    assert [offset for offset, _ in found][-3:] == [4, 5, 6]
    assert all(marked == (offset <= 4) for offset, marked in found)


# Which acknowledgements count.


@BOTH
def test_what_was_never_sent_is_not_acknowledged(topic: str) -> None:
    """An offset beyond what was sent, or of a topic that is not consumed, is an error and changes nothing."""
    hub = logged_hub(max_unacknowledged=2)
    fill(hub, topic, 5)
    ann, _ = consumer(hub, topic, last=5)
    for name, offset in ((topic, 3), (topic, 10**9), ("all.b", 1), ("plain", 1)):
        answer = ack(ann, name, offset)
        assert answer is not None
        assert (answer["code"], answer["field"]) == ("not_subscribed", "topic")
    ann.cut_off()
    assert consumer(hub, topic)[1] == 0


@BOTH
def test_the_newest_connection_takes_over(topic: str) -> None:
    """The older is told so, gets nothing more, and its acknowledgements count no more."""
    hub = logged_hub()
    fill(hub, topic, 3)
    old, _ = consumer(hub, topic, "x", last=3)
    assert received(old, topic) == first_time(1, 2, 3)
    ack(old, topic, 1)
    new, at = consumer(hub, topic, "x")
    assert at == 1
    assert old.take() == [{"type": "unsubscribed", "topics": [topic], "reason": "replaced"}]
    assert received(new, topic) == again(2, 3)
    assert ack(old, topic, 3) is not None
    fill(hub, topic, 1)
    assert old.take() == []
    assert received(new, topic) == first_time(4)
    old.cut_off()
    new.cut_off()
    assert consumer(hub, topic, "x")[1] == 1


@BOTH
def test_acknowledgements_of_another_name_never_count(topic: str) -> None:
    """Who consumes under one name acknowledges for that one only, though it is the same user and session."""
    hub = logged_hub()
    fill(hub, topic, 3)
    x, _ = consumer(hub, topic, "x", last=3)
    y, _ = consumer(hub, topic, "y", last=3)
    ack(x, topic, 2)
    y.cut_off()
    y, at = consumer(hub, topic, "y")
    assert at == 0
    # A session changes its name: what it was sent under the old one is not acknowledged under the new.
    assert position(x, topic, ack=True, name="z")["offset"] == 3
    x.take()
    assert ack(x, topic, 3) is None
    fill(hub, topic, 1)
    assert ack(x, topic, 4) is None
    assert [consumer(hub, topic, name)[1] for name in ("x", "y", "z")] == [2, 0, 4]


@BOTH
def test_asking_again_changes_nothing(topic: str) -> None:
    """A repeated subscription, with or without `ack`, leaves the consumer where it is, and what is out."""
    hub = logged_hub()
    fill(hub, topic, 3)
    ann, _ = consumer(hub, topic, "x", last=3)
    ack(ann, topic, 1)
    assert position(ann, topic, ack=True, name="x")["offset"] == 1
    assert position(ann, topic)["offset"] == 1
    epoch = ann.inbox[0]["epoch"]
    assert position(ann, topic, since=since(topic, 0, epoch))["offset"] == 1
    fill(hub, topic, 1)
    assert received(ann, topic) == first_time(1, 2, 3, 4)


# Beginning and ending to consume.


@BOTH
@pytest.mark.parametrize("queued", [3, 60])
def test_a_subscriber_becomes_a_consumer(topic: str, queued: int) -> None:
    """What it was not sent yet, it gets as a consumer."""
    hub = logged_hub(outbox_size=3000)
    ann = hub.user("ann")
    position(ann, topic)
    fill(hub, topic, 1)
    assert numbers(ann, topic) == [1]
    ann.stall()
    fill(hub, topic, queued)
    ann.send(action="subscribe", topics=[topic], ack=True, id=1)
    ann.read_on()
    assert ann.answer(1)["positions"][topic]["offset"] == 1
    assert received(ann, topic) == first_time(*range(2, queued + 2))


@BOTH
def test_a_consumer_that_a_pattern_reaches_too(topic: str) -> None:
    """It gets each publication once, in the window; when it consumes no more it gets the rest by the pattern."""
    hub = logged_hub(max_unacknowledged=3)
    ann = hub.user("ann")
    position(ann, f"{topic[:-1]}*")
    position(ann, topic, ack=True)
    fill(hub, topic, 10)
    assert received(ann, topic) == first_time(1, 2, 3)
    ann.ask(action="unsubscribe", topics=[topic])
    assert received(ann, topic) == first_time(*range(4, 11))
    fill(hub, topic, 1)
    assert received(ann, topic) == first_time(11)
    assert ann.session.behind is None
    assert ack(ann, topic, 11) is not None


@BOTH
@pytest.mark.parametrize("how", ["unsubscribe", "revoke", "cut", "close"])
def test_a_consumer_that_ends(topic: str, how: str) -> None:
    """Nothing more is sent, and no timer is left; the name is free for another session."""
    hub = logged_hub()
    fill(hub, topic, 3)
    ann, _ = consumer(hub, topic, last=3)
    ack(ann, topic, 1)
    if how == "unsubscribe":
        ann.ask(action="unsubscribe", topics=[topic])
    elif how == "revoke":
        hub.hub.revoke("ann", topic, hub.now)
        hub.settle()
    elif how == "cut":
        ann.cut_off()
    else:
        ann.close()
    ann.take()
    hub.advance(2 * TIMEOUT)
    assert ann.take() == []
    assert hub.hub._consuming._sessions == {}
    ann, at = consumer(hub, topic)
    assert at == 1
    assert received(ann, topic) == again(2, 3)


def test_what_a_consumer_missed() -> None:
    """What the log does not have any more is told by a gap, and counts as acknowledged."""
    hub = logged_hub()
    ann, _ = consumer(hub, "few.a")
    ann.cut_off()
    fill(hub, "few.a", 8)
    ann, at = consumer(hub, "few.a")
    assert at == 0
    gap, *rest = ann.take()
    assert (gap["type"], gap["missed"], gap["offset"]) == ("gap", 3, 3)
    assert [one["offset"] for one in rest] == [4, 5, 6, 7, 8]
    ack(ann, "few.a", 8)
    assert consumer(hub, "few.a")[1] == 8


def test_an_acknowledgement_of_what_is_not_kept_any_more() -> None:
    """It counts: on its next connection the consumer is told of a gap only in what it did not acknowledge."""
    hub = logged_hub()
    fill(hub, "few.a", 3)
    ann, _ = consumer(hub, "few.a", last=3)
    assert received(ann, "few.a") == first_time(1, 2, 3)
    fill(hub, "few.a", 6)
    hub.advance(TIMEOUT)
    assert (4, True) not in received(ann, "few.a")
    assert ack(ann, "few.a", 2) is None
    assert consumer(hub, "few.a")[1] == 2
    assert ack(ann, "few.a", 1) is not None


def test_time_to_acknowledge_behind_a_gap() -> None:
    """What follows what is not kept any more has its own time, not what was left of that before it."""
    hub = logged_hub()
    ann, _ = consumer(hub, "few.a")
    fill(hub, "few.a", 1)
    hub.advance(TIMEOUT - 1)
    for number in range(2, 12):
        hub.hub.publish("few.a", number, hub.now)
    hub.settle()
    assert received(ann, "few.a") == first_time(1, 7, 8, 9, 10, 11)
    hub.advance(2)
    assert received(ann, "few.a") == []
    hub.advance(TIMEOUT - 2)
    assert received(ann, "few.a") == again(7, 8, 9, 10, 11)
