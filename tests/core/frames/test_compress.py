"""Compression: read by zlib, by wsproto's own extension and by ours, in fragments and whole."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.extensions import PerMessageDeflate

from hubbub.core import Deflate, Opcode, PreparedMessage
from hubbub.core.deflate import Compressor, compress
from hubbub.core.events import BinaryMessage, TextMessage
from hubbub.core.extensions import Agreement
from hubbub.core.frames import encode_frame
from support.frame_readers import PlainReader, Setting
from support.telling_streams import FIN

TAIL = b"\x00\x00\xff\xff"
windows = pytest.mark.parametrize("bits", range(9, 16))
MESSAGE = b"A message with some words, and some words again. " * 40
NOISE = bytes((i * i * 31 + (i >> 3) * 7) % 251 for i in range(3000))


def wsproto_extension() -> PerMessageDeflate:
    """wsproto's own, negotiated with the largest windows."""
    extension = PerMessageDeflate()
    extension.finalize("permessage-deflate")
    return extension


@windows
@pytest.mark.parametrize(
    "message", [b"", b"x", MESSAGE, NOISE], ids=["empty", "x", "text", "noise"]
)
def test_zlib_inflates_it(bits: int, message: bytes) -> None:
    """zlib inflates what we compress, with no larger a window, once the tail is put back."""
    payload = compress(message, bits, Deflate())
    assert zlib.decompressobj(-bits).decompress(payload + TAIL) == message
    assert not payload.endswith(TAIL)


@windows
@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("mem_level", [1, 5, 9])
def test_wsproto_reads_it(bits: int, level: int, mem_level: int) -> None:
    """wsproto's own extension reads our compressed frames one after another."""
    deflate = Deflate(level=level, mem_level=mem_level)
    reader = PlainReader(client=True, extension=wsproto_extension())
    for message in (MESSAGE, NOISE, MESSAGE, b""):
        payload = compress(message, bits, deflate)
        frame = encode_frame(Opcode.BINARY, payload, compressed=True)
        assert reader.receive(frame) == [BinaryMessage(message)]


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5), st.integers(9, 15))
def test_any_fragments_are_one_message(parts: list[bytes], bits: int) -> None:
    """A message compressed fragment by fragment is read as one, by wsproto's extension and by ours."""
    compressor = Compressor(bits, Deflate())
    last = len(parts) - 1
    stream = b"".join(
        encode_frame(
            Opcode.CONTINUATION if i else Opcode.BINARY,
            compressor.compress(part, final=i == last),
            final=i == last,
            compressed=i == 0,
        )
        for i, part in enumerate(parts)
    )
    expected = [BinaryMessage(b"".join(parts))]
    assert PlainReader(client=True, extension=wsproto_extension()).receive(stream) == expected
    assert Setting(client=True, deflate=True).splitter().receive(stream) == expected


def test_a_message_does_not_depend_on_the_one_before() -> None:
    """No window is kept: the same message always becomes the same bytes."""
    first = compress(MESSAGE, 12, Deflate())
    compress(NOISE, 12, Deflate())
    assert compress(MESSAGE, 12, Deflate()) == first
    assert len(first) < len(MESSAGE) // 10


def test_wsproto_with_kept_windows_is_read_by_us() -> None:
    """Messages of a wsproto peer that keeps its window are read, empty ones among them."""
    extension = wsproto_extension()
    reader = Setting(client=True, deflate=True).splitter()
    peer = PlainReader(extension=extension).connection
    for message in ("again and again", "", "again and again", "x" * 500, ""):
        frame = bytes(peer._proto.send_data(message))
        assert frame[0] & 0x40
        assert reader.receive(frame) == [TextMessage(message)]


def test_a_prepared_message_heeds_the_threshold() -> None:
    """Shorter than the threshold goes out as it is; from the threshold on, compressed."""
    agreement = Agreement(server_max_window_bits=12)
    deflate = Deflate(threshold=50)
    short, long = PreparedMessage("a" * 49), PreparedMessage("a" * 50)
    assert short.compressed_frame(agreement, deflate) is short.frame
    assert long.compressed_frame(agreement, deflate)[0] == FIN | 0x40 | Opcode.TEXT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("server_max_window_bits", 8),
        ("server_max_window_bits", 16),
        ("client_max_window_bits", 8),
        ("client_max_window_bits", 16),
        ("level", 0),
        ("level", 10),
        ("mem_level", 0),
        ("mem_level", 10),
        ("threshold", -1),
    ],
)
def test_settings_that_cannot_work_are_refused(name: str, value: int) -> None:
    """A setting that zlib or the protocol has not is refused, with words that name it."""
    with pytest.raises(ValueError, match=f"{name}={value}: must be"):
        Deflate(**{name: value})  # type: ignore[arg-type]
