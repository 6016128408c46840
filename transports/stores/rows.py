"""Records, logs and acknowledged positions as rows of tables. Each row has a checksum over all of it.

A row says all about itself, so that what can be read of a broken file can be trusted, row by row. The
checksum is of the values with their types, not of the bytes in the file: SQLite may arrange those anew.
Eight bytes of BLAKE2b cost half a microsecond more for a small row than CRC-32, of whose four bytes one
damage in four thousand million makes the right ones.
"""

from collections.abc import Iterable
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import msgspec

from ...core.errors import LocalProtocolError
from ...core.records import Acknowledged, Epoch, Record
from .logs import Log

__all__ = [
    "ACKNOWLEDGED_COLUMNS",
    "LOG_COLUMNS",
    "RECORD_COLUMNS",
    "acknowledged_of",
    "decode_text",
    "log_of",
    "record_of",
    "row_of_acknowledged",
    "row_of_log",
    "row_of_record",
    "rows_of",
]

RECORD_COLUMNS: Final = (
    "topic, offset, epoch, at, user, idempotency_key, key, recipients, checksum, data"
)
LOG_COLUMNS: Final = "topic, trimmed, last, size, at, epochs, checksum"
ACKNOWLEDGED_COLUMNS: Final = "user, name, topic, offset, epoch, at, checksum"

Row = tuple[Any, ...]
"""What SQLite gives: after a damage each value may be of any of its types."""

_RECORD: Final = b"record"
_LOG: Final = b"log"
_ACKNOWLEDGED: Final = b"acknowledged"

_encode = msgspec.msgpack.Encoder().encode
_encode_epochs = msgspec.json.Encoder().encode
_decode_epochs = msgspec.json.Decoder(list[Epoch]).decode

decode_text = partial(str, encoding="utf-8", errors="surrogateescape")
"""How text is read: damaged text must not raise, but be found by its checksum, like all else."""


def _checksum(kind: bytes, fields: Iterable[object], data: bytes = b"") -> bytes:
    # A row of one table must not pass for that of another, to which a damaged page may lead.
    hashed = blake2b(_encode(fields), digest_size=8, person=kind)
    hashed.update(data)
    return hashed.digest()


def row_of_record(record: Record) -> Row:
    """The row, in the order of RECORD_COLUMNS.

    Raises:
        UnicodeEncodeError: there is a lone surrogate in its text.
    """
    fields = (
        record.topic,
        record.offset,
        record.epoch,
        float(record.at),
        record.user,
        record.idempotency_key,
        record.key,
        record.recipients,
    )
    return (*fields, _checksum(_RECORD, fields, record.data), record.data)


def record_of(row: Row) -> Record | None:
    """The record; None if the row is damaged."""
    *fields, checksum, data = row
    try:
        if _checksum(_RECORD, fields, data) != checksum:
            return None
    except (TypeError, UnicodeEncodeError):
        return None
    topic, offset, epoch, at, user, idempotency_key, key, recipients = fields
    return Record(topic, offset, epoch, data, at, user, idempotency_key, key, recipients)


def row_of_log(log: Log) -> Row:
    """The row, in the order of LOG_COLUMNS."""
    epochs = _encode_epochs(log.epochs).decode()
    fields = (log.topic, log.trimmed, log.last, log.size, float(log.at), epochs)
    return (*fields, _checksum(_LOG, fields))


def log_of(row: Row) -> Log | None:
    """The log as it is after an opening; None if the row is damaged."""
    *fields, checksum = row
    try:
        if _checksum(_LOG, fields) != checksum:
            return None
    except UnicodeEncodeError:
        return None
    topic, trimmed, last, size, at, epochs = fields
    return Log(topic, trimmed, last, size, at, _decode_epochs(epochs))


def row_of_acknowledged(acknowledged: Acknowledged) -> Row:
    """The row, in the order of ACKNOWLEDGED_COLUMNS."""
    fields = (
        acknowledged.user,
        acknowledged.name,
        acknowledged.topic,
        acknowledged.offset,
        acknowledged.epoch,
        float(acknowledged.at),
    )
    return (*fields, _checksum(_ACKNOWLEDGED, fields))


def acknowledged_of(row: Row) -> Acknowledged | None:
    """The acknowledged position; None if the row is damaged."""
    *fields, checksum = row
    try:
        if _checksum(_ACKNOWLEDGED, fields) != checksum:
            return None
    except UnicodeEncodeError:
        return None
    return Acknowledged(*fields)


def rows_of(
    records: Iterable[Record], logs: Iterable[Log], acknowledged: Iterable[Acknowledged]
) -> tuple[list[Row], list[Row], list[Row]]:
    """All rows of an append.

    Raises:
        LocalProtocolError: there is text that can't be stored.
    """
    try:
        return (
            [row_of_record(record) for record in records],
            [row_of_log(log) for log in logs],
            [row_of_acknowledged(each) for each in acknowledged],
        )
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"text that can't be stored: {error}") from error
