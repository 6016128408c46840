"""Damaged files: what is saved, what is kept beside, and that no crash meanwhile loses either."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hubbub.core.records import Record
from hubbub.transports.stores import files
from hubbub.transports.stores.database import Database
from hubbub.transports.stores.files import CORRUPT_KEPT, beside, finish_replacing
from hubbub.transports.stores.protocol import Counters, StoreUnavailable
from hubbub.transports.stores.schema import APPLICATION_ID, STEPS, connect, migrate
from support.stores import (
    NOW,
    PLENTY,
    acknowledged,
    check_honest,
    copy,
    database,
    records,
    what_is_left,
)

PAGE = 4096

Stored = dict[str, list[Record]]


@pytest.fixture
def stored(quick_path: Path) -> tuple[Path, Stored]:
    """A store with several pages of records of three topics."""
    path = quick_path / "hub.db"
    before = {topic: records(topic, 1, 60) for topic in ("alerts", "room.a", "zoo")}
    store = database(path)
    store.open()
    for topic, more in before.items():
        store.append(more, [acknowledged(topic, 7)])
    store.close()
    return path, before


def page_with(path: Path, content: bytes) -> int:
    """The number of the page, from 0, that has these bytes."""
    return path.read_bytes().index(content) // PAGE


def overwrite(path: Path, offset: int, content: bytes) -> None:
    """Put bytes into a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def test_a_malformed_page(stored: tuple[Path, Stored], caplog: pytest.LogCaptureFixture) -> None:
    """Its topic's log ends before it; all others are whole; the old file is beside; all that is told."""
    path, before = stored
    page = page_with(path, before["room.a"][30].data)
    kept = {
        topic: min([r.offset for r in more if page_with(path, r.data) == page], default=61) - 1
        for topic, more in before.items()
    }
    overwrite(path, page * PAGE, bytes(PAGE))
    ruined = path.read_bytes()
    with closing(connect(path)) as connection, pytest.raises(sqlite3.DatabaseError, match="malf"):
        connection.execute("SELECT data FROM records").fetchall()

    left = what_is_left(path)
    check_honest(left, before)
    assert left.records == {topic: more[: kept[topic]] for topic, more in before.items()}
    assert "room.a" not in {topic for topic, last in kept.items() if last == 60}
    assert "zoo" in {topic for topic, last in kept.items() if last == 60}
    lost = {damage.topic: (damage.last, damage.lost) for damage in left.heads.damages}
    assert lost == {topic: (last, 60 - last) for topic, last in kept.items() if last < 60}
    assert beside(path, ".corrupt-1").read_bytes() == ruined
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(lines) == len(lost)
    assert f"'room.a' ends at offset {kept['room.a']}" in lines[-1]
    assert all("hub.db.corrupt-1" in line for line in lines)


def test_the_first_page(stored: tuple[Path, Stored]) -> None:
    """Without its first page SQLite reads nothing of a file, and all that was in it is saved."""
    path, before = stored
    overwrite(path, 0, bytes(PAGE))
    left = what_is_left(path)
    assert left.records == before
    assert len(left.heads.acknowledged) == 3
    assert left.heads.damages[0].lost == 0


