"""The opening handshake takes at most `open_timeout`, whoever is slow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hubbub.core import (
    ClientOptions,
    Closed,
    End,
    Limits,
    Refused,
    Requested,
    ServerOptions,
    WebSocket,
)
from support.machines import assert_ends, client, events, output, read_answer, server
from support.wire import HOST, head, pieces, request, response


def test_a_silent_peer_is_dropped_without_a_word() -> None:
    """Who sends nothing in time gets no answer: it may speak another protocol."""
    ws = server(now=5.0)
    assert ws.next_timeout() == 15.0
    ws.handle_timeout(14.9)
    assert ws.end is None
    ws.handle_timeout(15.0)
    (event,) = events(ws)
    assert isinstance(event, Closed)
    assert event.code == 1006
    assert "timed out" in event.cause
    assert output(ws, 15.0) == b""
    assert ws.end is End.CLOSE
    assert ws.next_timeout() is None


def test_half_a_request_is_answered_with_408() -> None:
    """Who began a request in time and did not end it is told so; more bytes buy no more time."""
    ws = server()
    for second, piece in enumerate(pieces(request()[:-1], 20)):
        ws.receive_data(piece, float(second))
        assert ws.next_timeout() == 10.0
    ws.handle_timeout(10.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert event.request is None
    assert read_answer(output(ws, 10.0)).status == 408
    assert_ends(ws, 10.0)


def test_an_undecided_request_is_answered_with_503() -> None:
    """If the application does not decide in time the client gets 503, and deciding is too late."""
    ws = server()
    ws.receive_data(request(), 1.0)
    (requested,) = events(ws)
    assert isinstance(requested, Requested)
    assert ws.next_timeout() == 10.0
    ws.handle_timeout(10.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert event.request == requested.request
    assert read_answer(output(ws, 10.0)).status == 503
    assert_ends(ws, 10.0)


def test_an_answer_in_time_ends_the_timeout() -> None:
    """After the 101 has left, `open_timeout` closes nothing."""
    ws = server(ServerOptions(limits=Limits(ping_interval=None)))
    ws.receive_data(request(), 1.0)
    ws.accept(9.0)
    output(ws, 9.0)
    assert ws.next_timeout() is None
    ws.handle_timeout(100.0)
    assert ws.end is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1",
        response()[:-1],
        head("HTTP/1.1 100 Continue", []),
    ],
    ids=repr,
)
def test_a_client_waits_no_longer(data: bytes) -> None:
    """A client whose response is not complete in time closes, without a word."""
    ws = client()
    ws.receive_data(data, 9.0)
    ws.handle_timeout(9.9)
    assert events(ws) == []
    ws.handle_timeout(10.0)
    (event,) = events(ws)
    assert isinstance(event, Closed)
    assert output(ws, 10.0) == b""
    assert ws.end is End.CLOSE


@pytest.mark.parametrize("make", [server, client])
def test_late_and_repeated_calls_change_nothing(
    make: Callable[[], WebSocket],
) -> None:
    """A deadline that is handled late, or twice, gives one last event."""
    ws = make()
    ws.handle_timeout(1000.0)
    ws.handle_timeout(1000.0)
    ws.handle_timeout(2000.0)
    assert len(events(ws)) == 1
    assert ws.end is End.CLOSE


def test_without_a_timeout_nothing_is_armed() -> None:
    """`open_timeout=None` waits for ever."""
    patient = Limits(open_timeout=None)
    ws = server(ServerOptions(limits=patient))
    assert ws.next_timeout() is None
    ws.handle_timeout(1e9)
    assert ws.end is None
    other = client(ClientOptions(host=HOST, limits=patient))
    assert other.next_timeout() is None


def test_a_peer_that_does_not_read_the_answer_is_dropped() -> None:
    """If a refusal is not taken within `write_timeout`, the socket is to be closed."""
    ws = server(ServerOptions(limits=Limits(write_timeout=5.0)))
    ws.receive_data(b"NONSENSE\r\n\r\n", 1.0)
    assert ws.next_timeout() == 6.0
    ws.handle_timeout(6.0)
    assert ws.end is End.CLOSE
    assert len(events(ws)) == 1
    assert ws.next_timeout() is None


@pytest.mark.parametrize("data", [b"", request()[:30], request()], ids=["nothing", "half", "whole"])
def test_the_end_of_the_stream_ends_the_handshake(data: bytes) -> None:
    """A client that goes before the answer gets none, and the last event says so."""
    ws = server()
    ws.receive_data(data, 1.0)
    ws.receive_eof(2.0)
    last = events(ws)[-1]
    assert isinstance(last, Closed)
    assert "opening handshake" in last.cause
    assert output(ws, 2.0) == b""
    assert ws.end is End.CLOSE
    assert ws.next_timeout() is None


def test_a_refusal_that_stops_half_way_is_told() -> None:
    """A client that waits in vain for the rest of a body has been refused all the same."""
    ws = client()
    ws.receive_data(head("HTTP/1.1 404 Not Found", [("Content-Length", "9")]) + b"part", 9.0)
    ws.handle_timeout(10.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert (event.response.status, event.response.body) == (404, b"part")
    assert ws.end is End.CLOSE
