"""Reading a whole store without changing it, and reporting what is in it and what is wrong."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from ...core.records import Epoch
from .logs import Log
from .protocol import StoreUnavailable
from .reasons import READING_ERRORS, is_damage, unavailable
from .rows import acknowledged_of, log_of, record_of
from .schema import APPLICATION_ID, STEPS, connect_to_read
from .statements import ACKNOWLEDGED, LOGS, RECORDS, Table
from .sweeping import sweep

__all__ = ["PROBLEMS_TOLD", "Report", "TopicReport", "check"]

PROBLEMS_TOLD: Final = 100
"""Problems that a report names; all are counted."""


class TopicReport(msgspec.Struct):
    """One topic's log, as its state says, and what was found of it."""

    topic: str
    first: int
    last: int
    """Offsets from `first` to `last` should be there; `first` is `last + 1` if none should."""
    records: int = 0
    """That are there, and whole."""
    bytes: int = 0
    """Of their data."""
    epochs: list[Epoch] = []


class Report(msgspec.Struct):
    """What a store holds, and what is wrong with it."""

    path: str
    schema: int = 0
    bytes: int = 0
    """Of the file, without SQLite's log beside it."""
    topics: list[TopicReport] = []
    acknowledged: int = 0
    """Acknowledged positions."""
    problems: list[str] = []
    """The first `PROBLEMS_TOLD`."""
    problem_count: int = 0

    def blame(self, problem: str) -> None:
        """Note a problem."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_TOLD:
            self.problems.append(problem)


def check(path: Path) -> Report:
    """Read everything in a store, verify every checksum, and look for holes in the offsets.

    It may be in use meanwhile; then SQLite's log beside it grows until this has ended.

    Raises:
        StoreUnavailable: it can't be read at all, or is no store.
    """
    report = Report(os.fsencode(path).decode(errors="replace"))
    try:
        report.bytes = path.stat().st_size
        with closing(connect_to_read(path)) as connection:
            connection.execute("BEGIN")  # one snapshot for all that follows
            _check(connection, report)
    except (OSError, *READING_ERRORS) as error:
        raise unavailable(error) from error
    return report


def _check(connection: sqlite3.Connection, report: Report) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (report.schema,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or report.schema != len(STEPS):
        raise StoreUnavailable(
            f"the file is no store that this version can read (application {application:#x}, "
            f"schema {report.schema})"
        )
    try:
        for (line,) in connection.execute(f"PRAGMA integrity_check({PROBLEMS_TOLD})"):
            if line != "ok":
                report.blame(f"SQLite: {line}")
    except READING_ERRORS as error:
        if not is_damage(error):
            raise
        report.blame(f"SQLite: {error}")
    logs: dict[str, Log] = {}
    for row in _rows(connection, LOGS, report):
        log = log_of(row)
        if log is None:
            report.blame(f"the state of {row[0]!r} is damaged")
        else:
            logs[log.topic] = log
    _check_records(connection, logs, report)
    for row in _rows(connection, ACKNOWLEDGED, report):
        if acknowledged_of(row) is None:
            report.blame(f"the position of {row[0]!r}, {row[1]!r} in {row[2]!r} is damaged")
        else:
            report.acknowledged += 1


def _check_records(connection: sqlite3.Connection, logs: dict[str, Log], report: Report) -> None:
    topics: dict[str, TopicReport] = {
        topic: TopicReport(topic, log.trimmed + 1, log.last, epochs=log.epochs)
        for topic, log in logs.items()
    }
    report.topics = list(topics.values())
    expected: dict[str, int] = {}
    for row in _rows(connection, RECORDS, report):
        record = record_of(row)
        if record is None:
            report.blame(f"record {row[1]!r} of {row[0]!r} is damaged")
            continue
        topic = topics.get(record.topic)
        if topic is None:
            topics[record.topic] = topic = TopicReport(record.topic, record.offset, record.offset)
            report.topics.append(topic)
            report.blame(f"{record.topic!r} has records and no state")
        due = expected.get(record.topic, topic.first)
        if record.topic not in logs:
            topic.last = max(topic.last, record.offset)
        elif record.offset > due:
            report.blame(_missing(record.topic, due, record.offset - 1))
        elif record.offset < due or record.offset > topic.last:
            report.blame(f"record {record.offset} of {record.topic!r} should not be there")
        expected[record.topic] = max(due, record.offset + 1)
        topic.records += 1
        topic.bytes += len(record.data)
    for topic in topics.values():
        due = expected.get(topic.topic, topic.first)
        if due <= topic.last:
            report.blame(_missing(topic.topic, due, topic.last))


def _missing(topic: str, first: int, last: int) -> str:
    if first == last:
        return f"record {first} of {topic!r} is missing"
    return f"records {first} to {last} of {topic!r} are missing"


def _rows(
    connection: sqlite3.Connection, table: Table, report: Report
) -> Iterator[tuple[Any, ...]]:
    return sweep(
        connection,
        table,
        lambda error: report.blame(f"the table {table.name!r} can't be read on: {error}"),
    )
