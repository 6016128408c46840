"""Reading a store: all that a start needs, and records. What is damaged or missing is found on the way."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Final

from ...core.records import KEYS_REMEMBERED, Acknowledged, KnownKey, Record
from .logs import Log
from .rows import acknowledged_of, log_of, record_of
from .schema import MalformedFile
from .statements import ACKNOWLEDGED, GET_LOG, LOGS, NEWEST_FIRST, READ, RECORDS

__all__ = ["load_acknowledged", "load_logs", "read_records", "remembered_keys", "verify_records"]

_KEY_RECORDS: Final = 100_000
"""The newest records of a topic in which keys are looked for, so that a start takes no minutes."""


def load_logs(connection: sqlite3.Connection) -> dict[str, Log]:
    """Every log as it stands.

    Raises:
        MalformedFile: one is damaged.
        sqlite3.Error: they can't be read.
    """
    logs: dict[str, Log] = {}
    for row in connection.execute(LOGS.forward):
        log = log_of(row)
        if log is None:
            raise MalformedFile("the state of a log is damaged")
        logs[log.topic] = log
    return logs


def load_acknowledged(connection: sqlite3.Connection) -> tuple[Acknowledged, ...]:
    """Every acknowledged position.

    Raises:
        MalformedFile: one is damaged.
        sqlite3.Error: they can't be read.
    """
    found: list[Acknowledged] = []
    for row in connection.execute(ACKNOWLEDGED.forward):
        acknowledged = acknowledged_of(row)
        if acknowledged is None:
            raise MalformedFile("an acknowledged position is damaged")
        found.append(acknowledged)
    return tuple(found)


def verify_records(
    connection: sqlite3.Connection, logs: Mapping[str, Log], since: float
) -> dict[str, tuple[KnownKey, ...]]:
    """Read every record; return if each is whole, and each log has exactly those that it should.

    Args:
        connection: where they are read.
        logs: all that there are.
        since: the moment before which no idempotency key is remembered.

    Returns:
        By topic, what `remembered_keys` would find in a second reading.

    Raises:
        MalformedFile: it is not so.
        sqlite3.Error: they can't be read.
    """
    found: dict[str, _NewestKeys] = {}
    log: Log | None = None
    expected = 0
    keys = _NewestKeys()
    for row in connection.execute(RECORDS.forward):
        record = record_of(row)
        if record is None:
            raise MalformedFile("a record is damaged")
        if log is None or record.topic != log.topic:
            _check_end(log, expected)
            log = logs.get(record.topic)
            if log is None:
                raise MalformedFile(f"the log of {record.topic!r} has no state")
            expected = log.trimmed + 1
            keys = found[log.topic] = _NewestKeys()
        if record.offset != expected:
            raise MalformedFile(f"offset {expected} of {record.topic!r} is missing")
        expected += 1
        keys.take(record, since)
    _check_end(log, expected)
    if len(found) != sum(log.trimmed < log.last for log in logs.values()):
        raise MalformedFile("all records of a log are missing")
    return {topic: keys.all() for topic, keys in found.items()}


class _NewestKeys:
    """The idempotency keys of a log's newest records, while it is read from the oldest on."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[tuple[str | None, str], KnownKey] = {}

    def take(self, record: Record, since: float) -> None:
        """The next record: what comes before one from before `since` is not remembered."""
        keys = self._keys
        if record.at < since:
            keys.clear()
        elif record.idempotency_key is not None:
            name = (record.user, record.idempotency_key)
            keys.pop(name, None)  # an older one with the same key had been forgotten
            keys[name] = _known(record)
            if len(keys) > 2 * KEYS_REMEMBERED:
                for old in tuple(keys)[:-KEYS_REMEMBERED]:
                    del keys[old]

    def all(self) -> tuple[KnownKey, ...]:
        """Those that are remembered, oldest first."""
        return tuple(self._keys.values())[-KEYS_REMEMBERED:]


def _check_end(log: Log | None, expected: int) -> None:
    if log is not None and expected != log.last + 1:
        raise MalformedFile(f"the end of {log.topic!r} is not at offset {log.last}")


def remembered_keys(connection: sqlite3.Connection, log: Log, since: float) -> tuple[KnownKey, ...]:
    """The idempotency keys of a log's newest records, oldest first. These records are verified.

    Args:
        connection: where they are read.
        log: whose.
        since: the moment before which nothing is remembered.

    Raises:
        MalformedFile: a record is damaged or missing.
        sqlite3.Error: they can't be read.
    """
    keys: dict[tuple[str | None, str], KnownKey] = {}
    expected = log.last
    with closing(connection.execute(NEWEST_FIRST, (log.topic, _KEY_RECORDS))) as cursor:
        for row in cursor:
            record = record_of(row)
            if record is None or record.offset != expected:
                raise MalformedFile(f"offset {expected} of {log.topic!r} is missing or damaged")
            if record.at < since:
                break
            expected -= 1
            if record.idempotency_key is not None:
                # The newest counts: an older one with the same key had been forgotten.
                keys.setdefault((record.user, record.idempotency_key), _known(record))
                if len(keys) == KEYS_REMEMBERED:
                    break
        else:
            if expected != log.trimmed and log.last - expected < _KEY_RECORDS:
                raise MalformedFile(f"offset {expected} of {log.topic!r} is missing")
    return tuple(reversed(keys.values()))


def _known(record: Record) -> KnownKey:
    key = record.idempotency_key
    assert key is not None
    return KnownKey(record.user, key, record.offset, record.epoch, record.recipients, record.at)


def read_records(
    connection: sqlite3.Connection, topic: str, after: int, max_bytes: int
) -> list[Record]:
    """Records of a topic from behind `after`, with at most `max_bytes` of data, but at least one.

    Before a damaged one they end early. A moment's snapshot is read, whatever is written meanwhile.

    Raises:
        MalformedFile: the first of them is damaged or missing.
        sqlite3.Error: they can't be read.
    """
    records: list[Record] = []
    size = 0
    connection.execute("BEGIN")
    try:
        row = connection.execute(GET_LOG, (topic,)).fetchone()
        if row is None:
            return records
        log = log_of(row)
        if log is None:
            raise MalformedFile(f"the state of the log of {topic!r} is damaged")
        expected = max(after, log.trimmed) + 1
        with closing(connection.execute(READ, (topic, expected - 1))) as cursor:
            for row in cursor:
                record = record_of(row)
                if record is None or record.offset != expected:
                    break
                size += len(record.data)
                if records and size > max_bytes:
                    break
                records.append(record)
                expected += 1
        if not records and expected <= log.last:
            raise MalformedFile(f"offset {expected} of {topic!r} is missing or damaged")
    finally:
        connection.execute("ROLLBACK")
    return records
