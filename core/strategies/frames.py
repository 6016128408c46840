"""Streams of frames, most of them nearly right, and ways to cut them."""

import zlib
from itertools import pairwise
from typing import Final

import msgspec
from hypothesis import strategies as st
from msgspec.structs import replace

from ..frames import Opcode
from .odd_frames import LengthForm, odd_frame, shortest_form

__all__ = ["chunkings", "frames", "streams"]

_FIN: Final = 0x80
_RSV1: Final = 0x40
_BAD_TEXT: Final = (
    b"\xff",
    b"\xc3",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\xaf",
    b"\x80",
)
_CODES: Final = (1000, 1001, 1009, 1014, 3000, 4999)
_ODD_CODES: Final = (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000)
_BOMB: Final = 100_000
"""Bytes that a message has which was compressed to a hundred."""


class _Frame(msgspec.Struct, frozen=True):
    """One frame that may yet be spoilt."""

    first: int
    payload: bytes
    key: bytes | None
    form: LengthForm | None = None
    declared: int | None = None

    def encode(self) -> bytes:
        """The bytes on the wire."""
        return odd_frame(
            self.first, self.payload, key=self.key, form=self.form, declared=self.declared
        )


_KEYS: Final = st.binary(min_size=4, max_size=4)
_CONTROL_PAYLOADS: Final = st.one_of(st.binary(max_size=8), st.just(b"c" * 125))
_GOOD_TEXTS: Final = st.one_of(
    st.text(max_size=12).map(str.encode),
    st.integers(120, 330).map(lambda size: ("ä" * size).encode()[: size - size % 2]),
)
_BAD_TEXTS: Final = st.tuples(_GOOD_TEXTS, st.sampled_from(_BAD_TEXT), _GOOD_TEXTS).map(b"".join)
_BINARIES: Final = st.one_of(st.binary(max_size=12), st.integers(120, 330).map(bytes))


def _texts(odd: bool) -> st.SearchStrategy[bytes]:
    """The payloads of text messages, some of them long, some no UTF-8."""
    if not odd:
        return _GOOD_TEXTS
    return st.one_of(_GOOD_TEXTS, _GOOD_TEXTS, _GOOD_TEXTS, _BAD_TEXTS)


@st.composite
def _controls(draw: st.DrawFn, key: bytes | None) -> _Frame:
    opcode = draw(st.sampled_from((Opcode.PING, Opcode.PONG)))
    return _Frame(_FIN | opcode, draw(_CONTROL_PAYLOADS), key)


@st.composite
def _closes(draw: st.DrawFn, key: bytes | None, odd: bool) -> _Frame:
    codes = _CODES + _ODD_CODES if odd else _CODES
    code = draw(st.sampled_from(codes)).to_bytes(2, "big")
    reason = draw(st.one_of(_texts(odd).filter(lambda text: len(text) < 120), st.just(b"")))
    payloads = (b"", b"\x03", code, code + reason) if odd else (b"", code, code + reason)
    return _Frame(_FIN | Opcode.CLOSE, draw(st.sampled_from(payloads)), key)


class _Deflater:
    """Compresses the messages of one stream, as one of several kinds of peers does."""

    def __init__(self, *, takeover: bool) -> None:
        self._takeover = takeover
        self._zlib = zlib.compressobj(wbits=-15)

    def compress(self, payload: bytes, how: str) -> bytes:
        if not self._takeover:
            self._zlib = zlib.compressobj(wbits=-15)
        if how == "final block":
            whole = self._zlib.compress(payload) + self._zlib.flush()
            self._zlib = zlib.compressobj(wbits=-15)
            return whole + b"\0"
        flush = zlib.Z_FULL_FLUSH if how == "full flush" else zlib.Z_SYNC_FLUSH
        return (self._zlib.compress(payload) + self._zlib.flush(flush))[:-4]


@st.composite
def _messages(
    draw: st.DrawFn, key: bytes | None, deflater: _Deflater | None, odd: bool
) -> list[_Frame]:
    opcode = draw(st.sampled_from((Opcode.TEXT, Opcode.BINARY)))
    payload = draw(_texts(odd) if opcode is Opcode.TEXT else _BINARIES)
    rsv = 0
    if deflater is not None and draw(st.booleans()):
        rsv = _RSV1
        ways = ["sync flush", "sync flush", "full flush", "final block"]
        how = draw(st.sampled_from([*ways, "bomb"] if odd else ways))
        payload = deflater.compress(bytes(_BOMB) if how == "bomb" else payload, how)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    edges = [0, *cuts, len(payload)]
    found: list[_Frame] = []
    for turn, (start, stop) in enumerate(pairwise(edges)):
        first = Opcode.CONTINUATION if turn else rsv | opcode
        final = _FIN if turn == len(cuts) else 0
        found.append(_Frame(final | first, payload[start:stop], key))
        if not final and draw(st.integers(0, 3)) == 0:
            found.append(draw(_controls(key)))
    return found


