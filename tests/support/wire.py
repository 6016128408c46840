"""Bytes as peers put them on the wire: requests, responses and frames, right or wrong on purpose."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Sequence

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The key of RFC 6455, 1.3."""

ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""What answers it."""

HOST = "example.com"

MASK = b"\x37\xfa\x21\x3d"
"""The masking key of RFC 6455, 5.7."""

UPGRADE_LINES: tuple[tuple[str, str], ...] = (
    ("Host", HOST),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
)


def head(first: str, lines: Sequence[tuple[str, str]]) -> bytes:
    """The head of any HTTP message, with its blank line."""
    written = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{first}\r\n{written}\r\n".encode("latin-1")


def request(
    *extra: tuple[str, str],
    target: str = "/",
    method: str = "GET",
    version: str = "1.1",
    without: Sequence[str] = (),
    **changed: str,
) -> bytes:
    """A request to open a WebSocket.

    Args:
        extra: lines behind the five that are needed.
        target: path and query.
        method: GET, where it is right.
        version: of HTTP.
        without: names of needed lines to leave out.
        changed: other values for needed lines: `sec_websocket_version="8"`.
    """
    values = {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [
        (name, values.get(name.lower(), value))
        for name, value in UPGRADE_LINES
        if name not in without
    ]
    return head(f"{method} {target} HTTP/{version}", [*lines, *extra])


def accept_for(key: bytes) -> str:
    """The Sec-WebSocket-Accept that answers a key (RFC 6455, 4.2.2)."""
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest).decode("ascii")


def response(
    *extra: tuple[str, str],
    status: str = "101 Switching Protocols",
    accept: str = ACCEPT,
    without: Sequence[str] = (),
    **changed: str,
) -> bytes:
    """A 101 response, by default to a request with `KEY`; the arguments are as for `request`."""
    needed = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept))
    values = {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [
        (name, values.get(name.lower(), value)) for name, value in needed if name not in without
    ]
    return head(f"HTTP/1.1 {status}", [*lines, *extra])


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
) -> bytes:
    """One frame as a client sends it, or with `mask=None` as a server does."""
    first = (0x80 if final else 0) | rsv << 4 | opcode
    masked = 0 if mask is None else 0x80
    size = len(payload)
    if size < 126:
        header = bytes((first, masked | size))
    elif size < 65536:
        header = struct.pack("!BBH", first, masked | 126, size)
    else:
        header = struct.pack("!BBQ", first, masked | 127, size)
    if mask is None:
        return header + payload
    return header + mask + bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))


def text(message: str, *, final: bool = True, mask: bytes | None = MASK) -> bytes:
    """A text frame."""
    return frame(0x1, message.encode(), final=final, mask=mask)


def close(code: int, reason: str = "", *, mask: bytes | None = MASK) -> bytes:
    """A Close frame."""
    return frame(0x8, struct.pack("!H", code) + reason.encode(), mask=mask)


def pieces(data: bytes, *sizes: int) -> list[bytes]:
    """`data` cut into pieces of these sizes, over and over, until it is used up."""
    cut: list[bytes] = []
    at = turn = 0
    while at < len(data):
        size = max(1, sizes[turn % len(sizes)])
        cut.append(data[at : at + size])
        at += size
        turn += 1
    return cut
