"""Inbound: bytes to messages and control frames (RFC 6455, section 5).

wsproto parses frames, and takes 10 µs for a small one. Nearly all frames of real peers are simple: a
whole, final, uncompressed text or binary message, or a control frame, that lies complete in what was
read. Those are split here. Everything else goes to wsproto as it came: fragments, compressed messages,
parts of frames, and all that is wrong, so that wsproto alone judges what is legal. The tests hold both
ways equal for every stream and every cut.

Control frames are among the simple ones so that an idle connection that answers keepalive pings, or one
that opens and closes, needs no parser: 1.7 KB and 20 µs. One thing is let through that wsproto refuses:
a Close frame with code 1014, which is registered.
"""

from typing import Final

import msgspec
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection
from wsproto.events import Ping as WsprotoPing
from wsproto.events import Pong as WsprotoPong
from wsproto.events import TextMessage as WsprotoText
from wsproto.extensions import Extension

from .deflate import Inflater
from .events import BinaryMessage, Close, TextMessage
from .frames import TRANSLATE_FROM, CloseCode, mask_payload, may_be_sent
from .limits import Limits

__all__ = ["Failure", "FrameSplitter", "Item", "PingFrame", "PongFrame"]


class PingFrame(msgspec.Struct, frozen=True, gc=False):
    """A ping, to be answered with the same payload."""

    payload: bytes


class PongFrame(msgspec.Struct, frozen=True, gc=False):
    """A pong, asked for or not."""

    payload: bytes


class Failure(msgspec.Struct, frozen=True, gc=False):
    """The peer broke the protocol or a limit: the connection fails with this code."""

    code: int
    reason: str


Item = TextMessage | BinaryMessage | PingFrame | PongFrame | Close | Failure

_FIN: Final = 0x80
_RSV1: Final = 0x40
_TEXT: Final = 0x81
_BINARY: Final = 0x82
_CLOSE: Final = 0x88
_PING: Final = 0x89
_PONG: Final = 0x8A
_CONTROL: Final = frozenset({_CLOSE, _PING, _PONG})
_FAST_LIMIT: Final = 65535
"""Longer frames rarely lie complete in one read."""

_REASONS: Final[dict[int, str]] = {
    CloseCode.MESSAGE_TOO_BIG: "message too big",
    CloseCode.INVALID_PAYLOAD_DATA: "invalid UTF-8 or compressed data",
}


