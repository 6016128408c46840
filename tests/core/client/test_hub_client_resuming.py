"""Subscriptions over several connections: they go on, drop what comes again, and tell what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.core.client_events import Resumed
from hubbub.core.client_options import ClientLimits
from hubbub.core.client_states import ClientState
from hubbub.core.client_streams import Stream
from hubbub.core.errors import LocalProtocolError
from hubbub.core.messages import (
    Chat,
    Direct,
    Gap,
    Notification,
    Position,
    PresenceChange,
    System,
    Unsubscribed,
)
from support.scripted_hub import Message, ScriptedHub, note


def ready(**options: Any) -> ScriptedHub:
    """A client that is let in."""
    hub = ScriptedHub(token="t", **options)
    hub.let_in()
    return hub


def again(hub: ScriptedHub) -> list[Message]:
    """The connection is lost, and there is another one; what is subscribed to on it."""
    hub.advance(hub.client.limits.settled_after)
    hub.cut()
    hub.let_in()
    found, hub.requests = hub.requests, []
    return found


def offsets(hub: ScriptedHub, stream: Stream) -> list[Any]:
    """What the application gets: publications by their offset, all else as it is."""
    return [
        event.offset if isinstance(event, (Notification, Chat)) else event
        for event in hub.events(stream)
    ]


def test_it_goes_on_where_it_was() -> None:
    """`since` is the last that was received, taken or not; what follows comes once."""
    hub = ready()
    log = hub.subscribed("log", last=2, at={"log": 3})
    hub.say(note("log", 4), note("log", 5), note("log", 6))
    assert getattr(hub.client.take(log, hub.now), "offset", None) == 4
    (request,) = again(hub)
    assert request["since"] == {"log": {"offset": 6, "epoch": "e1"}}
    assert "last" not in request
    hub.grant(request, log=(6, "e1", True))
    hub.say(note("log", 7))
    assert offsets(hub, log) == [5, 6, Resumed("log", True, 6, "e1"), 7]
    assert log.position("log") == Position(7, "e1")


def test_what_comes_again_is_passed_over() -> None:
    """A hub that sends too much does not double anything, nor tell a gap twice."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 3})
    hub.say(note("log", 3), note("log", 4), note("log", 4))
    gap = {"type": "gap", "topic": "log", "missed": 2, "offset": 6, "epoch": "e1"}
    hub.say(gap, gap, note("log", 6), note("log", 7), note("log", 5))
    assert offsets(hub, log) == [4, Gap("log", 2, 6, "e1"), 7]


def test_a_hole_is_told() -> None:
    """Where the offsets have a hole that nobody told, the client does."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 3})
    hub.say(note("log", 6), note("log", 7, "e2"), note("log", 9, "e2"), note("log", 20, "e3"))
    assert offsets(hub, log) == [
        Gap("log", 2, 5, "e1"), 6, 7, Gap("log", 1, 8, "e2"), 9, Gap("log", None, 19, "e3"), 20,
    ]  # fmt: skip


def test_not_recovered() -> None:
    """The hub has not all that came meanwhile: the application is told where it goes on."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 3})
    (request,) = again(hub)
    hub.grant(request, log=(1, "e9", False))
    hub.say(note("log", 2, "e9"), note("log", 3, "e1"))
    assert offsets(hub, log) == [Resumed("log", False, 1, "e9"), 2]
    assert hub.client.connection is not None


def test_a_hub_that_promises_nothing() -> None:
    """An answer without `recovered`, or from elsewhere than was asked for, counts as not recovered."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 3})
    (request,) = again(hub)
    hub.grant(request, log=(3, "e1"))
    (request,) = again(hub)
    hub.grant(request, log=(5, "e1", True))
    assert offsets(hub, log) == [Resumed("log", False, 3, "e1"), Resumed("log", False, 5, "e1")]


def test_the_beginning_is_the_same_in_every_epoch() -> None:
    """Who has seen nothing misses nothing in a log that began anew."""
    hub = ready()
    log = hub.subscribed("log", at={"log": (0, "e1")})
    (request,) = again(hub)
    hub.grant(request, log=(0, "e2", True))
    hub.say(note("log", 1, "e2"))
    (request,) = again(hub)
    assert request["since"] == {"log": {"offset": 1, "epoch": "e2"}}
    assert offsets(hub, log) == [Resumed("log", True, 0, "e2"), 1]


def test_topics_without_history_and_patterns() -> None:
    """They go on without `since`, and the application is told that something may be missing."""
    hub = ready()
    stream = hub.subscribed("plain", "many.*")
    hub.say(note("plain"), note("many.a", 5), note("many.b", 1))
    (request,) = again(hub)
    assert "since" not in request
    hub.grant(request)
    hub.say(note("many.a", 8), note("many.b", 2), note("many.c", 7))
    assert offsets(hub, stream) == [
        None, 5, 1, Resumed("plain", False), Resumed("many.*", False), Gap("many.a", 2, 7, "e1"), 8, 2, 7,
    ]  # fmt: skip
    assert stream.position("many.b") == Position(2, "e1")
    assert stream.position("plain") is None
    with pytest.raises(LocalProtocolError, match="not patterns"):
        hub.subscribe("all.>", last=1)


def test_a_log_that_was_forgotten() -> None:
    """A gap without a place: whatever comes next is the beginning of something new."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 9})
    hub.say(
        {"type": "gap", "topic": "log", "missed": None}, note("log", 1, "e2"), note("log", 2, "e2")
    )
    assert offsets(hub, log) == [Gap("log", None), 1, 2]


