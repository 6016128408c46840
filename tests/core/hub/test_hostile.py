"""What a peer may send to do harm: it gets an error or a documented close, and nobody else notices."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.core.auth import External
from hubbub.core.effects import Done, HookKind
from hubbub.core.frames import Opcode, encode_frame
from hubbub.core.http import text_response
from hubbub.core.rules import DEFAULT_RULES, Rule
from support.hub_pair import HubPair, Peer, Raw, config, everything, tokens

KEY = b"\x01\x02\x03\x04"
DEEP = 100_000
JSON: dict[str, str] = {
    "deep lists": "[" * DEEP,
    "deep lists, closed": "[" * DEEP + "]" * DEEP,
    "deep objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "a deep message": '{"action":"publish","topic":"a","message":' + "[" * DEEP + "]" * DEEP + "}",
    "depth in a string": json.dumps({"action": "publish", "topic": "a", "message": "[" * DEEP}),
    "a deep id": '{"action":"ping","id":' + "[" * DEEP + "]" * DEEP + "}",
    "a huge number": '{"action":"publish","topic":"a","message":' + "9" * DEEP + "}",
    "a huge float": '{"action":"publish","topic":"a","message":1e999999999}',
    "a tiny float": '{"action":"publish","topic":"a","message":1e-999999999}',
    "many digits": '{"action":"publish","topic":"a","message":0.' + "1" * DEEP + "}",
    "a huge offset": '{"action":"ack","topic":"a","offset":' + "9" * 400 + "}",
    "a huge limit": '{"action":"history","topic":"a","limit":' + "9" * 19 + "}",
    "a huge id": '{"action":"ping","id":' + "9" * 5000 + "}",
    "no number": '{"action":"publish","topic":"a","message":NaN}',
    "infinity": '{"action":"publish","topic":"a","message":-Infinity}',
    "one key twice": '{"action":"fly","action":"ping","id":1,"id":2}',
    "a lone surrogate": '{"action":"publish","topic":"a","message":"\\ud800"}',
    "a lone surrogate in a topic": '{"action":"unsubscribe","topics":["\\udfff"]}',
    "a lone surrogate as a key": '{"action":"publish","topic":"a","message":{"\\ud800":1}}',
    "a lone surrogate as id": '{"action":"ping","id":"\\ud800"}',
    "a nul": '{"action":"publish","topic":"a\\u0000b","message":1}',
    "a nul as text": "\x00",
    "a million keys": "{" + ",".join(f'"{n}":1' for n in range(1_000_000)) + "}",
    "a million keys in a message": '{"action":"publish","topic":"a","message":{'
    + ",".join(f'"{n}":1' for n in range(1_000_000))
    + "}}",
    "a million topics": '{"action":"unsubscribe","topics":[' + '"a",' * 999_999 + '"a"]}',
    "a million commas": "[" + "," * 1_000_000,
    "a million escapes": '{"action":"publish","topic":"a","message":"'
    + "\\u0041" * 1_000_000
    + '"}',
    "a million strings": '"' * 1_000_000,
    "a million backslashes": '{"a":"' + "\\" * 999_999,
    "a large since": json.dumps(
        {
            "action": "subscribe",
            "topics": ["a"],
            "since": {str(n): {"offset": 1, "epoch": "x"} for n in range(20_000)},
        }
    ),
    "a token that is an object": '{"token":{"a":[1]}}',
    "a name that is null": '{"name":null}',
    "an action that is a list": '{"action":["ping"]}',
    "white space": " " * 1_000_000,
    "a byte order mark": "\ufeff{}",
    "nothing": "",
}


def fine(pair: HubPair, peer: Peer) -> None:
    """A peer that has done nothing wrong is served as ever."""
    peer.take()
    assert peer.ask(action="ping") == {"type": "pong"}
    assert peer.closed is None
    pair.check()


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow) if kind.startswith("a million keys") else kind
        for kind in JSON
    ],
)
@pytest.mark.parametrize("who", ["nobody", "ann"])
def test_hostile_json_is_answered(kind: str, who: str) -> None:
    """Each with one answer, soon, before and behind authentication; and the connection lives on."""
    if who == "nobody" and kind == "a million keys in a message":
        return  # it is read the same way, and takes seconds to write
    pair = HubPair(
        config(
            auth=tokens("alice"), anonymous=who == "ann", max_size=16 * 2**20, answers_size=2**24
        )
    )
    bystander = pair.user("alice")
    peer = pair.named("ann") if who == "ann" else pair.peer()
    text = encode_frame(Opcode.TEXT, JSON[kind].encode("utf-8"), key=KEY)
    began = time.process_time()
    peer.session.receive_data(text, pair.now)
    pair.settle()
    assert time.process_time() - began < 2.0
    (answer,) = peer.take()
    if answer["type"] == "error":
        assert answer["code"] in {
            "bad_json", "bad_request", "too_deep", "too_large", "unknown_action", "bad_topic",
            "unauthenticated", "already_authenticated", "anonymous_off", "no_history",
            "not_subscribed", "bad_name",
        }  # fmt: skip
        assert len(answer["message"]) < 300
        assert answer["message"].isprintable()
    else:
        assert answer["type"] in {"published", "pong", "unsubscribed", "history"}
    assert peer.closed is None
    fine(pair, bystander)


def test_of_two_equal_keys_the_last_counts() -> None:
    """As JavaScript has it."""
    pair = HubPair()
    ann = pair.named("ann")
    ann.say(JSON["one key twice"])
    assert ann.take() == [{"type": "pong", "id": 2}]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (encode_frame(Opcode.TEXT, b"\xed\xa0\x80", key=KEY), 1007),
        (encode_frame(Opcode.TEXT, b"x" * 65537, key=KEY), 1009),
        (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + KEY, 1009),
        (b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" + KEY, 1002),
        (encode_frame(Opcode.TEXT, b"", key=KEY, final=False) * 2, 1002),
        (
            encode_frame(Opcode.TEXT, b"", key=KEY, final=False)
            + encode_frame(Opcode.CONTINUATION, b"", key=KEY, final=False) * 2000,
            1009,
        ),
        (encode_frame(Opcode.PING, b"", key=KEY) * 1100, 4029),
        (encode_frame(Opcode.CLOSE, b"\x03", key=KEY), 1002),
        (encode_frame(Opcode.CLOSE, b"\x03\xe8\xff", key=KEY), 1007),
        (b"\xff" * 1000, 1002),
    ],
)
def test_hostile_frames_end_in_a_documented_close(data: bytes, code: int) -> None:
    """And in nothing else."""
    pair = HubPair()
    bystander, peer = pair.named("bob"), pair.named("ann")
    peer.session.receive_data(data, pair.now)
    pair.settle()
    assert peer.code == code
    fine(pair, bystander)
    pair.advance(20.0)
    assert pair.hub.links == 1


def test_a_flood_of_everything_is_bounded() -> None:
    """Requests, pings, errors and binary messages without end: what waits stays within the bounds."""
    pair = HubPair(
        config(answers_size=5000, outbox_size=5000, error_burst=10_000, request_burst=500)
    )
    bystander = pair.named("bob")
    peer = pair.named("ann")
    peer.subscribe(">")
    peer.stall()
    frames = b"".join(
        encode_frame(opcode, payload, key=KEY)
        for opcode, payload in (
            (Opcode.TEXT, b'{"action":"ping","id":1}'),
            (Opcode.TEXT, b"{"),
            (Opcode.TEXT, b'{"action":"unsubscribe","topics":["x"]}'),
            (Opcode.BINARY, b"x"),
        )
    )
    for _ in range(200):
        peer.send_bytes(frames * 5)
        pair.settle()
        assert peer.session.outbox.answers_size <= 5200
        assert len(peer.unread) == 0 or not peer.session.wants_read
    fine(pair, bystander)


@pytest.mark.parametrize("count", [200])
def test_many_that_never_say_who_they_are(count: int) -> None:
    """They are sent away in time, and nothing is kept of them."""
    pair = HubPair(config(auth=tokens("alice"), anonymous=False))
    for _ in range(count):
        pair.peer(settle=False)
    pair.settle()
    assert pair.hub.links == count
    pair.advance(30.0)
    assert pair.hub.idle
    assert pair.hub.counters.auth_failures == count
    pair.check()


# Bytes and calls without any sense.

SEEDS: list[Any] = [
    {"token": "t-alice"},
    {"name": "ann"},
    {"action": "subscribe", "topics": ["room.a", "a.*", ">"], "presence": False},
    {"action": "subscribe", "topics": ["room.a"], "presence": True, "id": 1},
    {"action": "subscribe", "topics": ["kept"], "last": 3},
    {"action": "unsubscribe", "topics": ["room.a", ">"]},
    {"action": "publish", "topic": "a.b", "message": "x" * 90},
    {"action": "publish", "topic": "room.a", "message": {"a": [1, None]}},
    {"action": "publish", "topic": "kept", "message": 1, "idempotency_key": "k"},
    {"action": "publish", "to": "alice", "message": 1},
    {"action": "presence", "topic": "room.a"},
    {"action": "history", "topic": "kept"},
    {"action": "call", "name": "f", "data": 1},
    {"action": "refresh", "token": "t-alice"},
    {"action": "ping"},
]
HEADS = [
    b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % target
    for target in (b"/", b"/?name=ann", b"/?token=t-alice", b"/?token=no")
]

frames = st.one_of(
    st.sampled_from(SEEDS).map(
        lambda message: encode_frame(Opcode.TEXT, json.dumps(message).encode(), key=KEY)
    ),
    st.text(max_size=30).map(
        lambda text: encode_frame(Opcode.TEXT, text.encode(errors="replace"), key=KEY)
    ),
)


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A session's bytes, of which a few may be others."""
    whole = bytearray(b"".join(draw(st.lists(frames, min_size=1, max_size=8))))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(whole) - 1))
        whole[at] = draw(st.integers(0, 255))
    return bytes(whole)


