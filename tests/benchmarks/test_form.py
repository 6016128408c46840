"""The benchmarks run and print what they should. Nothing here judges speed."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from . import echo, handshake, memory, parse
from .cli import main
from .table import Goal, Row, render

SERVERS = {"websockets, asyncio", "hubbub, asyncio"}

MEASURES: dict[str, tuple[Callable[[], list[Row]], set[str]]] = {
    "parse": (
        lambda: parse.measure(1, 0.01),
        {"wsproto", "websockets", "FrameSplitter", "WebSocket"},
    ),
    "handshake": (lambda: handshake.measure(1, 0.01, batch=20), SERVERS),
    "echo": (lambda: echo.measure(1, 0.05), SERVERS),
    "memory": (lambda: memory.measure(1, connections=200), SERVERS),
}


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
        assert all(math.isfinite(figure) and figure > 0 for figure in row.figures), row
        for peer in row.peers:
            assert all(math.isfinite(ratio) and ratio > 0 for ratio in row.ratios(peer)), row
    assert by_what
    for what, who in by_what.items():
        assert expected <= who, what
    assert any(row.peers for row in rows)
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
    ours = Row("row", "ours", "a second", [2.0, 15.0, 4.0], {"peer": peer}, Goal("peer", 1.5))
    assert ours.ratios("peer") == [2.0, 1.5, 2.0]
    assert ours.verdict() == "met"
    ours.goal = Goal("peer", at_least=2.1)
    assert ours.verdict() == "missed"


def test_a_busy_generator_makes_a_row_invalid() -> None:
    """A row counts only if the generator had time to spare."""
    row = Row("row", "ours", "a second", [1.0], idle=0.04)
    assert not row.valid
    assert "INVALID" in render([row])
    row.idle = 0.06
    assert row.valid
