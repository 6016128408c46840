"""Ready bytes, so that the load generator builds and masks nothing while it measures."""

from __future__ import annotations

_KEY = b"\x12\x34\x56\x78"

PAYLOAD = 64 * b"a"


def masked(first: int, payload: bytes) -> bytes:
    """Return a client's frame that begins with this byte; its payload has less than 64 KiB."""
    size = len(payload)
    key = (_KEY * (size // 4 + 1))[:size]
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([first]) + length + _KEY + body


TEXT = masked(0x81, PAYLOAD)
TEXT_ANSWER = bytes([0x81, len(PAYLOAD)]) + PAYLOAD
PING = masked(0x89, b"ping")
PONG = b"\x8a\x04ping"
CLOSE = masked(0x88, b"\x03\xe8")


def _request(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("GET / HTTP/1.1", *lines, "")).encode()


_UPGRADE = (
    "Host: 127.0.0.1:8765",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
# What a browser adds. The cookie is short, for many have none.
_BROWSER = (
    "Pragma: no-cache",
    "Cache-Control: no-cache",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Origin: http://127.0.0.1:8765",
    "Accept-Encoding: gzip, deflate, br",
    "Accept-Language: en-GB,en;q=0.9",
    "Cookie: session=0123456789abcdef",
)

REQUESTS = {
    f"{len(lines)} headers": _request(*lines) for lines in (_UPGRADE, (*_UPGRADE, *_BROWSER))
}
