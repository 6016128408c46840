"""Inflation: exact bounds, control frames in between, the window between messages, wrong data."""

from __future__ import annotations

import time
import tracemalloc
import zlib

import pytest

from hubbub.core.deflate import Inflater, compress
from hubbub.core.events import BinaryMessage, TextMessage
from hubbub.core.extensions import Agreement, Deflate
from hubbub.core.limits import Limits
from hubbub.core.splitter import Failure, FrameSplitter, Item, PingFrame
from hubbub.core.strategies.odd_frames import odd_frame
from support.frame_readers import read_all
from support.telling_streams import BINARY, CONTINUATION, FIN, PING, RSV1, TEXT, deflated
from support.wire import pieces

MAX = 5000
COMPRESSED = FIN | RSV1


def reader(
    *, takeover: bool = True, max_size: int | None = MAX, bits: int = 15, max_fragments: int = 1024
) -> FrameSplitter:
    """A server's splitter with compression agreed on."""
    return FrameSplitter(
        client=False,
        limits=Limits(max_size=max_size, max_fragments=max_fragments),
        inflater=Inflater(bits, context_takeover=takeover, max_size=max_size),
    )


def fragments(first: int, payload: bytes, size: int) -> bytes:
    """A message in fragments of `size` bytes."""
    parts = pieces(payload, size) or [b""]
    last = len(parts) - 1
    return b"".join(
        odd_frame((FIN if i == last else 0) | (CONTINUATION if i else first), part)
        for i, part in enumerate(parts)
    )


def failures(items: list[Item]) -> list[int]:
    """The codes of the failures among `items`."""
    return [item.code for item in items if isinstance(item, Failure)]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [0, 1, MAX - 1, MAX])
def test_a_message_within_the_limit_passes(opcode: int, size: int) -> None:
    """A message that inflates to at most the limit is whole, in frames and cuts of any size."""
    payload = deflated(b"a" * size)[0]
    whole = TextMessage("a" * size) if opcode == TEXT else BinaryMessage(b"a" * size)
    one = odd_frame(COMPRESSED | opcode, payload)
    several = fragments(RSV1 | opcode, payload, 3)
    for stream in (one, several):
        assert read_all(reader(), [stream]) == [whole]
        assert read_all(reader(), pieces(stream, 1)) == [whole]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [MAX + 1, MAX + 2, MAX + 300, 2**26])
