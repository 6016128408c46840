"""Reading the rows of a file that may be damaged."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from .reasons import READING_ERRORS, is_damage
from .statements import Table

__all__ = ["sweep"]

Row = tuple[Any, ...]


def sweep(
    connection: sqlite3.Connection, table: Table, failed: Callable[[Exception], None]
) -> Iterator[Row]:
    """Yield every row that SQLite can reach from the first one on, and from the last one back.

    In the order of the keys; only if something in between can't be read, what lies behind follows in
    the other order, and `failed` is told why. A row may then come twice.

    Raises:
        sqlite3.Error: it is the disk that fails, not the file.
    """
    for query in (table.forward, table.backward):
        count = 0
        try:
            for row in connection.execute(query):
                yield row
                count += 1
        except READING_ERRORS as error:
            if not is_damage(error):
                raise
            failed(error)
        else:
            return
        # Python looks one row ahead, and loses a good one when it fails to.
        with suppress(*READING_ERRORS):
            yield from connection.execute(f"{query} LIMIT 1 OFFSET ?", (count,))
