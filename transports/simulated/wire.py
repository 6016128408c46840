"""Reads what a hub puts on the wire, frame by frame, without the machines that are under test."""

import zlib
from typing import Any, Final, Literal

import msgspec

__all__ = ["Frame", "WireReader"]

_TEXT: Final = 0x81
_COMPRESSED: Final = 0xC1
_KINDS: Final[dict[int, Literal["close", "ping", "pong"]]] = {
    0x88: "close",
    0x89: "ping",
    0x8A: "pong",
}
_HTTP: Final = ord("H")
_TAIL: Final = b"\x00\x00\xff\xff"
_REMEMBERED: Final = 4096

_PUSHES: Final = frozenset(
    {"chat", "notification", "system", "direct", "gap", "reconnect", "presence"}
)


class Frame:
    """One frame that a hub gave out, or the head of its HTTP response.

    Args:
        kind: what it is.
        text: the message in it, or the head.
        message: the same as data, where it is a message.
        code: of a Close frame.
        size: bytes that the frame has.
    """

    __slots__ = ("code", "kind", "message", "push", "size", "text", "topic", "type")

    def __init__(
        self,
        kind: Literal["text", "close", "ping", "pong", "http"],
        size: int,
        text: str = "",
        message: dict[str, Any] | None = None,
        code: int | None = None,
    ) -> None:
        self.kind = kind
        self.size = size
        self.text = text
        self.message: dict[str, Any] = message if message is not None else {}
        self.code = code
        self.type: str = self.message.get("type", "")
        self.topic: str | None = self.message.get("topic")
        self.push = self.type in _PUSHES
        """Whether nobody asked for it. `unsubscribed` counts as an answer: it keeps its place among them."""
        if self.type == "presence" and "event" not in self.message:
            self.push = False


class WireReader:
    """Reads frames. A frame that many get is read once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Frame] = {}

    def split(self, data: bytes) -> list[bytes]:
        """The frames that some bytes are.

        Raises:
            ValueError: they are no whole frames.
        """
        frames: list[bytes] = []
        at = 0
        while at < len(data):
            begin, size = _payload(data, at)
            frames.append(data[at : begin + size])
            at = begin + size
        if at > len(data):
            raise ValueError(f"{at - len(data)} bytes of a frame are missing")
        return frames

    def read(self, data: bytes) -> Frame:
        """Read one whole frame.

        Raises:
            ValueError: a server may not send that.
        """
        found = self._known.get(data)
        if found is None:
            found = _read(data)
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            self._known[data] = found
        return found


def _read(data: bytes) -> Frame:
    first = data[0]
    if first == _HTTP:
        return Frame("http", len(data), data.partition(b"\r\n\r\n")[0].decode("latin-1"))
    begin, size = _payload(data, 0)
    payload = data[begin:]
    if len(payload) != size:
        raise ValueError(f"a frame of {size} bytes has {len(payload)}")
    if first in _KINDS:
        code = int.from_bytes(payload[:2], "big") if first == 0x88 and payload else None
        return Frame(_KINDS[first], len(data), payload[2:].decode("utf-8", "replace"), None, code)
    if first == _COMPRESSED:
        payload = zlib.decompressobj(-15).decompress(payload + _TAIL)
    elif first != _TEXT:
        raise ValueError(f"a frame that begins with {first:#x}")
    return Frame("text", len(data), payload.decode(), msgspec.json.decode(payload))


def _payload(data: bytes, at: int) -> tuple[int, int]:
    """Where the payload of a frame begins, and how long it is."""
    size = data[at + 1]  # a server does not mask
    if size == 126:
        return at + 4, int.from_bytes(data[at + 2 : at + 4], "big")
    if size == 127:
        return at + 10, int.from_bytes(data[at + 2 : at + 10], "big")
    return at + 2, size
