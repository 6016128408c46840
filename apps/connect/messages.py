"""How messages are typed, shown to people, and written for programs."""

from typing import Final

from ..escaping import escape

__all__ = ["parse", "shown", "written"]

SHOWN_BYTES: Final = 256
"""Bytes of a binary message that a terminal shows; nobody reads more of them there."""


def parse(line: str, *, binary: bool) -> str | bytes:
    """The message that a line stands for: the line itself, or with `binary` the bytes of its hex digits.

    Raises:
        ValueError: it stands for none; the message says why.
    """
    if not binary:
        try:
            line.encode()
        except UnicodeEncodeError:
            why = "not UTF-8, as text must be: --binary sends any bytes, written in hex"
            raise ValueError(why) from None
        return line
    try:
        return bytes.fromhex(line)
    except ValueError:
        raise ValueError("not hex: write two digits for each byte, such as 00 ff 7a") from None


def shown(message: str | bytes) -> str:
    """One line for a terminal, in which nothing can be taken for a command to it."""
    if isinstance(message, str):
        return escape(message)
    size = len(message)
    left = size - SHOWN_BYTES
    more = f" … and {left} more" if left > 0 else ""
    unit = "byte" if size == 1 else "bytes"
    return f"[{size} {unit}] {message[:SHOWN_BYTES].hex(' ')}{more}".rstrip()


def written(message: str | bytes) -> bytes:
    """A line for a program: text as it came, or hex digits."""
    data = message if isinstance(message, str) else message.hex()
    return f"{data}\n".encode()
