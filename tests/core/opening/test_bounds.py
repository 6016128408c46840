"""What an opening handshake may cost, and what it may tell a log."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from hubbub.core import (
    Accepted,
    ClientOptions,
    End,
    Headers,
    LocalProtocolError,
    Refused,
    Request,
    Requested,
    Response,
    ServerOptions,
    WebSocket,
)
from support.machines import client, events, output, read_answer, server
from support.wire import head, pieces, request, response

MIB = 2**20
TEN_MB = 10_000_000


def peak_of(work: Callable[[], object]) -> int:
    """The most memory that `work` held at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def long_requests() -> list[bytes]:
    """Requests of 10 MB: one long line, and many short ones."""
    return [
        request(("X-Fill", "x" * TEN_MB)),
        request(*[("X", "y" * 100)] * (TEN_MB // 105)),
        b"GET /" + b"x" * TEN_MB,
        b"A" * TEN_MB,
    ]


@pytest.mark.parametrize("data", long_requests(), ids=["a line", "lines", "a target", "no end"])
@pytest.mark.parametrize("size", [TEN_MB * 2, 65536, 1000])
def test_ten_megabytes_of_request_are_not_kept(data: bytes, size: int) -> None:
    """10 MB of head, in one call or many, get 431 and cost less than 1 MiB."""
    parts = pieces(data, size)
    ws = server()

    def receive() -> None:
        for part in parts:
            ws.receive_data(part, 0.0)

    assert peak_of(receive) < MIB
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert read_answer(output(ws)).status == 431


@pytest.mark.parametrize("size", [TEN_MB * 2, 65536])
def test_ten_megabytes_of_response_are_not_kept(size: int) -> None:
    """A client holds no more of a long head than the limit."""
    parts = pieces(response(("X-Fill", "x" * TEN_MB)), size)
    ws = client()

    def receive() -> None:
        for part in parts:
            ws.receive_data(part, 0.0)

    assert peak_of(receive) < MIB
    assert len(events(ws)) == 1


def test_a_long_body_is_not_kept() -> None:
    """Of 10 MB of body, in reads of 64 KiB, a client holds `max_body` and a read."""
    data = head("HTTP/1.1 500 Oops", [("Content-Length", str(TEN_MB))]) + bytes(TEN_MB)
    parts = pieces(data, 65536)
    ws = client()

    def receive() -> None:
        for part in parts:
            ws.receive_data(part, 0.0)

    assert peak_of(receive) < MIB
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert len(event.response.body) == 65536


@pytest.mark.parametrize("size", [16384, 1000])
def test_early_bytes_are_not_kept(size: int) -> None:
    """10 MB behind the request, while nobody decides, cost less than 1 MiB."""
    ws = server()
    ws.receive_data(request(), 0.0)
    parts = pieces(bytes(TEN_MB), size)

    def receive() -> None:
        for part in parts:
            ws.receive_data(part, 0.0)

    assert peak_of(receive) < MIB


def test_an_open_connection_keeps_nothing_of_its_request() -> None:
    """A request with 16 kB of cookies leaves no trace once it was accepted and its event is gone."""
    data = request(("Cookie", "x" * 16000))
    options = ServerOptions()
    machines: list[WebSocket] = []

    def one() -> None:
        ws = WebSocket(options, now=0.0, entropy=bytes)
        ws.receive_data(data, 0.0)
        (event,) = events(ws)
        assert isinstance(event, Requested)
        ws.accept(0.0)
        output(ws)
        machines.append(ws)

    one()  # what is made once is made now
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(50):
        one()
    each = (tracemalloc.get_traced_memory()[0] - before) / 50
    tracemalloc.stop()
    assert each < 2048


SECRET = "s3cret"


def test_a_request_is_safe_to_print() -> None:
    """`repr` of a request and of its event shows no query and no header's value."""
    ws = server()
    ws.receive_data(
        request(
            ("Authorization", f"Bearer {SECRET}"),
            ("Cookie", f"session={SECRET}"),
            ("X-Password", SECRET),
            target=f"/chat?token={SECRET}",
        ),
        0.0,
    )
    (event,) = events(ws)
    assert isinstance(event, Requested)
    for shown in (event, event.request, event.request.headers, [event], f"{event.request}"):
        assert SECRET not in repr(shown)
    assert repr(event.request) == "Request(GET /chat?…)"
    assert "authorization" in repr(event.request.headers)
    assert event.request.query == f"token={SECRET}"


def test_a_refusal_is_safe_to_print() -> None:
    """`repr` of a refused request and of its event shows no secret either."""
    ws = server()
    ws.receive_data(request(("Origin", f"https://{SECRET}.example"), target=f"/?{SECRET}"), 0.0)
    (event,) = events(ws)
    assert isinstance(event, Refused)
    assert SECRET not in repr(event)
    assert SECRET.encode() not in output(ws)


def test_a_response_is_safe_to_print() -> None:
    """`repr` of a response and of a client's events shows neither headers' values nor the body."""
    ws = client()
    ws.receive_data(response(("Set-Cookie", SECRET)), 0.0)
    (event,) = events(ws)
    assert isinstance(event, Accepted)
    assert SECRET not in repr(event)
    assert SECRET not in repr(Response(403, Headers({"X": SECRET}), SECRET.encode()))
    assert repr(Headers({"X-Token": SECRET})) == "Headers(x-token)"
    assert repr(Request("GET", "/", Headers())) == "Request(GET /)"


@pytest.mark.parametrize(
    "data",
    [
        b"NONSENSE " + SECRET.encode() + b"\r\n\r\n",
        request((f"X {SECRET}", "1")),
        request(host=f"{SECRET} x"),
        request(target=f"http://{SECRET}/"),
        request(sec_websocket_key=SECRET),
        request(("Sec-WebSocket-Protocol", f"{SECRET} x")),
        request(("Sec-WebSocket-Extensions", f"{SECRET} x")),
    ],
)
def test_an_error_quotes_nothing(data: bytes) -> None:
    """What the peer sent is not sent back in the answer that refuses it."""
    ws = server()
    ws.receive_data(data, 0.0)
    assert len(events(ws)) == 1
    sent = output(ws)
    assert sent.startswith(b"HTTP/1.1 4")
    assert SECRET.encode() not in sent


@pytest.mark.parametrize("control", [b"\x0b", b"\x0c", b"\x01", b"\x7f"])
def test_blanks_and_a_control_character_cost_nothing(control: bytes) -> None:
    """h11 needs more than a second for this request; it is refused before h11 sees it."""
    blanks = b" " * 15_000
    ws = server()
    began = time.process_time()
    ws.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\na:" + blanks + control + b"\r\n\r\n", 0.0)
    assert time.process_time() - began < 0.1
    assert output(ws).startswith(b"HTTP/1.1 400 ")
    there = client()
    there.receive_data(b"HTTP/1.1 404 No\r\na:" + blanks + control + b"\r\n\r\n", 0.0)
    assert time.process_time() - began < 0.2
    assert there.end is End.CLOSE


@pytest.mark.parametrize("name", ["Sec-WebSocket-Accept", "upgrade", "Content-Length"])
def test_headers_of_the_handshake_are_not_the_users(name: str) -> None:
    """A header that the handshake writes itself is refused wherever a user may give headers."""
    given = ((name, "x"),)
    ws = server()
    ws.receive_data(request(), 0.0)
    with pytest.raises(LocalProtocolError, match="leave header"):
        ws.accept(0.0, headers=given)
    ws.accept(0.0)
    with pytest.raises(LocalProtocolError, match="leave header"):
        ServerOptions(headers=given)
    with pytest.raises(LocalProtocolError, match="leave header"):
        ClientOptions(host="h", headers=given)
