"""The same steps make a hub put the same bytes on the wire on every loop, simulated, and where there is none."""

from __future__ import annotations

from typing import Any

from hubbub.core import AuthFailed, Joined, Left, OpeningRefused, RequestFailed, Slow
from support.hub_lockstep import HubRecord, Step, played_without_loop
from support.hub_lockstep_loop import played
from support.hub_lockstep_simulated import played_simulated
from support.net import Net
from support.wire import frame, text


def _open(number: int, target: str = "/", *lines: tuple[str, str]) -> Step:
    return Step("open", number, (target, lines))


def _say(number: int, **fields: Any) -> Step:
    return Step("say", number, fields)


def _publish(number: int, topic: str, message: Any, **fields: Any) -> Step:
    return _say(number, action="publish", topic=topic, message=message, **fields)


def _subscribe(number: int, *topics: str, **fields: Any) -> Step:
    return _say(number, action="subscribe", topics=topics, **fields)


STEPS = [
    # Who is there: by header, by query, by message, by name, by nothing; and who is not.
    _open(0, "/", ("Authorization", "Bearer t-alice")),
    _open(1, "/?token=t-bob"),
    _open(2),
    _say(2, token="t-alice", id=1),
    _open(3, "/?name=carol"),
    _open(4),
    _open(5, "/?token=t-nobody"),
    Step("close", 5, 1008),
    _open(6),
    _say(6, name="eve", id="e"),
    Step("close", 6, 1008),
    _open(7, "/", ("Origin", "https://evil.example")),
    Step("raw", 4, text('{"action":"ping"')),
    _say(4, name="carol"),
    _say(4, action="ping", id=4),
    # Topics, wildcards, rooms and who is in them.
    _subscribe(0, "news", "room.*", id=1),
    _subscribe(1, "room.lobby", "news", id=1),
    _subscribe(2, "*", "room.>", id=2),
    _subscribe(3, "room.lobby", id=1, presence=True),
    _subscribe(4, "shut.door", id=5),
    _subscribe(1, "secret", id=2),
    _subscribe(1, "a..b", id=3),
    _publish(0, "room.lobby", "Grüße", id=2),
    _publish(1, "room.lobby", {"to": ["all", 1.5, None]}, id=4),
    _publish(3, "room.lobby", "plain", id=2),
    _publish(3, "room.lobby", "rude", id=3),
    _publish(3, "room.lobby", "long", id=4),
    _publish(1, "news", "bob may not", id=5),
    _publish(0, "news", "once", id=3, idempotency_key="k1"),
    _publish(0, "news", "once", id=4, idempotency_key="k1"),
    _say(1, action="presence", topic="room.lobby", id=6),
    _say(1, action="unsubscribe", topics=["news"], id=7),
    Step("publish", None, ("room.lobby", "from the server")),
    Step("publish", None, ("nobody.listens", 1)),
    # Direct messages, calls, and one request behind another.
    _say(1, action="publish", to="alice", message="psst", id=8),
    Step("send_to", None, ("bob", "a word")),
    _say(0, action="call", name="add", data=[1, 2, 3], id=5),
    _say(0, action="call", name="add", data="x", id=6),
    _say(0, action="call", name="none", id=7),
    Step("say", 0, [{"action": "ping", "id": number} for number in range(20)]),
    Step("say", 1, [{"action": "publish", "topic": "kept", "message": n} for n in range(30)]),
    # History, and going on from a position.
    _say(0, action="history", topic="kept", limit=3, id=8),
    _subscribe(3, "kept", id=5),
    _subscribe(0, "kept", last=4, id=9),
    _subscribe(1, "kept", since={"kept": {"offset": 1, "epoch": "x"}}, id=9),
    _publish(1, "kept", "new", id=10),
    # Too much at once: the oldest, the newest of each key, or the session goes, and it is told.
    _subscribe(0, "loud", "state", id=10),
    _subscribe(1, "loud", id=11),
    Step("burst", None, ("loud", 30, 1000)),
    Step("burst", None, ("state", 12, 1000)),
    Step("burst", None, ("kept", 20, 1000)),
    Step("burst", None, ("news", 3, 200)),
    _open(8, "/?token=t-alice"),
    _subscribe(8, "flood.all"),
    Step("burst", None, ("flood.all", 30, 1000)),
    Step("close", 8, 4008),
    Step("end", 8),
    # Frames that are not text, and nonsense.
    Step("raw", 1, frame(0x9, b"are you there?")),
    Step("raw", 1, frame(0x2, b"\x00\x01")),
    Step("raw", 1, text('{"action":', final=False) + frame(0x0, b'"ping","id":12}')),
    _say(1, action="dance", id=13),
    Step("raw", 1, text("[1,2")),
    # A request over HTTP, and one that is none.
    Step("connect", 9),
    Step("raw", 9, b"POST /x HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nhi"),
    Step("end", 9),
    Step("connect", 10),
    Step("raw", 10, b"\x16\x03\x01"),
    Step("end", 10),
    _open(11, "/?name=dave"),
    Step("raw", 11, frame(0x1, b"\xff\xfe")),
    Step("end", 11),
    # Who is taken away from, thrown out, makes mistakes, or goes.
    Step("revoke", None, ("bob", "room.*")),
    _publish(1, "room.lobby", "may I?", id=14),
    _publish(0, "room.lobby", "he may not", id=11),
    _say(0, action="refresh", token="t-alice", id=12),
    _say(0, action="refresh", token="t-nobody", id=13),
    Step("disconnect", None, "bob"),
    Step("close", 1, 4003),
    Step("end", 1),
    Step("say", 4, [{"action": "no"} for _ in range(4)]),
    Step("close", 4, 1001),
    Step("end", 4),
    Step("close", 3, 1000),
    Step("end", 3),
    _publish(2, "room.lobby", "who is left?", id=3),
    *(Step("end", number) for number in (5, 6, 7)),
    # The end of all.
    Step("drain"),
    *(Step("close", number, 1001) for number in (0, 2)),
    *(Step("end", number) for number in (0, 2)),
]


