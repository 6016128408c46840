"""What hubbub writes, read back by wsproto; and what may not be written."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.core import CloseCode, LocalProtocolError, Opcode
from hubbub.core.events import BinaryMessage, Close, TextMessage
from hubbub.core.frames import (
    FRAME_OVERHEAD,
    close_payload,
    encode_frame,
    mask_payload,
    may_be_sent,
    text_payload,
)
from hubbub.core.splitter import PingFrame, PongFrame
from hubbub.core.strategies.odd_frames import masked, odd_frame
from support.frame_readers import PlainReader

keys = st.binary(min_size=4, max_size=4)
roles = pytest.mark.parametrize("key", [None, b"\x01\x80\x00\xfe"], ids=["server", "client"])


def reader(key: bytes | None) -> PlainReader:
    """wsproto on the other side of who masks, or not."""
    return PlainReader(client=key is None)


@roles
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70_000])
def test_messages_of_every_length_are_read(size: int, key: bytes | None) -> None:
    """wsproto reads a frame at each border of the forms of length, and nothing is left."""
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    other = reader(key)
    assert other.receive(encode_frame(Opcode.BINARY, payload, key=key)) == [BinaryMessage(payload)]
    text = encode_frame(Opcode.TEXT, b"t" * size, key=key)
    assert other.receive(text) == [TextMessage("t" * size)]
    assert not other.unfinished


@roles
@pytest.mark.parametrize("size", [0, 1, 125])
def test_control_frames_are_read(size: int, key: bytes | None) -> None:
    """wsproto reads pings and pongs up to the longest."""
    payload = bytes(range(size))
    ping = encode_frame(Opcode.PING, payload, key=key)
    pong = encode_frame(Opcode.PONG, payload, key=key)
    assert reader(key).receive(ping + pong) == [PingFrame(payload), PongFrame(payload)]


@roles
def test_fragments_are_read(key: bytes | None) -> None:
    """wsproto joins a message in fragments with a ping in between."""
    stream = (
        encode_frame(Opcode.TEXT, "grö".encode()[:3], final=False, key=key)
        + encode_frame(Opcode.PING, b"", key=key)
        + encode_frame(Opcode.CONTINUATION, b"", final=False, key=key)
        + encode_frame(Opcode.CONTINUATION, "grö".encode()[3:] + b"n", key=key)
    )
    assert reader(key).receive(stream) == [PingFrame(b""), TextMessage("grön")]


@given(
    st.sampled_from(Opcode),
    st.one_of(st.binary(max_size=300), st.integers(0, 70_000).map(bytes)),
    st.booleans(),
    st.booleans(),
    st.one_of(st.none(), keys),
)
@example(Opcode.TEXT, bytes(65535), True, True, None)
@example(Opcode.CONTINUATION, bytes(65536), False, False, b"\1\2\3\4")
def test_frames_have_the_form_of_the_rfc(
    opcode: Opcode, payload: bytes, final: bool, compressed: bool, key: bytes | None
) -> None:
    """Every frame equals one put together bit by bit as RFC 6455, 5.2 draws it."""
    first = final << 7 | compressed << 6 | opcode
    frame = encode_frame(opcode, payload, final=final, compressed=compressed, key=key)
    assert frame == odd_frame(first, payload, key=key)
    assert len(frame) <= len(payload) + FRAME_OVERHEAD


@pytest.mark.parametrize("size", [*range(20), 4092, 4093, 4094, 4095, 4096, 4097, 4098, 4099, 9001])
def test_masking_is_the_naive_xor(size: int) -> None:
    """Masking equals XOR byte by byte for every length, on both sides of where its method changes."""
    payload = bytes((i * 167 + (i >> 8)) % 256 for i in range(size))
    for key in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04", b"\0\0\0\x80"):
        assert mask_payload(payload, key) == masked(payload, key)
        assert mask_payload(mask_payload(payload, key), key) == payload


@given(st.binary(max_size=400), keys)
def test_masking_any_payload(payload: bytes, key: bytes) -> None:
    """Masking equals XOR byte by byte, zeros at either end included."""
    assert mask_payload(payload, key) == masked(payload, key)


SENDABLE = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4029, 4999]
NOT_SENDABLE = [-1, 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535, 65536, 70_000]


@pytest.mark.parametrize("code", SENDABLE)
def test_codes_that_may_be_sent(code: int) -> None:
    """A code of RFC 6455, 7.4 goes into a Close frame, and wsproto reads it (but for 1014)."""
    assert may_be_sent(code)
    frame = encode_frame(Opcode.CLOSE, close_payload(code, "ende…"))
    assert frame[2:4] == code.to_bytes(2, "big")
    if code != CloseCode.BAD_GATEWAY:
        assert reader(None).receive(frame) == [Close(code, "ende…")]


@pytest.mark.parametrize("code", NOT_SENDABLE)
def test_codes_that_may_not_be_sent(code: int) -> None:
    """Any other code is refused, with words that name it."""
    assert not may_be_sent(code)
    with pytest.raises(LocalProtocolError, match=f"close code {code} may not be sent"):
        close_payload(code, "")


def test_every_code_is_judged() -> None:
    """Exactly the registered codes and 3000 to 4999 may be sent."""
    expected = {*SENDABLE, *range(3000, 5000)}
    assert {code for code in range(-10, 66_000) if may_be_sent(code)} == expected


def test_a_close_frame_may_be_empty() -> None:
    """Without a code the frame is empty; a reason then has no place."""
    assert close_payload(None, "") == b""
    assert reader(None).receive(encode_frame(Opcode.CLOSE, b"")) == [Close(None)]
    with pytest.raises(LocalProtocolError, match="needs a code"):
        close_payload(None, "why")


def test_a_close_reason_has_room_for_123_bytes() -> None:
    """A reason of 123 bytes in UTF-8 fits, one byte more is refused, and so is a lone surrogate."""
    payload = close_payload(1000, "ä" * 61 + "x")
    assert len(payload) == 125
    (close,) = reader(None).receive(encode_frame(Opcode.CLOSE, payload))
    assert close == Close(1000, "ä" * 61 + "x")
    with pytest.raises(LocalProtocolError, match="has 124 bytes"):
        close_payload(1000, "ä" * 62)
    with pytest.raises(LocalProtocolError, match="lone surrogate"):
        close_payload(1000, "\udfff")


@pytest.mark.parametrize("text", ["", "a", "größe", "€", "😀", "\0", "\ufeff", "\uffff"])
def test_text_becomes_utf8(text: str) -> None:
    """Any text without lone surrogates is encoded, and reads back."""
    frame = encode_frame(Opcode.TEXT, text_payload(text))
    assert reader(None).receive(frame) == [TextMessage(text)]


@pytest.mark.parametrize(("text", "at"), [("\ud800", 0), ("ab\udfff", 2), ("\ud83d \ude00", 0)])
def test_lone_surrogates_are_refused(text: str, at: int) -> None:
    """Text that has no UTF-8 is refused, with words that say where."""
    with pytest.raises(LocalProtocolError, match=f"lone surrogate at index {at}"):
        text_payload(text)
