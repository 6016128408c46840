"""The SQL of the store. It is made of constants; values are always parameters."""

# ruff: noqa: S608
from collections.abc import Sequence
from typing import Final

from .rows import ACKNOWLEDGED_COLUMNS, LOG_COLUMNS, RECORD_COLUMNS

__all__ = [
    "ACKNOWLEDGED",
    "COUNT_ACKNOWLEDGED",
    "COUNT_BETWEEN",
    "DROP_ACKNOWLEDGED",
    "DROP_LOG",
    "DROP_RECORDS",
    "FIRST_OFFSET",
    "GET_LOG",
    "KEEP_ONLY",
    "LOGS",
    "NEWEST_FIRST",
    "READ",
    "RECORDS",
    "SIZES",
    "TOPICS",
    "Table",
]


class Table:
    """A table, read in the order of its keys from either end, and written.

    Args:
        name: the table's.
        columns: all of them.
        key: those that are its primary key.
    """

    def __init__(self, name: str, columns: str, key: Sequence[str]) -> None:
        self.name = name
        select = f"SELECT {columns} FROM {name} ORDER BY"
        self.forward = f"{select} {', '.join(key)}"
        self.backward = f"{select} {', '.join(f'{column} DESC' for column in key)}"
        into = f"INTO {name} ({columns}) VALUES ({', '.join('?' * (columns.count(',') + 1))})"
        self.insert = f"INSERT {into}"
        self.insert_once = f"INSERT OR IGNORE {into}"
        self.replace = f"REPLACE {into}"


RECORDS: Final = Table("records", RECORD_COLUMNS, ("topic", "offset"))
LOGS: Final = Table("logs", LOG_COLUMNS, ("topic",))
ACKNOWLEDGED: Final = Table("acknowledged", ACKNOWLEDGED_COLUMNS, ("user", "name", "topic"))

GET_LOG: Final = f"SELECT {LOG_COLUMNS} FROM logs WHERE topic = ?"
READ: Final = f"SELECT {RECORD_COLUMNS} FROM records WHERE topic = ? AND offset > ? ORDER BY offset"
NEWEST_FIRST: Final = (
    f"SELECT {RECORD_COLUMNS} FROM records WHERE topic = ? ORDER BY offset DESC LIMIT ?"
)
SIZES: Final = (
    "SELECT offset, epoch, at, length(data) FROM records WHERE topic = ? AND offset > ?"
    " ORDER BY offset LIMIT ?"
)
TOPICS: Final = "SELECT DISTINCT topic FROM records"
COUNT_BETWEEN: Final = "SELECT count(*) FROM records WHERE topic = ? AND offset BETWEEN ? AND ?"
FIRST_OFFSET: Final = "SELECT min(offset) FROM records WHERE topic = ?"

DROP_RECORDS: Final = "DELETE FROM records WHERE topic = ? AND offset <= ?"
KEEP_ONLY: Final = "DELETE FROM records WHERE topic = ? AND NOT offset BETWEEN ? AND ?"
DROP_LOG: Final = "DELETE FROM logs WHERE topic = ?"
COUNT_ACKNOWLEDGED: Final = "SELECT count(*) FROM acknowledged"
DROP_ACKNOWLEDGED: Final = (
    "DELETE FROM acknowledged WHERE (user, name, topic) IN"
    " (SELECT user, name, topic FROM acknowledged ORDER BY at LIMIT ?)"
)
