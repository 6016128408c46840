"""Frames that come right behind the request, before the answer, and what else may stand there."""

from __future__ import annotations

import pytest

from hubbub.core import (
    Accepted,
    Deflate,
    Event,
    Limits,
    LocalProtocolError,
    Refused,
    Requested,
    ServerOptions,
    TextMessage,
    WebSocket,
    text_response,
)
from support.machines import assert_ends, client, events, output, read_answer, server
from support.wire import frame, pieces, request, response, text

EARLY = text("first") + text("sec", final=False) + frame(9, b"ping") + frame(0, b"ond")
BOUND = Limits().max_handshake_size


def serve_all(ws: WebSocket) -> list[Event]:
    """Take every event as an adapter does, and accept."""
    taken: list[Event] = []
    while (event := ws.next_event()) is not None:
        taken.append(event)
        if isinstance(event, Requested):
            ws.accept(0.0)
    return taken


@pytest.mark.parametrize("fast_path", [True, False])
def test_early_frames_are_delivered_at_any_cut(fast_path: bool) -> None:
    """However request and frames are cut, nothing is lost, and the pong follows the 101."""
    data = request() + EARLY
    for cut in range(1, len(data)):
        ws = server(ServerOptions(fast_path=fast_path))
        ws.receive_data(data[:cut], 0.0)
        ws.receive_data(data[cut:], 0.0)
        requested, *messages = serve_all(ws)
        assert isinstance(requested, Requested)
        assert messages == [TextMessage("first"), TextMessage("second")]
        assert read_answer(output(ws)).rest == frame(10, b"ping", mask=None)


def test_early_frames_are_delivered_byte_by_byte() -> None:
    """Request and frames may come in bytes, the answer being given where it is asked for."""
    ws = server()
    taken: list[Event] = []
    for piece in pieces(request() + EARLY, 1):
        ws.receive_data(piece, 0.0)
        taken += serve_all(ws)
    assert taken[1:] == [TextMessage("first"), TextMessage("second")]


def test_compressed_early_frames_are_inflated() -> None:
    """An early frame may be compressed, since the server can only accept what was offered."""
    hello = bytes.fromhex("f248cdc9c90700")  # RFC 7692, 7.2.3.1
    ws = server(ServerOptions(deflate=Deflate()))
    ws.receive_data(
        request(("Sec-WebSocket-Extensions", "permessage-deflate")) + frame(1, hello, rsv=4), 0.0
    )
    assert serve_all(ws)[1:] == [TextMessage("Hello")]


def test_frames_behind_the_request_are_not_read_on() -> None:
    """Between request and answer the adapter is told to stop reading; behind the answer to go on."""
    ws = server()
    assert ws.wants_read
    ws.receive_data(request(), 0.0)
    assert not ws.wants_read
    serve_all(ws)
    assert ws.wants_read


@pytest.mark.parametrize("size", [BOUND, BOUND + 1])
@pytest.mark.parametrize("cut", ["whole", "behind the request", "in pieces"])
def test_early_frames_over_the_bound_are_refused(size: int, cut: str) -> None:
    """What is held before the answer has a bound, exact to the byte; beyond it the answer is 400."""
    held = frame(2, bytes(size - 8))
    assert len(held) == size
    parts = {
        "whole": [request() + held],
        "behind the request": [request(), held],
        "in pieces": pieces(request() + held, 1000),
    }[cut]
    ws = server()
    for part in parts:
        ws.receive_data(part, 0.0)
    last = events(ws)[-1]
    if size <= BOUND:
        assert isinstance(last, Requested)
        ws.accept(0.0)
        assert len(events(ws)) == 1
        return
    assert isinstance(last, Refused)
    answer = read_answer(output(ws))
    assert answer.status == last.response.status == 400
    assert answer.rest == b""
    assert_ends(ws)
    assert not ws.accept(0.0)
    with pytest.raises(LocalProtocolError):
        ws.accept(0.0)


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_frames_behind_the_response_are_delivered(cut: int) -> None:
    """A server may send frames with its 101; the client gets them behind `Accepted`."""
    data = response() + text("first", mask=None) + text("second", mask=None)
    for pieces_of in (pieces(data, cut), [data]):
        ws = client()
        for piece in pieces_of:
            ws.receive_data(piece, 0.0)
        accepted, *messages = events(ws)
        assert isinstance(accepted, Accepted)
        assert messages == [TextMessage("first"), TextMessage("second")]


def test_early_frames_of_a_rejected_request_are_forgotten() -> None:
    """After `reject` no early frame becomes an event."""
    ws = server()
    ws.receive_data(request() + EARLY, 0.0)
    assert len(events(ws)) == 1
    ws.reject(text_response(403, "no"), 0.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert read_answer(output(ws)).status == 403
    assert_ends(ws)


def test_a_second_request_behind_the_first_is_no_frame() -> None:
    """A pipelined request fails the opened connection with 1002, and never gets an answer."""
    ws = server()
    ws.receive_data(request() + request(), 0.0)
    serve_all(ws)
    assert ws.closed is not None
    assert ws.closed.sent is not None
    assert ws.closed.sent.code == 1002
    assert output(ws).count(b"HTTP/1.1") == 1


def test_a_request_behind_plain_http_is_not_answered() -> None:
    """One connection answers one ordinary request; a pipelined one is thrown away."""
    plain = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    ws = server()
    ws.receive_data(plain + plain + request(), 0.0)
    ws.receive_data(request(), 0.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert output(ws).count(b"HTTP/1.1") == 1
    assert_ends(ws)
