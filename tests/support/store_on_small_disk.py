"""A store on a file system of its own that gets full, read-only, and well again. Run in a namespace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hubbub.core.records import Heads, Record
from hubbub.transports.stores.database import Database
from hubbub.transports.stores.protocol import Counters, StoreUnavailable

SIZE = 8 * 2**20
NOW = 1_900_000_000.0


def _last_of(heads: Heads) -> int:
    head = heads.topics.get("alerts")
    return 0 if head is None else head.last


class Life:
    """A publisher that knows what it was promised."""

    def __init__(self, path: Path) -> None:
        self.store = Database(path, lambda: NOW, Counters())
        self.last = _last_of(self.store.open())
        self.epoch = 0

    def publish(self, count: int) -> str:
        """Publish until it fails; say why it did, or nothing."""
        for _ in range(count):
            record = Record("alerts", self.last + 1, f"e{self.epoch}", b"x" * 2000, NOW)
            try:
                self.store.append([record], [])
            except StoreUnavailable as error:
                return error.reason
            self.last += 1
        return ""

    def again(self) -> str:
        """Reopen; say why it failed, or nothing. What was promised must be there."""
        try:
            heads = self.store.reopen()
        except StoreUnavailable as error:
            return error.reason
        last = _last_of(heads)
        assert last in {self.last, self.last + 1}, (last, self.last)
        self.last = last
        self.epoch += 1
        return ""

    def read(self) -> int:
        """How many records can be read."""
        return len(self.store.read("alerts", 0, 2**30))


def _mount(*arguments: str) -> None:
    subprocess.check_call(["mount", *arguments])


def main(folder: Path) -> None:
    """Print what happened, a line for each step."""
    _mount("-t", "tmpfs", "-o", f"size={SIZE}", "store", str(folder))
    life = Life(folder / "hub.db")
    assert life.publish(20) == ""

    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    print("full:", life.publish(1000))
    print("and reopened:", life.again())
    print("promised:", life.last, "read:", life.read())
    print("and again:", life.publish(1))
    ballast.unlink()
    print("mended:", life.again() or life.publish(20) or "yes")

    # Not while a file is open to be written, says the kernel: so it is closed and tried anew.
    life.store.close()
    _mount("-o", "remount,ro", str(folder))
    try:
        life.store.open()
    except StoreUnavailable as error:
        print("read-only:", error.reason)
    _mount("-o", "remount,rw", str(folder))
    life.store.open()
    life.epoch += 1
    print("writable:", life.publish(20) or "yes")
    print("promised:", life.last, "read:", life.read())
    life.store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