def test_before_it_is_granted() -> None:
    """What comes before the answer belongs to no subscription; what comes behind it does."""
    hub = ready()
    log = hub.subscribe("log")
    hub.say(note("log", 9))
    assert hub.client.take(log, hub.now) is None
    assert not log.began
    hub.grant(hub.take("subscribe")[0], log=9)
    hub.say(note("log", 10))
    assert offsets(hub, log) == [10]


def test_an_answer_that_was_lost() -> None:
    """The first request is made again as it was: nothing was seen, so nothing goes on."""
    hub = ready()
    since = {"log": Position(5, "e1")}
    hub.subscribe("log", since=since)
    hub.subscribe("other", last=7, presence=True)
    first = hub.take("subscribe", "subscribe")
    second = again(hub)
    for one, other in zip(first, second, strict=True):
        assert one | {"id": 0} == other | {"id": 0}
    assert second[0]["since"] == {"log": {"offset": 5, "epoch": "e1"}}
    assert (second[1]["last"], second[1]["presence"]) == (7, True)


def test_where_the_application_said() -> None:
    """It is told whether all that it missed follows."""
    hub = ready()
    for recovered in (True, False):
        log = hub.subscribed(
            "log", since={"log": Position(5, "e1")}, at={"log": (7, "e1", recovered)}
        )
        assert offsets(hub, log) == [Resumed("log", recovered, 7, "e1")]
        assert Resumed("log", recovered, 7, "e1").position == Position(7, "e1")
        hub.client.unsubscribe(log, hub.now)
        hub.settle()
        hub.take("unsubscribe")
    assert Resumed("log", False).position is None


def test_patterns_come_last() -> None:
    """What a topic missed is sent again to all that match it: a pattern must not see newer ones before."""
    hub = ready()
    hub.subscribed("many.*")
    hub.subscribed("many.a", at={"many_a": 3})
    assert [request["topics"] for request in again(hub)] == [["many.a"], ["many.*"]]


def test_several_subscriptions_to_one_publication() -> None:
    """A hub sends it once; each gets it, in its own time."""
    hub = ready()
    pattern = hub.subscribed("many.>")
    topic = hub.subscribed("many.a", at={"many_a": 4})
    hub.say(note("many.a", 4), note("many.a", 5))
    assert offsets(hub, pattern) == [4, 5]
    assert offsets(hub, topic) == [5]


def test_everything_else_that_is_pushed() -> None:
    """Rooms, presence and direct messages reach who is subscribed; the hub's newer types nobody."""
    hub = ready()
    room = hub.subscribed("room.a")
    directs = hub.subscribe()
    other = hub.subscribed("other")
    at = "2025-01-02T03:04:05.678Z"
    hub.say(
        {"type": "chat", "topic": "room.a", "sender": "bob", "message": 1, "timestamp": at},
        {"type": "system", "topic": "room.a", "message": "bob joined", "timestamp": at},
        {"type": "presence", "topic": "room.a", "event": "join", "user": "bob", "count": 2},
        {"type": "direct", "sender": "bob", "message": 2, "timestamp": at},
        {"type": "hologram", "topic": "room.a"},
    )
    assert [type(event) for event in hub.events(room)] == [Chat, System, PresenceChange]
    assert [type(event) for event in hub.events(directs)] == [Direct]
    assert hub.events(other) == []
    hub.say({"type": "system", "message": "to all rooms", "timestamp": at})
    assert [type(event) for event in hub.events(room)] == [System]
    assert again(hub)[0]["topics"] == ["room.a"]
    hub.say({"type": "direct", "sender": "bob", "message": 3, "timestamp": at})
    assert [type(event) for event in hub.events(directs)] == [Direct]


