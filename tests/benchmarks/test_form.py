"""The benchmarks run and print what they should. Nothing here judges speed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import pytest

from . import (
    broadcast,
    churn,
    contenders,
    echo,
    halfopen,
    handshake,
    hub_durable,
    hub_fan_out,
    hub_flood,
    hub_idle,
    hub_memory,
    hub_other_topic,
    hub_resume,
    hub_slow,
    hub_storm,
    idle,
    memory,
    parse,
    store,
    topics,
)
from .cli import main
from .contenders import Contender
from .table import Goal, Row, percentile, render

OURS = {"hubbub, asyncio"}
SERVERS = OURS | {"websockets, asyncio"}

MEASURES: dict[str, tuple[Callable[[], list[Row]], set[str]]] = {
    "parse": (
        lambda: parse.measure(1, 0.01),
        {"wsproto", "websockets", "FrameSplitter", "WebSocket"},
    ),
    "topics": (lambda: topics.measure(1, 0.01, sizes=(50, 200)), {"of 50", "of 200"}),
    "handshake": (lambda: handshake.measure(1, 0.01, batch=20), SERVERS),
    "echo": (lambda: echo.measure(1, 0.05), SERVERS),
    "broadcast": (lambda: broadcast.measure(1, 0.02, receivers=20), OURS),
    "store": (lambda: store.measure(1, 0.05), {"1 a commit", "50 a commit"}),
    "memory": (lambda: memory.measure(1, connections=200), SERVERS),
    "idle": (lambda: idle.measure(1, connections=50, interval=0.5), OURS),
    "churn": (lambda: churn.measure(1, cycles=200), OURS),
    "halfopen": (lambda: halfopen.measure(1, clients=50, deadline=0.5), OURS),
    "hub": (lambda: hub_fan_out.measure(1, 0.02, receivers=20), OURS),
    "hub-other-topic": (lambda: hub_other_topic.measure(1, 0.01, subscribers=100), OURS),
    "hub-memory": (lambda: hub_memory.measure(1, sessions=500), OURS),
    "hub-idle": (lambda: hub_idle.measure(1, sessions=50, interval=0.5), OURS),
    "hub-slow": (lambda: hub_slow.measure(1, total=2**25, numbers=(3,)), OURS),
    "hub-flood": (lambda: hub_flood.measure(1, 0.01, commands=20_000), OURS),
    "hub-durable": (lambda: hub_durable.measure(1, 0.02, publishers=5), {"durable, asyncio"}),
    "hub-resume": (lambda: hub_resume.measure(1, 0.01, numbers=(200, 400)), OURS),
    "hub-storm": (lambda: hub_storm.measure(1, clients=20), OURS),
}

ALONE = {"idle", "churn", "halfopen"} | {
    f"hub-{name}" for name in ("other-topic", "memory", "idle", "slow", "storm")
}
"""These have goals of their own and no peers."""

DIFFERENCES = {"churn", "hub-other-topic", "hub-memory", "hub-slow", "hub-resume"}
"""Figures of these say how much more there is after something: perhaps nothing, or less."""


@pytest.mark.benchmark
@pytest.mark.parametrize("name", MEASURES)
def test_rows(name: str) -> None:
    """Each measure has rows of ours and of each peer, with finite figures and ratios."""
    measure, expected = MEASURES[name]
    rows = measure()
    by_what: dict[str, set[str]] = {}
    for row in rows:
        by_what.setdefault(row.what, set()).add(row.who)
        assert len(row.figures) == 1
        assert all(math.isfinite(figure) for figure in row.figures), row
        assert name in DIFFERENCES or min(row.figures) > 0, row
        for peer in row.peers:
            assert all(math.isfinite(ratio) and ratio > 0 for ratio in row.ratios(peer)), row
    assert by_what
    for what, who in by_what.items():
        assert expected <= who, what
    assert any(row.peers for row in rows) is (name not in ALONE)
    assert any(row.goals for row in rows)
    assert len(render(rows).splitlines()) == len(rows) + 2


@pytest.mark.benchmark
def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints one table, with every row that was asked for."""
    assert main(["parse", "--repeat", "1", "--seconds", "0.01"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split("|")[1].strip() == "measured"
    assert len(table) == 2 + 8


@pytest.mark.parametrize("arguments", [["parts"], ["--repeat", "0"], ["--seconds", "60"]])
def test_a_wrong_argument_is_refused(arguments: list[str]) -> None:
    """What cannot be measured is told at once, with the usual status."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """Figures are compared round by round, since a machine is not equally fast in all of them."""
    peer = Row("row", "peer", "a second", [1.0, 10.0, 2.0])
    ours = Row("row", "ours", "a second", [2.0, 15.0, 4.0], {"peer": peer}, [Goal("peer", 1.5)])
    assert ours.ratios("peer") == [2.0, 1.5, 2.0]
    assert ours.verdict() == "met"
    ours.goals = [Goal("peer", at_least=2.1), Goal(None, at_most=4)]
    assert ours.verdict() == "missed, met"


def test_a_goal_without_its_peer_is_neither_met_nor_missed() -> None:
    """A peer that is not installed is told, and so is one whose own row does not count."""
    peer = Row("row", "peer", "a second", [1.0], idle=0.04)
    ours = Row("row", "ours", "a second", [1.0], goals=[Goal("peer", at_least=1)])
    assert ours.verdict() == "no peer"
    ours.peers = {"peer": peer}
    assert "INVALID" in ours.verdict()


def test_a_percentile_is_one_of_the_values() -> None:
    """Of a hundred values the 99th percentile is the second greatest."""
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 99) == 99
    assert percentile(values, 50) == 50
    assert percentile([7.0], 99) == 7


def test_what_could_not_be_measured_loses_no_other_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not start is told at the end of the others, as a failure."""
    gone = Contender("websockets", "asyncio", (sys.executable, "-c", "raise SystemExit"))
    monkeypatch.setattr(memory, "echo_servers", lambda **_: [gone])
    assert main(["memory", "parse", "--repeat", "1", "--seconds", "0.01"]) == 1
    said = capsys.readouterr()
    assert "memory could not be measured" in said.err
    assert len(said.out.splitlines()) == 2 + 8


def test_what_cannot_run_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose library is not installed is told once, and has no row."""
    here = Contender("hubbub", "asyncio", ())
    gone = Contender("socketify", "libuv", (), "import no_such_module")
    monkeypatch.setattr(contenders, "_BROADCAST", (here, gone))
    for _ in range(2):
        assert contenders.broadcast_servers() == [here]
    assert capsys.readouterr().err.count("left out: socketify, libuv: ModuleNotFoundError") == 1


def test_a_busy_generator_makes_a_row_invalid() -> None:
    """A row counts only if the generator had time to spare."""
    row = Row("row", "ours", "a second", [1.0], idle=0.04)
    assert not row.valid
    assert "INVALID" in render([row])
    row.idle = 0.06
    assert row.valid
