"""Rows of figures, and the one table of their medians and ratios."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

MIN_IDLE = 0.05
"""Below this share of idle time the generator may have been what was measured."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What the ratio to a peer should be at least, or at most; with no peer, the figure itself."""

    peer: str | None
    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        least, most = self.at_least, self.at_most
        bound = f"≥ {round(least, 2):,g}" if least is not None else f"≤ {round(most or 0, 2):,g}"
        return bound if self.peer is None else f"{bound} × {self.peer}"

    def met(self, value: float) -> bool:
        """Say whether a ratio, or a figure, reaches the goal."""
        if self.at_least is not None and value < self.at_least:
            return False
        return self.at_most is None or value <= self.at_most


@dataclass(slots=True)
class Row:
    """One contender's figures, one for each round, and its peers' of the same rounds."""

    what: str
    who: str
    unit: str
    figures: list[float] = field(default_factory=list)
    peers: dict[str, Row] = field(default_factory=dict)
    goals: Sequence[Goal] = ()
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
        """Return what became of the row's goals."""
        if not self.valid:
            return "INVALID: the generator was busy"
        return ", ".join(map(self._verdict, self.goals))

    def _verdict(self, goal: Goal) -> str:
        if goal.peer is None:
            return "met" if goal.met(self.median) else "missed"
        peer = self.peers.get(goal.peer)
        if peer is None:
            return "no peer"
        if not peer.valid:
            return "INVALID: the peer's row is"
        return "met" if goal.met(statistics.median(self.ratios(goal.peer))) else "missed"


_TITLES = ("measured", "who", "median", "unit", "spread")
_TITLES_END = ("goal", "", "idle")


def render(rows: Sequence[Row]) -> str:
    """Return the table. Spreads are the least and the greatest of the rounds."""
    peers = list(dict.fromkeys(peer for row in rows for peer in row.peers))
    titles = (*_TITLES, *(f"÷ {peer}" for peer in peers), *_TITLES_END)
    lines = [titles, *(_cells(row, peers) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the least value that is not exceeded by so many of a hundred."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _cells(row: Row, peers: Sequence[str]) -> tuple[str, ...]:
    return (
        row.what,
        row.who,
        _number(row.median),
        row.unit,
        f"{_number(min(row.figures))} to {_number(max(row.figures))}",
        *(_ratio(row, peer) for peer in peers),
        ", ".join(map(str, row.goals)),
        row.verdict(),
        "" if row.idle is None else f"{row.idle:.0%}",
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _ratio(row: Row, peer: str) -> str:
    if peer not in row.peers:
        return ""
    ratios = row.ratios(peer)
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
