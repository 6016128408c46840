"""What is known to be wrong in wsproto, shown on wsproto, and that ours does better.

When a test's first half fails, wsproto was repaired: look whether our own part is still needed.
"""

from __future__ import annotations

import tracemalloc

import pytest
from wsproto.extensions import PerMessageDeflate

from hubbub.core.deflate import Inflater
from hubbub.core.events import BinaryMessage, Close, TextMessage
from hubbub.core.limits import Limits
from hubbub.core.splitter import Failure, FrameSplitter, Item, PingFrame, PongFrame
from hubbub.core.strategies.odd_frames import odd_frame
from support.frame_readers import PlainReader
from support.telling_streams import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    PONG,
    RSV1,
    TEXT,
    deflated,
)


def plain(*, deflate: bool = False) -> PlainReader:
    """A server's bare wsproto, with its own extension where asked."""
    extension = None
    if deflate:
        extension = PerMessageDeflate()
        extension.finalize("permessage-deflate")
    return PlainReader(extension=extension)


def ours(*, deflate: bool = False, limits: Limits | None = None) -> FrameSplitter:
    """A server's splitter with the default limits."""
    limits = limits or Limits()
    inflater = Inflater(15, context_takeover=True, max_size=limits.max_size) if deflate else None
    return FrameSplitter(client=False, limits=limits, inflater=inflater)


@pytest.mark.parametrize(("opcode", "control"), [(PING, PingFrame), (PONG, PongFrame)])
def test_control_frames_inside_compressed_messages(
    opcode: int, control: type[PingFrame | PongFrame]
) -> None:
    """wsproto gives deflate data as it is behind a ping or pong in a compressed message; ours inflates."""
    (payload,) = deflated(b"a message that is compressed")
    stream = b"".join(
        (
            odd_frame(RSV1 | BINARY, payload[:8]),
            odd_frame(FIN | opcode, b"x"),
            odd_frame(FIN | CONTINUATION, payload[8:]),
        )
    )
    first, corrupt = plain(deflate=True).receive(stream)
    assert first == control(b"x")
    assert isinstance(corrupt, BinaryMessage)
    assert payload[8:] in corrupt.data
    whole = BinaryMessage(b"a message that is compressed")
    assert ours(deflate=True).receive(stream) == [control(b"x"), whole]


def test_inflation_has_a_bound() -> None:
    """wsproto makes 8 MiB of 8 kB in one event; ours fails within its limit while it inflates."""
    size = 2**23
    (payload,) = deflated(bytes(size))
    stream = odd_frame(FIN | RSV1 | BINARY, payload)
    assert len(stream) < size // 1000
    assert plain(deflate=True).receive(stream) == [BinaryMessage(bytes(size))]
    tracemalloc.start()
    try:
        items = ours(deflate=True, limits=Limits(max_size=2**16)).receive(stream)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert items == [Failure(1009, "message too big")]
    assert peak < 2**18


def test_declared_lengths_have_a_bound() -> None:
    """wsproto waits for 2**62 bytes; ours fails at the header, before any of them comes."""
    header = odd_frame(FIN | BINARY, form=64, declared=2**62)
    other = plain()
    assert other.receive(header) == []
    assert other.unfinished
    assert ours().receive(header) == [Failure(1009, "message too big")]


def test_messages_have_a_bound() -> None:
    """wsproto joins fragments for ever; ours counts what they declare and fails beyond the limit."""
    limits = Limits(max_size=1000)
    stream = odd_frame(BINARY, bytes(600)) + odd_frame(FIN | CONTINUATION, bytes(401))
    assert plain().receive(stream) == [BinaryMessage(bytes(1001))]
    assert ours(limits=limits).receive(stream) == [Failure(1009, "message too big")]
    exact = odd_frame(BINARY, bytes(600)) + odd_frame(FIN | CONTINUATION, bytes(400))
    assert ours(limits=limits).receive(exact) == [BinaryMessage(bytes(1000))]


