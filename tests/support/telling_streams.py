"""Fixed streams of frames that tell right readers from wrong ones."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cache

from hubbub.core.strategies.odd_frames import LengthForm, odd_frame

from .frame_readers import TIGHT, Setting
from .wire import MASK

FIN, RSV1 = 0x80, 0x40
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
EURO = "€".encode()
CODES = (0, 3, 999, 1000, 1003, 1004, 1005, 1006, 1013, 1014, 1015, 1016, 2999, 3000, 4999, 5000)
CLOSE_PAYLOADS = (
    b"\x03",
    b"\x04",
    b"\x03\xe8\xff",
    b"\x03\xe8" + EURO[:2],
    b"\x03\xe8" + EURO,
    b"\x03\xf6\xff",
    *(code.to_bytes(2, "big") + b"why" for code in CODES),
)
Case = tuple[Setting, bytes]


def deflated(*payloads: bytes) -> list[bytes]:
    """Messages compressed with one window that is kept, as RFC 7692, 7.2.1 says."""
    compressor = zlib.compressobj(wbits=-15)
    return [
        (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        for payload in payloads
    ]


@cache
def every_kind(setting: Setting) -> bytes:
    """About 350 bytes with every kind of frame, and bytes behind the Close frame."""
    key = None if setting.client else MASK
    pieces = [
        (FIN | TEXT, b"hi"),
        (FIN | BINARY, bytes(range(9))),
        (FIN | PING, b"p1"),
        (TEXT, b"a" + EURO[:2]),
        (FIN | PING, b""),
        (CONTINUATION, EURO[2:] + EURO[:1]),
        (FIN | PONG, b"unasked"),
        (CONTINUATION, b""),
        (FIN | CONTINUATION, EURO[1:]),
        (FIN | TEXT, b""),
        (FIN | TEXT, "größe".encode() * 19),
        (BINARY, b""),
        (FIN | CONTINUATION, b"\0\xff"),
        (FIN | PONG, b""),
    ]
    if setting.deflate:
        one, two = deflated(b"again and again and again", b"again and again and once more")
        pieces += [
            (FIN | RSV1 | TEXT, one),
            (RSV1 | BINARY, two[:3]),
            (FIN | PING, b"in it"),
            (FIN | CONTINUATION, two[3:]),
        ]
    pieces += [(FIN | TEXT, b"last"), (FIN | CLOSE, b"\x03\xe8bye"), (FIN | TEXT, b"late")]
    return b"".join(odd_frame(first, payload, key=key) for first, payload in pieces)


def wrong_streams(setting: Setting) -> Iterator[bytes]:
    """Streams that break one rule each, with a good message before and behind."""
    key = None if setting.client else MASK
    wrong_key = MASK if setting.client else None
    good = odd_frame(FIN | TEXT, b"good", key=key)
    open_text = odd_frame(TEXT, b"open", key=key)
    middle = [
        odd_frame(FIN | TEXT, b"x" * 5, key=wrong_key),
        odd_frame(FIN | PING, b"x" * 5, key=wrong_key),
        odd_frame(FIN | TEXT, b"\xff", key=key),
        odd_frame(FIN | TEXT, EURO[:2], key=key),
        odd_frame(FIN | CONTINUATION, b"lone", key=key),
        open_text + good,
        open_text + odd_frame(FIN | BINARY, b"good", key=key),
        odd_frame(PING, b"not final", key=key),
        odd_frame(FIN | CLOSE, b"", key=key),
    ]
    middle += [odd_frame(FIN | CLOSE, payload, key=key) for payload in CLOSE_PAYLOADS]
    middle += [odd_frame(FIN | rsv | TEXT, b"bits", key=key) for rsv in (0x40, 0x20, 0x10)]
    middle += [odd_frame(FIN | rsv | PING, b"bits", key=key) for rsv in (0x40, 0x20, 0x10)]
    middle += [odd_frame(FIN | opcode, b"?", key=key) for opcode in (3, 7, 11, 15)]
    forms: tuple[tuple[int, int, LengthForm], ...] = (
        (TEXT, 125, 16),
        (TEXT, 4, 16),
        (BINARY, 0, 16),
        (TEXT, 65535, 64),
        (PING, 5, 16),
        (PING, 126, 16),
        (PONG, 200, 16),
        (CLOSE, 130, 16),
    )
    middle += [odd_frame(FIN | op, b"n" * size, key=key, form=form) for op, size, form in forms]
    middle.append(odd_frame(FIN | TEXT, b"z", key=key, form=64, declared=2**63))
    if setting.deflate:
        (message,) = deflated(b"compressed")
        compressed = odd_frame(FIN | RSV1 | TEXT, message, key=key)
        # What is wrong about the frame must be told before what is wrong about its deflate data.
        middle += [
            compressed + good + odd_frame(FIN | CONTINUATION, b"\xff" * 20, key=key),
            compressed + odd_frame(FIN | CONTINUATION, b"\0\xff\xff", key=key),
            open_text + odd_frame(FIN | RSV1 | TEXT, b"\0\xff\xff\xff\xff", key=key),
            compressed + odd_frame(RSV1 | CONTINUATION, b"x", key=key),
            odd_frame(FIN | RSV1 | TEXT, b"\0\xff\xff\xff\xff", key=key),
            odd_frame(FIN | RSV1 | TEXT, message + b"\xff", key=key),
            odd_frame(FIN | RSV1 | TEXT, deflated(b"bad \xff text")[0], key=key),
        ]
    for stream in middle:
        yield good + stream + good


def long_streams(setting: Setting) -> Iterator[bytes]:
    """Streams with frames of each form of length."""
    key = None if setting.client else MASK
    for size in (125, 126, 127, 4095, 4097, 65535, 65536, 70001):
        payload = (bytes(range(251)) * (size // 251 + 1))[:size]
        stream = odd_frame(FIN | BINARY, payload, key=key)
        yield stream + odd_frame(FIN | TEXT, b"behind", key=key)


def limit_streams(setting: Setting) -> Iterator[bytes]:
    """Streams for `TIGHT`: just within a limit, just beyond it, and counters that must start anew."""
    key = None if setting.client else MASK
    size, count = TIGHT.max_size or 0, TIGHT.max_fragments

    def message(sizes: list[int], opcode: int = TEXT) -> bytes:
        last = len(sizes) - 1
        return b"".join(
            odd_frame(
                (FIN if i == last else 0) | (CONTINUATION if i else opcode), b"m" * part, key=key
            )
            for i, part in enumerate(sizes)
        )

    ping = odd_frame(FIN | PING, b"p" * 99, key=key)
    good = message([3])
    lone = odd_frame(FIN | CONTINUATION, b"l" * (size - 100), key=key)
    yield message([size]) + message([size], BINARY) + good
    yield message([size + 1]) + good
    yield good + message([size + 1], BINARY) + good
    yield message([size - 1, 1]) + message([size // 2, size // 2]) + good
    yield message([size, 1]) + good
    yield message([1] * count) + message([1] * count) + good
    yield message([1] * (count + 1)) + good
    yield message([0] * (count + 1)) + good
    yield message([1, 0, 0, 0, 0]) + good
    # A lone continuation is wrong by itself: nothing counted before may change that verdict.
    yield message([200, 50]) + good + lone
    yield message([1] * count) + good + lone
    yield odd_frame(TEXT, b"m" * 200, key=key) + ping + ping + ping + good
    yield odd_frame(FIN | TEXT, b"", key=key, form=64, declared=2**62) + good


def telling_cases() -> list[Case]:
    """All of them: for both roles, with and without compression, within limits and without."""
    cases: list[Case] = []
    for client in (False, True):
        for deflate in (False, True):
            setting = Setting(client=client, deflate=deflate)
            cases.append((setting, every_kind(setting)))
            cases += [(setting, stream) for stream in wrong_streams(setting)]
            tight = setting._replace(limits=TIGHT)
            cases += [(tight, stream) for stream in limit_streams(tight)]
        cases += [(Setting(client=client), stream) for stream in long_streams(Setting(client))]
    return cases


def two_pieces(stream: bytes) -> Iterator[list[bytes]]:
    """Every way to cut a stream once."""
    for cut in range(1, len(stream)):
        yield [stream[:cut], stream[cut:]]
