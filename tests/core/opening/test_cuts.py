"""How a stream is cut must not matter, at the edges of the limits either."""

from __future__ import annotations

import pytest

from hubbub.core import End, Event, Requested, WebSocket
from support.machines import events, output, server
from support.wire import head, request

PLAIN = head("GET / HTTP/1.1", [("Host", "a")])


def ended(ws: WebSocket) -> tuple[list[Event], bytes, End | None, bool]:
    """All that an adapter sees."""
    return events(ws), output(ws), ws.end, ws.wants_read


@pytest.mark.parametrize(
    "data", [PLAIN, request(version="1.0"), b"x" * 20], ids=["plain", "1.0", "-"]
)
def test_what_is_drained_is_counted_alike(data: bytes) -> None:
    """Bytes behind a refused request count towards `drain_size`, also in the same call."""
    tail = bytes(70_000)
    whole, cut = server(), server()
    whole.receive_data(data + tail, 0.0)
    for piece in (data, tail):
        cut.receive_data(piece, 0.0)
    assert ended(whole) == ended(cut)


@pytest.mark.parametrize("size", [16385, 70_000])
def test_early_bytes_are_told_alike(size: int) -> None:
    """Too many early bytes give the same events in one call as behind the request."""
    whole, cut = server(), server()
    whole.receive_data(request() + bytes(size), 0.0)
    for piece in (request(), bytes(size)):
        cut.receive_data(piece, 0.0)
    assert events(whole) == events(cut)


@pytest.mark.parametrize("what", ["early bytes", "end of stream", "lost", "late"])
def test_a_requested_event_can_be_answered(what: str) -> None:
    """What happens while the event waits, and is not the application's doing, makes nothing raise."""
    ws = server()
    ws.receive_data(request(), 0.0)
    if what == "early bytes":
        ws.receive_data(bytes(17_000), 0.0)
    elif what == "end of stream":
        ws.receive_eof(0.0)
    elif what == "lost":
        ws.connection_lost(0.0)
    else:
        ws.handle_timeout(10.0)
    assert isinstance(ws.next_event(), Requested)
    assert not ws.accept(0.0)
    assert b" 101 " not in output(ws)
    assert len(events(ws)) == 1
