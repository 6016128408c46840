"""Hypothesis strategies: streams of frames, most of them nearly right, and ways to cut them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from itertools import pairwise

from hypothesis import strategies as st

from .odd_frames import LengthForm, odd_frame, shortest_form
from .telling_streams import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RSV1, TEXT
from .wire import pieces

BAD_TEXT = (
    b"\xff",
    b"\xc3",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\xaf",
    b"\x80",
)
CODES = (0, 999, 1000, 1001, 1004, 1005, 1006, 1009, 1014, 1015, 1016, 2999, 3000, 4999, 5000)
BOMB = 100_000


@dataclass(frozen=True)
class Frame:
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


keys = st.binary(min_size=4, max_size=4)
control_payloads = st.one_of(st.binary(max_size=8), st.just(b"c" * 125))


def texts() -> st.SearchStrategy[bytes]:
    """The payloads of text messages, some of them long, some no UTF-8."""
    good = st.one_of(
        st.text(max_size=12).map(str.encode),
        st.integers(120, 330).map(lambda size: ("ä" * size).encode()[: size - size % 2]),
    )
    bad = st.tuples(good, st.sampled_from(BAD_TEXT), good).map(b"".join)
    return st.one_of(good, good, good, bad)


def binaries() -> st.SearchStrategy[bytes]:
    """The payloads of binary messages, some of them long."""
    return st.one_of(st.binary(max_size=12), st.integers(120, 330).map(bytes))


@st.composite
def _controls(draw: st.DrawFn, key: bytes | None) -> Frame:
    opcode = draw(st.sampled_from((PING, PONG)))
    return Frame(FIN | opcode, draw(control_payloads), key)


@st.composite
def _closes(draw: st.DrawFn, key: bytes | None) -> Frame:
    code = draw(st.sampled_from(CODES)).to_bytes(2, "big")
    reason = draw(st.one_of(texts().filter(lambda text: len(text) < 120), st.just(b"")))
    return Frame(FIN | CLOSE, draw(st.sampled_from((b"", b"\x03", code, code + reason))), key)


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
def _messages(draw: st.DrawFn, key: bytes | None, deflater: _Deflater | None) -> list[Frame]:
    opcode = draw(st.sampled_from((TEXT, BINARY)))
    payload = draw(texts() if opcode == TEXT else binaries())
    rsv = 0
    if deflater is not None and draw(st.booleans()):
        rsv = RSV1
        how = draw(
            st.sampled_from(("sync flush", "sync flush", "full flush", "final block", "bomb"))
        )
        payload = deflater.compress(bytes(BOMB) if how == "bomb" else payload, how)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    edges = [0, *cuts, len(payload)]
    frames: list[Frame] = []
    for turn, (start, stop) in enumerate(pairwise(edges)):
        first = CONTINUATION if turn else rsv | opcode
        final = FIN if turn == len(cuts) else 0
        frames.append(Frame(final | first, payload[start:stop], key))
        if not final and draw(st.integers(0, 3)) == 0:
            frames.append(draw(_controls(key)))
    return frames


@st.composite
def _spoilt(draw: st.DrawFn, frame: Frame, key: bytes | None) -> Frame:
    """The frame with one thing wrong, or at least odd."""
    forms: tuple[LengthForm, ...] = (16, 64)
    size = len(frame.payload)
    how = draw(st.integers(0, 7))
    if how == 0:
        return replace(frame, key=b"\1\2\3\4" if key is None else None)
    if how == 1:
        return replace(frame, first=frame.first ^ draw(st.sampled_from((0x10, 0x20, 0x40))))
    if how == 2:
        return replace(frame, first=frame.first ^ FIN)
    if how == 3:
        return replace(frame, first=frame.first & 0xF0 | draw(st.integers(0, 15)))
    if how == 4:
        return replace(frame, form=draw(st.sampled_from(forms)))
    if how == 5:
        huge = draw(st.sampled_from((126, 65535, 65536, 2**32, 2**62, 2**63, 2**64 - 1)))
        return replace(frame, declared=huge, form=shortest_form(huge))
    if how == 6 and size:
        at = draw(st.integers(0, size - 1))
        bad = draw(st.sampled_from(BAD_TEXT))
        return replace(frame, payload=frame.payload[:at] + bad + frame.payload[at + 1 :])
    # Longer or shorter than told: the rest of the stream is read out of step.
    return replace(frame, declared=max(0, min(size + draw(st.integers(-2, 2)), 65535)))


@st.composite
def frame_streams(
    draw: st.DrawFn, *, client: bool = False, deflate: bool = False, takeover: bool = True
) -> bytes:
    """What a peer sends to a server, or to a client: some messages, some frames of them spoilt."""
    key = None if client else draw(keys)
    deflater = _Deflater(takeover=takeover) if deflate else None
    frames: list[Frame] = []
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.integers(0, 3)) == 0:
            frames.append(draw(_controls(key)))
        frames += draw(_messages(key, deflater))
    if draw(st.booleans()):
        frames.insert(draw(st.integers(len(frames) // 2, len(frames))), draw(_closes(key)))
    for _ in range(draw(st.sampled_from((0, 0, 1, 1, 2)))):
        at = draw(st.integers(0, len(frames) - 1))
        frames[at] = draw(_spoilt(frames[at], key))
    stream = b"".join(frame.encode() for frame in frames)
    return stream[: len(stream) - draw(st.sampled_from((0, 0, 0, 1, 5)))]


@st.composite
def cuttings(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """The stream cut anywhere: at a few places, or into pieces of a few sizes over and over."""
    if draw(st.booleans()) and stream:
        places = draw(st.lists(st.integers(0, len(stream)), max_size=6))
        edges = [0, *sorted(set(places) - {0, len(stream)}), len(stream)]
        return [stream[a:b] for a, b in pairwise(edges)]
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=5))
    return pieces(stream, *sizes)
