"""What a check of a whole store reports, and that it changes nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hubbub.core.records import Epoch, Retention
from hubbub.transports.stores.checking import PROBLEMS_TOLD, check
from hubbub.transports.stores.protocol import StoreUnavailable
from support.stores import acknowledged, copy, database, flip, records


@pytest.fixture
def path(quick_path: Path) -> Path:
    """A store with two starts, a trimmed topic and an empty one, killed."""
    live = quick_path / "hub.db"
    store = database(live)
    store.open()
    store.append(records("alerts", 1, 60) + records("gone", 1, 3), [acknowledged("alerts", 7)])
    store.trim("alerts", Retention(max_records=50))
    store.reopen()
    store.append(records("alerts", 61, 70, "e2") + records("zoo", 1, 40), [])
    store.trim("gone", Retention(max_records=1))
    crashed = copy(live, quick_path / "crashed")
    store.close()
    return crashed


def change(path: Path, statement: str) -> None:
    """Change a store as its own program never would."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_whole_one(path: Path) -> None:
    """Topics, counts, offsets and epochs are those of the store, also where SQLite's log has them."""
    report = check(path)
    assert report.problems == []
    assert report.problem_count == 0
    assert report.schema == 1
    assert report.acknowledged == 1
    found = [(each.topic, each.first, each.last, each.records) for each in report.topics]
    assert found == [("alerts", 11, 70, 60), ("gone", 3, 3, 1), ("zoo", 1, 40, 40)]
    assert report.topics[0].epochs == [Epoch("e1", 1, 60), Epoch("e2", 61, 70)]
    assert report.topics[1].bytes == len(records("gone", 3, 3)[0].data)


def test_nothing_is_changed(path: Path) -> None:
    """The file and SQLite's log beside it stay as they were."""
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    check(path)
    after = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {"hub.db-shm"}


def test_one_that_is_in_use(quick_path: Path) -> None:
    """It can be checked while a server has it."""
    store = database(quick_path / "hub.db")
    store.open()
    store.append(records("alerts", 1, 5), [])
    assert check(quick_path / "hub.db").topics[0].records == 5
    store.append(records("alerts", 6, 6), [])
    store.close()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE records SET data = 'x' WHERE topic = 'alerts' AND offset = 20", "record 20 of"),
        (
            "DELETE FROM records WHERE topic = 'alerts' AND offset = 20",
            "record 20 of 'alerts' is m",
        ),
        (
            "DELETE FROM records WHERE topic = 'zoo' AND offset > 30",
            "31 to 40 of 'zoo' are missing",
        ),
        ("DELETE FROM records WHERE topic = 'zoo' AND offset < 3", "1 to 2 of 'zoo' are missing"),
        ("DELETE FROM records WHERE topic = 'zoo'", "1 to 40 of 'zoo' are missing"),
        ("UPDATE logs SET last = 99 WHERE topic = 'zoo'", "the state of 'zoo' is damaged"),
        ("DELETE FROM logs WHERE topic = 'zoo'", "'zoo' has records and no state"),
        ("UPDATE acknowledged SET offset = 9", "the position of 'ann', 'phone' in 'alerts'"),
    ],
)
def test_what_is_wrong_is_named(path: Path, statement: str, problem: str) -> None:
    """Whatever is changed or missing is a problem that says where."""
    change(path, statement)
    report = check(path)
    assert any(problem in told for told in report.problems), report.problems
    assert report.problem_count == len(report.problems)


def test_rows_that_should_not_be_there(path: Path, quick_path: Path) -> None:
    """A whole record beyond the end of its log is told too."""
    other = quick_path / "other.db"
    store = database(other)
    store.open()
    store.append(records("zoo", 1, 50), [])
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ATTACH ? AS other", (str(other),))
        connection.execute("INSERT INTO records SELECT * FROM other.records WHERE offset = 41")
        connection.commit()
    assert check(path).problems == ["record 41 of 'zoo' should not be there"]


def test_malformed_files(path: Path) -> None:
    """Where SQLite can't read on, it is told, and the rest is checked all the same."""
    change(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    at = path.read_bytes().index(records("zoo", 20, 20)[0].data)
    with path.open("r+b") as file:
        file.seek(at // 4096 * 4096)
        file.write(bytes(4096))
    report = check(path)
    assert any("can't be read on" in problem for problem in report.problems)
    assert any(problem.startswith("SQLite: ") for problem in report.problems)
    assert report.topics[0].topic == "alerts"
    flip(path, 8 * 10)
    with pytest.raises(StoreUnavailable):
        check(path)


def test_many_problems(path: Path) -> None:
    """So many are named; all are counted."""
    store = database(path)
    store.open()
    store.append(records("new", 1, 3 * PROBLEMS_TOLD), [])
    store.close()
    change(path, "UPDATE records SET user = 'eve' WHERE topic = 'new' AND offset % 2 = 0")
    report = check(path)
    assert len(report.problems) == PROBLEMS_TOLD
    assert report.problem_count > PROBLEMS_TOLD


def test_what_can_not_be_checked(quick_path: Path) -> None:
    """No file, another program's file, and a later schema are refused with a reason."""
    with pytest.raises(StoreUnavailable, match="No such file"):
        check(quick_path / "nothing.db")
    change(quick_path / "other.db", "CREATE TABLE x (y)")
    with pytest.raises(StoreUnavailable, match="no store that this version can read"):
        check(quick_path / "other.db")
    (quick_path / "text.db").write_text("no database at all")
    with pytest.raises(StoreUnavailable, match="damaged"):
        check(quick_path / "text.db")
