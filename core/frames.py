"""Outbound: every frame that hubbub writes (RFC 6455, section 5).

Server frames are not masked, so one encoded frame serves every receiver. Client frames carry a masking
key, fresh for each frame, that the caller draws from its entropy.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final

from .errors import LocalProtocolError

__all__ = [
    "COME_BACK",
    "FRAME_OVERHEAD",
    "CloseCode",
    "ComeBack",
    "Opcode",
    "binary_payload",
    "close_payload",
    "encode_frame",
    "mask_payload",
    "may_be_sent",
    "text_payload",
]

FRAME_OVERHEAD = 14
"""The longest frame header in bytes: 2, an 8-byte length, a 4-byte masking key."""

MAX_CONTROL_PAYLOAD = 125
MAX_REASON = MAX_CONTROL_PAYLOAD - 2

TRANSLATE_FROM = 4096
"""Bytes from which four table look-ups beat one integer XOR: its operands then leave the L1 cache."""

_XOR_TABLES = [bytes(a ^ b for a in range(256)) for b in range(256)]


class Opcode(IntEnum):
    """RFC 6455, section 5.2."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """RFC 6455, section 7.4.1, its registry, and the private codes of hubbub (4000 to 4999)."""

    NORMAL_CLOSURE = 1000
    """Nothing more is to be said."""
    GOING_AWAY = 1001
    """The server stops; `reconnect` said after how many seconds to come back."""
    PROTOCOL_ERROR = 1002
    """The client broke the protocol."""
    UNSUPPORTED_DATA = 1003
    """A type of data that is not taken."""
    NO_STATUS_RECEIVED = 1005
    ABNORMAL_CLOSURE = 1006
    """Never sent: what a client is told where the connection ended without a Close frame."""
    INVALID_PAYLOAD_DATA = 1007
    """Text that is no UTF-8, or data that does not inflate."""
    POLICY_VIOLATION = 1008
    """The token is not valid, or none came in time."""
    MESSAGE_TOO_BIG = 1009
    """A message over `max_size`."""
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    """The server failed, or a keepalive ping was not answered."""
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    """The server is full."""
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015
    TOKEN_EXPIRED = 4001
    """The token ended, and no newer one came."""
    DISCONNECTED = 4003
    """An operator ended the session."""
    TOO_SLOW = 4008
    """More waited for the client than may wait."""
    TOO_MANY = 4029
    """Too many errors or control frames."""


class ComeBack(StrEnum):
    """Whether a client should connect again after a close."""

    NO = "no"
    """It would end in the same way."""
    YES = "yes"
    """At once, and resume where it was."""
    AFTER_HINT = "after the hint"
    """After the seconds that `reconnect` said."""
    RENEWED = "with a new token"
    """It would be refused with the old one."""
    BACK_OFF = "back off"
    """After a delay that grows with each attempt."""


COME_BACK: Final[Mapping[CloseCode, ComeBack]] = {
    CloseCode.NORMAL_CLOSURE: ComeBack.NO,
    CloseCode.GOING_AWAY: ComeBack.AFTER_HINT,
    CloseCode.PROTOCOL_ERROR: ComeBack.NO,
    CloseCode.UNSUPPORTED_DATA: ComeBack.NO,
    CloseCode.ABNORMAL_CLOSURE: ComeBack.YES,
    CloseCode.INVALID_PAYLOAD_DATA: ComeBack.NO,
    CloseCode.POLICY_VIOLATION: ComeBack.NO,
    CloseCode.MESSAGE_TOO_BIG: ComeBack.NO,
    CloseCode.INTERNAL_ERROR: ComeBack.BACK_OFF,
    CloseCode.TRY_AGAIN_LATER: ComeBack.BACK_OFF,
    CloseCode.TOKEN_EXPIRED: ComeBack.RENEWED,
    CloseCode.DISCONNECTED: ComeBack.NO,
    CloseCode.TOO_SLOW: ComeBack.YES,
    CloseCode.TOO_MANY: ComeBack.BACK_OFF,
}
"""What a hub's close codes mean to a client. Another code is another program's: back off."""


_NEVER_SENT = frozenset(
    {CloseCode.NO_STATUS_RECEIVED, CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE}
)
_REGISTERED = frozenset(CloseCode) - _NEVER_SENT


def may_be_sent(code: int) -> bool:
    """Whether a Close frame may carry `code` (RFC 6455, 7.4)."""
    return 3000 <= code <= 4999 or code in _REGISTERED


def close_payload(code: int | None, reason: str) -> bytes:
    """The payload of a Close frame.

    Raises:
        LocalProtocolError: a code that may not be sent, a reason without a code, a reason that is over
            123 bytes or no Unicode text.
    """
    if code is None:
        if reason:
            raise LocalProtocolError("a close reason needs a code: pass code=1000 with it")
        return b""
    if not may_be_sent(code):
        raise LocalProtocolError(
            f"close code {code} may not be sent: use 1000-1003, 1007-1014 or 3000-4999"
        )
    encoded = text_payload(reason)
    if len(encoded) > MAX_REASON:
        raise LocalProtocolError(
            f"the close reason has {len(encoded)} bytes in UTF-8: shorten it to {MAX_REASON}"
        )
    return struct.pack("!H", code) + encoded


def text_payload(text: str) -> bytes:
    """`text` as UTF-8.

    Raises:
        LocalProtocolError: it holds a lone surrogate, which no receiver would accept.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(
            f"text with a lone surrogate at index {error.start} cannot be sent: "
            "replace it, or send bytes"
        ) from error


def binary_payload(data: bytes | bytearray | memoryview) -> bytes:
    """`data` as bytes.

    Raises:
        TypeError: it is no bytes. `bytes(5)`, five zeros, is what nobody means.
    """
    try:
        return data if type(data) is bytes else bytes(memoryview(data))
    except TypeError:
        raise TypeError(f"a message is str or bytes, not {type(data).__name__}") from None


def mask_payload(payload: bytes, key: bytes) -> bytes:
    """XOR `payload` with the repeated 4-byte `key` (RFC 6455, 5.3). It also unmasks."""
    size = len(payload)
    if size < TRANSLATE_FROM:
        # One XOR of two integers. Little-endian is measurably cheaper in CPython than big-endian.
        keys = key * ((size + 3) >> 2)
        return (int.from_bytes(payload, "little") ^ int.from_bytes(keys[:size], "little")).to_bytes(
            size, "little"
        )
    masked = bytearray(payload)
    for offset, byte in enumerate(key):
        masked[offset::4] = masked[offset::4].translate(_XOR_TABLES[byte])
    return bytes(masked)


def encode_frame(
    opcode: Opcode,
    payload: bytes,
    *,
    final: bool = True,
    compressed: bool = False,
    key: bytes | None = None,
) -> bytes:
    """One frame, ready for the wire.

    Args:
        opcode: what it is; a control frame must be final and at most 125 bytes.
        payload: as it should arrive, not masked.
        final: the FIN bit.
        compressed: the RSV1 bit (RFC 7692), on the first frame of a compressed message.
        key: the masking key, 4 unpredictable bytes, from a client; None from a server.
    """
    first = opcode | (0x80 if final else 0) | (0x40 if compressed else 0)
    size = len(payload)
    masked = 0 if key is None else 0x80
    if size < 126:
        header = bytes((first, masked | size))
    elif size < 65536:
        header = struct.pack("!BBH", first, masked | 126, size)
    else:
        header = struct.pack("!BBQ", first, masked | 127, size)
    if key is None:
        return header + payload
    return header + key + mask_payload(payload, key)
