"""Ordinary HTTP requests that the user of the machine answers. Their bodies are in `test_http_bodies.py`."""

from __future__ import annotations

import pytest

from hubbub.core import (
    Closed,
    End,
    HttpRequested,
    Limits,
    LocalProtocolError,
    Refused,
    Requested,
    Response,
    ServerOptions,
    State,
    WebSocket,
    respond,
    text_response,
)
from support.corpus import REQUESTS, OddRequest
from support.machines import assert_ends, client, events, output, read_answer, server
from support.wire import HOST, head, request

HTTP = ServerOptions(http=True)
GET = head("GET /metrics?x=1 HTTP/1.1", [("Host", HOST), ("Accept", "*/*")])
POST = head("POST /api/publish HTTP/1.1", [("Host", HOST), ("Content-Length", "5")])
EXPECTS = head(
    "POST / HTTP/1.1", [("Host", HOST), ("Content-Length", "5"), ("Expect", "100-continue")]
)
ANSWER = respond(200, b"a 1\n", "text/plain", [("X-More", "yes")])


def asked(data: bytes, options: ServerOptions = HTTP) -> tuple[WebSocket, HttpRequested]:
    """A server's side whose `HttpRequested` event was taken."""
    ws = server(options)
    ws.receive_data(data, 0.0)
    (event,) = events(ws)
    assert isinstance(event, HttpRequested)
    return ws, event


# What is reported, and answered.


def test_a_request_is_reported_and_answered() -> None:
    """The event has head and body; the response leaves whole, and the connection ends."""
    ws, event = asked(POST + b"hello")
    told = event.request
    assert (told.method, told.path, told.headers["host"]) == ("POST", "/api/publish", HOST)
    assert event.body == b"hello"
    assert ws.state is State.CONNECTING
    assert not ws.wants_write
    assert ws.respond(ANSWER, 1.0)
    (last,) = events(ws)
    assert last == Refused(ANSWER, told)
    answer = read_answer(output(ws, 1.0), "POST")
    assert (answer.status, answer.body, answer.rest) == (200, b"a 1\n", b"")
    assert answer.headers["x-more"] == "yes"
    assert answer.headers["connection"] == "close"
    assert_ends(ws, 1.0)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "FROBNICATE"])
def test_every_method_is_reported(method: str) -> None:
    """What a path can do is for the application to say; a HEAD's answer has no body."""
    ws, event = asked(head(f"{method} /metrics?x=1 HTTP/1.1", [("Host", HOST)]))
    assert (event.request.method, event.request.query, event.body) == (method, "x=1", b"")
    ws.respond(ANSWER, 0.0)
    sent = output(ws)
    assert b"Content-Length: 4\r\n" in sent
    assert sent.endswith(b"\r\n\r\n" if method == "HEAD" else b"a 1\n")


