"""What one side of a connection says: messages and control frames to frames that wait to leave."""

from collections.abc import Callable

from .deflate import Compressor, compress
from .errors import LocalProtocolError
from .extensions import Agreement
from .frames import Opcode, binary_payload, encode_frame, text_payload
from .handshake import ClientOptions, Options
from .outgoing import Outgoing, PreparedMessage

__all__ = ["Entropy", "Sender"]

Entropy = Callable[[int], bytes]
"""`entropy(n)` returns n unpredictable bytes: `os.urandom`, or a counter in tests."""


class Sender:
    """Masks, fragments and compresses as the role and the agreement ask."""

    __slots__ = ("_compressor", "_entropy", "_options", "agreement", "client", "fragmented", "out")

    def __init__(self, options: Options, entropy: Entropy) -> None:
        self._options = options
        self._entropy = entropy
        self.fragmented: Opcode | None = None
        """The type of a message whose fragments are under way."""
        self._compressor: Compressor | None = None
        self.client = isinstance(options, ClientOptions)
        self.agreement: Agreement | None = None
        """Set when the handshake agreed on compression."""
        self.out = Outgoing()

    def send(self, data: str | bytes | bytearray | memoryview, final: bool) -> None:
        """Queue a message or a fragment of one (see `WebSocket.send`)."""
        if isinstance(data, str):
            opcode, payload = Opcode.TEXT, text_payload(data)
        else:
            opcode, payload = Opcode.BINARY, binary_payload(data)
        self._check_room()
        first = self.fragmented is None
        if not first and self.fragmented is not opcode:
            before = "text" if opcode is Opcode.BINARY else "binary"
            raise LocalProtocolError(f"the fragments before were {before}: end that message first")
        self.fragmented = None if final else opcode
        compressed = False
        if self.agreement is not None:
            payload, compressed = self._compress(self.agreement, payload, first, final)
        self.write(opcode if first else Opcode.CONTINUATION, payload, final, compressed)

    def send_prepared(self, message: PreparedMessage) -> None:
        """Queue a shared frame (see `WebSocket.send_prepared`)."""
        if self.client:
            raise LocalProtocolError("a client masks every frame for itself: use send()")
        if self.fragmented is not None:
            raise LocalProtocolError("a message in fragments is not ended: end it first")
        self._check_room()
        self.out.append(self.frame_of(message))

    def frame_of(self, message: PreparedMessage) -> bytes:
        """The frame of a shared message, compressed where that was agreed."""
        if self.agreement is None or self._options.deflate is None:
            return message.frame
        return message.compressed_frame(self.agreement, self._options.deflate)

    def write(
        self, opcode: Opcode, payload: bytes, final: bool = True, compressed: bool = False
    ) -> None:
        """Queue one frame."""
        key = self._entropy(4) if self.client else None
        self.out.append(encode_frame(opcode, payload, final=final, compressed=compressed, key=key))

    def write_pong(self, payload: bytes) -> None:
        """Queue a pong, or replace the newest where too many wait."""
        self.out.append_pong(self._pong(payload), self._options.limits.max_pending_pongs)

    def send_pong(self, payload: bytes) -> None:
        """Queue a pong that answers nothing (see `WebSocket.pong`)."""
        self._check_room()
        self.out.append(self._pong(payload))  # neither replaced nor replacing

    def _pong(self, payload: bytes) -> bytes:
        key = self._entropy(4) if self.client else None
        return encode_frame(Opcode.PONG, payload, key=key)

    def _check_room(self) -> None:
        if self.out.size > self._options.limits.max_write_buffer:
            raise LocalProtocolError(
                f"{self.out.size} bytes wait to be sent: wait while write_paused, "
                "or raise max_write_buffer"
            )

    def _compress(
        self, agreement: Agreement, payload: bytes, first: bool, final: bool
    ) -> tuple[bytes, bool]:
        """The payload as it goes into the frame, and whether the frame carries RSV1."""
        deflate = self._options.deflate
        assert deflate is not None  # without it nothing is agreed
        bits = agreement.client_max_window_bits if self.client else agreement.server_max_window_bits
        if first and final:
            if len(payload) < deflate.threshold:
                return payload, False
            return compress(payload, bits, deflate), True
        if self._compressor is None:
            self._compressor = Compressor(bits, deflate)
        compressed = self._compressor.compress(payload, final=final)
        if final:
            self._compressor = None
        return compressed, first
