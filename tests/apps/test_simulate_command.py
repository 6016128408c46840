"""`hubbub simulate`: plays seeds, counts what occurred, and says how to replay what it finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hubbub.apps import simulating
from hubbub.core.idempotency import KnownKeys
from hubbub.core.session import Session
from hubbub.transports.simulated import simulate_crashes
from hubbub.transports.simulated.playing import Outcome, simulate
from support.command import Answer, answer_of

Hubbub = Callable[..., Answer]


@pytest.fixture
def hubbub(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hubbub:
    """The command line."""
    return lambda *arguments: answer_of(monkeypatch, capsys, "simulate", *arguments)


def test_one_seed(hubbub: Hubbub) -> None:
    """A table of what occurred, faults first, and a line that says how much was played."""
    answer = hubbub("--seed", "7")
    assert (answer.code, answer.errors) == (0, "")
    *table, last = answer.lines
    assert last.startswith("seeds: 1, each played twice; actions: 3")
    assert last.endswith("nothing found")
    kinds = [line.split()[1] for line in table]
    assert kinds[:3] == ["fault"] * 3
    assert "close" in kinds
    occurred = simulate(7).occurred
    counted = {
        what.strip(): int(count)
        for count, _, what in (row.strip().partition("  ") for row in table)
    }
    assert counted == occurred


@pytest.mark.slow
def test_some_seeds_on_two_processes(hubbub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command of the docs: both ends of the range are played, and progress goes to standard error."""
    monkeypatch.setattr(simulating, "_EVERY", 30)
    answer = hubbub("--seeds", "1..20", "--processes", "2")
    assert answer.code == 0
    assert answer.lines[-1].startswith("seeds: 20, each played twice; actions: ")
    assert answer.errors == "30 of 40 runs\n"


def test_a_trace(hubbub: Hubbub, tmp_path: Path) -> None:
    """A command of the docs: a line for each thing that happens, with what a peer chose escaped."""
    path = tmp_path / "7.trace"
    assert hubbub("--seed", "7", "--trace", str(path)).code == 0
    lines = path.read_text().splitlines()
    assert lines[0].split()[1:3] == ["1", "connects"]
    assert any(" hub tells Joined(" in line for line in lines)
    assert all(line.isprintable() for line in lines)


def test_what_is_found(hubbub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seed, what does not hold, what happened last on the connection, and how to replay it."""
    monkeypatch.setattr(Session, "discard", lambda _self, _gone: 0)
    answer = hubbub("--seeds", "0..40")
    assert answer.code == 1
    first, *middle, last = answer.lines
    seed = first.split()[1].rstrip(":")
    assert first.startswith(f"seed {seed}: nothing follows an unsubscribe: it does not subscribe")
    assert last == f"replay it: hubbub simulate --seed {seed} --trace {seed}.trace"
    assert middle
    assert all(line.startswith("  ") for line in middle)


def test_a_run_that_does_not_repeat(hubbub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two digests of one seed are a failure too."""
    digests = iter("ab")

    def twice(seeds: list[int], processes: int, play: object) -> list[Outcome]:
        return [Outcome(seed, next(digests), 300, 1.0, {}, None) for seed in seeds * 2]

    monkeypatch.setattr(simulating, "simulate_many", twice)
    answer = hubbub("--seed", "5")
    assert answer.code == 1
    assert answer.lines[0] == "seed 5: a run repeats: it gave a, then b"


@pytest.mark.slow
def test_crashes_on_two_processes(hubbub: Hubbub) -> None:
    """A command of the docs: each seed is played twice, and gives the same in both processes."""
    answer = hubbub("--crashes", "--seeds", "1..20", "--processes", "2")
    assert answer.code == 0
    assert answer.lines[-1].startswith("seeds: 20, each played twice; actions: ")


def test_crashes(hubbub: Hubbub, tmp_path: Path) -> None:
    """A hub with a store that crashes: its faults are counted, and what happens is traced."""
    path = tmp_path / "7.trace"
    answer = hubbub("--crashes", "--seed", "7", "--trace", str(path))
    assert (answer.code, answer.errors) == (0, "")
    *table, last = answer.lines
    assert last.startswith("seeds: 1, each played twice; actions: 3")
    counted = {
        what.strip(): int(count.replace(",", ""))
        for count, _, what in (row.strip().partition("  ") for row in table)
    }
    assert counted == simulate_crashes(7).occurred
    assert any(what.startswith("fault append") for what in counted)
    assert any(" hub crashes" in line for line in path.read_text().splitlines())


def test_what_is_found_in_crashes(hubbub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that says how to replay it names the same simulation."""
    monkeypatch.setattr(KnownKeys, "load", lambda _self, _topic, _keys: None)
    answer = hubbub("--crashes", "--seeds", "0..20")
    assert answer.code == 1
    first, *_, last = answer.lines
    seed = first.split()[1].rstrip(":")
    assert first.startswith(f"seed {seed}: a name that is known is not published again: ")
    assert last == f"replay it: hubbub simulate --crashes --seed {seed} --trace {seed}.trace"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--seed", "1", "--seeds", "1..2"),
        ("--seeds", "2..1"),
        ("--seeds", "5"),
        ("--seeds", "1..2", "--trace", "x"),
        ("--seed", "1", "--processes", "0"),
    ],
    ids=" ".join,
)
def test_what_is_asked_for_wrongly(hubbub: Hubbub, arguments: tuple[str, ...]) -> None:
    """One line that says what to do, and exit status 2."""
    answer = hubbub(*arguments)
    assert (answer.code, answer.output) == (2, "")
    assert "see hubbub simulate --help" in answer.errors


def test_a_trace_that_cannot_be_written(hubbub: Hubbub, tmp_path: Path) -> None:
    """Is told before anything is played twice."""
    answer = hubbub("--seed", "1", "--trace", str(tmp_path / "none" / "x"))
    assert (answer.code, answer.output) == (1, "")
    assert "No such file or directory" in answer.errors
