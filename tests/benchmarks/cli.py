"""The command line: choose what to measure, measure it, print one table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from . import echo, handshake, memory, parse
from .table import Row, render

_MEASURES: dict[str, Callable[[int, float], list[Row]]] = {
    "parse": parse.measure,
    "handshake": handshake.measure,
    "echo": echo.measure,
    # Each needs new servers and is slow, and no figure of it depends on who else computes.
    "memory": lambda repeat, _: memory.measure(min(repeat, 3)),
}

_LONGEST = 10.0
"""Servers ping after 20 s, and the generator does not answer."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the arguments name. Return 1 if a row is invalid; a missed goal is no failure."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    # No `choices`: argparse would check the empty list against them too.
    parser.add_argument("what", nargs="*", help=f"from {', '.join(_MEASURES)}; all if left out")
    # Many short rounds: what disturbs the machine then falls on all alike, or on few of them.
    parser.add_argument(
        "--repeat", type=int, default=15, help="rounds (default 15; of memory at most 3)"
    )
    parser.add_argument(
        "--seconds", type=float, default=0.3, help="of each server in each round (default 0.3)"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.what if name not in _MEASURES]
    if unknown:
        parser.error(f"{unknown[0]} is not one of {', '.join(_MEASURES)}")
    if options.repeat < 1:
        parser.error("--repeat must be at least 1")
    if not 0 < options.seconds <= _LONGEST:
        parser.error(f"--seconds must be above 0 and at most {_LONGEST:g}")
    rows: list[Row] = []
    for name in options.what or _MEASURES:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        rows += _MEASURES[name](options.repeat, options.seconds)
    print(render(rows), flush=True)
    return 0 if all(row.valid for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
