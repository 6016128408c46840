"""The client's side: its request, and every way in which a response can be wrong."""

from __future__ import annotations

from typing import Any

import h11
import pytest

from hubbub.core import (
    Accepted,
    ClientOptions,
    Closed,
    Deflate,
    End,
    Limits,
    LocalProtocolError,
    Refused,
    State,
    TextMessage,
    WebSocket,
)
from support.machines import assert_ends, client, counting_entropy, events, output
from support.wire import ACCEPT, HOST, KEY, head, pieces, request, response, text

OFFERING = ClientOptions(host=HOST, deflate=Deflate(), subprotocols=("chat", "superchat"))
CUTS = [(10**6,), (1,), (7, 50)]


def fed(data: bytes, sizes: tuple[int, ...], options: ClientOptions | None = None) -> WebSocket:
    """A client's side that has received `data` in pieces."""
    ws = client(options)
    for piece in pieces(data, *sizes):
        ws.receive_data(piece, 0.0)
    return ws


def failed(ws: WebSocket) -> str:
    """The cause of an end without a word; nothing is sent, and the socket is to be closed."""
    (event,) = events(ws)
    assert isinstance(event, Closed)
    assert (event.code, event.sent, event.received) == (1006, None, None)
    assert output(ws) == b""
    assert ws.end is End.CLOSE
    assert ws.next_timeout() is None
    assert ws.state is State.CLOSED
    return event.cause


# The request.


def test_the_request_is_that_of_the_rfc() -> None:
    """The request is a GET with the five headers, then what the options add."""
    options = ClientOptions(
        host="example.com:8765",
        target="/chat?x=1",
        origin="https://a.example",
        subprotocols=("chat", "superchat"),
        deflate=Deflate(),
        headers=(("Authorization", "Bearer x"),),
    )
    ws = WebSocket(options, now=0.0, entropy=counting_entropy())
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(output(ws))
    event = reader.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (b"GET", b"/chat?x=1")
    assert dict(event.headers) == {
        b"host": b"example.com:8765",
        b"upgrade": b"websocket",
        b"connection": b"Upgrade",
        b"sec-websocket-key": KEY.encode(),
        b"sec-websocket-version": b"13",
        b"origin": b"https://a.example",
        b"sec-websocket-protocol": b"chat, superchat",
        b"sec-websocket-extensions": b"permessage-deflate; client_no_context_takeover; "
        b"server_max_window_bits=12; client_max_window_bits=12",
        b"authorization": b"Bearer x",
    }
    assert ws.state is State.CONNECTING


def test_the_plain_request_byte_for_byte() -> None:
    """Without options the request is the five lines."""
    ws = WebSocket(ClientOptions(host=HOST), now=0.0, entropy=counting_entropy())
    assert output(ws) == request()


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": "/a b"},
        {"target": "/a\r\nX: y"},
        {"target": "/\xe9"},
        {"host": "a\r\nX: y"},
        {"host": "\U0001f600"},
        {"origin": "https://a.example\n"},
        {"host": HOST, "headers": (("X-A", "1\r\nB: 2"),)},
        {"host": HOST, "headers": (("X A", "1"),)},
        {"host": HOST, "headers": (("Host", "other"),)},
    ],
    ids=repr,
)
def test_a_request_that_cannot_be_written(wrong: dict[str, Any]) -> None:
    """A wrong option raises when the client is made, before anything is sent."""
    with pytest.raises(LocalProtocolError):
        WebSocket(ClientOptions(**{"host": HOST, **wrong}), now=0.0, entropy=counting_entropy())


# Responses that open.


@pytest.mark.parametrize("sizes", CUTS)
@pytest.mark.parametrize(
    "data",
    [
        response(),
        response(upgrade="WebSocket", connection="keep-alive, upgrade"),
        response(status="101"),
        head("HTTP/1.1 100 Continue", []) + response(),
        head("HTTP/1.1 103 Early Hints", [("Link", "</style.css>")]) * 5 + response(),
        head("HTTP/1.1 102 Processing", []) + head("HTTP/1.1 100 Continue", []) + response(),
    ],
    ids=["plain", "capitals", "no reason", "100", "103", "102 and 100"],
)
def test_a_good_response_opens(data: bytes, sizes: tuple[int, ...]) -> None:
    """A right 101 opens, also behind interim responses, and frames behind it are read."""
    ws = fed(data + text("hello", mask=None), sizes)
    accepted, message = events(ws)
    assert isinstance(accepted, Accepted)
    assert accepted.response.status == 101
    assert accepted.subprotocol is None
    assert message == TextMessage("hello")
    assert ws.state is State.OPEN
    assert ws.end is None


