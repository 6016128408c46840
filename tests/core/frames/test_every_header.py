"""Every possible first two bytes of a frame, wherever they may come: read alike by all readers."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import product

import pytest

from hubbub.core.strategies.odd_frames import LengthForm, odd_frame
from support.frame_readers import CountingSplitter, Setting, comparable, follow
from support.telling_streams import CLOSE, CONTINUATION, EURO, RSV1, TEXT, deflated
from support.wire import MASK

LETTERS = bytes(random.Random(1).choices(range(0x61, 0x7B), k=70_000))
COMPRESSED, OPEN_COMPRESSED = deflated(LETTERS[:400], LETTERS[400:800])
CONTEXTS = {
    "fresh": b"",
    "text": b"ab",
    "binary": b"ab",
    "half a code point": EURO[:1],
    "deflate": b"",
    "compressed": OPEN_COMPRESSED[:20],
}


def payload_for(context: str, first: int, size: int) -> bytes:
    """Something that fits where the frame may come at all."""
    opcode = first & 0x0F
    if opcode == CLOSE:
        return (b"\x03\xe8" + LETTERS)[:size]
    if opcode == CONTINUATION and context == "half a code point":
        return (EURO[1:] + LETTERS)[:size]
    if opcode == CONTINUATION and context == "compressed":
        return (OPEN_COMPRESSED[20:] + LETTERS)[:size]
    if first & RSV1 and context in ("deflate", "compressed"):
        return (COMPRESSED + LETTERS)[:size]
    return LETTERS[:size]


def frames_for(context: str, first: int, second: int) -> list[bytes]:
    """The frames that begin with these two bytes: of one length, or of several if it stands behind."""
    key = MASK if second & 0x80 else None
    short = second & 0x7F
    if short < 126:
        return [odd_frame(first, payload_for(context, first, short), key=key)]
    form: LengthForm = 16 if short == 126 else 64
    sizes = (0, 125, 126, 300) if form == 16 else (125, 126, 65535)
    frames = [
        odd_frame(first, payload_for(context, first, size), key=key, form=form) for size in sizes
    ]
    if form == 64:
        frames += [odd_frame(first, b"xy", key=key, form=64, declared=n) for n in (2**16, 2**63)]
    return frames


Header = tuple[bool, str, int, int]
HEADERS: list[Header] = list(product((False, True), CONTEXTS, range(256), range(256)))
LEGAL = {0x00, 0x01, 0x02, 0x41, 0x42, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0xC1, 0xC2}


def streams_for(header: Header) -> Iterator[tuple[Setting, list[bytes]]]:
    """What came before, then a frame with this header, then a message; cut in two ways by turns."""
    client, context, first, second = header
    setting = Setting(client=client, deflate=context in ("deflate", "compressed"))
    key = None if client else MASK
    opened = b""
    if CONTEXTS[context]:
        opening = {"binary": 2, "compressed": RSV1 | TEXT}.get(context, TEXT)
        opened = odd_frame(opening, CONTEXTS[context], key=key)
    for number, frame in enumerate(frames_for(context, first, second), first + second):
        stream = opened + frame + odd_frame(0x81, b"behind", key=key)
        cut = len(opened) + len(frame) // 2
        yield setting, [stream] if number % 2 else [stream[:cut], stream[cut:]]


def check(headers: Iterable[Header], *, all_without: bool) -> tuple[int, int]:
    """Compare; how many streams there were, and how many frames took the fast path.

    Args:
        headers: which.
        all_without: whether every stream is also read with the fast path off. Where no frame of a
            stream takes it, that is the same code once more.
    """

    class Counting(CountingSplitter):
        taken = 0

    count = 0
    for header in headers:
        for setting, chunks in streams_for(header):
            count += 1
            before = Counting.taken
            fast = follow(setting.splitter(Counting), chunks)
            if all_without or Counting.taken != before:
                assert fast == follow(setting.splitter(fast_path=False), chunks), chunks
            assert comparable(fast) == comparable(follow(setting.plain(), chunks)), chunks
    return count, Counting.taken


def test_a_share_of_all_headers_is_read_alike() -> None:
    """One in 139 of all streams with any first two bytes is read alike by all readers."""
    count, _ = check(HEADERS[::139], all_without=True)
    assert count > 5000


def test_a_share_of_legal_headers_is_read_alike() -> None:
    """One in 13 of all streams with a legal first byte is read alike; many take the fast path."""
    legal = [header for header in HEADERS if header[2] in LEGAL]
    count, taken = check(legal[::13], all_without=True)
    assert count > 3000
    assert taken > 400


@pytest.mark.slow
@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
@pytest.mark.parametrize("context", CONTEXTS)
def test_all_headers_are_read_alike(client: bool, context: str) -> None:
    """Every stream with any first two bytes is read alike by all readers."""
    headers = [header for header in HEADERS if header[:2] == (client, context)]
    count, taken = check(headers, all_without=False)
    assert count > 65536
    assert taken > 250
