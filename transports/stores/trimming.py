"""What retention removes, in slices that are short enough to go between two appends."""

import sqlite3
from typing import Final

from ...core.records import Retention
from .logs import Log
from .schema import MalformedFile
from .statements import SIZES

__all__ = ["SLICE_BYTES", "SLICE_RECORDS", "slice_beyond"]

SLICE_RECORDS: Final = 500
"""Records that one slice removes at most. It takes a few milliseconds."""

SLICE_BYTES: Final = 4 * 2**20
"""Bytes of data after which a slice ends."""


def slice_beyond(
    connection: sqlite3.Connection, log: Log, retention: Retention, now: float
) -> tuple[int, int, bool]:
    """Say which of a log's oldest records are beyond `retention`, as far as one slice goes.

    Returns:
        The last offset to remove, which is `log.trimmed` if there is nothing; the bytes up to it; and
        whether the slice ended before what is beyond did.

    Raises:
        MalformedFile: a record is missing.
        sqlite3.Error: they can't be read.
    """
    upto = log.trimmed
    size = 0
    oldest = None if retention.max_age is None else now - retention.max_age
    rows = connection.execute(SIZES, (log.topic, log.trimmed, SLICE_RECORDS)).fetchall()
    for offset, _, at, length in rows:
        if offset != upto + 1 or not isinstance(at, float) or not isinstance(length, int):
            raise MalformedFile(f"offset {upto + 1} of {log.topic!r} is missing or damaged")
        if not (
            (retention.max_records is not None and log.last - upto > retention.max_records)
            or (retention.max_bytes is not None and log.size - size > retention.max_bytes)
            or (oldest is not None and at < oldest)
        ):
            return upto, size, False
        upto = offset
        size += length
        if size >= SLICE_BYTES:
            break
    else:
        if len(rows) < min(SLICE_RECORDS, log.last - log.trimmed):
            raise MalformedFile(f"offset {upto + 1} of {log.topic!r} is missing")
    return upto, size, upto < log.last
