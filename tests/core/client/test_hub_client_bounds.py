"""An application that does not take events: nothing more is read, nothing is lost untold, nothing grows."""

from __future__ import annotations

from typing import Any

from hubbub.core import Limits
from hubbub.core.client_events import Resumed
from hubbub.core.client_options import ClientLimits
from hubbub.core.client_streams import Stream
from hubbub.core.messages import Chat, Gap, Notification, Position
from support.scripted_hub import ScriptedHub, note

SMALL = Limits(ping_interval=None, open_timeout=None, max_queue=2)


def ready(**limits: Any) -> ScriptedHub:
    """A client that is let in, with room for few events."""
    made = ClientLimits(**({"max_events": 3} | limits))
    hub = ScriptedHub(token="t", limits=made, line_limits=SMALL)
    hub.let_in()
    return hub


def offsets(hub: ScriptedHub, stream: Stream) -> list[Any]:
    """What the application gets: publications by their offset, all else as it is."""
    return [
        event.offset if isinstance(event, (Notification, Chat)) else event
        for event in hub.events(stream)
    ]


def call(hub: ScriptedHub) -> dict[str, Any]:
    """Ask for something whose answer does not come; while it is awaited everything is read."""
    hub.client.call("f", None, hub.now)
    hub.settle()
    request = hub.requests.pop()
    assert request["action"] == "call"
    return request


def test_nothing_more_is_read() -> None:
    """At `max_events` the connection is held back, and goes on as the application takes events."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 0})
    for offset in range(1, 21):
        hub.say(note("log", offset))
    ws = hub.client.connection
    assert ws is not None
    assert not ws.wants_read
    assert len(log.queue) == 3
    assert len(hub.line.unread) > 1000
    assert offsets(hub, log) == list(range(1, 21))
    assert ws.wants_read


def test_large_events() -> None:
    """So it is at `max_events_size` characters."""
    hub = ready(max_events=1000, max_events_size=500)
    log = hub.subscribed("log", at={"log": 0})
    for offset in range(1, 9):
        hub.say(note("log", offset, message="x" * 300))
    assert len(log.queue) == 2
    assert offsets(hub, log) == list(range(1, 9))


def test_one_slow_subscription() -> None:
    """It holds all back, for there is one connection; leaving it lets the others go on."""
    hub = ready()
    slow = hub.subscribed("slow", at={"slow": 0})
    fast = hub.subscribed("fast", at={"fast": 0})
    for offset in range(1, 7):
        hub.say(note("slow", offset))
    hub.say(note("fast", 1))
    assert offsets(hub, fast) == []
    hub.client.unsubscribe(slow, hub.now)
    hub.settle()
    assert offsets(hub, fast) == [1]


def test_answers_come_through() -> None:
    """While a request waits for its answer everything is read, so that nobody waits for ever."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 0})
    for offset in range(1, 6):
        hub.say(note("log", offset))
    number = hub.publish("t")
    (request,) = hub.take("publish")
    hub.answer(request, type="published", topic="t", recipients=0)
    assert number in hub.answers
    assert offsets(hub, log) == [1, 2, 3, 4, 5]


def test_no_room_for_history() -> None:
    """Beyond twice as many, what a topic keeps is left out, and asked for again when there is room."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 0})
    request = call(hub)
    for offset in range(1, 10):
        hub.say(note("log", offset))
    assert len(log.queue) == 6
    hub.answer(request, type="result", name="f", data=None)
    assert [getattr(hub.client.take(log, hub.now), "offset", None) for _ in range(4)] == [
        1,
        2,
        3,
        4,
    ]
    hub.settle()
    assert hub.take() == []
    assert getattr(hub.client.take(log, hub.now), "offset", None) == 5
    hub.settle()
    (request,) = hub.take("subscribe")
    assert request["since"] == {"log": {"offset": 6, "epoch": "e1"}}
    hub.say(note("log", 10))  # which was under way
    hub.grant(request, log=(6, "e1", True))
    hub.say(note("log", 7), note("log", 8))
    assert offsets(hub, log) == [6, 7, 8]


def test_what_was_left_out_is_gone() -> None:
    """The hub does not keep it any more: the application is told."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 0})
    call(hub)
    for offset in range(1, 10):
        hub.say(note("log", offset))
    assert offsets(hub, log) == [1, 2, 3, 4, 5, 6]
    (request,) = hub.take("subscribe")
    hub.grant(request, log=(50, "e1", False))
    hub.say(note("log", 51))
    assert offsets(hub, log) == [Resumed("log", False, 50, "e1"), 51]


