"""How the bytes of a session were cut on their way decides nothing."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubbub.core import Deflate
from hubbub.core.effects import Denied, Done, HookKind
from hubbub.core.frames import Opcode, encode_frame
from hubbub.core.records import Heads
from hubbub.core.rules import DEFAULT_RULES, Rule
from support.hub_pair import HubPair, config, tokens
from support.wire import pieces

KEY = b"\x01\x02\x03\x04"
HEAD = (
    b"GET %b HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%b\r\n"
)
RULES = (Rule(pattern="kept.*", durable=True, history=5), *DEFAULT_RULES)


def text(message: Any) -> bytes:
    """A request in a frame."""
    return encode_frame(Opcode.TEXT, json.dumps(message).encode(), key=KEY)


REQUESTS: list[bytes] = [
    *(
        text(message)
        for message in (
            {"token": "t-alice"},
            {"token": "wrong"},
            {"name": "ann", "id": 1},
            {"action": "subscribe", "topics": ["a", "room.b"], "presence": False},
            {"action": "subscribe", "topics": ["room.b"], "presence": True, "id": "x"},
            {"action": "subscribe", "topics": ["kept.a"], "last": 2},
            {"action": "unsubscribe", "topics": ["a", "a"]},
            {"action": "publish", "topic": "a", "message": "m" * 300, "id": 2},
            {"action": "publish", "topic": "hook.a", "message": 1, "id": 3},
            {"action": "publish", "topic": "kept.a", "message": 1, "id": 4},
            {"action": "publish", "to": "alice", "message": [1]},
            {"action": "presence", "topic": "room.b", "id": 5},
            {"action": "history", "topic": "kept.a", "id": 6},
            {"action": "refresh", "token": "t-alice"},
            {"action": "fly"},
            {"action": "ping", "id": 7},
            {"action": "ping", "id": 8},
        )
    ),
    encode_frame(Opcode.PING, b"p", key=KEY),
    encode_frame(Opcode.PONG, b"p", key=KEY),
    encode_frame(Opcode.BINARY, b"b", key=KEY),
    encode_frame(Opcode.TEXT, b'{"action":', key=KEY, final=False),
    encode_frame(Opcode.CONTINUATION, b'"ping"}', key=KEY),
    encode_frame(Opcode.TEXT, b"{", key=KEY),
]
ENDS: list[bytes] = [
    encode_frame(Opcode.CLOSE, b"\x03\xe8bye", key=KEY),
    encode_frame(Opcode.CLOSE, b"", key=KEY),
    encode_frame(Opcode.TEXT, b"\xff", key=KEY),
    b"\xff\xff\xff",
    encode_frame(Opcode.TEXT, b"not masked"),
]

streams = st.builds(
    lambda target, extra, frames, end, rest: b"".join(
        (HEAD % (target, extra), *frames, end, *rest)
    ),
    st.sampled_from((b"/", b"/?token=t-alice", b"/?name=ann", b"/?token=wrong")),
    st.sampled_from((b"", b"", b"Sec-WebSocket-Extensions: permessage-deflate\r\n")),
    st.lists(st.sampled_from(REQUESTS), max_size=25),
    st.sampled_from((b"", b"", *ENDS)),
    st.lists(st.sampled_from(REQUESTS), max_size=2),
)


def outcome(parts: list[bytes], *, small: bool) -> tuple[object, ...]:
    """Everything that a hub says and knows after these reads in one turn."""
    limits: dict[str, Any] = (
        {"answers_size": 300, "request_burst": 8, "error_burst": 3, "outbox_size": 2000}
        if small
        else {}
    )
    pair = HubPair(
        config(auth=tokens("alice"), rules=RULES, options={"deflate": Deflate()}, **limits),
        hooks={HookKind.PUBLISH: ("hook.*",)},
        heads=Heads(),
    )
    other = pair.named("other")
    other.subscribe(">")
    raw = pair.raw()
    session = raw.session
    for part in parts:
        session.receive_data(part, pair.now)
    pair.settle()
    for turn in range(60):
        while pair.effects:
            pair.complete(Done() if turn % 3 else Denied("no", "no"))
        pair.advance(0.1)
    counters = pair.hub.counters
    return (
        raw.got,
        other.take(),
        pair.take_events(),
        session.state,
        session.end,
        session.wants_read,
        sorted(session.subscriptions.items()),
        pair.hub.outbox_bytes,
        (counters.requests, counters.errors, counters.publications, counters.bytes_in),
    )


@st.composite
def cut(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """A stream in pieces: cut at a few places, or into pieces of a few sizes over and over."""
    if draw(st.booleans()):
        edges = [
            0,
            *sorted(draw(st.sets(st.integers(1, len(stream) - 1), max_size=6))),
            len(stream),
        ]
        return [stream[start:stop] for start, stop in pairwise(edges)]
    return pieces(stream, *draw(st.lists(st.integers(1, 60), min_size=1, max_size=5)))


@pytest.mark.slow
@settings(max_examples=120)
@given(st.data(), streams, st.booleans())
def test_any_cut_of_a_stream_gives_the_same(
    data: st.DataObject, stream: bytes, small: bool
) -> None:
    """The same answers, pushes, events and state, byte for byte, with limits that act and without."""
    assert outcome(data.draw(cut(stream)), small=small) == outcome([stream], small=small)


@pytest.mark.slow
@settings(max_examples=30)
@given(streams, st.booleans())
@example(HEAD % (b"/?name=ann", b"") + b"".join(REQUESTS) + ENDS[0], False)
@example(HEAD % (b"/?token=t-alice", b"") + b"".join(REQUESTS) * 2 + ENDS[2], True)
def test_byte_by_byte_gives_the_same(stream: bytes, small: bool) -> None:
    """However small the reads are."""
    assert outcome(pieces(stream, 1), small=small) == outcome([stream], small=small)
