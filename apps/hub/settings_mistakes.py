"""What is wrong with a configuration, and where."""

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from .places import Key

__all__ = ["Mistake", "Mistakes", "Source", "dotted"]


class Source(msgspec.Struct, frozen=True):
    """Where a value came from."""

    kind: Literal["default", "file", "environment", "flag"]
    name: str = ""
    """The file as it was named, the variable, or the flag."""
    line: int | None = None
    """In a file, from 1."""
    column: int | None = None
    """In a file, from 1."""

    def __str__(self) -> str:
        if self.kind == "default":
            return "default"
        return self.name if self.line is None else f"{self.name}:{self.line}"


class Mistake(msgspec.Struct, frozen=True):
    """One thing to repair, or, as a warning, to think about."""

    source: Source
    text: str
    """What is wrong and what to write instead."""
    key: str = ""
    """The setting, such as `limits.max_size`; empty where it is about no single one."""

    def __str__(self) -> str:
        return self.told()

    def told(self, word: str = "") -> str:
        """The line that tells it, with a word such as `warning` behind the place."""
        key = "" if self._is_in_source() else self.key
        place = "" if self.source.kind == "default" else str(self.source)
        return ": ".join(part for part in (place, word, key, self.text) if part)

    def _is_in_source(self) -> bool:
        """Whether the variable or flag already says which setting it is."""
        name = re.sub(r"\[\d+\]", "", self.key).replace(".", "_").upper()
        return self.source.kind == "flag" or self.source.name == f"HUBBUB_{name}"


class Mistakes(Exception):
    """The configuration can't be used.

    Args:
        mistakes: all that were found, those of the file in the order of its lines.
        warnings: what else was seen.
    """

    def __init__(self, mistakes: Iterable[Mistake], warnings: Iterable[Mistake] = ()) -> None:
        self.mistakes = tuple(mistakes)
        self.warnings = tuple(warnings)
        super().__init__("\n".join(map(str, self.mistakes)))


def dotted(path: Key) -> str:
    """A path as people write it: `rules[1].pattern` for the pattern of the first rule.

    What stands in arrays is counted from 1, as people and lines count.
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{part}" if text else part
    return text
