"""What it costs to read one small text frame, in core and in its peers, without any I/O."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from websockets.frames import Frame
from websockets.protocol import State
from websockets.server import ServerProtocol
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage as WsprotoText

from hubbub.core.events import TextMessage
from hubbub.core.handshake import ServerOptions
from hubbub.core.limits import Limits
from hubbub.core.splitter import FrameSplitter
from hubbub.core.websocket import WebSocket

from .machine import Cores, pinned
from .table import Goal, Row
from .wire import PAYLOAD, REQUESTS, TEXT

Reader = Callable[[bytes], list[Any]]
"""Reads bytes and returns what came out."""

_GOAL = Goal("wsproto", at_most=0.2)
_SLICE = 0.01
"""Seconds of one contender before it is the next one's turn: short, for others use the machine."""


def _splitter() -> Reader:
    return FrameSplitter(client=False, limits=Limits()).receive


def _websocket() -> Reader:
    ws = WebSocket(ServerOptions(), now=0.0, entropy=os.urandom)
    ws.receive_data(REQUESTS["5 headers"], 0.0)
    ws.next_event()
    ws.accept(0.0)
    ws.data_to_send(0.0)

    def read(data: bytes) -> list[Any]:
        ws.receive_data(data, 0.0)
        events: list[Any] = []
        while (event := ws.next_event()) is not None:
            events.append(event)
        return events

    return read


def _wsproto() -> Reader:
    connection = Connection(ConnectionType.SERVER)

    def read(data: bytes) -> list[Any]:
        connection.receive_data(data)
        return list(connection.events())

    return read


def _websockets() -> Reader:
    protocol = ServerProtocol(state=State.OPEN)

    def read(data: bytes) -> list[Any]:
        protocol.receive_data(data)
        return list(protocol.events_received())

    return read


_READERS: dict[str, Callable[[], Reader]] = {
    "wsproto": _wsproto,
    "websockets": _websockets,
    "FrameSplitter": _splitter,
    "WebSocket": _websocket,
}


def measure(repeat: int, seconds: float) -> list[Row]:
    """Return a row for each reader, for one frame a read and for 16."""
    with pinned(Cores.available().server):
        return [row for frames in (1, 16) for row in _measure(frames, repeat, seconds)]


def _measure(frames: int, repeat: int, seconds: float) -> list[Row]:
    what = f"parse 64 B, {frames} a read"
    rows = {name: Row(what, name, "µs a frame") for name in _READERS}
    for name in ("FrameSplitter", "WebSocket"):
        rows[name].peers = {peer: rows[peer] for peer in ("websockets", "wsproto")}
        rows[name].goals = (_GOAL,)
    data = frames * TEXT
    readers = {name: make() for name, make in _READERS.items()}
    calls = {name: _calls_in_a_slice(reader, data) for name, reader in readers.items()}
    for _ in range(repeat):
        spent = dict.fromkeys(readers, 0.0)
        slices = max(1, round(seconds / _SLICE / len(readers)))
        for _ in range(slices):
            for name, reader in readers.items():
                spent[name] += _time(reader, data, calls[name])
        for name, total in spent.items():
            rows[name].figures.append(total / slices / calls[name] / frames * 1e6)
    for name, reader in readers.items():
        _check(name, reader(data), frames)
    return list(rows.values())


def _calls_in_a_slice(reader: Reader, data: bytes) -> int:
    calls = 10
    while (took := _time(reader, data, calls)) < _SLICE / 4:
        calls *= 2
    return max(1, round(calls * _SLICE / took))


def _time(reader: Reader, data: bytes, calls: int) -> float:
    # The process's own time: what others take from the core is not ours.
    began = time.process_time()
    for _ in range(calls):
        reader(data)
    return time.process_time() - began


def _check(name: str, events: list[Any], frames: int) -> None:
    """Raise unless the reader read: a broken one is fast."""
    texts = [
        event.data if isinstance(event, (TextMessage, WsprotoText)) else bytes(event.data).decode()
        for event in events
        if isinstance(event, (TextMessage, WsprotoText, Frame))
    ]
    if texts != frames * [PAYLOAD.decode()]:
        raise AssertionError(f"{name} did not read {frames} messages: {events!r}")
