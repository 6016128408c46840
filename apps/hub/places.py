"""Where each key of a TOML text stands, which `tomllib` does not tell."""

import re
import tomllib
from bisect import bisect_right
from typing import Final

import msgspec

__all__ = ["Key", "Place", "find_places"]

Key = tuple[str | int, ...]
"""The way to a value: names of tables and keys, and numbers, from 0, of what stands in arrays."""


class Place(msgspec.Struct, frozen=True):
    """A place in a text, as an editor shows it."""

    line: int
    """From 1."""
    column: int
    """In characters, from 1."""


_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK_OR_COMMA: Final = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[^\s.=\]\"'#]+")
_SCALAR: Final = re.compile(r"[^,\]}#\n]*")
_STRING: Final = re.compile(
    # A string in three quotes may end with two more that belong to it.
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


def find_places(text: str) -> dict[Key, Place]:
    """The place of each table, key and element of an array.

    Args:
        text: TOML that `tomllib` has read without an error. Of anything else the places are wrong.
    """
    return _Scan(text).run()


class _Scan:
    """One walk through a text. It looks at as much of the grammar as tells where keys begin."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._found: dict[Key, Place] = {}
        self._tables_in: dict[Key, int] = {}
        """How many `[[tables]]` each array of them has so far."""

    def run(self) -> dict[Key, Place]:
        table: Key = ()
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return self._found
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None or (found.end() == self._at and pattern in (_BARE_KEY, _STRING)):
            raise ValueError(f"no valid TOML at character {self._at}")
        self._at = found.end()
        return found[0]

    def _place(self, at: int) -> Place:
        line = bisect_right(self._lines, at)
        return Place(line, at - self._lines[line - 1] + 1)

    def _header(self) -> Key:
        start = self._place(self._at)
        of_array = self._text.startswith("[[", self._at)
        self._at += 2 if of_array else 1
        names = self._names()
        self._at += 2 if of_array else 1
        path: Key = ()
        for name, _ in names[:-1]:
            path = (*path, name)
            self._found.setdefault(path, start)
            if path in self._tables_in:
                path = (*path, self._tables_in[path] - 1)
        path = (*path, names[-1][0])
        if of_array:
            self._found.setdefault(path, start)
            number = self._tables_in.get(path, 0)
            self._tables_in[path] = number + 1
            path = (*path, number)
        self._found[path] = start
        return path

    def _names(self) -> list[tuple[str, Place]]:
        """A key with all that its dots join, and where each name stands."""
        names: list[tuple[str, Place]] = []
        while True:
            self._skip(_SPACE)
            place = self._place(self._at)
            if self._text[self._at] in "\"'":
                name: str = tomllib.loads(f"key = {self._skip(_STRING)}")["key"]
            else:
                name = self._skip(_BARE_KEY)
            names.append((name, place))
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return names
            self._at += 1

    def _pair(self, table: Key) -> None:
        path = table
        for name, place in self._names():
            path = (*path, name)
            self._found.setdefault(path, place)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Key) -> None:
        first = self._text[self._at]
        if first in "\"'":
            self._skip(_STRING)
        elif first == "[":
            self._elements(path)
        elif first == "{":
            self._inner(path)
        else:
            self._skip(_SCALAR)

    def _elements(self, path: Key) -> None:
        self._at += 1
        number = 0
        while True:
            self._skip(_BLANK_OR_COMMA)
            if self._text[self._at] == "]":
                self._at += 1
                return
            self._found[*path, number] = self._place(self._at)
            self._value((*path, number))
            number += 1

    def _inner(self, path: Key) -> None:
        self._at += 1
        while True:
            self._skip(_BLANK_OR_COMMA)
            if self._text[self._at] == "}":
                self._at += 1
                return
            self._pair(path)
