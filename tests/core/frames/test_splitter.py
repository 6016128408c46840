"""What the splitter says by itself: limits, failures, parts of messages, and when it needs a parser."""

from __future__ import annotations

import pytest

from hubbub.core.events import BinaryMessage, Close, TextMessage
from hubbub.core.limits import Limits
from hubbub.core.splitter import Failure, FrameSplitter, Item, PingFrame, PongFrame
from hubbub.core.strategies.odd_frames import odd_frame
from support.frame_readers import Setting, read_all
from support.telling_streams import (
    BINARY,
    CLOSE,
    CONTINUATION,
    EURO,
    FIN,
    PING,
    PONG,
    RSV1,
    TEXT,
    deflated,
)
from support.wire import pieces

TOO_BIG = Failure(1009, "message too big")
TOO_MANY = Failure(1009, "too many fragments")
either_path = pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "slow"])


def splitter(
    limits: Limits | None = None, *, fast_path: bool = True, fragments: bool = False
) -> FrameSplitter:
    """A server's."""
    return FrameSplitter(
        client=False, limits=limits or Limits(), fast_path=fast_path, fragments=fragments
    )


def test_simple_frames_need_no_parser() -> None:
    """Whole messages and control frames are read without wsproto; a fragment is not."""
    reader = splitter()
    simple = odd_frame(FIN | TEXT, b"a") + odd_frame(FIN | BINARY, b"b") + odd_frame(FIN | PING)
    assert len(reader.receive(simple + odd_frame(FIN | PONG, b"d"))) == 4
    assert reader._parser is None
    reader.receive(odd_frame(TEXT, b"e"))
    assert reader._parser is not None
    reader = splitter()
    close = odd_frame(FIN | CLOSE, b"\x03\xe8bye")
    assert reader.receive(close[:5]) == []
    assert reader._parser is None
    assert reader.receive(close[5:]) == [Close(1000, "bye")]


def test_the_parser_is_released_between_messages_only() -> None:
    """The parser is given back when nothing is half-read, and then made anew."""
    reader = splitter()
    reader.receive(odd_frame(TEXT, b"one "))
    reader.release_parser()
    assert reader.receive(odd_frame(FIN | CONTINUATION, b"two")) == [TextMessage("one two")]
    half = odd_frame(FIN | TEXT, b"three")
    assert reader.receive(half[:7]) == []
    reader.release_parser()
    assert reader.receive(half[7:]) == [TextMessage("three")]
    assert reader._parser is not None
    reader.release_parser()
    assert reader._parser is None
    assert reader.receive(odd_frame(TEXT, b"four")) == []
    assert reader.receive(odd_frame(FIN | CONTINUATION)) == [TextMessage("four")]


def test_the_window_survives_the_parser() -> None:
    """A compressed message may refer to one that an earlier parser read."""
    first, second = deflated(b"the same words", b"the same words")
    reader = Setting(deflate=True).splitter()
    assert reader.receive(odd_frame(FIN | RSV1 | TEXT, first)) == [TextMessage("the same words")]
    reader.release_parser()
    assert reader.receive(odd_frame(FIN | RSV1 | TEXT, second)) == [TextMessage("the same words")]


