"""`dirty` and `unchanged`: what an adapter may leave out when it looks at a link."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.core import (
    Deflate,
    Limits,
    LocalProtocolError,
    PreparedMessage,
    Requested,
    ServerOptions,
    TextMessage,
    WebSocket,
)
from support.machines import client, events, output, server
from support.wire import close, frame, request, text

_OPTIONS = ServerOptions(
    limits=Limits(max_queue=3, ping_interval=7.0, ping_timeout=3.0, write_limit=300)
)
_MESSAGE = PreparedMessage("to all")

_STEPS: list[tuple[str, Any]] = [
    ("data", text("hello")),
    ("data", text("a") + text("b") + text("c") + text("d")),
    ("data", text("begun", final=False)),
    ("data", text("half a frame")[:5]),
    ("data", frame(0x9, b"?")),
    ("data", close(1000)),
    ("data", b"\xff\xff"),
    ("take", None),
    ("send", "x"),
    ("send", "x" * 400),
    ("offer", None),
    ("ping", None),
    ("pong", None),
    ("close", None),
    ("eof", None),
    ("lost", None),
    ("data", bytes(70_000)),
    ("time", 1.0),
    ("time", 8.0),
    ("time", 200.0),
]


def _open() -> WebSocket:
    ws = server(_OPTIONS)
    ws.receive_data(request(), 0.0)
    assert isinstance(ws.next_event(), Requested)
    assert ws.accept(0.0)
    output(ws)
    return ws


def _act(ws: WebSocket, step: str, what: Any, now: float) -> None:
    match step:
        case "data":
            ws.receive_data(what, now)
        case "take":
            ws.next_event()
        case "eof":
            ws.receive_eof(now)
        case "lost":
            ws.connection_lost(now)
        case "time":
            ws.handle_timeout(now)
        case "close":
            ws.close(now)
        case "offer":
            ws.offer(_MESSAGE)
        case _ if not ws.can_send:
            pass
        case "send":
            ws.send(what, now)
        case "ping":
            ws.ping(now)
        case "pong":
            ws.pong(now)


def _sight(ws: WebSocket) -> tuple[object, ...]:
    return ws.wants_read, ws.end, ws.next_timeout()


_FOUR = ("data", text("a") + text("b") + text("c") + text("d"))


@example([_FOUR, *[("take", None)] * 4], 65536)
@example([("data", close(1000)), ("data", bytes(70_000))], 65536)
@given(st.lists(st.sampled_from(_STEPS), max_size=30), st.sampled_from([65536, 100]))
def test_what_an_adapter_need_not_look_at(steps: list[tuple[str, Any]], max_bytes: int) -> None:
    """While a link is not dirty nothing is to be seen; while it is unchanged, at most bytes are."""
    ws = _open()
    now = 0.0
    seen = _sight(ws)
    for step, what in steps:
        if step == "time":
            now += what
        _act(ws, step, what, now)
        if not ws.dirty:
            assert not ws.wants_write
            assert _sight(ws) == seen
        unchanged = ws.unchanged
        ws.data_to_send(now, max_bytes)
        if unchanged and not ws.dirty:
            assert _sight(ws) == seen
        seen = _sight(ws)


def test_a_message_that_is_only_read_leaves_nothing_to_do() -> None:
    """A whole message, taken at once, does not make a link dirty; nor does its answer change it."""
    ws = _open()
    ws.receive_data(text("hello"), 1.0)
    assert not ws.dirty
    assert ws.next_event() == TextMessage("hello")
    assert not ws.dirty
    ws.send("hello", 1.0)
    assert ws.dirty
    assert ws.unchanged
    assert ws.data_to_send(1.0) == [frame(0x1, b"hello", mask=None)]
    assert not ws.dirty
    assert ws.unchanged


def test_a_shared_message_is_offered() -> None:
    """It leaves as `send_prepared` would have it, compressed where that was agreed."""
    for deflate, header in (
        (None, ()),
        (Deflate(threshold=0), (("Sec-WebSocket-Extensions", "permessage-deflate"),)),
    ):
        sent: list[bytes] = []
        for offered in (True, False):
            ws = server(ServerOptions(deflate=deflate))
            ws.receive_data(request(*header), 0.0)
            events(ws)
            ws.accept(0.0)
            output(ws)
            if offered:
                assert ws.offer(_MESSAGE)
            else:
                ws.send_prepared(_MESSAGE, 0.0)
            sent.append(output(ws))
        assert sent[0] == sent[1] != b""


@pytest.mark.parametrize("state", ["opening", "full", "fragments", "closing", "closed", "client"])
def test_a_shared_message_is_not_taken(state: str) -> None:
    """Where it can't leave soon it is refused without an error, and nothing is queued."""
    ws = server() if state == "opening" else client() if state == "client" else _open()
    match state:
        case "full":
            ws.send("x" * 400, 0.0)
        case "fragments":
            ws.send("a", 0.0, final=False)
        case "closing":
            ws.close(0.0)
        case "closed":
            ws.connection_lost(0.0)
    before = ws.bytes_to_send
    assert not ws.offer(_MESSAGE)
    assert ws.bytes_to_send == before


def test_a_heartbeat() -> None:
    """A pong of the application's own leaves as it is; more than 125 bytes are refused."""
    ws = _open()
    ws.pong(0.0, b"alive")
    assert output(ws) == frame(0xA, b"alive", mask=None)
    with pytest.raises(LocalProtocolError, match="125"):
        ws.pong(0.0, bytes(126))
    ws.close(0.0)
    with pytest.raises(LocalProtocolError):
        ws.pong(0.0)


def test_heartbeats_leave_answers_alone() -> None:
    """Pongs of the application's own are no answers: every ping still gets its own."""
    ws = _open()
    for number in range(40):
        ws.pong(0.0, b"%d" % number)
    for number in range(3):
        ws.receive_data(frame(0x9, b"?%d" % number), 0.0)
    left = output(ws)
    for number in range(40):
        assert frame(0xA, b"%d" % number, mask=None) in left
    for number in range(3):
        assert frame(0xA, b"?%d" % number, mask=None) in left