class FrameSplitter:
    """Splits what one peer sends. Give bytes to `receive`; after a `Failure` or `Close` it is deaf.

    Args:
        client: whether we are the client, whose peer does not mask.
        limits: `max_size` and `max_fragments` are enforced here.
        inflater: where permessage-deflate was agreed.
        fragments: give out frames of messages instead of whole messages.
        fast_path: False sends every frame through wsproto.
    """

    __slots__ = (
        "_client",
        "_compressed",
        "_deaf",
        "_fast_limit",
        "_fast_path",
        "_fragment_count",
        "_fragments",
        "_frame_at",
        "_header",
        "_inflater",
        "_key_size",
        "_limits",
        "_masked",
        "_message_at",
        "_message_open",
        "_message_size",
        "_parser",
        "_parts",
        "_received",
        "_remaining",
        "_tail",
        "began_at",
        "only_messages",
    )

    def __init__(
        self,
        *,
        client: bool,
        limits: Limits,
        inflater: Inflater | None = None,
        fragments: bool = False,
        fast_path: bool = True,
    ) -> None:
        self._client = client
        self._limits = limits
        self._inflater = inflater
        self._fragments = fragments
        self._fast_path = fast_path
        self._key_size = 0 if client else 4
        self._masked = 0 if client else 0x80
        size = limits.max_size
        self._fast_limit = _FAST_LIMIT if size is None else min(_FAST_LIMIT, size)
        self._parser: Connection | None = None
        self._parts: bytearray | None = None
        self._tail: bytes = b""
        """Bytes that wsproto has not seen: half a header, or a part of a control frame."""
        self._header: bytes = b""
        """Bytes of an unfinished header that wsproto has seen."""
        self._remaining = 0
        """Bytes to come of the frame that wsproto is in the middle of."""
        self._received = 0
        self._frame_at = 0
        self._message_at = 0
        self._message_open = False
        self._message_size = 0
        self._fragment_count = 0
        self._compressed = False
        self._deaf = False
        self.began_at: int | None = None
        """Where in the stream the frame or message begins that is not ended; None if nothing is open."""
        self.only_messages = True
        """Whether the last `receive` surely gave nothing but whole messages."""

    @property
    def unfinished(self) -> bool:
        """Whether a frame or a message was begun and not ended."""
        return self.began_at is not None

    @property
    def surplus(self) -> int:
        """After a `Failure` or `Close`: bytes that came with it, from the beginning of its frame on.

        They count as read for nothing. From the beginning, because how much wsproto needs of a frame
        to refuse it depends on the cuts.
        """
        return self._received - self._frame_at if self._deaf else 0

    def release_parser(self) -> None:
        """Give the parser's memory back if nothing is half-read; a later frame makes a new one."""
        if self.began_at is None:
            self._parser = None

    def receive(self, data: bytes) -> list[Item]:
        """Everything that `data` completes, in order."""
        items: list[Item] = []
        self.only_messages = True
        if self._deaf:
            return items
        base = self._received  # where in the stream `data` begins
        self._received = base + len(data)
        slow = self.began_at is not None
        at = 0
        if not slow:
            pass
        elif self._remaining:
            at = self._receive_payload(data, items)
        elif self._header:
            at = self._receive_frame(data, 0, items)
        elif self._tail:
            base -= len(self._tail)
            data = self._tail + data
            self._tail = b""
        end = len(data)
        while end - at >= 2 and not self._deaf:
            stop = self._split(data, at, end, items) if self._fast_path else 0
            if not stop:
                slow = True
                self._frame_at = base + at
                stop = self._receive_frame(data, at, items)
            at = stop
        if slow or at < end:
            if at < end and not self._deaf:
                self._frame_at = base + at
                self._tail = data[at:]
            if self._message_open:
                self.began_at = self._message_at
            elif self._remaining or self._tail or self._header:
                self.began_at = self._frame_at
            else:
                self.began_at = None
        return items

    def _split(self, data: bytes, at: int, end: int, items: list[Item]) -> int:
        """Take the frame at `at` if it is simple, and return where it ends; else return 0."""
        size = data[at + 1] ^ self._masked  # a wrong MASK bit makes it 128 or more
        start = at + 2
        if size >= 126:
            if size != 126 or end - at < 4:
                return 0
            size = data[at + 2] << 8 | data[at + 3]
            if size < 126:
                return 0
            start = at + 4
        payload_at = start + self._key_size
        stop = payload_at + size
        if stop > end:
            return 0
        first = data[at]
        if first == _TEXT or first == _BINARY:
            if self._message_open or size > self._fast_limit:
                return 0
        elif (first != _PING and first != _PONG) or size > 125:
            return 0
        payload = data[payload_at:stop]
        if self._masked:
            if size < TRANSLATE_FROM:
                # `mask_payload`, written out: the call would cost a tenth of the whole.
                keys = data[start:payload_at] * ((size + 3) >> 2)
                number = int.from_bytes(payload, "little")
                payload = (number ^ int.from_bytes(keys[:size], "little")).to_bytes(size, "little")
            else:
                payload = mask_payload(payload, data[start:payload_at])
        if first == _TEXT:
            try:
                items.append(TextMessage(str(payload, "utf-8")))
            except UnicodeDecodeError:
                return 0
        elif first == _BINARY:
            items.append(BinaryMessage(payload))
        else:
            items.append(PingFrame(payload) if first == _PING else PongFrame(payload))
            self.only_messages = False
        return stop

    def _receive_payload(self, data: bytes, items: list[Item]) -> int:
        """Hand on the payload of the frame that wsproto is in the middle of."""
        taken = min(self._remaining, len(data))
        self._remaining -= taken
        self._feed(data[:taken], items)
        return taken

    def _receive_frame(self, data: bytes, at: int, items: list[Item]) -> int:
        """Hand wsproto the frame at `at`, or what is there of it; return where the next one begins.

        wsproto gets header bytes as they come, so that it refuses them as early as it can. We count
        along to know where the frame ends, and judge its length before its payload goes on.
        """
        end = len(data)
        held = len(self._header)
        header = self._header + data[at : at + 14 - held]
        size = header[1] & 0x7F
        header_size = 2 + (size == 126) * 2 + (size == 127) * 8 + (header[1] >> 7) * 4
        if header[0] in _CONTROL and size < 126 and header[1] & 0x80 == self._masked:
            return self._receive_control(data, at, at + header_size + size, items)
        if len(header) < header_size:
            self._header = header
            self._feed(data[at:], items)
            return end
        self._header = b""
        if size == 126:
            size = int.from_bytes(header[2:4], "big")
        elif size == 127:
            size = int.from_bytes(header[2:10], "big")
        payload_at = at + header_size - held
        excess = self._begin_frame(header[0], size)
        if excess is not None:
            # What wsproto says of the header comes first, as it does when the header comes in parts.
            # An empty frame is complete with it: the message that it ends is refused all the same.
            said: list[Item] = []
            self._feed(data[at:payload_at], said)
            items += [item for item in said if isinstance(item, Failure)]
            self._fail(excess, items)
            return end
        stop = min(payload_at + size, end)
        self._remaining = payload_at + size - stop
        self._feed(data[at:stop], items)
        return stop

    def _receive_control(self, data: bytes, at: int, stop: int, items: list[Item]) -> int:
        """A control frame of legal form: wsproto sees it when it is complete, as it would wait too."""
        if stop > len(data):
            self._tail = data[at:]
            return len(data)
        close = self._read_close(data[at + 2 : stop]) if data[at] == _CLOSE else None
        if close is not None and (self._fast_path or close.code == CloseCode.BAD_GATEWAY):
            items.append(close)
            self.only_messages = False
            self._end()
        else:
            self._feed(data[at:stop], items)
        return stop

    def _read_close(self, body: bytes) -> Close | None:
        """A Close frame's masking key and payload, read; None where wsproto must judge."""
        payload = body[self._key_size :]
        if self._masked:
            payload = mask_payload(payload, body[:4])
        if not payload:
            return Close(None)
        code = int.from_bytes(payload[:2], "big")
        if len(payload) < 2 or not may_be_sent(code):
            return None
        try:
            return Close(code, str(payload[2:], "utf-8"))
        except UnicodeDecodeError:
            return None

    def _begin_frame(self, first: int, size: int) -> Failure | None:
        """Count a frame of a data message; what is too much is returned."""
        if first & 0x08:
            return None
        limit = self._limits.max_size
        if first & 0x0F or not self._message_open:
            # A continuation of nothing is counted by itself: wsproto will refuse it.
            self._message_at = self._frame_at
            self._message_size = 0
            self._fragment_count = 0
            self._compressed = bool(first & _RSV1)
        self._message_open = not first & _FIN
        self._message_size += size
        self._fragment_count += 1
        if limit is not None:
            if self._compressed:
                # Inflation is bounded elsewhere; this bounds the work. Deflate adds an eighth at worst.
                limit += limit // 4 + 1024
            if self._message_size > limit:
                return Failure(CloseCode.MESSAGE_TOO_BIG, _REASONS[CloseCode.MESSAGE_TOO_BIG])
        if self._fragment_count > self._limits.max_fragments:
            return Failure(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        return None

    def _feed(self, data: bytes, items: list[Item]) -> None:
        """Let wsproto parse, and translate what it says."""
        if self._parser is None:
            role = ConnectionType.CLIENT if self._client else ConnectionType.SERVER
            extensions: list[Extension] = [] if self._inflater is None else [self._inflater]
            self._parser = Connection(role, extensions)
        self.only_messages = False
        self._parser.receive_data(data)
        for event in self._parser.events():
            match event:
                case WsprotoText() | BytesMessage():
                    self._assemble(event, items)
                case WsprotoPing():
                    items.append(PingFrame(bytes(event.payload)))
                case WsprotoPong():
                    items.append(PongFrame(bytes(event.payload)))
                case CloseConnection():
                    code, reason = int(event.code), event.reason or ""
                    if self._parser.state is ConnectionState.OPEN:
                        # wsproto's own verdict. Its words may hold positions, which depend on the cuts.
                        self._fail(Failure(code, _REASONS.get(code, reason)), items)
                    else:
                        none = code == CloseCode.NO_STATUS_RECEIVED
                        items.append(Close(None if none else code, reason))
                        self._end()
                    return
                case _:  # pragma: no cover - wsproto has no other event here
                    raise AssertionError(event)

    def _assemble(self, event: WsprotoText | BytesMessage, items: list[Item]) -> None:
        """Join the parts that wsproto gives, which follow the cuts of the stream."""
        final = event.message_finished
        text = isinstance(event, WsprotoText)
        data = event.data
        if self._parts is not None or not (final or (self._fragments and event.frame_finished)):
            if self._parts is None:
                self._parts = bytearray()
            # One buffer, not a list: a peer that sends byte by byte must not buy an object with each.
            self._parts += data.encode() if isinstance(data, str) else data
            if not (final or (self._fragments and event.frame_finished)):
                return
            whole = bytes(self._parts)
            self._parts = None
            data = str(whole, "utf-8") if text else whole
        if isinstance(data, str):
            items.append(TextMessage(data, final))
        else:
            items.append(BinaryMessage(bytes(data), final))

    def _fail(self, failure: Failure, items: list[Item]) -> None:
        if not self._deaf:
            items.append(failure)
            self.only_messages = False
            self._end()

    def _end(self) -> None:
        self._deaf = True
        self._parser = None
        self._parts = None
        self._header = self._tail = b""
        self._remaining = 0
        self._message_open = False