@either_path
@pytest.mark.parametrize(
    ("stream", "unfinished"),
    [
        (b"", False),
        (b"\x81", True),
        (odd_frame(FIN | TEXT, b"ab")[:2], True),
        (odd_frame(FIN | TEXT, b"ab")[:6], True),
        (odd_frame(FIN | TEXT, b"ab")[:-1], True),
        (odd_frame(FIN | TEXT, b"ab"), False),
        (odd_frame(FIN | TEXT, b"ab") + b"\x81", True),
        (odd_frame(TEXT, b"ab"), True),
        (odd_frame(TEXT, b""), True),
        (odd_frame(TEXT, b"ab") + odd_frame(FIN | PING), True),
        (odd_frame(TEXT, b"ab") + odd_frame(FIN | CONTINUATION), False),
        (odd_frame(FIN | PING, b"ab")[:-1], True),
        (odd_frame(FIN | PING, b"ab"), False),
        (odd_frame(FIN | CLOSE, b"\x03\xe8"), False),
        (odd_frame(FIN | CLOSE, b"\x03\xe8")[:-1], True),
        (odd_frame(TEXT, b"ab") + odd_frame(FIN | CLOSE), False),
        (odd_frame(TEXT, b"ab") + b"\xff\xff", False),
    ],
)
def test_it_knows_whether_something_is_unfinished(
    stream: bytes, unfinished: bool, fast_path: bool
) -> None:
    """A frame or message that was begun and not ended is told, at every cut; a failure ends all."""
    for cut in range(len(stream) + 1):
        reader = splitter(fast_path=fast_path)
        read_all(reader, [stream[:cut], stream[cut:]])
        assert reader.unfinished is unfinished


@pytest.mark.parametrize("at", [1, 2, 3, 6, 7, 20])
def test_no_bytes_change_nothing(at: int) -> None:
    """An empty read in the middle of anything says nothing and changes nothing."""
    for frame in (
        odd_frame(FIN | TEXT, b"a" * 200),
        odd_frame(FIN | PING, b"p" * 20),
        odd_frame(FIN | CLOSE, b"\x03\xe8" + b"r" * 20),
    ):
        reader = splitter()
        assert reader.receive(frame[:at]) == []
        assert reader.receive(b"") == []
        assert reader.unfinished
        assert len(reader.receive(frame[at:])) == 1


@either_path
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_of_exactly_the_limit_passes(opcode: int, fast_path: bool) -> None:
    """The limit's size passes and one byte more fails, whole or in fragments, also beyond 64 KiB."""
    for size in (1, 10, 125, 126, 70_000):
        limits = Limits(max_size=size)
        whole = TextMessage("m" * size) if opcode == TEXT else BinaryMessage(b"m" * size)
        exact = odd_frame(FIN | opcode, b"m" * size)
        assert splitter(limits, fast_path=fast_path).receive(exact) == [whole]
        over = odd_frame(FIN | opcode, b"m" * (size + 1))
        assert splitter(limits, fast_path=fast_path).receive(over) == [TOO_BIG]
        assert splitter(limits, fast_path=fast_path).receive(over[:14]) == [TOO_BIG]
        parts = odd_frame(opcode, b"m" * (size - 1)) + odd_frame(FIN | CONTINUATION, b"m")
        assert splitter(limits, fast_path=fast_path).receive(parts) == [whole]
        parts = odd_frame(opcode, b"m" * size) + odd_frame(FIN | CONTINUATION, b"m")
        assert splitter(limits, fast_path=fast_path).receive(parts) == [TOO_BIG]


@pytest.mark.parametrize("fragments", [False, True])
def test_a_message_of_too_many_fragments_is_not_given_out(fragments: bool) -> None:
    """The fragment that is one too many fails, though an empty one would complete the message."""
    stream = odd_frame(TEXT, b"a") + odd_frame(CONTINUATION, b"b") + odd_frame(FIN | CONTINUATION)
    reader = splitter(Limits(max_fragments=2), fragments=fragments)
    parts: list[Item] = [TextMessage("a", final=False), TextMessage("b", final=False)]
    assert reader.receive(stream) == ([*parts, TOO_MANY] if fragments else [TOO_MANY])
    assert splitter(Limits(max_fragments=3)).receive(stream) == [TextMessage("ab")]
    assert splitter(Limits(max_fragments=1)).receive(stream) == [TOO_MANY]


@either_path
def test_a_lone_continuation_is_judged_by_itself(fast_path: bool) -> None:
    """A continuation of nothing is wrong, however much the message before it had used up."""
    limits = Limits(max_size=100, max_fragments=2)
    stream = b"".join(
        (
            odd_frame(TEXT, b"x" * 60),
            odd_frame(FIN | CONTINUATION, b"x" * 30),
            odd_frame(FIN | TEXT, b"simple"),
            odd_frame(FIN | CONTINUATION, b"x" * 60),
        )
    )
    items = splitter(limits, fast_path=fast_path).receive(stream)
    assert items[1:] == [TextMessage("simple"), Failure(1002, "unexpected CONTINUATION")]


