"""One machine by itself: how to make it, what it tells, what it writes."""

from __future__ import annotations

import random
from typing import NamedTuple

import h11

from hubbub.core import ClientOptions, End, Entropy, Event, Headers, ServerOptions, WebSocket
from support.wire import HOST

NONCE = b"the sample nonce"
"""The 16 bytes that become `wire.KEY`."""


def counting_entropy(seed: int = 0) -> Entropy:
    """The same bytes in every run; a client's handshake key is always `wire.KEY`."""
    source = random.Random(seed)
    return lambda size: NONCE if size == len(NONCE) else source.randbytes(size)


def server(options: ServerOptions | None = None, now: float = 0.0) -> WebSocket:
    """A server's side that has received nothing."""
    return WebSocket(options or ServerOptions(), now=now, entropy=counting_entropy())


def client(options: ClientOptions | None = None, now: float = 0.0) -> WebSocket:
    """A client's side whose request, with `wire.KEY`, was taken."""
    ws = WebSocket(options or ClientOptions(host=HOST), now=now, entropy=counting_entropy())
    output(ws, now)
    return ws


def events(ws: WebSocket) -> list[Event]:
    """Every event that waits."""
    taken: list[Event] = []
    while (event := ws.next_event()) is not None:
        taken.append(event)
    return taken


def output(ws: WebSocket, now: float = 0.0) -> bytes:
    """All bytes that wait, and the machine is told that they were taken."""
    parts: list[bytes] = []
    while taken := ws.data_to_send(now):
        parts += taken
    return b"".join(parts)


class Answer(NamedTuple):
    """An HTTP response, as an ordinary client reads it."""

    status: int
    headers: Headers
    body: bytes
    rest: bytes
    """What stands behind it: frames, after a 101."""


def read_answer(data: bytes, method: str = "GET") -> Answer:
    """Read one response with h11; what h11 does not accept raises."""
    reader = h11.Connection(h11.CLIENT)
    asked = [("Host", HOST), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
    reader.send(h11.Request(method=method, target="/", headers=asked))
    reader.send(h11.EndOfMessage())
    reader.receive_data(data)
    event = reader.next_event()
    assert isinstance(event, h11.Response | h11.InformationalResponse), event
    status, headers = event.status_code, event.headers
    body = b""
    if status != 101:
        while isinstance(event := reader.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage), event
    lines = [(name.decode("ascii"), value.decode("latin-1")) for name, value in headers]
    return Answer(status, Headers(lines), body, bytes(reader.trailing_data[0]))


def assert_ends(ws: WebSocket, now: float = 0.0) -> None:
    """The last bytes were taken: the sending side is to be shut, then the socket to be closed."""
    assert ws.end is End.HALF_CLOSE
    assert not ws.wants_write
    deadline = ws.next_timeout()
    assert deadline is not None
    assert deadline > now
    ws.handle_timeout(deadline)
    assert ws.end is End.CLOSE
    assert ws.next_timeout() is None
    assert not ws.wants_read
    assert ws.next_event() is None
