"""Lines for people, coloured where a terminal shows them, and JSON for programs."""

import sys

import msgspec

from ..escaping import escape
from ..failure import Failure

__all__ = ["print_json", "print_line"]


def print_line(text: str, style: str = "", *, comment: str = "") -> None:
    """Print one line to standard output.

    Args:
        text: of the line; what could be more than text is escaped.
        style: how a terminal shows it, such as `yellow`.
        comment: stands behind it, in less bright a colour.

    Raises:
        Failure: it can't be printed.
    """
    if sys.stdout is None:
        raise Failure("standard output is closed")
    if not sys.stdout.isatty():
        _write(f"{escape(text)}{escape(comment)}")
        return
    from rich.console import Console
    from rich.text import Text

    line = Text(escape(text), style=style).append(escape(comment), style="dim")
    Console(highlight=False).print(line, soft_wrap=True)


def print_json(value: object) -> None:
    """Print one JSON object, over several lines.

    Raises:
        Failure: it can't be printed.
    """
    if sys.stdout is None:
        raise Failure("standard output is closed")
    _write(msgspec.json.format(msgspec.json.encode(value)).decode())


def _write(line: str) -> None:
    try:
        print(line)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Failure(f"cannot write to standard output: {reason}") from error
