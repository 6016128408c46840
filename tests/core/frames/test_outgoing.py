"""What waits to be sent: order, sizes, pongs; and messages that are encoded once for many."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core import ClientOptions, Deflate, LocalProtocolError, PreparedMessage, ServerOptions
from hubbub.core.extensions import Agreement
from hubbub.core.outgoing import Outgoing
from hubbub.core.sender import Sender
from support.frame_readers import Setting, read_all
from support.wire import HOST

PONG_LIMIT = 2


class NaiveOutgoing:
    """The same by the slowest means: a list of frames, each marked whether it is a pong."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, bool]] = []

    def append(self, frame: bytes) -> None:
        self.frames.append((frame, False))

    def append_pong(self, frame: bytes) -> None:
        places = [i for i, (_, pong) in enumerate(self.frames) if pong]
        if len(places) < PONG_LIMIT:
            self.frames.append((frame, True))
        else:
            self.frames[places[-1]] = (frame, True)

    def take(self, max_bytes: int) -> list[bytes]:
        taken = [frame for frame, _ in self.frames[:1]]
        for frame, _ in self.frames[1:]:
            if sum(map(len, taken)) + len(frame) > max_bytes:
                break
            taken.append(frame)
        del self.frames[: len(taken)]
        return taken

    @property
    def size(self) -> int:
        return sum(len(frame) for frame, _ in self.frames)


Step = tuple[str, int]
steps = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 4)),
    st.tuples(st.just("pong"), st.integers(0, 4)),
    st.tuples(st.just("pong"), st.integers(0, 4)),
    st.tuples(st.just("take"), st.integers(0, 12)),
    st.tuples(st.sampled_from(("take", "clear")), st.just(100)),
)


def replay(script: list[Step]) -> None:
    """Do the same to both, and compare at every step."""
    ours, naive = Outgoing(), NaiveOutgoing()
    for turn, (what, number) in enumerate(script):
        # A pong's first byte, as every frame in the real queue has one that says what it is.
        pong = b"\x8a" + bytes([turn % 256]) * (number + 1)
        frame = b"\x82" + bytes([turn % 256]) * (number + 1)
        match what:
            case "append":
                ours.append(frame)
                naive.append(frame)
            case "pong":
                ours.append_pong(pong, PONG_LIMIT)
                naive.append_pong(pong)
            case "take":
                assert ours.take(number) == naive.take(number)
            case _:
                ours.clear()
                naive.frames.clear()
        assert ours.size == naive.size
        assert bool(ours) is bool(naive.frames)
    assert ours.take(10_000) == naive.take(10_000)
    assert ours.size == 0
    assert not ours


@given(st.lists(steps, min_size=10, max_size=40))
def test_the_queue_behaves_like_a_naive_list(script: list[Step]) -> None:
    """Whatever is queued and taken, order, sizes and replaced pongs are those of a plain list."""
    replay(script)


def test_pongs_that_have_left_are_not_counted() -> None:
    """Pings are answered one by one while fewer pongs than the limit wait, also behind a short take."""
    replay([("pong", 1)] * PONG_LIMIT + [("take", 3), ("pong", 1), ("pong", 1)])
    replay([("pong", 1)] * 5 + [("append", 3), ("take", 7)] + [("pong", 2)] * 5)


def test_beyond_the_limit_only_the_newest_pong_waits() -> None:
    """While the limit of pongs waits, a new one takes the place of the newest."""
    out = Outgoing()
    for name in (b"1", b"2", b"3", b"4", b"five"):
        out.append_pong(b"\x8a" + name, 3)
    out.append(b"message")
    assert out.size == 2 + 2 + 5 + 7
    assert out.take(100) == [b"\x8a1", b"\x8a2", b"\x8afive", b"message"]


def test_at_least_one_whole_frame_is_taken() -> None:
    """A frame longer than `max_bytes` is taken by itself; frames are never cut; nothing gives nothing."""
    out = Outgoing()
    assert out.take(100) == []
    for frame in (b"x" * 50, b"y" * 5, b"z" * 6):
        out.append(frame)
    assert out.take(10) == [b"x" * 50]
    assert out.take(10) == [b"y" * 5]
    assert out.take(0) == [b"z" * 6]


