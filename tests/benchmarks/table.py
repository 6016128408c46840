"""Rows of figures, and the one table of their medians and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

MIN_IDLE = 0.05
"""Below this share of idle time the generator may have been what was measured."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What the ratio to a peer should be at least, or at most."""

    peer: str
    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:g} × {self.peer}"
        return f"≤ {self.at_most:g} × {self.peer}"

    def met(self, ratio: float) -> bool:
        """Say whether a ratio reaches the goal."""
        if self.at_least is not None and ratio < self.at_least:
            return False
        return self.at_most is None or ratio <= self.at_most


@dataclass(slots=True)
class Row:
    """One contender's figures, one for each round, and its peers' of the same rounds."""

    what: str
    who: str
    unit: str
    figures: list[float] = field(default_factory=list)
    peers: dict[str, Row] = field(default_factory=dict)
    goal: Goal | None = None
    idle: float | None = None
    """The generator's idle share, where there is a generator."""

    @property
    def median(self) -> float:
        """The median figure."""
        return statistics.median(self.figures)

    @property
    def valid(self) -> bool:
        """Whether the generator had time to spare."""
        return self.idle is None or self.idle >= MIN_IDLE

    def ratios(self, peer: str) -> list[float]:
        """Return each round's figure divided by the peer's figure of that round."""
        return [
            ours / theirs
            for ours, theirs in zip(self.figures, self.peers[peer].figures, strict=True)
        ]

    def verdict(self) -> str:
        """Return what became of the row's goal."""
        if not self.valid:
            return "INVALID: the generator was busy"
        if self.goal is None:
            return ""
        return "met" if self.goal.met(statistics.median(self.ratios(self.goal.peer))) else "missed"


_TITLES = ("measured", "who", "median", "unit", "spread", "÷ websockets", "÷ wsproto")
_TITLES_END = ("goal", "", "idle")


def render(rows: Sequence[Row]) -> str:
    """Return the table. Spreads are the least and the greatest of the rounds."""
    lines = [(*_TITLES, *_TITLES_END), *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        row.who,
        _number(row.median),
        row.unit,
        f"{_number(min(row.figures))} to {_number(max(row.figures))}",
        _ratio(row, "websockets"),
        _ratio(row, "wsproto"),
        str(row.goal or ""),
        row.verdict(),
        "" if row.idle is None else f"{row.idle:.0%}",
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _ratio(row: Row, peer: str) -> str:
    if peer not in row.peers:
        return ""
    ratios = row.ratios(peer)
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