def test_the_chosen_subprotocol_is_told() -> None:
    """`Accepted` carries what the server chose and its headers."""
    ws = fed(response(("Sec-WebSocket-Protocol", "superchat"), ("X-Node", "7")), (10**6,), OFFERING)
    (event,) = events(ws)
    assert isinstance(event, Accepted)
    assert event.subprotocol == "superchat"
    assert event.response.headers["x-node"] == "7"
    assert not ws.compressed


@pytest.mark.parametrize(
    "parameters",
    [
        "server_max_window_bits=12",
        "server_max_window_bits=8",
        "server_max_window_bits=9; server_no_context_takeover",
        "server_max_window_bits=12; client_max_window_bits=9; client_no_context_takeover",
        'server_max_window_bits="10"; client_max_window_bits=15',
    ],
)
def test_a_good_agreement_compresses(parameters: str) -> None:
    """Windows not larger than offered are taken; any flag is."""
    line = ("Sec-WebSocket-Extensions", f"permessage-deflate; {parameters}")
    ws = fed(response(line), (10**6,), OFFERING)
    assert isinstance(events(ws)[0], Accepted)
    assert ws.compressed


# Responses that break the protocol.

BROKEN: list[tuple[str, bytes, str]] = [
    ("wrong accept", response(accept="A" * 27 + "="), "does not answer our key"),
    ("accept in other letters", response(accept=ACCEPT.swapcase()), "does not answer our key"),
    ("accept not ASCII", response(accept="\xe9"), "does not answer our key"),
    ("no accept", response(without=("Sec-WebSocket-Accept",)), "does not answer our key"),
    ("accept twice", response(("Sec-WebSocket-Accept", ACCEPT)), "does not answer our key"),
    ("no upgrade", response(without=("Upgrade",)), "Upgrade header"),
    ("upgrade to h2c", response(upgrade="h2c"), "Upgrade header"),
    ("upgrade to two", response(upgrade="websocket, h2c"), "Upgrade header"),
    ("no connection", response(without=("Connection",)), "Connection header"),
    ("connection close", response(connection="close"), "Connection header"),
    ("unknown subprotocol", response(("Sec-WebSocket-Protocol", "x")), "not offered"),
    ("empty subprotocol", response(("Sec-WebSocket-Protocol", "")), "not offered"),
    ("two subprotocols", response(*[("Sec-WebSocket-Protocol", "chat")] * 2), "not offered"),
    ("subprotocol list", response(("Sec-WebSocket-Protocol", "chat, superchat")), "not offered"),
    ("unknown extension", response(("Sec-WebSocket-Extensions", "x-other")), "not offered"),
    (
        "two extensions",
        response(("Sec-WebSocket-Extensions", "permessage-deflate, permessage-deflate")),
        "not offered",
    ),
    ("malformed extension", response(("Sec-WebSocket-Extensions", "a b")), "malformed"),
    (
        "window not confirmed",
        response(("Sec-WebSocket-Extensions", "permessage-deflate")),
        "larger compression window",
    ),
    (
        "window too large",
        response(("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=13")),
        "larger compression window",
    ),
    (
        "client window of 8",
        response(
            (
                "Sec-WebSocket-Extensions",
                "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8",
            )
        ),
        "8 bits",
    ),
    (
        "client window without a value",
        response(
            (
                "Sec-WebSocket-Extensions",
                "permessage-deflate; server_max_window_bits=9; client_max_window_bits",
            )
        ),
        "not valid",
    ),
    (
        "unknown parameter",
        response(("Sec-WebSocket-Extensions", "permessage-deflate; x=1")),
        "not valid",
    ),
    ("garbage", b"\x15\x03\x01\x00\x02\x02\x46", "not an HTTP/1.1 message"),
    ("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "malformed"),
    ("a word", b"HELLO\r\n\r\n", "malformed"),
    ("status of two digits", head("HTTP/1.1 20 OK", []), "malformed"),
    ("status of letters", head("HTTP/1.1 abc OK", []), "malformed"),
    ("LF only", response(("X-A", "1\nX-B: 2")), "Lines must end"),
    ("folded line", response(("X-A", "1\r\n 2")), "Folded"),
    ("too many lines", response(*[("X", "1")] * 98), "More than 100"),
    ("head too long", response(("X", "1" * 16384)), "longer than 16384"),
    ("head without end", b"HTTP/1.1 101 " + b"x" * 20000, "longer than 16384"),
    ("bad length", head("HTTP/1.1 200 OK", [("Content-Length", "x")]), "malformed"),
    ("interim, then garbage", head("HTTP/1.1 100 Continue", []) + b"\x16\x03", "not an HTTP/1.1"),
]


@pytest.mark.parametrize("sizes", CUTS)
@pytest.mark.parametrize(
    ("data", "cause"), [case[1:] for case in BROKEN], ids=[c[0] for c in BROKEN]
)
def test_a_broken_response_closes(data: bytes, cause: str, sizes: tuple[int, ...]) -> None:
    """What breaks the protocol ends the connection at once, and the cause says what it was."""
    assert cause in failed(fed(data, sizes, OFFERING))


def test_an_extension_that_was_not_offered_closes() -> None:
    """Without `deflate` no extension may be accepted."""
    data = response(("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=9"))
    assert "not offered" in failed(fed(data, (10**6,)))


def test_the_cause_quotes_nothing_of_the_server() -> None:
    """A cause is safe to log: no header's value stands in it."""
    for _, data, _ in BROKEN:
        marked = data.replace(b"\r\n\r\n", b"\r\nX-Marked: SECRET\x1b[31m\r\n\r\n", 1)
        ws = fed(marked, (10**6,), OFFERING)
        assert "SECRET" not in repr(events(ws))


# Responses that refuse.

REFUSALS: list[tuple[str, bytes, int, bytes]] = [
    ("200", head("HTTP/1.1 200 OK", [("Content-Length", "5")]) + b"hello", 200, b"hello"),
    ("301", head("HTTP/1.1 301 Moved", [("Location", "/b"), ("Content-Length", "0")]), 301, b""),
    ("404", head("HTTP/1.1 404 Not Found", [("Content-Length", "2")]) + b"no", 404, b"no"),
    (
        "chunked",
        head("HTTP/1.1 503 Busy", [("Transfer-Encoding", "chunked")])
        + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n",
        503,
        b"abcde",
    ),
    ("204", head("HTTP/1.1 204 No Content", []), 204, b""),
    ("304", head("HTTP/1.1 304 Not Modified", [("Content-Length", "9")]), 304, b""),
    (
        "behind 100",
        head("HTTP/1.1 100 Continue", [])
        + head("HTTP/1.1 401 Unauthorized", [("Content-Length", "1")])
        + b"x",
        401,
        b"x",
    ),
    (
        "more than the length",
        head("HTTP/1.1 404 Not Found", [("Content-Length", "2")]) + b"no more",
        404,
        b"no",
    ),
]


@pytest.mark.parametrize("sizes", CUTS)
@pytest.mark.parametrize(
    ("data", "status", "body"), [case[1:] for case in REFUSALS], ids=[c[0] for c in REFUSALS]
)
def test_a_refusal_is_told_whole(
    data: bytes, status: int, body: bytes, sizes: tuple[int, ...]
) -> None:
    """A final response other than 101 is `Refused`, with its body, as soon as that is complete."""
    ws = fed(data, sizes)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert (event.response.status, event.response.body) == (status, body)
    assert event.request is None
    assert output(ws) == b""
    assert_ends(ws)


@pytest.mark.parametrize("sizes", CUTS)
@pytest.mark.parametrize("size", [49, 50, 51, 5000])
@pytest.mark.parametrize("framing", ["length", "chunked", "end of stream"])
def test_a_long_body_is_cut_off(framing: str, size: int, sizes: tuple[int, ...]) -> None:
    """Of a refusal's body `max_body` bytes are kept; the rest is not waited for."""
    body = b"x" * size
    lines = {
        "length": [("Content-Length", str(size))],
        "chunked": [("Transfer-Encoding", "chunked")],
        "end of stream": [],
    }[framing]
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (size, body) if framing == "chunked" else body
    options = ClientOptions(host=HOST, limits=Limits(max_body=50))
    ws = fed(head("HTTP/1.1 500 Oops", lines) + sent, sizes, options)
    told = events(ws)
    if framing == "end of stream" and size < 50:
        assert told == []
        ws.receive_eof(1.0)
        told = events(ws)
    (event,) = told
    assert isinstance(event, Refused)
    assert event.response.body == body[:50]


@pytest.mark.parametrize("lines", [[("Content-Length", "9")], []], ids=["length", "no length"])
def test_the_end_of_the_stream_completes_a_refusal(lines: list[tuple[str, str]]) -> None:
    """If the stream ends inside a refusal's body, what came of it is told."""
    ws = fed(head("HTTP/1.1 502 Bad", lines) + b"part", (10**6,))
    assert events(ws) == []
    ws.receive_eof(1.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert (event.response.status, event.response.body) == (502, b"part")
    output(ws, 1.0)
    assert ws.end is End.CLOSE


@pytest.mark.parametrize(
    "data", [b"", b"H", response()[:40], head("HTTP/1.1 100 Continue", [])], ids=repr
)
def test_the_end_of_the_stream_before_the_head(data: bytes) -> None:
    """If the stream ends before the final head is complete, the connection is closed, not refused."""
    ws = fed(data, (10**6,))
    assert events(ws) == []
    ws.receive_eof(1.0)
    assert "ended the stream" in failed(ws)


def test_bytes_behind_the_end_are_ignored() -> None:
    """Once it has failed nothing moves a client any more."""
    ws = fed(b"\x16garbage", (10**6,))
    failed(ws)
    ws.receive_data(response() + text("x", mask=None), 1.0)
    ws.receive_eof(1.0)
    ws.handle_timeout(99.0)
    assert events(ws) == []
    assert ws.end is End.CLOSE


def test_a_client_gives_up() -> None:
    """`close` before the response ends the connection without a word."""
    ws = client()
    ws.close(0.0)
    assert "before the opening handshake" in failed(ws)


def test_a_connecting_client_sends_nothing() -> None:
    """Messages and pings raise until the server has accepted."""
    ws = client()
    assert not ws.can_send
    with pytest.raises(LocalProtocolError, match="connecting"):
        ws.send("x", 0.0)
    with pytest.raises(LocalProtocolError, match="connecting"):
        ws.ping(0.0)
    assert not ws.wants_write


@pytest.mark.parametrize("sizes", [(), (1000,), (1,)], ids=["whole", "pieces", "bytes"])
@pytest.mark.parametrize(
    "body",
    [b"zz\r\n", b"1;" + b"x" * 20_000 + b"\r\na\r\n0\r\n\r\n", b"0\r\nt: " + b"y" * 30_000],
    ids=["bad chunk", "long extension", "long trailer"],
)
def test_an_odd_body_is_a_refusal_however_it_is_cut(body: bytes, sizes: tuple[int, ...]) -> None:
    """What is wrong with the body of a refusal, or too long in it, changes nothing of the refusal."""
    ws = client()
    data = head("HTTP/1.1 404 Not Found", [("Transfer-Encoding", "chunked")]) + body
    step = sizes[0] if sizes else len(data)
    for at in range(0, len(data), step):
        ws.receive_data(data[at : at + step], 0.0)
    ws.receive_eof(0.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert event.response.status == 404


def test_interim_responses_are_few() -> None:
    """Sixteen 1xx responses are passed over; a peer that sends more is left."""
    interim = head("HTTP/1.1 100 Continue", [])
    patient, flooded = client(), client()
    patient.receive_data(interim * 16, 0.0)
    assert events(patient) == []
    flooded.receive_data(interim * 17, 0.0)
    (event,) = events(flooded)
    assert isinstance(event, Closed)
    assert "interim" in event.cause