@pytest.mark.parametrize("statement", ["VACUUM", "VACUUM INTO 'copy.db'"])
def test_after_vacuum(
    stored: tuple[Path, Stored], statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's way to make a file smaller, or to copy it, gives a store that can be saved as well."""
    path, before = stored
    monkeypatch.chdir(path.parent)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
    if "INTO" in statement:
        path = path.with_name("copy.db")
    assert what_is_left(path).heads.damages == ()
    overwrite(path, 0, bytes(PAGE))
    assert what_is_left(path).records == before


def test_the_page_that_leads_to_others(stored: tuple[Path, Stored]) -> None:
    """Records on pages to which nothing leads any more are found there."""
    path, before = stored
    data = path.read_bytes()
    (root,) = sqlite_roots(path, "records")
    assert data[(root - 1) * PAGE] == 2, "the table must have more than one page"
    children = int.from_bytes(data[(root - 1) * PAGE + 3 : (root - 1) * PAGE + 5])
    overwrite(path, (root - 1) * PAGE + 5, bytes(PAGE - 5))
    left = what_is_left(path)
    check_honest(left, before)
    # Each entry of that page is a record of its own, and is lost.
    assert len(left.heads.damages) <= children
    assert sum(len(found) for found in left.records.values()) > 60


def sqlite_roots(path: Path, table: str) -> list[int]:
    """The page, from 1, on which a table begins."""
    with closing(connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        return [page for (page,) in connection.execute(query, (table,))]


def test_long_records_are_found_without_a_tree(quick_path: Path) -> None:
    """Records over many pages, empty ones and numbers of every length are read from bare pages."""
    path = quick_path / "hub.db"
    before = [
        Record(
            "häuser", offset, "e1", bytes([offset % 256]) * size, at, user, None, key, recipients
        )
        for offset, (size, at, user, key, recipients) in enumerate(
            [
                (0, 1.0, None, None, 0),
                (900, 1.5, "ann", "", 1),
                (1000, NOW, "ann", "k", 127),
                (1100, NOW, "", "k", 128),
                (5000, NOW, "bob", "k", 2**20),
                (70_000, NOW, "é" * 100, "k" * 200, 2**30),
                (300_000, NOW, "ann", "k", 2**40),
                (10, NOW, "ann", "k", 2**52),
            ],
            start=2**33,
        )
    ]
    store = database(path)
    store.open()
    store.append(before, [])
    store.close()
    for table in ("records",):
        (root,) = sqlite_roots(path, table)
        if path.read_bytes()[(root - 1) * PAGE] == 2:
            overwrite(path, (root - 1) * PAGE + 3, bytes(2))  # it leads nowhere
    left = what_is_left(path)
    check_honest(left, {"häuser": before})
    found = left.records["häuser"]
    assert found == before[: len(found)]
    overwrite(path, 0, bytes(PAGE))
    assert what_is_left(path).records["häuser"] == found


def test_a_file_that_is_cut(stored: tuple[Path, Stored]) -> None:
    """The records of what is left of it are saved."""
    path, before = stored
    os.truncate(path, path.stat().st_size - PAGE - 100)
    left = what_is_left(path)
    check_honest(left, before)
    assert left.counters.damages > 0


def test_damage_that_shows_while_it_is_in_use(stored: tuple[Path, Stored]) -> None:
    """A read up to it gives what is before, the next fails, nothing is appended; reopening mends it."""
    path, before = stored
    counters = Counters()
    store = Database(path, lambda: NOW, counters)
    store.open()
    page = page_with(path, before["room.a"][30].data)
    at = path.read_bytes().index(before["room.a"][30].data)
    store.append([], [acknowledged("zoo", 9)])  # what was read before is not believed any more
    with closing(sqlite3.connect(path)) as other:  # as another program would
        other.execute("UPDATE records SET data = 'x' WHERE topic = 'room.a' AND offset = 31")
        other.commit()
    assert page > 0
    assert at > 0
    assert store.read("room.a", 0, PLENTY) == before["room.a"][:30]
    assert store.read("zoo", 0, PLENTY) == before["zoo"]
    with pytest.raises(StoreUnavailable, match="damaged"):
        store.read("room.a", 30, PLENTY)
    with pytest.raises(StoreUnavailable, match="damage was found"):
        store.append(records("zoo", 61, 61, "e2"), [])
    heads = store.reopen()
    assert [(d.topic, d.last, d.lost) for d in heads.damages] == [("room.a", 30, 30)]
    assert heads.topics["room.a"].last == 30
    assert not heads.topics["room.a"].recoverable(20, "e1")
    store.append(records("zoo", 61, 61, "e2") + records("room.a", 31, 31, "e2"), [])
    assert store.reopen().damages == ()
    store.close()
    assert counters.damages == 1


def test_a_large_file_is_verified_as_it_is_read(
    stored: tuple[Path, Stored], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the newest records of it are verified at the start, and the others when they are read."""
    path, before = stored
    monkeypatch.setattr("hubbub.transports.stores.database.VERIFIED_BYTES", 0)
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE records SET at = 5.0 WHERE topic = 'alerts' AND offset = 3")
        other.execute("UPDATE records SET user = 'eve' WHERE topic = 'zoo' AND offset = 60")
        other.commit()
    store = database(path, lambda: NOW)
    heads = store.open()
    assert {damage.topic for damage in heads.damages} == {"alerts", "zoo"}, "one is enough for all"
    store.close()

    store = database(path, lambda: NOW + 1000)  # nothing is new any more
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE records SET at = 5.0 WHERE topic = 'room.a' AND offset = 3")
        other.commit()
    assert store.open().damages == ()
    assert store.read("room.a", 0, PLENTY) == before["room.a"][:2]
    store.close()


@pytest.mark.parametrize("missing", [1, 30, 60])
def test_a_hole_in_the_offsets(stored: tuple[Path, Stored], missing: int) -> None:
    """A record that is not there is as bad as a damaged one, also at either end of its log."""
    path, before = stored
    with closing(sqlite3.connect(path)) as other:
        other.execute("DELETE FROM records WHERE topic = 'alerts' AND offset = ?", (missing,))
        other.commit()
    left = what_is_left(path)
    check_honest(left, before)
    assert left.records["alerts"] == before["alerts"][: missing - 1]
    assert left.heads.topics["alerts"].last == missing - 1


def test_after_a_loss_offsets_mean_other_records(stored: tuple[Path, Stored]) -> None:
    """Offsets go on from the end that is left, in a new epoch; old positions are not taken for new."""
    path, before = stored
    with closing(sqlite3.connect(path)) as other:
        other.execute("DELETE FROM records WHERE topic = 'alerts' AND offset = 31")
        other.commit()
    store = database(path)
    store.open()
    more = records("alerts", 31, 70, "e2")
    store.append(more, [])
    head = store.reopen().topics["alerts"]
    store.close()
    assert not any(head.recoverable(record.offset, "e1") for record in before["alerts"])
    assert all(head.recoverable(record.offset, "e2") for record in more)
    assert not head.recoverable(0, "e1")


class PowerLoss(BaseException):
    """The process is gone."""


class Power:
    """Lets so many syncs pass."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._sync = files.sync

    def sync(self, path: Path) -> None:
        if not self._left:
            raise PowerLoss
        self._left -= 1
        self._sync(path)


@pytest.mark.parametrize("with_log", [False, True])
def test_crashes_while_a_file_is_replaced(
    stored: tuple[Path, Stored], monkeypatch: pytest.MonkeyPatch, with_log: bool
) -> None:
    """Wherever a repair is interrupted, the next opening ends it, and the old file is still there."""
    path, before = stored
    page = page_with(path, before["room.a"][30].data)
    overwrite(path, page * PAGE, bytes(PAGE))
    if with_log:
        beside(path, "-wal").write_bytes(b"")
    ruined = path.read_bytes()
    expected = what_is_left(copy(path, path.parent / "whole")).records

    for step in range(50):
        wrong = copy(path, path.parent / f"step{step}")
        with monkeypatch.context() as patch:
            patch.setattr(files, "sync", Power(step).sync)
            store = database(wrong)
            try:
                store.open()
            except PowerLoss:
                store.close()
            else:
                store.close()
                break
        found = what_is_left(wrong)
        assert found.records == expected
        assert beside(wrong, ".corrupt-1").read_bytes() == ruined
        assert not list(wrong.parent.glob("*.new")) + list(wrong.parent.glob("*.partial"))
    assert step >= 4


def test_a_repair_that_was_interrupted_between_two_names(quick_path: Path) -> None:
    """A file that is only under its new name, or whose log has moved already, is found."""
    path = quick_path / "hub.db"
    store = database(path)
    store.open()
    store.append(records("alerts", 1, 3), [])
    store.close()
    path.rename(beside(path, ".new"))
    beside(path, ".corrupt-1").write_bytes(b"old")
    assert what_is_left(path).records == {"alerts": records("alerts", 1, 3)}

    shutil.copyfile(path, beside(path, ".new"))
    beside(path, ".corrupt-2-wal").write_bytes(b"log")
    assert finish_replacing(path) == "hub.db.corrupt-2"
    assert beside(path, ".corrupt-2-wal").read_bytes() == b"log"
    assert what_is_left(path).records == {"alerts": records("alerts", 1, 3)}


def test_damaged_files_are_bounded(stored: tuple[Path, Stored]) -> None:
    """Only so many are kept; the last place is taken again."""
    path, _ = stored
    for number in range(CORRUPT_KEPT + 3):
        with closing(sqlite3.connect(path)) as other:
            other.execute("DELETE FROM records WHERE topic='alerts' AND offset=?", (60 - number,))
            other.commit()
        assert len(what_is_left(path).heads.damages) == 1
    names = {file.name for file in path.parent.glob("*.corrupt-*")}
    assert names == {f"hub.db.corrupt-{number}" for number in range(1, CORRUPT_KEPT + 1)}


def test_files_of_others_are_left_alone(quick_path: Path) -> None:
    """What is no store is refused and not touched: text, an image, a database of another program."""
    text = quick_path / "notes.txt"
    text.write_text("to do: nothing\n" * 1000)
    other = quick_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE records (x)")
        connection.commit()
    broken = quick_path / "broken.db"
    shutil.copyfile(other, broken)
    overwrite(broken, 100, bytes(200))
    folder = quick_path / "folder"
    folder.mkdir()
    for path in (text, other, broken):
        raw = path.read_bytes()
        with pytest.raises(StoreUnavailable, match=r"no store|another program"):
            database(path).open()
        assert path.read_bytes() == raw
    with pytest.raises(StoreUnavailable):
        database(folder).open()
    with pytest.raises(StoreUnavailable, match="folder does not exist"):
        database(quick_path / "nowhere" / "hub.db").open()


def test_a_later_schema(stored: tuple[Path, Stored]) -> None:
    """A file of a later version is refused, untouched, with a message that says so."""
    path, _ = stored
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={len(STEPS) + 1}")
    raw = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="later hubbub: its schema is 2"):
        database(path).open()
    assert path.read_bytes() == raw


def test_migrations(stored: tuple[Path, Stored]) -> None:
    """A later version changes an older file in one transaction, from where it stands, or not at all."""
    path, before = stored
    later = (*STEPS, ("ALTER TABLE meta ADD COLUMN note TEXT", "UPDATE meta SET note = 'new'"))
    wrong = (*STEPS, ("ALTER TABLE meta ADD COLUMN note TEXT", "UPDATE nothing SET x = 1"))
    with closing(connect(path)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="nothing"):
            migrate(connection, wrong)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        migrate(connection, later)
        migrate(connection, later)
        assert connection.execute("SELECT note FROM meta").fetchall() == [("new",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (180,)
        fresh = path.with_name("fresh.db")
        files.create(fresh)
        with closing(connect(fresh)) as new:
            migrate(new, later)
            tables = "SELECT name, sql FROM sqlite_master ORDER BY name"
            assert new.execute(tables).fetchall() == connection.execute(tables).fetchall()
    assert before


def test_a_crash_while_the_file_is_made(quick_path: Path) -> None:
    """An empty file, and one in which nothing is yet, become stores."""
    for name, make in (
        ("empty.db", lambda path: path.touch()),
        (
            "bare.db",
            lambda path: (
                sqlite3.connect(path).execute("PRAGMA journal_mode=WAL").connection.close()
            ),
        ),
    ):
        path = quick_path / name
        make(path)
        store = database(path)
        store.open()
        store.append(records("alerts", 1, 3), [])
        store.close()
        assert what_is_left(path).records == {"alerts": records("alerts", 1, 3)}