def test_old_clients_are_answered() -> None:
    """HTTP/1.0, without a Host, is reported too."""
    ws, event = asked(head("GET /metrics HTTP/1.0", []))
    assert event.request.version == "1.0"
    ws.respond(ANSWER, 0.0)
    assert output(ws).endswith(b"\r\n\r\na 1\n")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head("GET /healthz HTTP/1.1", [("Host", HOST)]), 200),
        (head("GET /healthz?x HTTP/1.1", [("Host", HOST)]), 200),
        (POST.replace(b"/api/publish", b"/healthz") + b"hello", 405),
        (request(origin="x", sec_websocket_version="8"), 426),
        (request(method="POST"), 405),
    ],
)
def test_routes_and_upgrades_are_as_they_were(data: bytes, status: int) -> None:
    """A route answers by itself, and a wrong request for a WebSocket is still refused."""
    ws = server(HTTP)
    ws.receive_data(data, 0.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert event.response.status == status


def test_a_websocket_opens_beside_it() -> None:
    """A request to upgrade becomes `Requested`, for a path of any name."""
    ws = server(HTTP)
    ws.receive_data(request(target="/metrics"), 0.0)
    (event,) = events(ws)
    assert isinstance(event, Requested)
    assert ws.accept(0.0)
    assert ws.state is State.OPEN


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_what_is_no_ordinary_request_is_as_it_was(case: OddRequest) -> None:
    """The odd requests to upgrade are answered alike, whether ordinary ones are asked for or not."""
    seen = []
    for options in (ServerOptions(), HTTP):
        ws = server(options)
        ws.receive_data(case.data, 0.0)
        told = events(ws)
        if told and isinstance(told[-1], HttpRequested):
            return  # the one without Upgrade and key
        seen.append((told, output(ws), ws.end, ws.wants_read))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("data", [GET, POST + b"hello", POST, EXPECTS, EXPECTS + b"hello"])
def test_without_the_option_nothing_is_reported(data: bytes) -> None:
    """By default such a request gets 426 at its head: no body is waited for, no 100 is sent."""
    ws = server()
    ws.receive_data(data, 0.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert read_answer(output(ws)).status == 426
    assert_ends(ws)


# Mistakes.


def test_a_request_is_answered_once() -> None:
    """Before the request, after the answer, and on a client's side `respond` raises."""
    ws = server(HTTP)
    for part in (b"", POST[:20], POST[20:], b"hell"):
        ws.receive_data(part, 0.0)
        with pytest.raises(LocalProtocolError, match="HttpRequested"):
            ws.respond(ANSWER, 0.0)
    ws.receive_data(b"o", 0.0)
    assert ws.respond(ANSWER, 0.0)
    for command in (ws.respond, ws.reject):
        with pytest.raises(LocalProtocolError):
            command(ANSWER, 0.0)
    assert output(ws).count(b"HTTP/1.1") == 1
    with pytest.raises(LocalProtocolError):
        client().respond(ANSWER, 0.0)


def test_the_two_kinds_of_request_are_not_confused() -> None:
    """`respond` is no answer to an upgrade, nor `accept` to ordinary HTTP; the right one still works."""
    ws, _ = asked(GET)
    with pytest.raises(LocalProtocolError, match="respond"):
        ws.accept(0.0)
    with pytest.raises(LocalProtocolError, match="reject"):
        ws.close(0.0)
    assert ws.respond(ANSWER, 0.0)
    other = server(HTTP)
    other.receive_data(request(), 0.0)
    with pytest.raises(LocalProtocolError, match="accept"):
        other.respond(ANSWER, 0.0)
    assert other.accept(0.0)


@pytest.mark.parametrize("wrong", [Response(101), Response(99), respond(200, b"", "a\r\nb")])
def test_a_bad_response_changes_nothing(wrong: Response) -> None:
    """What cannot be written raises, and another response still can be given."""
    ws, _ = asked(GET)
    with pytest.raises(LocalProtocolError):
        ws.respond(wrong, 0.0)
    assert not ws.wants_write
    assert events(ws) == []
    assert ws.respond(ANSWER, 0.0)


def test_the_option_must_be_a_bool() -> None:
    """A value that only looks true is refused when the options are made."""
    with pytest.raises(LocalProtocolError, match="http"):
        ServerOptions(http="yes")  # type: ignore[arg-type]


def test_who_turns_all_away_need_not_look() -> None:
    """`reject` answers an ordinary request as well."""
    ws, _ = asked(GET)
    ws.reject(text_response(503, "The server is shutting down"), 0.0)
    assert len(events(ws)) == 1
    assert read_answer(output(ws)).status == 503
    assert_ends(ws)


@pytest.mark.parametrize("what", ["end of stream", "lost", "late"])
def test_an_answer_that_comes_too_late(what: str) -> None:
    """If the handshake ended meanwhile nothing raises or is sent, and the caller is told."""
    ws = server(HTTP)
    ws.receive_data(GET, 0.0)
    if what == "end of stream":
        ws.receive_eof(0.0)
    elif what == "lost":
        ws.connection_lost(0.0)
    else:
        ws.handle_timeout(10.0)
    assert isinstance(ws.next_event(), HttpRequested)
    assert not ws.respond(ANSWER, 10.0)
    assert b" 200 " not in output(ws, 10.0)
    assert len(events(ws)) == 1
    with pytest.raises(LocalProtocolError):
        ws.respond(ANSWER, 10.0)


# Time, and what follows the request.


@pytest.mark.parametrize("sent", [POST, POST + b"hell", POST.replace(b"POST", b"HEAD") + b"hell"])
def test_a_slow_body_is_answered_with_408(sent: bytes) -> None:
    """The body must be there within `open_timeout` of the first moment, however often a byte comes."""
    ws = server(HTTP)
    for second in range(9):
        ws.receive_data(sent[second * 20 : (second + 1) * 20], float(second))
        assert ws.next_timeout() == 10.0
        assert ws.wants_read
    ws.handle_timeout(10.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert event.request is not None
    assert event.request.path == "/api/publish"
    answer = read_answer(output(ws, 10.0), event.request.method)
    assert answer.status == 408
    assert_ends(ws, 10.0)


def test_a_request_that_nobody_answers_gets_503() -> None:
    """The deadline holds for the application too, and is over once it has answered."""
    ws, event = asked(GET)
    assert ws.next_timeout() == 10.0
    ws.handle_timeout(10.0)
    (last,) = events(ws)
    assert isinstance(last, Refused)
    assert last.request == event.request
    assert read_answer(output(ws, 10.0)).status == 503
    assert_ends(ws, 10.0)


def test_the_end_of_the_stream_in_a_body_ends_all() -> None:
    """A client that goes before its body is complete gets no answer."""
    ws = server(HTTP)
    ws.receive_data(POST + b"hell", 0.0)
    ws.receive_eof(0.0)
    (event,) = events(ws)
    assert isinstance(event, Closed)
    assert ws.end is End.CLOSE


def test_nothing_is_read_on_before_the_answer() -> None:
    """`wants_read` is true up to the body's last byte, and false from there to the answer."""
    ws = server(HTTP)
    for at in range(len(POST)):
        ws.receive_data(POST[at : at + 1], 0.0)
        assert ws.wants_read
    ws.receive_data(b"hell", 0.0)
    assert ws.wants_read
    ws.receive_data(b"o", 0.0)
    assert not ws.wants_read
    ws.respond(ANSWER, 0.0)
    assert ws.wants_read  # to drain


@pytest.mark.parametrize("tail", [b"", GET, request(), bytes(20_000), bytes(70_000)])
@pytest.mark.parametrize("cut", ["whole", "behind the request", "behind the answer"])
def test_what_follows_is_dropped(tail: bytes, cut: str) -> None:
    """No byte behind the request is held or becomes a request; all count towards `drain_size`."""
    ws = server(HTTP)
    ws.receive_data(POST + b"hello" + (tail if cut == "whole" else b""), 0.0)
    assert len(events(ws)) == 1
    if cut == "behind the request":
        ws.receive_data(tail, 0.0)
    assert ws._opening is not None
    assert ws.respond(ANSWER, 0.0)
    if cut == "behind the answer":
        ws.receive_data(tail, 0.0)
    assert len(events(ws)) == 1
    assert output(ws).count(b"HTTP/1.1") == 1
    assert ws.end is (End.HALF_CLOSE if len(tail) < 65536 else End.CLOSE)


# 100-continue.


@pytest.mark.parametrize(
    ("lines", "version", "told"),
    [
        ([("Content-Length", "5"), ("Expect", "100-continue")], "1.1", b"100"),
        ([("Content-Length", "5"), ("Expect", "100-Continue")], "1.1", b"100"),
        ([("Transfer-Encoding", "chunked"), ("Expect", "100-continue")], "1.1", b"100"),
        ([("Content-Length", "5"), ("Expect", "")], "1.1", None),
        ([("Content-Length", "0"), ("Expect", "100-continue")], "1.1", None),
        ([("Expect", "100-continue")], "1.1", None),
        ([("Content-Length", "5"), ("Expect", "100-continue")], "1.0", None),
        ([("Content-Length", "5"), ("Expect", "cake")], "1.0", None),
        ([("Content-Length", "5"), ("Expect", "cake")], "1.1", b"417"),
        ([("Content-Length", "5"), ("Expect", "100-continue, cake")], "1.1", b"417"),
        ([("Expect", "cake")], "1.1", b"417"),
        ([("Content-Length", "9999999"), ("Expect", "100-continue")], "1.1", b"413"),
    ],
)
def test_a_client_is_told_to_go_on(
    lines: list[tuple[str, str]], version: str, told: bytes | None
) -> None:
    """A 100 comes where the body will be read, a refusal where it won't, or the client need not wait."""
    ws = server(HTTP)
    ws.receive_data(head(f"POST / HTTP/{version}", [("Host", HOST), *lines]), 0.0)
    sent = output(ws)
    assert sent.partition(b" ")[2][:3] == (told or b"")
    if told == b"100":
        assert sent == b"HTTP/1.1 100 Continue\r\n\r\n"
        chunked = "chunked" in lines[0]
        ws.receive_data(b"5\r\nhello\r\n0\r\n\r\n" if chunked else b"hello", 0.0)
        (event,) = events(ws)
        assert isinstance(event, HttpRequested)
        assert event.body == b"hello"


def test_the_100_goes_out_by_itself() -> None:
    """The adapter is told that bytes wait, and a peer that does not take them is given up."""
    ws = server(ServerOptions(http=True, limits=Limits(open_timeout=None, write_timeout=5.0)))
    ws.data_to_send(0.0)
    assert not ws.dirty
    ws.receive_data(EXPECTS, 1.0)
    assert ws.dirty
    assert ws.wants_write
    assert ws.next_timeout() == 6.0
    output(ws, 2.0)
    assert ws.next_timeout() is None
    ws.receive_data(b"hello", 3.0)
    assert len(events(ws)) == 1


def test_the_event_is_safe_to_print() -> None:
    """`repr` shows neither query, headers nor body."""
    _, event = asked(POST.replace(b"/publish", b"/publish?key=s3cret") + b"s3cre")
    assert repr(event) == "HttpRequested(Request(POST /api/publish?…), 5 bytes)"
