"""Frames as a hub gives them out are read as they are."""

import json
from typing import Any

import pytest

from hubbub.core import Deflate, PreparedMessage
from hubbub.core.extensions import Agreement
from hubbub.core.frames import Opcode, close_payload, encode_frame
from hubbub.transports.simulated.wire import WireReader

MESSAGES: list[dict[str, Any]] = [
    {"type": "pong"},
    {"type": "chat", "topic": "room.é", "message": "x" * 200},
    {"type": "notification", "topic": "a", "message": ["y" * 70_000]},
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["type"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_message_is_read(message: dict[str, Any], compressed: bool) -> None:
    """Short and long ones, compressed or not; the same frame again gives the same object."""
    prepared = PreparedMessage.of_text(json.dumps(message).encode())
    data = prepared.frame
    if compressed:
        data = prepared.compressed_frame(Agreement(server_max_window_bits=12), Deflate())
    reader = WireReader()
    frame = reader.read(data)
    assert (frame.kind, frame.message, frame.topic) == ("text", message, message.get("topic"))
    assert frame.text == json.dumps(message)
    assert frame.push == (message["type"] != "pong")
    assert reader.read(bytes(bytearray(data))) is frame


def test_the_two_messages_of_presence_are_told_apart() -> None:
    """An answer about presence has no event; what is told unasked has one."""
    reader = WireReader()
    for message, push in (
        ({"type": "presence", "topic": "a", "members": [], "count": 0}, False),
        ({"type": "presence", "topic": "a", "event": "join", "user": "b", "count": 1}, True),
        ({"type": "unsubscribed", "topics": ["a"], "reason": "revoked"}, False),
    ):
        assert reader.read(encode_frame(Opcode.TEXT, json.dumps(message).encode())).push == push


def test_other_frames_are_read() -> None:
    """Close frames with their code, pings and pongs, and the head of a response."""
    reader = WireReader()
    close = reader.read(encode_frame(Opcode.CLOSE, close_payload(4008, "too slow")))
    assert (close.kind, close.code, close.text) == ("close", 4008, "too slow")
    assert reader.read(encode_frame(Opcode.CLOSE, b"")).code is None
    assert reader.read(encode_frame(Opcode.PING, b"1234")).kind == "ping"
    assert reader.read(encode_frame(Opcode.PONG, b"")).kind == "pong"
    head = reader.read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
    assert (head.kind, head.text.partition("\r\n")[0]) == (
        "http",
        "HTTP/1.1 101 Switching Protocols",
    )


@pytest.mark.parametrize("data", [b"\x01\x00", b"\x82\x01a", b"\x81\x02a", b"\x81\x00a"])
def test_what_a_server_may_not_send_is_noticed(data: bytes) -> None:
    """Fragments, binary messages, and frames that are cut or have something behind them."""
    with pytest.raises(ValueError, match="frame"):
        WireReader().read(data)
