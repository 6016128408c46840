"""`hubbub store`: what it prints, and how it ends."""

from __future__ import annotations

import json
import shlex
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from support.programs import MODULE
from support.stores import acknowledged, database, records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of two topics."""
    path = tmp_path / "hub.db"
    store = database(path)
    store.open()
    store.append(records("alerts", 1, 12) + records("room.a", 1, 3), [acknowledged("alerts", 7)])
    store.reopen()
    store.append(records("alerts", 13, 20, "e2"), [])
    store.close()
    return path


def run(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `hubbub store`."""
    command = [*MODULE, "store", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def damage(path: Path) -> None:
    """Make one record wrong."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE records SET at = 1.0 WHERE topic = 'alerts' AND offset = 5")
        connection.commit()


@pytest.mark.parametrize("command", ["hubbub store check hub.db"])
def test_a_command_of_the_docs(command: str, path: Path) -> None:
    """A whole store is told topic by topic, and the command ends with 0."""
    _, _, *arguments = shlex.split(command)
    answer = run(*arguments, folder=path.parent)
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[0].startswith("hub.db: schema 1, ")
    assert lines[0].endswith("topics: 2, publications: 23, acknowledged positions: 1")
    assert lines[1].startswith("alerts: publications: 20 (")
    assert lines[1].endswith("offsets: 1 to 20, next: 21, epochs: e1 to 12, e2 to 20")
    assert lines[-1] == "everything is whole"


def test_a_damaged_store(path: Path) -> None:
    """What is wrong is told, and the command ends with 1, with and without --json."""
    damage(path)
    answer = run("check", path, folder=path.parent)
    assert answer.returncode == 1
    assert "damaged: record 5 of 'alerts' is damaged" in answer.stdout
    assert "whole" not in answer.stdout
    answer = run("check", path, "--json", folder=path.parent)
    assert answer.returncode == 1
    report = json.loads(answer.stdout)
    assert report["problem_count"] == len(report["problems"]) == 2
    assert report["topics"][0] | {"bytes": 0} == {
        "topic": "alerts",
        "first": 1,
        "last": 20,
        "records": 19,
        "bytes": 0,
        "epochs": [
            {"epoch": "e1", "first": 1, "last": 12},
            {"epoch": "e2", "first": 13, "last": 20},
        ],
    }


def test_what_is_no_store(tmp_path: Path) -> None:
    """It is one line on standard error."""
    answer = run("check", "nothing.db", folder=tmp_path)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr == (
        "hubbub: nothing.db: the file system refuses: No such file or directory\n"
    )
    answer = run("chekc", "nothing.db", folder=tmp_path)
    assert answer.returncode == 2
    assert "hubbub store --help" in answer.stderr
