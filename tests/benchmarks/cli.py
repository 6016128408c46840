"""The command line: choose what to measure, measure it, print one table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import (
    broadcast,
    churn,
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
from .servers import NotStartedError
from .table import Row, render


@dataclass(frozen=True, slots=True)
class _Measure:
    """What is called with a number of rounds and the seconds of each."""

    rows: Callable[[int, float], list[Row]]
    rounds: int
    """If the command does not say how many."""


# Many short rounds: what disturbs the machine then falls on all alike, or on few of them. The last
# ones need new servers for each round and take as long as they take.
_MEASURES = {
    "parse": _Measure(parse.measure, 15),
    "topics": _Measure(topics.measure, 15),
    "handshake": _Measure(handshake.measure, 15),
    "echo": _Measure(echo.measure, 15),
    "broadcast": _Measure(broadcast.measure, 5),
    "hub": _Measure(hub_fan_out.measure, 7),
    "hub-other-topic": _Measure(hub_other_topic.measure, 3),
    "hub-memory": _Measure(lambda repeat, _: hub_memory.measure(repeat), 2),
    "hub-slow": _Measure(lambda repeat, _: hub_slow.measure(repeat), 1),
    "hub-flood": _Measure(hub_flood.measure, 3),
    "hub-durable": _Measure(hub_durable.measure, 3),
    "hub-resume": _Measure(hub_resume.measure, 2),
    "hub-storm": _Measure(lambda repeat, _: hub_storm.measure(repeat), 2),
    "hub-idle": _Measure(lambda repeat, _: hub_idle.measure(repeat), 1),
    "store": _Measure(store.measure, 5),
    "memory": _Measure(lambda repeat, _: memory.measure(repeat), 2),
    "idle": _Measure(lambda repeat, _: idle.measure(repeat), 1),
    "churn": _Measure(lambda repeat, _: churn.measure(repeat), 1),
    "halfopen": _Measure(lambda repeat, _: halfopen.measure(repeat), 1),
}

_LONGEST = 4.0
"""Servers ping after 20 s, and the generator does not answer."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the arguments name.

    Return 1 if a row is invalid or something could not be measured; a missed goal is no failure.
    """
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    # No `choices`: argparse would check the empty list against them too.
    parser.add_argument("what", nargs="*", help=f"from {', '.join(_MEASURES)}; all if left out")
    defaults = ", ".join(f"{name} {measure.rounds}" for name, measure in _MEASURES.items())
    parser.add_argument("--repeat", type=int, help=f"rounds (default: {defaults})")
    parser.add_argument(
        "--seconds", type=float, default=0.3, help="of each server in each round (default 0.3)"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.what if name not in _MEASURES]
    if unknown:
        parser.error(f"{unknown[0]} is not one of {', '.join(_MEASURES)}")
    if options.repeat is not None and options.repeat < 1:
        parser.error("--repeat must be at least 1")
    if not 0 < options.seconds <= _LONGEST:
        parser.error(f"--seconds must be above 0 and at most {_LONGEST:g}")
    rows: list[Row] = []
    failed = False
    for name in options.what or _MEASURES:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        measure = _MEASURES[name]
        try:
            rows += measure.rows(options.repeat or measure.rounds, options.seconds)
        except (NotStartedError, OSError) as error:
            # What the others have shown, perhaps for minutes, is not lost.
            print(f"{name} could not be measured: {error!r}", file=sys.stderr, flush=True)
            failed = True
    if rows:
        print(render(rows), flush=True)
    return 1 if failed or not all(row.valid for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