def test_a_message_beyond_the_limit_fails(opcode: int, size: int) -> None:
    """A message that inflates to one byte more than the limit, or to 64 MiB, fails with 1009."""
    payload = deflated(b"a" * size)[0]
    if size == 2**26:
        # What is declared on the wire is refused by itself; this is about what inflates.
        payload = payload[: MAX // 2]
    one = odd_frame(COMPRESSED | opcode, payload)
    several = fragments(RSV1 | opcode, payload, 64)
    for stream in (one, several):
        assert failures(read_all(reader(), [stream])) == [1009]
        assert failures(read_all(reader(), pieces(stream, 1))) == [1009]


def test_a_bomb_does_not_unfold() -> None:
    """64 MiB in 65 kB of deflate data cost no more memory than the limit allows a message."""
    (payload,) = deflated(bytes(2**26))
    stream = odd_frame(COMPRESSED | BINARY, payload)
    splitter = reader(max_size=2**20)
    tracemalloc.start()
    try:
        items = splitter.receive(stream)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert failures(items) == [1009]
    assert peak < 3 * 2**20


def test_what_the_wire_carries_is_bounded_too() -> None:
    """Deflate data that is far longer than the limit fails at its header, whatever it inflates to."""
    header = odd_frame(COMPRESSED | BINARY, declared=MAX + MAX // 4 + 1025)
    assert failures(reader().receive(header)) == [1009]
    header = odd_frame(COMPRESSED | BINARY, declared=MAX + MAX // 4 + 1024)
    assert reader().receive(header) == []


def test_data_that_does_not_compress_passes() -> None:
    """A message of exactly the limit passes though its deflate data is longer than the limit."""
    message = bytes((i * i * 31 + (i >> 3)) % 251 for i in range(MAX))
    stored = zlib.compressobj(0, wbits=-15)
    payload = (stored.compress(message) + stored.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(payload) > MAX
    assert reader().receive(odd_frame(COMPRESSED | BINARY, payload)) == [BinaryMessage(message)]


def test_the_limit_counts_each_message_by_itself() -> None:
    """Many messages of the limit's size pass one after another, compressed and not."""
    first, second = deflated(b"a" * MAX, b"b" * MAX)
    plain = odd_frame(FIN | TEXT, b"c" * MAX)
    stream = odd_frame(COMPRESSED | TEXT, first) + plain + odd_frame(COMPRESSED | TEXT, second)
    expected = [TextMessage(letter * MAX) for letter in "acb"]
    assert read_all(reader(), [stream]) == expected


def test_control_frames_inside_a_compressed_message_leave_it_alone() -> None:
    """A ping between the fragments of a compressed message changes nothing, at every cut."""
    first, second = deflated(b"one message", b"and one message more")
    stream = b"".join(
        (
            odd_frame(RSV1 | BINARY, first[:4]),
            odd_frame(FIN | PING, b"?"),
            odd_frame(CONTINUATION, first[4:]),
            odd_frame(FIN | PING),
            odd_frame(FIN | CONTINUATION, b""),
            odd_frame(COMPRESSED | TEXT, second),
        )
    )
    expected = [
        PingFrame(b"?"),
        PingFrame(b""),
        BinaryMessage(b"one message"),
        TextMessage("and one message more"),
    ]
    for cut in range(len(stream)):
        assert read_all(reader(), [stream[:cut], stream[cut:]]) == expected


def test_the_window_is_kept_between_messages() -> None:
    """A message may refer to the one before, where that was agreed; plain ones between don't matter."""
    first, second = deflated(b"the same words", b"the same words")
    assert len(second) < len(first)
    stream = b"".join(
        (
            odd_frame(COMPRESSED | TEXT, first),
            odd_frame(FIN | TEXT, b"plain"),
            odd_frame(COMPRESSED | TEXT, second),
        )
    )
    same = TextMessage("the same words")
    assert read_all(reader(), [stream]) == [same, TextMessage("plain"), same]


def test_the_window_is_dropped_where_agreed() -> None:
    """A message that refers to the one before fails with 1007 if the sender agreed not to do so."""
    first, second = deflated(b"the same words", b"the same words")
    splitter = reader(takeover=False)
    assert splitter.receive(odd_frame(COMPRESSED | TEXT, first)) == [TextMessage("the same words")]
    assert failures(splitter.receive(odd_frame(COMPRESSED | TEXT, second))) == [1007]


def test_the_agreement_says_whose_window_is_which() -> None:
    """A server inflates with the client's window and takeover, a client with the server's."""
    agreement = Agreement(
        server_max_window_bits=9,
        client_max_window_bits=15,
        server_no_context_takeover=True,
        client_no_context_takeover=False,
    )
    inflater = Inflater.of(agreement, client=True, max_size=7)
    assert (inflater._bits, inflater._context_takeover, inflater._max_size) == (9, False, 7)
    inflater = Inflater.of(agreement, client=False, max_size=None)
    assert (inflater._bits, inflater._context_takeover, inflater._max_size) == (15, True, None)


@pytest.mark.parametrize("takeover", [False, True])
@pytest.mark.parametrize("padding", [b"\0", b""])
def test_a_final_block_ends_no_more_than_itself(takeover: bool, padding: bytes) -> None:
    """Data behind a final block is inflated too, and so is the next message (RFC 7692, 7.2.3.5)."""
    hello = bytes.fromhex("f348cdc9c90700")  # the RFC's example, without its padding
    (fresh,) = deflated(b"next")
    stream = odd_frame(COMPRESSED | TEXT, hello + hello + padding)
    stream += odd_frame(COMPRESSED | TEXT, fresh)
    expected = [TextMessage("HelloHello"), TextMessage("next")]
    assert read_all(reader(takeover=takeover), [stream]) == expected
    assert read_all(reader(takeover=takeover), pieces(stream, 1)) == expected


def test_final_blocks_do_not_pass_the_limit() -> None:
    """The limit holds across final blocks."""
    block = zlib.compressobj(wbits=-15)
    final = block.compress(b"a" * (MAX // 2)) + block.flush()
    items = reader().receive(odd_frame(COMPRESSED | TEXT, final * 2 + b"\0"))
    assert items == [TextMessage("a" * MAX)]
    assert failures(reader().receive(odd_frame(COMPRESSED | TEXT, final * 3 + b"\0"))) == [1009]


@pytest.mark.parametrize("data", [b"\xff" * 9, b"\x07", b"\0\0\0\0\0", b"\0\5\0\xfa\xfehello\x07"])
def test_invalid_deflate_data_fails(data: bytes) -> None:
    """What is no deflate data fails with 1007, at every cut."""
    stream = odd_frame(COMPRESSED | BINARY, data)
    for cut in range(len(stream)):
        assert failures(read_all(reader(), [stream[:cut], stream[cut:]])) == [1007]


def test_bad_text_fails_before_its_end() -> None:
    """Inflated bytes that are no UTF-8 fail with 1007 while the message is open."""
    (payload,) = deflated(b"bad \xff text" + bytes(MAX // 2))
    assert failures(reader().receive(odd_frame(RSV1 | TEXT, payload))) == [1007]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xff" + b"a" * MAX, 1007),
        (b"a" * (MAX - 1) + b"\xff" + b"a", 1007),
        (b"a" * MAX + b"\xff", 1009),
        (b"a" * (MAX - 1) + "€".encode(), 1009),
    ],
)
def test_bad_text_and_too_much_of_it(message: bytes, code: int) -> None:
    """Bad text within the limit is told by 1007, behind it by 1009: the cut does not decide."""
    stream = odd_frame(COMPRESSED | TEXT, deflated(message)[0])
    assert failures(read_all(reader(), [stream])) == [code]
    assert failures(read_all(reader(), pieces(stream, 1))) == [code]


@pytest.mark.parametrize("behind", [b"\x07", b"\0\1\2\3\4", b"\1"])
def test_bad_data_behind_too_much_of_it(behind: bytes) -> None:
    """Wrong deflate data right behind the first byte too many does not change 1009, at any cut."""
    size = (MAX + 1).to_bytes(2, "little")
    stored = b"\0" + size + bytes(byte ^ 0xFF for byte in size) + b"z" * (MAX + 1)
    stream = odd_frame(COMPRESSED | BINARY, stored + behind)
    for cut in range(len(stream) - 12, len(stream)):
        assert failures(read_all(reader(), [stream[:cut], stream[cut:]])) == [1009]
    assert failures(read_all(reader(), pieces(stream, 1))) == [1009]


def test_bad_data_right_at_the_limit() -> None:
    """Wrong deflate data right behind a message's last allowed byte fails with 1007, at any cut."""
    size = MAX.to_bytes(2, "little")
    stored = b"\0" + size + bytes(byte ^ 0xFF for byte in size) + b"z" * MAX
    stream = odd_frame(COMPRESSED | BINARY, stored + b"\x07")
    for cut in range(len(stream) - 12, len(stream)):
        assert failures(read_all(reader(), [stream[:cut], stream[cut:]])) == [1007]


def test_a_frame_out_of_turn_is_not_inflated() -> None:
    """A frame that may not come is a protocol error, whatever its deflate data is, at every cut."""
    (payload,) = deflated(b"compressed")
    bad = b"\0\xff\xff\xff\xff"
    for stream in (
        odd_frame(COMPRESSED | TEXT, payload) + odd_frame(FIN | CONTINUATION, bad),
        odd_frame(TEXT, b"open") + odd_frame(COMPRESSED | TEXT, bad),
        odd_frame(RSV1 | TEXT, payload) + odd_frame(COMPRESSED | BINARY, bad),
        odd_frame(RSV1 | TEXT, payload) + odd_frame(RSV1 | CONTINUATION, payload),
        odd_frame(COMPRESSED | PING, payload),
    ):
        for cut in range(len(stream)):
            assert failures(read_all(reader(), [stream[:cut], stream[cut:]])) == [1002]


@pytest.mark.parametrize("bits", range(9, 16))
def test_every_window_is_read(bits: int) -> None:
    """What is compressed with a window is inflated with that window, and with all larger ones."""
    message = bytes((i * 7) % 256 for i in range(700)) * 6
    payload = compress(message, bits, Deflate())
    for larger in range(bits, 16):
        items = reader(bits=larger).receive(odd_frame(COMPRESSED | BINARY, payload))
        assert items == [BinaryMessage(message)]


def test_a_window_too_small_fails() -> None:
    """A message that refers back beyond the window that was agreed fails with 1007."""
    noise = bytes((i * i * 31 + (i >> 3) * 7) % 251 for i in range(2000))
    first, second = deflated(noise, noise)
    splitter = reader(bits=9)
    assert splitter.receive(odd_frame(COMPRESSED | BINARY, first)) == [BinaryMessage(noise)]
    assert failures(splitter.receive(odd_frame(COMPRESSED | BINARY, second))) == [1007]


def test_no_limit_means_none() -> None:
    """With `max_size=None` a message inflates to any size."""
    (payload,) = deflated(bytes(2**21))
    items = reader(max_size=None).receive(odd_frame(COMPRESSED | BINARY, payload))
    assert items == [BinaryMessage(bytes(2**21))]


@pytest.mark.parametrize(
    ("bits", "takeover", "most"), [(15, True, 48_000), (12, True, 16_000), (15, False, 2_000)]
)
def test_what_an_inflater_keeps_between_messages(bits: int, takeover: bool, most: int) -> None:
    """A connection keeps its window between messages, or nothing where takeover was agreed away."""
    frame = odd_frame(COMPRESSED | TEXT, compress(b"a" * 2000, bits, Deflate()))
    tracemalloc.start()
    try:
        splitters = [reader(takeover=takeover, bits=bits) for _ in range(20)]
        before, _ = tracemalloc.get_traced_memory()
        for splitter in splitters:
            splitter.receive(frame)
            splitter.release_parser()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / len(splitters) < most


@pytest.mark.parametrize("step", [10_000_000, 65536, 1000])
def test_bytes_that_inflate_to_nothing_are_cheap(step: int) -> None:
    """A message that has reached its limit may go on with empty blocks; they cost next to nothing."""
    limit = 2**20
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    full = packer.compress(bytes(limit)) + packer.flush(zlib.Z_SYNC_FLUSH)
    splitter = reader(max_size=limit)
    stream = odd_frame(COMPRESSED | BINARY, full + b"\x00\x00\x00\xff\xff" * 100_000 + b"\x00")
    began = time.process_time()
    items = [item for piece in pieces(stream, step) for item in splitter.receive(piece)]
    assert time.process_time() - began < 0.3
    assert [type(item) for item in items] == [BinaryMessage]


@pytest.mark.parametrize("step", [10_000_000, 1000, 7])
def test_last_blocks_are_bounded(step: int) -> None:
    """A message may hold 1,024 blocks that are marked as the last; more is 1009 however it is cut."""
    for blocks, fine in ((1000, True), (1030, False)):
        splitter = reader()
        stream = odd_frame(COMPRESSED | BINARY, b"\x03\x00" * blocks)
        items = [item for piece in pieces(stream, step) for item in splitter.receive(piece)]
        assert [isinstance(item, BinaryMessage) for item in items] == [fine]
