"""Text of others, made safe for a terminal and for tools that read lines."""

__all__ = ["escape"]

_SHORT = {9: "\\t", 10: "\\n", 13: "\\r"}


def escape(text: str) -> str:
    """`text` without anything that a terminal or a line-oriented tool could take for more than text."""
    # Not the codec `unicode_escape`: importing it takes a file, and files may have run out.
    return "".join(c if c.isprintable() else _code(ord(c)) for c in text)


def _code(number: int) -> str:
    if number in _SHORT:
        return _SHORT[number]
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
