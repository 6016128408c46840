"""The body of an ordinary HTTP request: whether there is one, how it is framed, and reading it.

h11 decodes it. As the head of a message, each line between chunks is cut off by us, within limits, before
h11 sees it.
"""

from enum import Enum

import h11

from .http import BadMessage, Request
from .http_parser import CONTROLS
from .limits import Limits

__all__ = ["CONTINUE", "BodyReader", "expects_continue", "has_body"]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What a client is told that waits before it sends its body."""


def has_body(request: Request) -> bool:
    """Whether a body follows the head, for who has parsed it."""
    lengths = request.headers.get_all("content-length")
    return "transfer-encoding" in request.headers or any(int(length) for length in lengths)


def expects_continue(request: Request) -> bool:
    """Whether the client waits for a 100 before it sends the body (RFC 9110, 10.1.1).

    Raises:
        BadMessage: 417, it expects something else.
    """
    if request.version == "1.0":
        return False
    expected = {expectation.lower() for expectation in request.headers.tokens("expect")}
    if expected - {"100-continue"}:
        raise BadMessage(417, "Nothing but 100-continue can be expected")
    return bool(expected)


def _length_of(request: Request) -> int:
    """The length of the body, 0 where it comes in chunks. h11 has compared and checked the numbers."""
    lengths = request.headers.get_all("content-length")
    if "transfer-encoding" in request.headers:
        # A proxy in front might believe either of two lengths; HTTP/1.0 knows no chunks (RFC 9112, 6.1).
        if lengths:
            raise BadMessage(400, "A body has a length or a transfer coding, not both")
        if request.version == "1.0":
            raise BadMessage(400, "HTTP/1.0 has no transfer codings")
    return int(lengths[0]) if lengths else 0


def _too_large(limits: Limits) -> BadMessage:
    return BadMessage(413, f"The body is longer than {limits.max_request_body} bytes")


class _Line(Enum):
    """What the next line between the chunks of a body is."""

    SIZE = "size"
    """The size of a chunk, perhaps with extensions, which are ignored (RFC 9112, 7.1.1)."""
    END = "end"
    """The empty line behind a chunk's data."""
    TRAILER = "trailer"
    """A header behind the last chunk, which is dropped, or the empty line that ends the body."""


class BodyReader:
    """The body of one request: h11 decodes it, in pieces that are cut here.

    Data goes to h11 as it comes. A line of the framing is collected first and checked as the lines of a
    head are. So no verdict depends on how the bytes were cut, and h11 never sees a line that it would
    take long to judge.

    Args:
        request: the head, parsed.
        head: the same as it came.
        limits: `max_request_body` bounds the body, `max_handshake_size` all lines of its framing.

    Raises:
        BadMessage: the body will not be read; 400 or 413.
    """

    __slots__ = ("_body", "_framing", "_left", "_limits", "_line", "_next", "_parser", "_trailers")

    def __init__(self, request: Request, head: bytes, limits: Limits) -> None:
        length = _length_of(request)
        if length > limits.max_request_body:
            raise _too_large(limits)
        self._limits = limits
        self._body = bytearray()
        self._left = length
        """Bytes of data before the next line, or before the end."""
        self._next = _Line.SIZE
        self._line = bytearray()
        self._framing = 0
        self._trailers = 0
        # What h11 holds is what it is given, one line or trailers; its own limit would judge by the cuts.
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=2**31)
        self._parser.receive_data(head)
        self._parser.next_event()

    def receive(self, data: bytes) -> tuple[bytes, bytes] | None:
        """The body and what came behind it, or None while it is not complete.

        Raises:
            BadMessage: 400 if it is malformed, 413 or 431 if it is too long.
        """
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                at += len(piece)
                self._left -= len(piece)
                complete = self._decode(piece)
            else:
                end = data.find(b"\n", at) + 1
                piece = data[at : end or None]
                room = self._limits.max_handshake_size - self._framing
                if len(piece) > room:
                    limit = self._limits.max_handshake_size
                    text = f"The framing of the chunks is longer than {limit} bytes"
                    raise BadMessage(413, text, surplus=len(data) - at - room - 1)
                at += len(piece)
                self._framing += len(piece)
                self._line += piece
                if not end:
                    return None
                try:
                    complete = self._end_line()
                except BadMessage as error:
                    error.surplus = len(data) - at
                    raise
            if complete:
                return bytes(self._body), data[at:]
        return None

    def _end_line(self) -> bool:
        """A line is whole. Whether it ended the body."""
        line = bytes(self._line)
        self._line.clear()
        if (
            not line.endswith(b"\r\n")
            or line.count(b"\r") > 1
            or line.startswith((b" ", b"\t"))
            or CONTROLS.search(line)
        ):
            raise BadMessage(400, "Lines must end in CR LF and hold no other control character")
        complete = self._decode(line)
        match self._next:
            case _Line.SIZE:
                # What h11 has accepted begins with hexadecimal digits.
                self._left = int(line.partition(b";")[0], 16)
                if self._left > self._limits.max_request_body - len(self._body):
                    raise _too_large(self._limits)
                self._next = _Line.END if self._left else _Line.TRAILER
            case _Line.END:
                self._next = _Line.SIZE
            case _Line.TRAILER:
                self._trailers += not complete
                if self._trailers > self._limits.max_headers:
                    raise BadMessage(431, f"More than {self._limits.max_headers} trailer lines")
        return complete

    def _decode(self, piece: bytes) -> bool:
        """Give h11 data, or one line. Whether it ended the body."""
        try:
            self._parser.receive_data(piece)
            event = self._parser.next_event()
            while isinstance(event, h11.Data):
                self._body += event.data
                event = self._parser.next_event()
        except h11.RemoteProtocolError as error:
            raise BadMessage(400, "The body is malformed") from error
        return isinstance(event, h11.EndOfMessage)
