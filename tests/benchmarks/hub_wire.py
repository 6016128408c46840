"""What a hub's client says and hears, as bytes: commands ready to send, and a reader of frames."""

from __future__ import annotations

import json
from typing import Any

from .wire import masked

CLOSE = 8
TEXT = 1


def command(**fields: Any) -> bytes:
    """Return a request as a client's frame."""
    return masked(0x81, json.dumps(fields, separators=(",", ":")).encode())


def publish(topic: str, size: int, **fields: Any) -> bytes:
    """Return a publication of a text of so many characters."""
    return command(action="publish", topic=topic, message=size * "a", **fields)


def opening(user: int) -> bytes:
    """Return the opening request of a user, with the token in a header."""
    return (
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:8765\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer token-user{user:05}\r\n\r\n"
    ).encode()


class Frames:
    """Cuts what a server sends into frames; the response to the opening request comes first."""

    def __init__(self, *, opened: bool = False) -> None:
        self._held = b""
        self._opened = opened

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take bytes, and return the opcode and the payload of each frame that is whole now."""
        held = self._held + data
        at = 0
        if not self._opened:
            end = held.find(b"\r\n\r\n")
            if end < 0:
                self._held = held
                return []
            if not held.startswith(b"HTTP/1.1 101 "):
                raise ConnectionError(f"the handshake was answered with {held!r}")
            self._opened = True
            at = end + 4
        frames: list[tuple[int, bytes]] = []
        while len(held) - at >= 2:
            size, head = held[at + 1], 2
            if size >= 126:
                head = 4 if size == 126 else 10
                size = int.from_bytes(held[at + 2 : at + head], "big")
            if len(held) - at < head + size or len(held) - at < head:
                break
            frames.append((held[at] & 15, held[at + head : at + head + size]))
            at += head + size
        self._held = held[at:]
        return frames

    def messages(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes, and return the messages that are whole now; raise if a Close frame is."""
        found: list[dict[str, Any]] = []
        for opcode, payload in self.feed(data):
            if opcode == CLOSE:
                code = int.from_bytes(payload[:2], "big")
                raise ConnectionError(f"closed with {code}: {payload[2:].decode()}")
            if opcode == TEXT:
                found.append(json.loads(payload))
        return found