def test_fragments_have_a_bound() -> None:
    """wsproto takes any number of empty fragments; ours fails at the first beyond its limit."""
    stream = odd_frame(TEXT) + odd_frame(CONTINUATION) * 5000
    assert plain().receive(stream) == []
    assert ours().receive(stream) == [Failure(1009, "too many fragments")]
    most = odd_frame(TEXT) + odd_frame(CONTINUATION) * 1022 + odd_frame(FIN | CONTINUATION)
    assert ours().receive(most) == [TextMessage("")]
    one_more = odd_frame(TEXT) + odd_frame(CONTINUATION) * 1023 + odd_frame(FIN | CONTINUATION)
    assert ours().receive(one_more) == [Failure(1009, "too many fragments")]


def test_bytes_that_come_one_by_one_are_joined() -> None:
    """wsproto makes an event of each byte of a message; ours keeps one buffer for all of them."""
    size = 4000
    other, splitter = plain(), ours()
    stream = odd_frame(FIN | BINARY, bytes(size))
    tracemalloc.start()
    try:
        for at in range(len(stream) - 1):
            splitter.receive(stream[at : at + 1])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for at in range(len(stream) - 1):
        other.receive(stream[at : at + 1])
    assert len(other.parts) == size - 1
    assert kept < 3 * size
    assert splitter.receive(stream[-1:]) == [BinaryMessage(bytes(size))]


@pytest.mark.parametrize(
    "wrong",
    [odd_frame(FIN | 3, b"x"), odd_frame(FIN | TEXT, b"\xff"), odd_frame(FIN | PING, key=None)],
)
def test_nothing_is_kept_behind_a_failure(wrong: bytes) -> None:
    """wsproto keeps what comes behind its own verdict for ever; ours is deaf and keeps nothing."""
    other = plain().connection
    other.receive_data(wrong)
    assert len(list(other.events())) == 1
    for _ in range(100):
        other.receive_data(bytes(1000))
        assert list(other.events()) == []
    assert len(other._proto._frame_decoder.buffer) >= 100_000
    splitter = ours()
    (failure,) = splitter.receive(wrong)
    assert isinstance(failure, Failure)
    for _ in range(100):
        assert splitter.receive(bytes(1000)) == []
    assert splitter._parser is None
    assert splitter._tail == splitter._header == b""
    assert not splitter.unfinished


def test_nothing_is_said_behind_a_close_frame() -> None:
    """wsproto raises or says more behind a Close frame; ours says that one, and no more."""
    stream = odd_frame(FIN | CLOSE, b"\x03\xe8bye")
    splitter = ours()
    assert splitter.receive(stream + odd_frame(FIN | TEXT, b"late")) == [Close(1000, "bye")]
    assert splitter.receive(stream) == []
    other = plain().connection
    other.receive_data(stream)
    assert len(list(other.events())) == 1
    other.receive_data(None)
    assert len(list(other.events())) == 1  # a second end, with 1006


def test_a_bad_gateway_is_a_close_like_others() -> None:
    """wsproto refuses a Close frame with the registered code 1014; ours lets it through."""
    stream = odd_frame(FIN | CLOSE, b"\x03\xf6" + "Gerät".encode())
    items: list[Item] = plain().receive(stream)
    assert items == [Failure(1002, "CLOSE with unknown reserved code")]
    for cut in range(len(stream)):
        splitter = ours()
        items = splitter.receive(stream[:cut]) + splitter.receive(stream[cut:])
        assert items == [Close(1014, "Gerät")]
        assert not splitter.only_messages
    assert ours().receive(odd_frame(FIN | CLOSE, b"\x03\xf6")) == [Close(1014, "")]


def test_a_bad_gateway_with_bad_text_is_refused() -> None:
    """A Close frame with code 1014 whose reason is no UTF-8 is refused, as others are."""
    (item,) = ours().receive(odd_frame(FIN | CLOSE, b"\x03\xf6\xff"))
    assert isinstance(item, Failure)