def _differs(one: HubRecord, other: HubRecord) -> None:
    """Compare part by part, since all at once nobody could read."""
    for number, (some, others) in enumerate(zip(one.to_client, other.to_client, strict=True)):
        assert some == others, number
    assert one.ended == other.ended
    assert one.returned == other.returned
    assert one.events == other.events
    assert one.counters == other.counters


def test_the_scenario() -> None:
    """It has everything in it: each way in, every kind of message, gaps, refusals, ends."""
    record = played_without_loop(STEPS)
    assert len(STEPS) >= 80
    whole = b"".join(record.to_client)
    kinds = (
        "auth subscribed unsubscribed published presence history result pong error chat "
        "notification system direct gap reconnect"
    )
    for kind in kinds.split():
        assert b'"type":"%b"' % kind.encode() in whole, kind
    codes = "forbidden bad_topic name_taken rude closed internal unknown_call unsupported bad_json"
    for code in codes.split():
        assert b'"code":"%b"' % code.encode() in whole, code
    for kind_of_event in (Joined, Left, AuthFailed, OpeningRefused, RequestFailed, Slow):
        assert any(isinstance(event, kind_of_event) for event in record.events), kind_of_event
    ends = {event.code for event in record.events if isinstance(event, Left)}
    assert ends == {1000, 1001, 1006, 4003, 4008}
    assert all(record.ended)
    _differs(played_without_loop(STEPS), record)


def test_the_same_bytes_over_the_simulated_network() -> None:
    """To every client, to the byte; and the same events and counters."""
    _differs(played_simulated(STEPS), played_without_loop(STEPS))


async def test_the_same_bytes(net: Net) -> None:
    """To every client, to the byte; and the same events and counters."""
    _differs(await played(net, STEPS), played_without_loop(STEPS))
