"""What is received and sent, as Python values."""

from collections.abc import Iterable, Mapping
from typing import Self, cast

__all__ = ["Each", "Message", "Sendable", "converted", "join"]

Message = str | bytes
"""What is received, text or bytes."""

Sendable = str | bytes | bytearray | memoryview
"""What can be sent as one message or fragment."""


def converted(data: Message, to_text: bool) -> Message:
    """A message as text or as bytes, whatever it is.

    Raises:
        UnicodeDecodeError: bytes that are no UTF-8.
    """
    if to_text:
        return data if isinstance(data, str) else data.decode()
    return data.encode() if isinstance(data, str) else data


def join(parts: list[Message]) -> Message:
    """Fragments of one message, which are of one type."""
    if isinstance(parts[0], str):
        return "".join(cast("list[str]", parts))
    return b"".join(cast("list[bytes]", parts))


class Each:
    """The items of an iterable, asynchronously. No generator, because one may be left half-way."""

    def __init__(self, items: Iterable[Sendable]) -> None:
        if isinstance(items, Mapping):
            raise TypeError("a mapping is no message: its keys would be sent; encode it first")
        self._items = iter(items)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sendable:
        try:
            return next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None
