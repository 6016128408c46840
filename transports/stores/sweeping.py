"""Reading the rows of a file that may be damaged."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from .reasons import is_damage
from .statements import Table

__all__ = ["sweep"]

Row = tuple[Any, ...]


def sweep(
    connection: sqlite3.Connection, table: Table, failed: Callable[[sqlite3.Error], None]
) -> Iterator[Row]:
    """Yield every row that SQLite can reach from the first one on, and from the last one back.

    In the order of the keys; only if something in between can't be read, what lies behind follows in
    the other order, and `failed` is told why. A row may then come twice.

    Raises:
        sqlite3.Error: it is the disk that fails, not the file.
    """
    for query in (table.forward, table.backward):
        try:
            yield from connection.execute(query)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            failed(error)
        else:
            return