@st.composite
def _spoilt(draw: st.DrawFn, frame: _Frame, key: bytes | None) -> _Frame:
    """The frame with one thing wrong, or at least odd."""
    forms: tuple[LengthForm, ...] = (16, 64)
    size = len(frame.payload)
    how = draw(st.integers(0, 7))
    if how == 0:
        return replace(frame, key=b"\1\2\3\4" if key is None else None)
    if how == 1:
        return replace(frame, first=frame.first ^ draw(st.sampled_from((0x10, 0x20, 0x40))))
    if how == 2:
        return replace(frame, first=frame.first ^ _FIN)
    if how == 3:
        return replace(frame, first=frame.first & 0xF0 | draw(st.integers(0, 15)))
    if how == 4:
        return replace(frame, form=draw(st.sampled_from(forms)))
    if how == 5:
        huge = draw(st.sampled_from((126, 65535, 65536, 2**32, 2**62, 2**63, 2**64 - 1)))
        return replace(frame, declared=huge, form=shortest_form(huge))
    if how == 6 and size:
        at = draw(st.integers(0, size - 1))
        bad = draw(st.sampled_from(_BAD_TEXT))
        return replace(frame, payload=frame.payload[:at] + bad + frame.payload[at + 1 :])
    # Longer or shorter than told: the rest of the stream is read out of step.
    return replace(frame, declared=max(0, min(size + draw(st.integers(-2, 2)), 65535)))


@st.composite
def frames(draw: st.DrawFn, *, to_client: bool = False, odd: bool = True) -> bytes:
    """One frame: of a message, a ping, a pong, or a Close frame.

    Args:
        to_client: whether a server sends it. A client masks what it sends.
        odd: whether some break a rule of the protocol, or keep it in an unusual way.
    """
    key = None if to_client else draw(_KEYS)
    frame = draw(
        st.one_of(_messages(key, None, odd).map(_first), _controls(key), _closes(key, odd))
    )
    if odd and draw(st.integers(0, 3)) == 0:
        frame = draw(_spoilt(frame, key))
    return frame.encode()


def _first(message: list[_Frame]) -> _Frame:
    """A message's first frame, made its only one: a message that goes on needs a stream."""
    return replace(message[0], first=message[0].first | _FIN)


@st.composite
def streams(
    draw: st.DrawFn,
    *,
    to_client: bool = False,
    odd: bool = True,
    deflate: bool = False,
    takeover: bool = True,
) -> bytes:
    """What a peer sends once the connection is open: messages, whole or in fragments, and control frames.

    Args:
        to_client: whether a server sends it. A client masks what it sends.
        odd: whether some frames break a rule of the protocol, or the stream ends in the middle of one.
        deflate: whether some messages are compressed.
        takeover: whether these use one window for all.
    """
    key = None if to_client else draw(_KEYS)
    deflater = _Deflater(takeover=takeover) if deflate else None
    found: list[_Frame] = []
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.integers(0, 3)) == 0:
            found.append(draw(_controls(key)))
        found += draw(_messages(key, deflater, odd))
    if draw(st.booleans()):
        lowest = len(found) // 2 if odd else len(found)
        found.insert(draw(st.integers(lowest, len(found))), draw(_closes(key, odd)))
    if not odd:
        return b"".join(frame.encode() for frame in found)
    for _ in range(draw(st.sampled_from((0, 0, 1, 1, 2)))):
        at = draw(st.integers(0, len(found) - 1))
        found[at] = draw(_spoilt(found[at], key))
    stream = b"".join(frame.encode() for frame in found)
    return stream[: len(stream) - draw(st.sampled_from((0, 0, 0, 1, 5)))]


@st.composite
def chunkings(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Ways to cut bytes: at a few places, or into pieces of a few sizes over and over.

    No piece is empty, and all together are `data`.
    """
    if draw(st.booleans()) and data:
        places = draw(st.lists(st.integers(0, len(data)), max_size=6))
        edges = [0, *sorted(set(places) - {0, len(data)}), len(data)]
        return [data[start:stop] for start, stop in pairwise(edges)]
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=5))
    found: list[bytes] = []
    at = 0
    while at < len(data):
        size = sizes[len(found) % len(sizes)]
        found.append(data[at : at + size])
        at += size
    return found
