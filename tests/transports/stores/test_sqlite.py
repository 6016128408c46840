"""What only the SQLite store has: its files, its lock, its threads, and that it survives being killed."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from hubbub.core.records import Acknowledged, Retention
from hubbub.transports.stores import logs, trimming
from hubbub.transports.stores.protocol import StoreUnavailable
from hubbub.transports.stores.sqlite import SQLiteStore
from support.stores import NOW, PLENTY, acknowledged, database, records, what_is_left

TESTS = Path(__file__).parents[2]


def killed_after(path: Path, epoch: str, lines: int) -> list[int]:
    """Run a publisher, kill it after so many lines, and return the offsets that it was promised."""
    program = TESTS / "support" / "stored_until_killed.py"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    with subprocess.Popen(
        [sys.executable, program, path, epoch], stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        promised = [int(process.stdout.readline()) for _ in range(lines)]
        process.kill()
        promised += [int(line) for line in process.stdout if line.endswith("\n")]
    return promised


@pytest.mark.slow
def test_killed_again_and_again(tmp_path: Path) -> None:
    """Whenever the process is killed, all that was promised is there, in order, and nothing is doubled."""
    path = tmp_path / "hub.db"
    expected = []
    for turn, lines in enumerate((2, 50, 1, 300, 700)):
        promised = killed_after(path, f"e{turn}", lines)
        left = what_is_left(path)
        assert left.heads.damages == ()
        if "alerts" not in left.heads.topics:
            assert promised == [0]
            continue
        head = left.heads.topics["alerts"]
        assert promised[-1] <= head.last <= promised[-1] + 5
        expected += records("alerts", promised[0] + 1, head.last, f"e{turn}")
        assert left.records["alerts"] == expected
        assert all(head.recoverable(record.offset, record.epoch) for record in expected)


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """All of its files are made with mode 0600, whatever the umask allows."""
    before = os.umask(0)
    try:
        store = database(tmp_path / "hub.db")
        store.open()
        store.append(records("alerts", 1, 1), [])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("hub.db", "hub.db-wal", "hub.db-shm", "hub.db-lock"), 0o600)


async def test_one_process_at_a_time(backend: str, tmp_path: Path) -> None:
    """A second one is told who has it, also by another path, and gets it when the first lets go."""
    path = tmp_path / "hub.db"
    link = tmp_path / "link.db"
    first, second = SQLiteStore(path), SQLiteStore(link)
    await first.open()
    link.symlink_to(path)
    second = SQLiteStore(link)
    with pytest.raises(StoreUnavailable, match=f"in use by process {os.getpid()}"):
        await second.open()
    await first.append(records("alerts", 1, 1), [])
    await first.reopen()
    with pytest.raises(StoreUnavailable, match="in use"):
        await second.open()
    await first.close()
    assert (await second.open()).topics["alerts"].last == 1
    await second.close()


def test_what_makes_it_durable(tmp_path: Path) -> None:
    """The connection that writes has a write-ahead log and syncs each commit."""
    store = database(tmp_path / "hub.db")
    store.open()
    assert store._writer is not None
    found = {
        name: store._writer.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "fullfsync", "checkpoint_fullfsync")
    }
    store.close()
    expected = {"journal_mode": "wal", "synchronous": 2, "fullfsync": 1, "checkpoint_fullfsync": 1}
    assert found == expected


def test_another_program_has_locked_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Someone who writes to the file with other tools makes the store unavailable, not wrong."""
    monkeypatch.setattr("hubbub.transports.stores.schema._BUSY_SECONDS", 0.01)
    store = database(tmp_path / "hub.db")
    store.open()
    with closing(sqlite3.connect(tmp_path / "hub.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="another program has locked"):
            store.append(records("alerts", 1, 1), [])
        other.execute("ROLLBACK")
    assert store.reopen().topics == {}
    store.append(records("alerts", 1, 1), [])
    store.close()


async def test_a_cancelled_append_runs_to_its_end(backend: str, tmp_path: Path) -> None:
    """Once it has begun it is stored, and the store is whole for the next."""
    store = SQLiteStore(tmp_path / "hub.db", clock=lambda: NOW)
    await store.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.append, records("alerts", 1, 2000), [])
        while not store._writing.borrowed_tokens:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert (await store.reopen()).topics["alerts"].last == 2000
    await store.append(records("alerts", 2001, 2001, "e2"), [])
    await store.close()


async def test_reads_do_not_wait_for_appends(backend: str, tmp_path: Path) -> None:
    """While something is being written, what was stored before can be read."""
    store = SQLiteStore(tmp_path / "hub.db", clock=lambda: NOW)
    await store.open()
    await store.append(records("alerts", 1, 3), [])
    async with store._writing:  # as long as a commit waits for the disk
        with anyio.fail_after(5):
            assert await store.read("alerts", 0, PLENTY) == records("alerts", 1, 3)
    await store.close()


async def test_retention_lets_appends_through(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a long log is trimmed, appends go between the slices; cancelling keeps what was done."""
    monkeypatch.setattr(trimming, "SLICE_RECORDS", 10)
    store = SQLiteStore(tmp_path / "hub.db", clock=lambda: NOW)
    await store.open()
    await store.append(records("alerts", 1, 3000), [])
    done: list[int] = []

    async def trim() -> None:
        done.append(await store.trim("alerts", Retention(max_records=1)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(trim)
        appended = 0
        while store.counters.trimmed < 1000:
            await store.append(records("zoo", appended + 1, appended + 1), [])
            appended += 1
            assert not done
        tasks.cancel_scope.cancel()
    assert appended > 5
    heads = await store.reopen()
    head = heads.topics["alerts"]
    assert head.first == store.counters.trimmed + 1
    assert await store.read("alerts", 0, PLENTY) == records("alerts", head.first, 3000)
    assert await store.trim("alerts", Retention(max_records=1)) == 3000
    await store.close()


def test_a_slice_ends_after_many_bytes(tmp_path: Path) -> None:
    """Large records are removed a few at a time."""
    store = database(tmp_path / "hub.db")
    store.open()
    large = [type(r)(r.topic, r.offset, r.epoch, bytes(2**20), r.at) for r in records("a", 1, 12)]
    store.append(large, [])
    found = []
    more = True
    while more:
        first, more = store.trim("a", Retention(max_bytes=2**20))
        found.append(first)
    store.close()
    assert found == [5, 9, 12]
    assert trimming.SLICE_BYTES == 4 * 2**20


def test_acknowledged_positions_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound the oldest go, which is looked at now and then."""
    monkeypatch.setattr("hubbub.transports.stores.database.ACKNOWLEDGED_KEPT", 50)
    monkeypatch.setattr("hubbub.transports.stores.database._ACKNOWLEDGED_SLACK", 10)
    assert logs.ACKNOWLEDGED_KEPT == 100_000
    store = database(tmp_path / "hub.db")
    store.open()
    for number in range(200):
        store.append([], [Acknowledged(f"user{number}", "", "a", 1, "e1", NOW + number)])
        if number == 100:
            store.append([], [acknowledged("a", 7, user="user60")])  # and it is older than others
    heads = store.reopen()
    store.close()
    users = [each.user for each in heads.acknowledged]
    assert 50 <= len(users) < 61
    assert {f"user{number}" for number in range(150, 200)} <= set(users)


def test_a_quiet_topic_is_forgotten(tmp_path: Path) -> None:
    """A topic that has kept nothing for a week is gone, and so are its epochs."""
    now = NOW
    store = database(tmp_path / "hub.db", lambda: now)
    store.open()
    store.append(records("alerts", 1, 3), [])
    assert store.trim("alerts", Retention(max_age=1)) == (1, False)
    now = NOW + 100
    assert store.trim("alerts", Retention(max_age=1)) == (4, False)
    assert store.reopen().topics["alerts"].last == 3
    now = NOW + logs.FORGET_SECONDS + 1
    assert store.trim("alerts", Retention(max_age=1)) == (4, False)
    assert store.trim("alerts", Retention(max_age=1)) == (1, False)
    assert store.reopen().topics == {}
    store.append(records("alerts", 4, 4, "e2"), [])
    assert store.reopen().topics["alerts"].first == 4
    store.close()


def test_the_log_is_bounded(tmp_path: Path) -> None:
    """SQLite's log is written to the file now and then, and does not grow for ever."""
    store = database(tmp_path / "hub.db")
    store.open()
    largest = 0
    for turn in range(60):
        store.append(records("alerts", turn * 500 + 1, turn * 500 + 500), [])
        largest = max(largest, (tmp_path / "hub.db-wal").stat().st_size)
        store.read("alerts", turn * 500, PLENTY)
    store.close()
    assert largest < 6 * 2**20
    assert not (tmp_path / "hub.db-wal").exists()