def test_exactly_what_fits_is_taken() -> None:
    """Frames that fill `max_bytes` to the byte are taken together."""
    out = Outgoing()
    for frame in (b"x" * 5, b"y" * 5, b"z"):
        out.append(frame)
    assert out.take(10) == [b"x" * 5, b"y" * 5]
    assert out.size == 1


def server_sender(agreement: Agreement | None = None, deflate: Deflate | None = None) -> Sender:
    """A server's sender."""
    sender = Sender(ServerOptions(deflate=deflate), bytes)
    sender.agreement = agreement
    return sender


MESSAGES = ["", "short", "größe " * 40, b"", b"\0\xff", bytes(700)]
agreements = pytest.mark.parametrize("bits", [None, 9, 12, 15])


@agreements
@pytest.mark.parametrize("message", MESSAGES)
def test_a_prepared_message_is_what_send_writes(message: str | bytes, bits: int | None) -> None:
    """A shared frame equals, byte for byte, what each connection would have written for itself."""
    deflate = None if bits is None else Deflate()
    agreement = None if bits is None else Agreement(server_max_window_bits=bits)
    by_itself, shared = server_sender(agreement, deflate), server_sender(agreement, deflate)
    by_itself.send(message, True)
    shared.send_prepared(PreparedMessage(message))
    stream = by_itself.out.take(10_000)
    assert shared.out.take(10_000) == stream
    reader = Setting(client=True, deflate=bits is not None).splitter()
    (item,) = read_all(reader, stream)
    assert getattr(item, "data", None) == message


def test_a_prepared_message_is_compressed_once_for_each_window() -> None:
    """Receivers that agreed on the same window get one object; another window gets another."""
    message = PreparedMessage("words and words and words " * 9)
    deflate = Deflate()
    nine, twelve = Agreement(server_max_window_bits=9), Agreement(server_max_window_bits=12)
    first = message.compressed_frame(twelve, deflate)
    # Everything else that was agreed is about the client, or about windows that we never keep.
    same = Agreement(
        server_max_window_bits=12,
        client_max_window_bits=10,
        server_no_context_takeover=True,
        client_no_context_takeover=True,
    )
    assert message.compressed_frame(same, Deflate()) is first
    assert message.compressed_frame(nine, deflate) is not first
    assert message.compressed_frame(nine, deflate) is message.compressed_frame(nine, deflate)
    assert message.compressed_frame(twelve, Deflate(level=1)) is not first
    assert len(message._compressed) == 3


def test_receivers_share_the_bytes() -> None:
    """What waits on many connections is one object, with compression and without."""
    message = PreparedMessage("x" * 300)
    plain = [server_sender() for _ in range(3)]
    compressed = [server_sender(Agreement(server_max_window_bits=12), Deflate()) for _ in range(3)]
    for senders in (plain, compressed):
        for sender in senders:
            sender.send_prepared(message)
        frames = [sender.out.take(1)[0] for sender in senders]
        assert frames[0] is frames[1] is frames[2]


def test_only_servers_send_prepared_messages() -> None:
    """A client, whose frames are masked one by one, refuses; so does the middle of a message."""
    client = Sender(ClientOptions(host=HOST), bytes)
    with pytest.raises(LocalProtocolError, match="a client masks every frame"):
        client.send_prepared(PreparedMessage("x"))
    server = server_sender()
    server.send("begun", False)
    with pytest.raises(LocalProtocolError, match="not ended"):
        server.send_prepared(PreparedMessage("x"))
    assert server.out.take(100) == [b"\x01\x05begun"]


@pytest.mark.parametrize(
    ("make", "words", "size"),
    [
        (lambda: PreparedMessage("größe"), "PreparedMessage(text, 7 bytes)", 7),
        (lambda: PreparedMessage(b"\0\1"), "PreparedMessage(binary, 2 bytes)", 2),
        (lambda: PreparedMessage(bytearray(3)), "PreparedMessage(binary, 3 bytes)", 3),  # type: ignore[arg-type]
    ],
)
def test_a_prepared_message_tells_its_size(
    make: Callable[[], PreparedMessage], words: str, size: int
) -> None:
    """It says how long it is, and in its repr nothing of what it holds."""
    message = make()
    assert repr(message) == words
    assert message.size == size


def test_a_prepared_message_is_valid_text() -> None:
    """Text that has no UTF-8 is refused when the message is made."""
    with pytest.raises(LocalProtocolError, match="lone surrogate"):
        PreparedMessage("\ud800")
