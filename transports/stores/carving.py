"""Records read from the pages of a file themselves, for those to which its tree no longer leads.

A page that says where others are may be damaged while they are whole. SQLite then reaches none of them; but a
record has a checksum, so it can be believed wherever it is found. Only records: they never change, so
that an old copy on a page that is free now is as good as any. The format is in "Database File Format" of
SQLite's documentation, sections 1.6 (pages), 2.1 (records).
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

__all__ = ["carve"]

_LEAF: Final = 0x0A
_INTERIOR: Final = 0x02
_COLUMNS: Final = 10
_AT: Final = 3
"""The column of real numbers: whole ones are kept as integers."""

_INTEGERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Bytes of the types that are integers."""


class _Broken(Exception):
    """What is here is no record."""


def carve(path: Path, page_size: int) -> Iterator[tuple[Any, ...]]:
    """Yield what may be rows of the table of records, in no order, good and bad.

    Args:
        path: a file without a log beside it that SQLite does not write meanwhile.
        page_size: the bytes of a page.

    Raises:
        OSError: it can't be read.
    """
    if path.stat().st_size < page_size:
        return
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        for start in range(0, len(data) - page_size + 1, page_size):
            kind = data[start]
            if kind == _LEAF or kind == _INTERIOR:
                yield from _rows(data, start, page_size)


def _rows(data: mmap.mmap, start: int, page_size: int) -> Iterator[tuple[Any, ...]]:
    leaf = data[start] == _LEAF
    at = start + (8 if leaf else 12)
    count = int.from_bytes(data[start + 3 : start + 5])
    for pointer in range(at, min(at + 2 * count, start + page_size - 1), 2):
        cell = start + int.from_bytes(data[pointer : pointer + 2]) + (0 if leaf else 4)
        if cell >= start + page_size:
            continue
        try:
            yield _values(_payload(data, cell, start + page_size, page_size))
        except (_Broken, IndexError, struct.error):
            continue


def _payload(data: mmap.mmap, cell: int, page_end: int, page_size: int) -> bytes:
    """All bytes of a cell, also those on other pages."""
    length, at = _varint(data, cell)
    if length > len(data):
        raise _Broken
    most = (page_size - 12) * 64 // 255 - 23
    local = length
    if length > most:
        least = (page_size - 12) * 32 // 255 - 23
        local = least + (length - least) % (page_size - 4)
        if local > most:
            local = least
    if at + local > page_end:
        raise _Broken
    parts = [data[at : at + local]]
    missing = length - local
    following = int.from_bytes(data[at + local : at + local + 4])
    # Each page has some of what is missing, so that a ring of pages comes to an end too.
    while missing:
        begin = (following - 1) * page_size
        if not 0 <= begin <= len(data) - page_size:
            raise _Broken
        part = data[begin + 4 : begin + 4 + min(missing, page_size - 4)]
        parts.append(part)
        missing -= len(part)
        following = int.from_bytes(data[begin : begin + 4])
    return b"".join(parts)


def _values(payload: bytes) -> tuple[Any, ...]:
    end, at = _varint(payload, 0)
    types: list[int] = []
    while at < end and len(types) <= _COLUMNS:
        kind, at = _varint(payload, at)
        types.append(kind)
    if len(types) != _COLUMNS or at != end:
        raise _Broken
    values: list[Any] = []
    for kind in types:
        value, at = _value(payload, at, kind)
        values.append(value)
    if isinstance(values[_AT], int):
        values[_AT] = float(values[_AT])
    return tuple(values)


def _value(payload: bytes, at: int, kind: int) -> tuple[object, int]:
    if kind == 0:
        return None, at
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(payload[at:end], signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind in (8, 9):
        return kind - 8, at
    if kind < 12:
        raise _Broken
    end = at + (kind - 12) // 2
    value = payload[at:end]
    return (str(value, "utf-8", "surrogateescape") if kind % 2 else value), end


def _varint(data: bytes | mmap.mmap, at: int) -> tuple[int, int]:
    """A number in SQLite's form, and where it ends."""
    value = 0
    for index in range(at, at + 8):
        byte = data[index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, index + 1
    return value << 8 | data[at + 8], at + 9
