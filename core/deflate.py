"""permessage-deflate (RFC 7692): bounded inflation, and compression shared by receivers.

The extension object is a wsproto `Extension`, because wsproto parses the frames. wsproto's own forgets
the message's state at a control frame between two fragments, and inflates without bound.

We compress each message by itself (no context takeover, which RFC 7692, 7.1.1.1 lets every sender do),
so that one compressed frame serves all receivers that agreed on the same window, and no connection keeps
a compressor.
"""

import codecs
import zlib
from typing import Final, Protocol

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, RsvBits
from wsproto.frame_protocol import Opcode as WsprotoOpcode

from .extensions import NAME, Agreement, Deflate

__all__ = ["Compressor", "Inflater", "compress"]

_TAIL: Final = b"\x00\x00\xff\xff"
_Utf8Decoder: Final = codecs.getincrementaldecoder("utf-8")
_MAX_RESTARTS: Final = 1024
"""Blocks marked as the last in one message; each starts zlib anew. Senders make one, or none."""


def compress(payload: bytes, bits: int, deflate: Deflate) -> bytes:
    """A whole message, compressed by itself with a window of `bits`."""
    compressor = Compressor(bits, deflate)
    return compressor.compress(payload, final=True)


class _Decompress(Protocol):
    """zlib's object, which has no public name."""

    @property
    def eof(self) -> bool: ...

    @property
    def unconsumed_tail(self) -> bytes: ...

    @property
    def unused_data(self) -> bytes: ...

    def copy(self) -> "_Decompress": ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class Compressor:
    """Compresses one message, fragment by fragment."""

    __slots__ = ("_zlib",)

    def __init__(self, bits: int, deflate: Deflate) -> None:
        self._zlib = zlib.compressobj(deflate.level, zlib.DEFLATED, -bits, deflate.mem_level)

    def compress(self, payload: bytes, *, final: bool) -> bytes:
        """The next fragment; a final one ends the message (RFC 7692, 7.2.1)."""
        compressed = self._zlib.compress(payload)
        if not final:
            return compressed + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        return (compressed + self._zlib.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


class Inflater(Extension):
    """One connection's inbound half, called by wsproto for each frame.

    It never gives wsproto more than `max_size` bytes of a message: the message fails with 1009 while it
    inflates. Control frames don't touch the state of the message around them.
    """

    name = NAME

    def __init__(self, bits: int, *, context_takeover: bool, max_size: int | None) -> None:
        self._bits = bits
        self._context_takeover = context_takeover
        self._max_size = max_size
        self._zlib: _Decompress | None = None
        self._open = False
        self._compressed = False
        self._passes = False
        """Whether the frame is none of ours: a control frame, or one that may not come now."""
        self._size = 0
        self._restarts = 0
        """Blocks of this message that were marked as the last."""
        self._decoder: codecs.IncrementalDecoder | None = None

    @classmethod
    def of(cls, agreement: Agreement, *, client: bool, max_size: int | None) -> "Inflater":
        """For what the other side of `agreement` sends."""
        if client:
            bits = agreement.server_max_window_bits
            fresh = agreement.server_no_context_takeover
        else:
            bits = agreement.client_max_window_bits
            fresh = agreement.client_no_context_takeover
        return cls(bits, context_takeover=not fresh, max_size=max_size)

    def enabled(self) -> bool:
        """Whether wsproto should use it: always, since an object exists only after an agreement."""
        return True

    def offer(self) -> bool | str:
        """Unused: we negotiate without wsproto."""
        return False

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: WsprotoOpcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        """A frame begins. wsproto may call this twice for one header, so it must not count anything."""
        control = opcode.iscontrol()
        continues = opcode is WsprotoOpcode.CONTINUATION
        if rsv.rsv1 and (control or continues):
            return CloseReason.PROTOCOL_ERROR
        # wsproto refuses a frame out of turn, but only when it has payload of it. Inflating that first
        # could find another fault, or not, as the stream was cut.
        self._passes = control or continues is not self._open
        if not self._passes and not continues:
            self._compressed = rsv.rsv1
            self._size = self._restarts = 0
            text = self._compressed and opcode is WsprotoOpcode.TEXT
            self._decoder = _Utf8Decoder() if text else None
        return RsvBits(True, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """A part of a frame's payload."""
        if self._passes or not self._compressed or not data:
            return data
        return self._inflate(data)

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """A frame ends, and with `fin` its message."""
        if self._passes:
            return None
        self._open = not fin
        if not self._compressed or not fin:
            return None
        # Behind a block marked as the last, the tail alone would be half a block.
        last = b"" if self._zlib is None else self._inflate(_TAIL)
        if not self._context_takeover:
            self._zlib = None
        return last

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        inflated = b""
        at, end = 0, len(data)
        while at < end:
            if self._zlib is None:
                self._zlib = zlib.decompressobj(-self._bits)
            stop, most = end, 0
            if self._max_size is not None:
                most = self._max_size - self._size
                if not most:
                    # Only whether one byte more comes counts now.
                    if self._gives_nothing(data[at:]):
                        return inflated
                    # zlib looks at what is behind that byte, so it sees one byte of input at a time:
                    # how the stream was cut must not decide whether wrong data there is told by 1007
                    # or 1009. This way soon ends the message.
                    stop, most = at + 1, 1
            try:
                piece = self._zlib.decompress(data[at:stop], most)
                eof = self._zlib.eof
                at = stop - len(self._zlib.unused_data if eof else self._zlib.unconsumed_tail)
                if piece and not eof and self._size + len(piece) == self._max_size:
                    piece += self._zlib.decompress(b"", 1)  # what zlib has read, and held back
            except zlib.error:
                return CloseReason.INVALID_FRAME_PAYLOAD_DATA
            self._size += len(piece)
            too_big = self._max_size is not None and self._size > self._max_size
            if self._decoder is not None:
                # wsproto checks UTF-8 too, but never sees the piece that is too big. How the stream
                # was cut must not decide whether bad text before the limit is told by 1007 or 1009.
                try:
                    self._decoder.decode(piece[:-1] if too_big else piece)
                except UnicodeDecodeError:
                    return CloseReason.INVALID_FRAME_PAYLOAD_DATA
            if too_big:
                return CloseReason.MESSAGE_TOO_BIG
            inflated += piece
            if eof:
                # A block marked as the last (RFC 7692, 7.2.3.5). zlib would swallow all that follows
                # without a word. Its sender has started afresh behind it, so we do.
                self._zlib = None
                self._restarts += 1
                if self._restarts > _MAX_RESTARTS:
                    return CloseReason.MESSAGE_TOO_BIG
        return inflated

    def _gives_nothing(self, data: bytes) -> bool:
        """Whether `data` is consumed without output, error or end, as the tail of a message is.

        Tried on a copy: if it is not so, nothing has happened.
        """
        assert self._zlib is not None
        tried = self._zlib.copy()
        try:
            if tried.decompress(data, 1) or tried.eof:
                return False
        except zlib.error:
            return False
        self._zlib = tried
        return True