bytes_in = st.one_of(spoilt(), spoilt(), st.binary(max_size=60))
calls = st.lists(
    st.one_of(
        st.tuples(st.just("data"), st.integers(0, 3), bytes_in),
        st.tuples(st.just("data"), st.integers(0, 3), bytes_in),
        st.tuples(st.just("open"), st.integers(0, 3), st.sampled_from(HEADS)),
        st.tuples(st.just("take"), st.integers(0, 3), st.sampled_from((1, 100, 5000, 65536))),
        st.tuples(
            st.sampled_from(("eof", "lost", "blocked", "timeout", "connect", "http")),
            st.integers(0, 3),
            st.just(0),
        ),
        st.tuples(
            st.sampled_from(
                ("publish", "revoke", "disconnect", "drain", "close", "clock", "effect")
            ),
            st.integers(0, 5),
            st.just(0),
        ),
        st.tuples(st.just("time"), st.just(0), st.sampled_from((0.0, 0.3, 3.0, 25.0, 130.0))),
    ),
    max_size=60,
)
RULES = (
    Rule(pattern="kept", history=3),
    Rule(pattern="a.*", slow="drop-oldest", priority="low"),
    *DEFAULT_RULES,
)


@pytest.mark.slow
@settings(max_examples=250)
@given(calls)
def test_no_bytes_and_no_order_of_calls_raise(made: list[tuple[str, int, Any]]) -> None:
    """Whatever peers send and adapters do, the hub and its sessions agree, and in the end all is gone."""
    hooks = {HookKind.PUBLISH: ("room.>",), HookKind.CALL: (">",), HookKind.DISCONNECT: (">",)}
    limits: dict[str, Any] = {
        "outbox_size": 1500, "answers_size": 500, "request_burst": 20, "error_burst": 10,
        "total_outbox_size": 2500, "max_connections": 3, "drain_batch": 1,
    }  # fmt: skip
    pair = HubPair(
        config(auth=External(), rules=RULES, options={"http": True}, **limits), hooks=hooks
    )
    hub = pair.hub
    raws: list[Raw] = [pair.raw() for _ in range(4)]
    for raw, head in zip(raws, HEADS, strict=True):
        raw.session.receive_data(head, pair.now)
    for call, number, value in made:
        session = raws[number % 4].session
        now = pair.now
        match call:
            case "data" | "open":
                session.receive_data(value, now)
            case "http":
                session.receive_data(
                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", now
                )
            case "take":
                session.data_to_send(now, value)
            case "eof":
                session.receive_eof(now)
            case "lost":
                session.connection_lost(now)
            case "blocked":
                session.write_blocked(now)
            case "timeout":
                session.handle_timeout(now)
            case "connect":
                raws[number % 4] = pair.raw()
            case "publish":
                hub.publish(("a.b", "room.a", "kept", "x")[number % 4], "m" * 50, now)
            case "revoke":
                hub.revoke(("ann", "alice")[number % 2], ("a.>", "room.a", ">")[number % 3], now)
            case "disconnect":
                hub.disconnect(("ann", "alice", "User-1")[number % 3], now)
            case "drain" if number == 0:
                hub.drain(now)
            case "close" if number == 0:
                hub.close(now)
            case "clock":
                hub.set_wall_clock(1e9 + number * 1e4, now)
            case "effect":
                while (effect := hub.next_effect()) is not None:
                    grant = everything("alice", until=1e9 + 2e4) if number else None
                    outcome = Done(text_response(200, "x")) if number > 3 else Done(grant)
                    hub.complete(effect.id, outcome, now)
            case "time":
                pair.now += value
                hub.handle_timeout(pair.now)
            case _:
                pass
        pair.check()
    for raw in raws:
        raw.session.connection_lost(pair.now)
    for session in pair.sessions:
        session.connection_lost(pair.now)
    pair.now += 10.0
    hub.handle_timeout(pair.now)
    pair.check()
    assert (hub.links, hub.users, hub.outbox_bytes, hub.account.stalled) == (0, 0, 0, 0)
    while hub.next_event() is not None:
        pass
    while hub.next_effect() is not None:
        pass
    pair.now += 10.0
    hub.handle_timeout(pair.now)
    assert hub.idle