def test_what_came_before_a_failure_is_given_out() -> None:
    """Messages and pings of the same read come before the failure; nothing comes behind it."""
    stream = odd_frame(FIN | TEXT, b"a") + odd_frame(FIN | PING, b"b") + odd_frame(0x83, b"")
    reader = splitter()
    assert reader.receive(stream + odd_frame(FIN | TEXT, b"late")) == [
        TextMessage("a"),
        PingFrame(b"b"),
        Failure(1002, "Invalid opcode 0x3"),
    ]
    assert reader.receive(stream) == []


def test_a_close_frame_is_the_last() -> None:
    """A Close frame ends the stream: with a code and reason, or with neither."""
    late = odd_frame(FIN | TEXT, b"late")
    assert splitter().receive(odd_frame(FIN | CLOSE) + late) == [Close(None, "")]
    reader = splitter()
    assert reader.receive(odd_frame(FIN | CLOSE, b"\x0f\xa0" + EURO) + late) == [Close(4000, "€")]
    assert reader.receive(late) == []


@pytest.mark.parametrize("bad", [b"\xff", b"\xed\xa0\x80", b"\xf4\x90", b"\xc0", EURO[:2] + b"a"])
def test_bad_text_fails_inside_an_unfinished_frame(bad: bytes) -> None:
    """The first byte that can't be UTF-8 fails with 1007: the frame's end is not awaited."""
    frame = odd_frame(TEXT, b"good " + bad + b"x" * 60)
    items = read_all(splitter(), pieces(frame[: 6 + 5 + len(bad)], 1))
    assert items == [Failure(1007, "invalid UTF-8 or compressed data")]


@either_path
def test_only_messages_is_never_claimed_wrongly(fast_path: bool) -> None:
    """`only_messages` is false whenever something else was said, and true for simple messages."""
    reader = splitter(fast_path=fast_path)
    reader.receive(odd_frame(FIN | TEXT, b"a") * 2)
    assert reader.only_messages is fast_path
    for frame in (
        odd_frame(FIN | PING),
        odd_frame(FIN | PONG) + odd_frame(FIN | TEXT, b"a"),
        odd_frame(FIN | CLOSE, b"\x03\xf6"),
    ):
        reader.receive(frame)
        assert not reader.only_messages


def test_fragments_are_given_out_one_by_one() -> None:
    """Where asked, each frame of a message is a part, whole at any cut; half characters wait."""
    stream = b"".join(
        (
            odd_frame(TEXT, b"a" + EURO[:1]),
            odd_frame(CONTINUATION, b""),
            odd_frame(FIN | PONG, b""),
            odd_frame(CONTINUATION, EURO[1:] + b"b"),
            odd_frame(FIN | CONTINUATION, b"c"),
            odd_frame(FIN | TEXT, b"whole"),
            odd_frame(BINARY, b"\0"),
            odd_frame(FIN | CONTINUATION, b""),
        )
    )
    expected: list[Item] = [
        TextMessage("a", final=False),
        TextMessage("", final=False),
        PongFrame(b""),
        TextMessage("€b", final=False),
        TextMessage("c"),
        TextMessage("whole"),
        BinaryMessage(b"\0", final=False),
        BinaryMessage(b""),
    ]
    for cut in range(len(stream)):
        assert read_all(splitter(fragments=True), [stream[:cut], stream[cut:]]) == expected
    assert read_all(splitter(fragments=True), pieces(stream, 1)) == expected


def test_limits_hold_for_fragments_too() -> None:
    """A message that is given out in parts is still counted as one."""
    reader = splitter(Limits(max_size=5), fragments=True)
    stream = odd_frame(TEXT, b"abc") + odd_frame(CONTINUATION, b"def")
    assert reader.receive(stream) == [TextMessage("abc", final=False), TOO_BIG]