def test_a_subscription_that_is_refused() -> None:
    """The first time it ends with the hub's error, whatever that is; the client goes on."""
    hub = ready()
    for code in ("forbidden", "full", "no_history"):
        stream = hub.subscribe("log", last=1)
        hub.refuse(hub.take("subscribe")[0], code)
        assert stream.ended
        assert stream.failure is not None
        assert stream.failure.code == code
        assert not stream.began
    assert hub.state is ClientState.READY
    assert again(hub) == []


def test_a_subscription_that_is_refused_later() -> None:
    """Not now: it is asked for again. Without history: it goes on without. Never: it ends."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 3})
    (request,) = again(hub)
    hub.refuse(request, "full")
    hub.advance(5.0)
    (request,) = hub.take("subscribe")
    assert request["since"] == {"log": {"offset": 3, "epoch": "e1"}}
    hub.refuse(request, "no_history")
    (request,) = hub.take("subscribe")
    assert "since" not in request
    hub.grant(request)
    hub.say(note("log"))
    assert offsets(hub, log) == [Resumed("log", False), None]
    (request,) = again(hub)
    hub.refuse(request, "forbidden")
    assert log.ended
    assert log.failure is not None
    assert log.failure.code == "forbidden"


def test_topics_that_are_taken_away() -> None:
    """Some: the application is told. All: the subscription ends. None comes back."""
    hub = ready()
    stream = hub.subscribed("a", "b", at={"a": 1, "b": 1})
    hub.say(
        {"type": "unsubscribed", "topics": ["a", "x"], "reason": "revoked"},
        note("a", 2),
        note("b", 2),
    )
    assert offsets(hub, stream) == [Unsubscribed(("a",), "revoked"), 2]
    assert stream.topics == ("b",)
    assert again(hub)[0]["topics"] == ["b"]
    hub.say({"type": "unsubscribed", "topics": ["b"], "reason": "replaced"})
    assert stream.ended
    assert stream.failure is not None
    assert stream.failure.code == "replaced"
    assert again(hub) == []


def test_leaving_a_subscription() -> None:
    """The hub is told, if it knows of it; what waits is thrown away, and what comes later too."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 3})
    hub.say(note("log", 4))
    hub.client.unsubscribe(log, hub.now)
    hub.settle()
    (request,) = hub.take("unsubscribe")
    assert request["topics"] == ["log"]
    hub.say(note("log", 5))
    hub.answer(request, type="unsubscribed", topics=["log"])
    assert hub.events(log) == []
    hub.client.unsubscribe(log, hub.now)
    hub.settle()
    hub.take()
    early = hub.subscribe("early")
    hub.client.unsubscribe(early, hub.now)
    hub.settle()
    asked, told = hub.take("subscribe", "unsubscribe")
    hub.grant(asked)
    assert early.ended
    hub.answer(told, type="unsubscribed", topics=["early"])
    hub.cut()
    unknown = hub.subscribe("unknown")
    hub.client.unsubscribe(unknown, hub.now)
    hub.let_in()
    hub.take()
    assert repr(log) == "<Stream log ended>"


@pytest.mark.parametrize(
    ("topics", "options", "why"),
    [
        (["a b"], {}, "white space"),
        (["a", "log"], {}, "subscribed to already"),
        (["a"], {"since": {"b": Position(1, "e")}}, "not among the topics"),
        (["a.*"], {"ack": True}, "not patterns"),
        (["a"], {"name": "worker"}, "pass ack"),
        (["a"], {"manual": True}, "pass ack"),
        (["a"], {"last": -1}, "refused"),
    ],
)
def test_what_no_hub_would_take(topics: list[str], options: dict[str, Any], why: str) -> None:
    """A caller's mistake is raised at once, and changes nothing."""
    hub = ready()
    hub.subscribed("log")
    with pytest.raises(LocalProtocolError, match=why):
        hub.client.subscribe(topics, hub.now, **options)
    hub.settle()
    hub.take()
    assert len(again(hub)) == 1


def test_too_many_subscriptions() -> None:
    """One more than `max_subscriptions` is refused here already; one that was left makes room."""
    hub = ready(limits=ClientLimits(max_subscriptions=2))
    first = hub.subscribed("a")
    hub.subscribed("b")
    with pytest.raises(LocalProtocolError, match="close one first"):
        hub.subscribe("c")
    hub.client.unsubscribe(first, hub.now)
    hub.subscribe("c")


def test_so_many_topics_are_remembered() -> None:
    """Of a pattern's topics the quietest is forgotten; then nothing is known to be missing there."""
    hub = ready(limits=ClientLimits(max_places=2))
    stream = hub.subscribed("many.*")
    hub.say(note("many.a", 1), note("many.b", 1), note("many.a", 2), note("many.c", 1))
    hub.say(note("many.b", 5), note("many.c", 5))
    assert offsets(hub, stream) == [1, 1, 2, 1, 5, Gap("many.c", 3, 4, "e1"), 5]
