"""What waits to be sent on one connection, and messages that are encoded once for many."""

from .deflate import compress
from .extensions import Agreement, Deflate
from .frames import Opcode, binary_payload, encode_frame, text_payload

__all__ = ["Outgoing", "PreparedMessage"]

_PONG = 0x80 | Opcode.PONG


class Outgoing:
    """Frames in the order in which they will leave. Taking them puts them on the wire."""

    __slots__ = ("_frames", "_newest_pong", "_pongs", "size")

    def __init__(self) -> None:
        # A list, because an empty deque takes 760 bytes and nearly every connection has nothing waiting.
        self._frames: list[bytes] = []
        self._pongs = 0
        self._newest_pong = 0
        self.size = 0
        """Bytes that wait."""

    def __bool__(self) -> bool:
        return bool(self._frames)

    def append(self, frame: bytes) -> None:
        """Queue a whole frame, or the head of the handshake."""
        self._frames.append(frame)
        self.size += len(frame)

    def append_pong(self, frame: bytes, limit: int) -> None:
        """Queue a pong; while `limit` wait already, it replaces the newest (RFC 6455, 5.5.3)."""
        if self._pongs < limit or self._newest_pong < 0:
            self._pongs += 1
            self._newest_pong = len(self._frames)
            self.append(frame)
            return
        self.size += len(frame) - len(self._frames[self._newest_pong])
        self._frames[self._newest_pong] = frame

    def take(self, max_bytes: int) -> list[bytes]:
        """Remove and return at least one frame, then more as long as all fit into `max_bytes`."""
        if self.size <= max_bytes:
            return self.take_all()
        frames = self._frames
        size = count = 0
        for frame in frames:
            if count and size + len(frame) > max_bytes:
                break
            size += len(frame)
            count += 1
        self._frames = frames[count:]
        self.size -= size
        self._newest_pong -= count  # below 0 it has left
        # The application's own pongs were not counted, so this may be too many.
        self._pongs = max(0, self._pongs - sum(frame[0] == _PONG for frame in frames[:count]))
        return frames[:count]

    def take_all(self) -> list[bytes]:
        """Remove and return everything."""
        frames = self._frames
        self._frames = []
        self.size = self._pongs = 0
        return frames

    def clear(self) -> None:
        """Throw everything away: the socket is gone."""
        self._frames = []
        self.size = self._pongs = 0


class PreparedMessage:
    """One message for many receivers: encoded once, compressed once for each window size in use.

    The name is that of Autobahn and gorilla for the same thing. Only servers can send one: a client
    must mask each frame with a fresh key.

    Args:
        message: text (`str`) or binary.
        encoded: whether bytes are text that is encoded already, which must be valid UTF-8.

    Raises:
        LocalProtocolError: text with a lone surrogate.
    """

    __slots__ = ("_compressed", "_opcode", "_payload", "frame")

    def __init__(self, message: str | bytes, *, encoded: bool = False) -> None:
        self._payload: bytes
        if isinstance(message, str):
            self._opcode, self._payload = Opcode.TEXT, text_payload(message)
        elif encoded:
            self._opcode, self._payload = Opcode.TEXT, message
        else:
            self._opcode, self._payload = Opcode.BINARY, binary_payload(message)
        self.frame = encode_frame(self._opcode, self._payload)
        """The frame for receivers without compression."""
        self._compressed: dict[tuple[int, Deflate], bytes] = {}

    @classmethod
    def of_text(cls, payload: bytes) -> "PreparedMessage":
        """A text message that is encoded already; `payload` must be valid UTF-8."""
        return cls(payload, encoded=True)

    def compressed_frame(self, agreement: Agreement, deflate: Deflate) -> bytes:
        """The frame for a receiver with whom permessage-deflate was agreed."""
        if len(self._payload) < deflate.threshold:
            return self.frame
        key = (agreement.server_max_window_bits, deflate)
        found = self._compressed.get(key)
        if found is None:
            payload = compress(self._payload, agreement.server_max_window_bits, deflate)
            found = encode_frame(self._opcode, payload, compressed=True)
            self._compressed[key] = found
        return found

    @property
    def payload(self) -> bytes:
        """The message itself, as bytes."""
        return self._payload

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return len(self._payload)

    def __repr__(self) -> str:
        return f"PreparedMessage({self._opcode.name.lower()}, {self.size} bytes)"
