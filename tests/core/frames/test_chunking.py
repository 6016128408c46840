"""The chunking law on whole connections: how the bytes were cut changes nothing that can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core import (
    BinaryMessage,
    ClientOptions,
    Closed,
    Deflate,
    End,
    Event,
    Limits,
    Requested,
    ServerOptions,
    State,
    TextMessage,
    WebSocket,
)
from hubbub.core.strategies import chunkings, streams
from hubbub.core.strategies.odd_frames import odd_frame
from support import machines
from support.telling_streams import BINARY, CONTINUATION, FIN, PING, PONG, RSV1, TEXT, deflated
from support.wire import HOST, MASK, pieces, request, response

NOW = 5.0
SMALL = Limits(max_size=300, max_fragments=4, control_burst=8, max_queue=3, max_queue_size=500)
DEFLATE = Deflate(server_max_window_bits=15)
EXTENSION = ("Sec-WebSocket-Extensions", "permessage-deflate")


class Side(NamedTuple):
    """One side of a connection, and how it is used."""

    client: bool = False
    deflate: bool = False
    limits: Limits = Limits()
    fragments: bool = False
    fast_path: bool = True
    closes_first: bool = False
    """Whether our Close frame leaves before the peer's frames come."""

    def machine(self) -> WebSocket:
        """A new machine, before the first byte."""
        deflate = DEFLATE if self.deflate else None
        if self.client:
            return machines.client(
                ClientOptions(
                    host=HOST,
                    limits=self.limits,
                    deflate=deflate,
                    fragments=self.fragments,
                    fast_path=self.fast_path,
                )
            )
        return machines.server(
            ServerOptions(
                limits=self.limits,
                deflate=deflate,
                fragments=self.fragments,
                fast_path=self.fast_path,
            )
        )

    def opening(self) -> bytes:
        """What the peer sends first."""
        extra = (EXTENSION,) if self.deflate else ()
        return response(*extra) if self.client else request(*extra)


class Outcome(NamedTuple):
    """All that can be seen from outside."""

    events: list[Event]
    output: bytes
    state: State
    closed: Closed | None
    end: End | None
    timeout: float | None
    wants_read: bool
    can_send: bool


def outcome(side: Side, chunks: Sequence[bytes], *, opened: bool = False) -> Outcome:
    """Feed all chunks; then take the events, echo the messages, and fetch what is to be sent.

    Args:
        side: whose machine.
        chunks: the peer's bytes.
        opened: the handshake was done before; otherwise it is a part of `chunks`.
    """
    ws = side.machine()
    events: list[Event] = []
    if opened:
        ws.receive_data(side.opening(), NOW)
        _use(ws, events)
        machines.output(ws, NOW)
        if side.closes_first:
            ws.close(NOW, 1000, "enough")
    for chunk in chunks:
        ws.receive_data(chunk, NOW)
    _use(ws, events)
    output = machines.output(ws, NOW)
    return Outcome(
        events, output, ws.state, ws.closed, ws.end, ws.next_timeout(), ws.wants_read, ws.can_send
    )


def _use(ws: WebSocket, events: list[Event]) -> None:
    while (event := ws.next_event()) is not None:
        events.append(event)
        match event:
            case Requested():
                ws.accept(NOW)
            case TextMessage(data, final) | BinaryMessage(data, final) if ws.can_send:
                ws.send(data, NOW, final=final)
            case _:
                pass


@st.composite
def cases(draw: st.DrawFn) -> tuple[Side, bytes]:
    """A side and what its peer sends behind the handshake."""
    side = Side(
        client=draw(st.booleans()),
        deflate=draw(st.booleans()),
        limits=draw(st.sampled_from((Limits(), SMALL))),
        fragments=draw(st.booleans()),
        fast_path=draw(st.booleans()),
        closes_first=draw(st.booleans()),
    )
    stream = draw(streams(to_client=side.client, deflate=side.deflate))
    if draw(st.booleans()):
        key = None if side.client else MASK
        ping = odd_frame(FIN | draw(st.sampled_from((PING, PONG))), b"flood", key=key)
        # No more than 16, beyond which the newest replaces another.
        stream = ping * draw(st.integers(1, 10)) + stream
    return side, stream


@given(cases(), st.data())
def test_the_handshake_and_frames_may_be_cut_anywhere(
    case: tuple[Side, bytes], data: st.DataObject
) -> None:
    """One stream of handshake and frames gives the same events, output and state for any cut."""
    side, frames = case
    stream = side.opening() + frames
    assert outcome(side, data.draw(chunkings(stream))) == outcome(side, [stream])


@given(cases(), st.data())
def test_frames_may_be_cut_anywhere(case: tuple[Side, bytes], data: st.DataObject) -> None:
    """The frames on an open, or closing, connection give the same for any cut."""
    side, frames = case
    expected = outcome(side, [frames], opened=True)
    assert outcome(side, data.draw(chunkings(frames)), opened=True) == expected
    other = side._replace(fast_path=not side.fast_path)
    assert outcome(other, [frames], opened=True) == expected


def breaking_streams(key: bytes | None) -> dict[str, tuple[bytes, int]]:
    """Streams that break a limit, behind one good message; and the code that says so."""
    good = odd_frame(FIN | TEXT, b"good", key=key)
    part = odd_frame(TEXT, b"part", key=key)
    more = odd_frame(CONTINUATION, b"", key=key)
    (bomb,) = deflated(bytes(100_000))
    return {
        "a frame too big": (odd_frame(FIN | TEXT, b"x" * 301, key=key), 1009),
        "a huge length": (odd_frame(TEXT, key=key, form=64, declared=2**62), 1009),
        "a message too big": (part + odd_frame(FIN, b"x" * 297, key=key), 1009),
        "too many fragments": (part + more * 4, 1009),
        "too many pings": (odd_frame(FIN | PING, b"p", key=key) * 9, 4029),
        "too many pongs": (odd_frame(FIN | PONG, b"p", key=key) * 9, 4029),
        "a bomb": (odd_frame(FIN | RSV1 | BINARY, bomb, key=key), 1009),
        "a bomb in fragments": (
            odd_frame(RSV1 | BINARY, bomb[:30], key=key) + odd_frame(FIN, bomb[30:], key=key),
            1009,
        ),
    } | {"nothing": (good, 0)}


@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
@pytest.mark.parametrize("name", list(breaking_streams(None)))
def test_limits_break_alike_at_every_cut(client: bool, name: str) -> None:
    """A stream that breaks a limit does so alike at every cut, behind an answered message."""
    key = None if client else MASK
    stream, code = breaking_streams(key)[name]
    frames = odd_frame(FIN | TEXT, b"good", key=key) + stream + b"late" * 9
    side = Side(client=client, deflate=True, limits=SMALL)
    whole = outcome(side, [side.opening() + frames])
    assert TextMessage("good") in whole.events
    if code:
        assert whole.closed is not None
        assert whole.closed.sent is not None
        assert whole.closed.sent.code == code
        assert isinstance(whole.events[-1], Closed)
    assert outcome(side, pieces(side.opening() + frames, 1)) == whole
    for cut in range(1, min(len(frames), 400), 3):
        assert outcome(side, [side.opening() + frames[:cut], frames[cut:]]) == whole
