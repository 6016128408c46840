"""Disks that are full, read-only or failing: no false answer, and all is well again when they are."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

import pytest

import support.store_on_small_disk
from hubbub.core.records import Record
from hubbub.transports.stores.database import Database
from hubbub.transports.stores.protocol import StoreUnavailable
from hubbub.transports.stores.sqlite import SQLiteStore
from support.failing_disk import (
    break_descriptors,
    in_namespace,
    may_mount,
    no_file_larger_than,
)
from support.stores import NOW, PLENTY, database, records, what_is_left

REASONS = {"full": "the disk is full", "read-only": "the disk fails", "unsynced": "the disk fails"}

MOUNTS = [True] if may_mount() else []
"""The test that mounts file systems is there where one may."""


@pytest.mark.parametrize("how", REASONS)
async def test_the_log_can_not_be_written(backend: str, how: str, tmp_path: Path) -> None:
    """The append fails, so does each one until the store was reopened; then nothing false is there."""
    store = SQLiteStore(tmp_path / "hub.db", clock=lambda: NOW)
    await store.open()
    await store.append(records("alerts", 1, 3), [])
    break_descriptors((tmp_path / "hub.db-wal").resolve(), how)
    with pytest.raises(StoreUnavailable) as failed:
        await store.append(records("alerts", 4, 5), [])
    assert failed.value.reason.startswith(REASONS[how])
    with pytest.raises(StoreUnavailable, match="reopened"):
        await store.append(records("alerts", 4, 5), [])
    assert await store.read("alerts", 0, PLENTY) == records("alerts", 1, 3)
    head = (await store.reopen()).topics["alerts"]
    assert head.last in {3, 5}
    await store.append(records("alerts", head.last + 1, head.last + 2, "e2"), [])
    assert store.counters.failures == 2
    await store.close()
    left = what_is_left(tmp_path / "hub.db")
    expected = records("alerts", 1, head.last) + records(
        "alerts", head.last + 1, head.last + 2, "e2"
    )
    assert left.records["alerts"] == expected
    assert left.heads.damages == ()


def test_a_failed_commit_does_not_come_back(tmp_path: Path) -> None:
    """What the heads after a failure did not have is not there after another crash either."""
    path = tmp_path / "hub.db"
    store = database(path)
    store.open()
    store.append(records("alerts", 1, 3), [])
    break_descriptors((tmp_path / "hub.db-wal").resolve(), "unsynced")
    with pytest.raises(StoreUnavailable):
        store.append(records("alerts", 4, 5), [])
    last = store.reopen().topics["alerts"].last
    store.close()
    assert what_is_left(path).heads.topics["alerts"].last == last


def publish(store: Database, before: list[Record], epoch: str) -> StoreUnavailable:
    """Append until it fails, and add to `before` what did not."""
    while True:
        more = records("alerts", len(before) + 1, len(before) + 50, epoch)
        try:
            store.append(more, [])
        except StoreUnavailable as error:
            return error
        before += more


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """While nothing can be written every append and every reopening fails, and reading goes on."""
    store = database(tmp_path / "hub.db")
    store.open()
    before: list[Record] = []
    with no_file_larger_than(256 * 1024):
        for epoch in itertools.count():
            failure = publish(store, before, f"e{epoch}")
            assert failure.reason.startswith("the disk fails")
            try:  # there may be room in the file for what was in its log
                heads = store.reopen()
            except StoreUnavailable:
                break
            assert store.read("alerts", 0, PLENTY)[: len(before)] == before
            before = store.read("alerts", 0, PLENTY)
            assert heads.topics["alerts"].last == len(before)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                store.reopen()
            with pytest.raises(StoreUnavailable):
                store.append(records("alerts", len(before) + 1, len(before) + 1), [])
            assert store.read("alerts", 0, PLENTY)[: len(before)] == before
    head = store.reopen().topics["alerts"]
    assert store.read("alerts", 0, PLENTY)[: len(before)] == before
    store.append(records("alerts", head.last + 1, head.last + 1, "mended"), [])
    store.close()


@pytest.mark.parametrize("allowed", MOUNTS)
def test_a_small_disk(allowed: bool, tmp_path: Path) -> None:
    """On a file system that is really full, and then really read-only, all is told as it is."""
    program = Path(support.store_on_small_disk.__file__)
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    answer = subprocess.run(
        in_namespace(program, tmp_path),
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert answer.returncode == 0, answer.stderr
    said = dict(line.split(": ", 1) for line in answer.stdout.splitlines())
    assert said["full"].startswith("the disk is full")
    assert said["and reopened"]
    assert "reopened" in said["and again"]
    assert said["mended"] == said["writable"] == "yes"
    assert "Read-only file system" in said["read-only"]
    promised, _, read = said["promised"].partition(" read: ")
    assert promised == read


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    """A read that the disk refuses says so; it is no damage, and nothing is rebuilt."""
    path = (tmp_path / "hub.db").resolve()
    store = database(path)
    store.open()
    store.append(records("alerts", 1, 900), [])
    store.reopen()
    break_descriptors(path, "write-only")
    with pytest.raises(StoreUnavailable, match="the disk fails"):
        store.read("alerts", 0, PLENTY)
    assert store.reopen().damages == ()
    assert len(store.read("alerts", 0, PLENTY)) == 900
    store.close()
    assert not path.with_name("hub.db.corrupt-1").exists()
