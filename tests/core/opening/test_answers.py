"""What a server may answer: accept, reject, routes, origins; and what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.core import (
    ClientOptions,
    End,
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
from support.machines import assert_ends, client, events, output, read_answer, server
from support.wire import HOST, frame, head, request, response


def asked(*lines: tuple[str, str], options: ServerOptions | None = None) -> WebSocket:
    """A server's side whose `Requested` event was taken."""
    ws = server(options)
    ws.receive_data(request(*lines), 0.0)
    (event,) = events(ws)
    assert isinstance(event, Requested)
    return ws


# Accept.


def test_accept_writes_the_response_of_the_rfc() -> None:
    """The 101 carries the accept key of RFC 6455, 1.3, the chosen subprotocol and our headers."""
    options = ServerOptions(subprotocols=("superchat", "chat"), headers=(("Server", "x"),))
    ws = asked(("Sec-WebSocket-Protocol", "chat, superchat"), options=options)
    ws.accept(0.0, headers={"Set-Cookie": "a=b"})
    assert output(ws) == response(
        ("Sec-WebSocket-Protocol", "superchat"), ("Server", "x"), ("Set-Cookie", "a=b")
    )
    assert ws.state is State.OPEN
    assert ws.can_send


def test_the_request_is_told() -> None:
    """`Requested` carries method, target, headers as they came, offers and our choice."""
    ws = server(ServerOptions(subprotocols=("chat",)))
    ws.receive_data(
        request(
            ("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "chat"), target="/x?y=1"
        ),
        0.0,
    )
    (event,) = events(ws)
    assert isinstance(event, Requested)
    assert event.subprotocols == ("a", "chat")
    assert event.subprotocol == "chat"
    told = event.request
    assert (told.method, told.path, told.query, told.version) == ("GET", "/x", "y=1", "1.1")
    assert told.headers.get_all("SEC-WEBSOCKET-PROTOCOL") == ["a", "chat"]
    assert told.headers["sec-websocket-protocol"] == "a, chat"
    assert told.headers["Host"] == HOST
    assert "X-Missing" not in told.headers


@pytest.mark.parametrize("choice", [None, "b"])
def test_accept_takes_another_subprotocol(choice: str | None) -> None:
    """The application may choose any that is offered, or none."""
    ws = asked(("Sec-WebSocket-Protocol", "a, b"), options=ServerOptions(subprotocols=("a",)))
    ws.accept(0.0, subprotocol=choice)
    assert read_answer(output(ws)).headers.get("sec-websocket-protocol") == choice


BAD_HEADERS: list[Any] = [
    {"X-A": "1\r\nSet-Cookie: evil"},
    {"X-A": "1\nX: 2"},
    {"X-A": "1\r"},
    {"X-A": "\0"},
    {"X-A": " 1"},
    {"X-A": "1 "},
    {"X-A": "\U0001f600"},
    {"X A": "1"},
    {"X-A:": "1"},
    {"X-A\r\nX": "1"},
    {"": "1"},
    {"É": "1"},
    [("X-A", "ok"), ("X-A", "bad\n")],
]


@pytest.mark.parametrize("headers", BAD_HEADERS, ids=repr)
def test_a_bad_header_is_refused_and_changes_nothing(headers: Any) -> None:
    """Nothing that ends a line, or is no header, gets into a response; then `accept` still works."""
    ws = asked()
    with pytest.raises(LocalProtocolError):
        ws.accept(0.0, headers=headers)
    with pytest.raises(LocalProtocolError):
        ws.reject(
            respond(
                403, b"", "text/plain", headers if isinstance(headers, list) else headers.items()
            ),
            0.0,
        )
    assert not ws.wants_write
    assert ws.state is State.CONNECTING
    ws.accept(0.0)
    assert output(ws) == response()


def test_an_unoffered_subprotocol_is_refused_and_changes_nothing() -> None:
    """`accept` takes no subprotocol that the client did not offer."""
    ws = asked(("Sec-WebSocket-Protocol", "a"))
    with pytest.raises(LocalProtocolError, match="not offered"):
        ws.accept(0.0, subprotocol="b")
    assert not ws.wants_write
    ws.accept(0.0, subprotocol="a")
    assert b"Sec-WebSocket-Protocol: a\r\n" in output(ws)


@pytest.mark.parametrize(
    "wrong",
    [
        Response(101),
        Response(199),
        Response(600),
        Response(0),
        Response(403, text_response(200, "", [("Content-Length", "3")]).headers),
        Response(403, text_response(200, "", [("Connection", "keep-alive")]).headers),
        Response(403, text_response(200, "", [("transfer-encoding", "chunked")]).headers),
    ],
    ids=repr,
)
def test_a_bad_response_is_refused_and_changes_nothing(wrong: Response) -> None:
    """`reject` takes final statuses only, and writes the framing of the body itself."""
    ws = asked()
    with pytest.raises(LocalProtocolError):
        ws.reject(wrong, 0.0)
    assert not ws.wants_write
    assert events(ws) == []
    ws.accept(0.0)
    assert output(ws) == response()


def test_nothing_can_be_answered_before_a_request_or_twice() -> None:
    """`accept`, `reject` and `close` raise while there is no request, and answers come once."""
    ws = server()
    for part in (b"", request()[:20], request()[20:-1]):
        ws.receive_data(part, 0.0)
        for command in (
            lambda: ws.accept(0.0),
            lambda: ws.reject(text_response(403, ""), 0.0),
            lambda: ws.send("x", 0.0),
            lambda: ws.ping(0.0),
        ):
            with pytest.raises(LocalProtocolError):
                command()
        with pytest.raises(LocalProtocolError, match="reject"):
            ws.close(0.0)
    ws.receive_data(request()[-1:], 0.0)
    assert ws.accept(0.0)
    with pytest.raises(LocalProtocolError):
        ws.accept(0.0)
    with pytest.raises(LocalProtocolError):
        ws.reject(text_response(403, ""), 0.0)
    assert output(ws) == response()


def test_a_client_accepts_nothing() -> None:
    """The commands of a server's side raise on a client's."""
    ws = client()
    with pytest.raises(LocalProtocolError):
        ws.accept(0.0)
    with pytest.raises(LocalProtocolError):
        ws.reject(text_response(403, ""), 0.0)


# Reject.


@pytest.mark.parametrize("status", [200, 302, 401, 403, 404, 429, 503, 599])
def test_a_rejection_is_a_whole_response(status: int) -> None:
    """The response arrives with its headers and body, and then the connection ends."""
    ws = asked()
    ws.reject(respond(status, b"why", "text/plain", [("Retry-After", "5")]), 0.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert event.request is not None
    answer = read_answer(output(ws))
    assert (answer.status, answer.body, answer.rest) == (status, b"why", b"")
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["content-length"] == "3"
    assert_ends(ws)


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none(status: int) -> None:
    """204 and 304 are sent without body and without length."""
    ws = asked()
    ws.reject(Response(status, body=b"ignored"), 0.0)
    answer = read_answer(output(ws))
    assert (answer.status, answer.body, answer.rest) == (status, b"", b"")
    assert "content-length" not in answer.headers


def test_after_a_rejection_what_comes_is_thrown_away() -> None:
    """Up to `drain_size` bytes are read and dropped; then the socket is to be closed."""
    ws = asked()
    ws.reject(text_response(403, "no"), 0.0)
    output(ws)
    assert len(events(ws)) == 1
    ws.receive_data(frame(1, b"hello") + request(), 0.0)
    assert (ws.wants_read, ws.end) == (True, End.HALF_CLOSE)
    ws.receive_data(bytes(65536), 0.0)
    assert (ws.wants_read, ws.end) == (False, End.CLOSE)
    assert events(ws) == []
    assert not ws.wants_write


# Routes.

ROUTES = {
    "/healthz": text_response(200, "ok"),
    "/": respond(200, b"<html>", "text/html"),
    "/old": Response(301, text_response(200, "", [("Location", "/")]).headers),
}


@pytest.mark.parametrize(
    ("method", "target", "status", "body"),
    [
        ("GET", "/healthz", 200, b"ok\n"),
        ("HEAD", "/healthz", 200, b""),
        ("GET", "/healthz?verbose", 200, b"ok\n"),
        ("POST", "/healthz", 405, b"Use GET or HEAD\n"),
        ("DELETE", "/healthz", 405, b"Use GET or HEAD\n"),
        ("GET", "/", 200, b"<html>"),
        ("GET", "/old", 301, b""),
        ("GET", "/healthz/", 426, None),
        ("GET", "/HEALTHZ", 426, None),
        ("GET", "/unknown", 426, None),
        ("HEAD", "/unknown", 426, b""),
        ("POST", "/unknown", 426, None),
    ],
)
def test_ordinary_requests_are_answered(
    method: str, target: str, status: int, body: bytes | None
) -> None:
    """A route answers GET and HEAD; an unknown path says that this is a WebSocket server."""
    ws = server(ServerOptions(routes=ROUTES))
    ws.receive_data(head(f"{method} {target} HTTP/1.1", [("Host", HOST)]), 0.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert event.request is not None
    assert event.request.method == method
    answer = read_answer(output(ws), method)
    assert answer.status == status
    assert body is None or (body in answer.body and (body or not answer.body))
    if status == 405:
        assert answer.headers["allow"] == "GET, HEAD"
    if status == 426:
        assert answer.headers["upgrade"] == "websocket"
        assert answer.headers["sec-websocket-version"] == "13"
    assert_ends(ws)


def test_health_is_answered_without_options() -> None:
    """`/healthz` is there by default, over HTTP/1.0 and without a Host too."""
    ws = server()
    ws.receive_data(head("GET /healthz HTTP/1.0", []), 0.0)
    answer = read_answer(output(ws))
    assert (answer.status, answer.body) == (200, b"ok\n")


def test_a_head_answer_says_how_long_the_body_is() -> None:
    """HEAD gets the same headers as GET."""
    answers = []
    for method in ("GET", "HEAD"):
        ws = server()
        ws.receive_data(head(f"{method} /healthz HTTP/1.1", [("Host", HOST)]), 0.0)
        answers.append(read_answer(output(ws), method))
    assert answers[0].headers.lines == answers[1].headers.lines
    assert answers[1].body == b""


@pytest.mark.parametrize(
    "routes", [{"healthz": text_response(200, "ok")}, {"/x": Response(101)}, {"/x": Response(99)}]
)
def test_routes_that_cannot_be_answered_are_refused_at_once(routes: dict[str, Response]) -> None:
    """A wrong route is told when the options are made, not to the first visitor."""
    with pytest.raises(LocalProtocolError):
        ServerOptions(routes=routes)


@pytest.mark.parametrize("name", ["", "a b", "a,b", "é", "a\r\n"])
def test_a_subprotocol_must_be_a_token(name: str) -> None:
    """A wrong subprotocol is told when the options are made, on both sides."""
    with pytest.raises(LocalProtocolError):
        ServerOptions(subprotocols=(name,))
    with pytest.raises(LocalProtocolError):
        ClientOptions(host=HOST, subprotocols=(name,))


# Origins.


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("https://example.com", "example.com", True),
        ("http://example.com", "example.com", True),
        ("https://example.com:443", "example.com", True),
        ("https://example.com", "example.com:443", True),
        ("http://example.com:80", "example.com", True),
        ("http://example.com", "example.com:80", True),
        ("HTTPS://EXAMPLE.com", "example.COM", True),
        ("http://example.com:8765", "example.com:8765", True),
        ("http://[::1]:8765", "[::1]:8765", True),
        ("http://example.com", "example.com:8765", False),
        ("https://example.com:80", "example.com", False),
        ("http://example.com:443", "example.com", False),
        ("https://example.com.evil.example", "example.com", False),
        ("https://evil.example", "example.com", False),
        ("https://sub.example.com", "example.com", False),
        ("https://example.com/", "example.com", False),
        ("https://example.com@evil.example", "example.com", False),
        ("ftp://example.com", "example.com", False),
        ("chrome-extension://example.com", "example.com", False),
        ("example.com", "example.com", False),
        ("null", "null", False),
        ("", "example.com", False),
    ],
)
def test_same_host(origin: str, host: str, allowed: bool) -> None:
    """By default only pages of our own host may connect, whatever way the default port is written."""
    ws = server()
    ws.receive_data(request(("Origin", origin), host=host), 0.0)
    (event,) = events(ws)
    assert isinstance(event, Requested) is allowed
    if not allowed:
        assert read_answer(output(ws)).status == 403


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://a.example", True),
        ("HTTPS://A.EXAMPLE", True),
        ("http://b.example:8080", True),
        ("http://a.example", False),
        ("https://a.example:443", False),
        ("https://a.example.evil.example", False),
        ("https://example.com", False),
        ("null", False),
    ],
)
def test_listed_origins(origin: str, allowed: bool) -> None:
    """A list allows exactly what it names; our own host is not on it by itself."""
    ws = server(ServerOptions(origins=("https://A.example", "http://b.example:8080")))
    ws.receive_data(request(("Origin", origin)), 0.0)
    assert isinstance(events(ws)[0], Requested) is allowed


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "\xe9"])
def test_all_origins(origin: str) -> None:
    """`origins=None` lets every page in."""
    ws = server(ServerOptions(origins=None))
    ws.receive_data(request(("Origin", origin)), 0.0)
    assert isinstance(events(ws)[0], Requested)


@pytest.mark.parametrize("origins", ["same-host", (), ("https://a.example",), None])
def test_no_origin_is_no_page(origins: Any) -> None:
    """A request without an Origin comes from no browser's page, and may connect."""
    ws = server(ServerOptions(origins=origins))
    ws.receive_data(request(), 0.0)
    assert isinstance(events(ws)[0], Requested)


@pytest.mark.parametrize("origins", ["same-host", ("null",), None])
def test_two_origins_are_refused(origins: Any) -> None:
    """Two Origin headers are no valid request, whatever is allowed."""
    ws = server(ServerOptions(origins=origins))
    ws.receive_data(request(("Origin", "null"), ("Origin", "null")), 0.0)
    assert read_answer(output(ws)).status == 400
