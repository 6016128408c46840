"""Stores records until it is killed, and says of each append that it was done."""

from __future__ import annotations

import sys
from pathlib import Path

from hubbub.transports.stores.database import Database
from hubbub.transports.stores.protocol import Counters
from support.stores import NOW, records


def main(path: Path, epoch: str) -> None:
    """Append batches of 1 to 5 records, and print the last offset of each."""
    store = Database(path, lambda: NOW, Counters())
    head = store.open().topics.get("alerts")
    last = 0 if head is None else head.last
    print(last, flush=True)
    while True:
        count = 1 + last % 5
        store.append(records("alerts", last + 1, last + count, epoch), [])
        last += count
        print(last, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