def test_what_was_left_out_is_refused() -> None:
    """Not now: all of it is asked for again later, and goes on where it was."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 0})
    call(hub)
    for offset in range(1, 10):
        hub.say(note("log", offset))
    assert len(offsets(hub, log)) == 6
    (request,) = hub.take("subscribe")
    hub.refuse(request, "full")
    hub.wait_for_request()
    (request,) = hub.take("subscribe")
    hub.grant(request, log=(6, "e1", True))
    hub.say(note("log", 7))
    assert offsets(hub, log) == [Resumed("log", True, 6, "e1"), 7]


def test_no_room_for_what_is_not_kept() -> None:
    """A gap tells how many are missing, where they would have been."""
    hub = ready()
    plain = hub.subscribed("plain", "many.*")
    call(hub)
    for number in range(9):
        hub.say(note("plain", message=number))
    hub.say(note("many.a", 1), note("many.b", 1))
    hub.say({"type": "gap", "topic": "plain", "missed": 5})
    hub.client.take(plain, hub.now)
    hub.say(note("plain", message="later"))
    found = hub.events(plain)
    gaps = [event for event in found if isinstance(event, Gap)]
    assert gaps == [Gap("plain", 8), Gap("many.*", 2)]
    assert [type(event) for event in found] == [Notification] * 5 + [Gap, Gap, Notification]
    hub.say(note("many.a", 2))
    assert offsets(hub, plain) == [2]


def test_a_gap_is_told_though_nothing_follows() -> None:
    """It does not wait for the next publication."""
    hub = ready()
    plain = hub.subscribed("plain")
    call(hub)
    for number in range(8):
        hub.say(note("plain", message=number))
    assert hub.events(plain)[-1] == Gap("plain", 2)


def test_who_comes_and_goes_is_no_history() -> None:
    """On a topic with history announcements are left out without a word, as a hub does itself."""
    hub = ready()
    room = hub.subscribed("room.a", at={"room_a": 0})
    call(hub)
    system = {"type": "system", "topic": "room.a", "message": "bob joined", "timestamp": ""}
    for offset in range(1, 7):
        hub.say(note("room.a", offset))
    hub.say(system, note("room.a", 7), system)
    assert offsets(hub, room) == [1, 2, 3, 4, 5, 6]
    assert hub.take("subscribe")[0]["since"]["room.a"]["offset"] == 6


def test_no_room_for_a_consumer() -> None:
    """It is sent again what it did not acknowledge, so it waits for that, and asks for nothing."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, at={"jobs": 0})
    call(hub)
    for offset in range(1, 10):
        hub.say(note("jobs", offset))
    assert offsets(hub, jobs) == [1, 2, 3, 4, 5, 6]
    hub.advance(1.0)
    hub.say(note("jobs", 10))
    hub.say(*(note("jobs", offset, redelivered=True) for offset in range(5, 10)))
    hub.say(note("jobs", 10))
    assert offsets(hub, jobs) == [7, 8, 9, 10]
    assert {request["action"] for request in hub.requests} == {"ack"}


def test_a_gap_makes_up_for_a_consumer() -> None:
    """What was left out is not kept any more: that is told, and the rest goes on."""
    hub = ready()
    jobs = hub.subscribed("jobs", ack=True, at={"jobs": 0})
    call(hub)
    for offset in range(1, 10):
        hub.say(note("jobs", offset))
    assert len(offsets(hub, jobs)) == 6
    gap = {"type": "gap", "topic": "jobs", "missed": 2, "offset": 8, "epoch": "e1"}
    hub.say(gap, note("jobs", 9))
    assert offsets(hub, jobs) == [Gap("jobs", 2, 8, "e1"), 9]


def test_a_lost_connection_makes_up_for_it_too() -> None:
    """What was left out follows on the next connection."""
    hub = ready()
    log = hub.subscribed("log", at={"log": 0})
    call(hub)
    for offset in range(1, 10):
        hub.say(note("log", offset))
    hub.cut()
    hub.let_in()
    (request,) = hub.take("subscribe")
    assert request["since"] == {"log": {"offset": 6, "epoch": "e1"}}
    hub.grant(request, log=(6, "e1", True))
    hub.say(note("log", 7))
    assert offsets(hub, log) == [1, 2, 3, 4, 5, 6, Resumed("log", True, 6, "e1"), 7]
    assert log.position("log") == Position(7, "e1")
