"""The command line: choose areas, fuzz them, print the table, exit with the verdict."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from .campaign import LIVES, Failure, Result, fuzz, run_chunk

_SHOWN = 400
"""Bytes of a failing input that are printed; the number replays all of it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say. Return 0 if nothing failed, and 1 if something did."""
    options = _parser().parse_args(arguments)
    if options.nice:
        os.nice(options.nice)
    areas = list(LIVES) if options.area == "all" else [options.area]
    if options.replay is not None:
        results = [run_chunk((area, options.replay, 1)) for area in areas]
    else:
        inputs = options.inputs
        if inputs is None and options.seconds is None:
            inputs = 1_000_000
        results = []
        for area in areas:
            result = fuzz(
                area, seed=options.seed, inputs=inputs, seconds=options.seconds, jobs=options.jobs
            )
            print(_line(result), flush=True)
            results.append(result)
    print()
    print(render(results))
    failures = [result.failure for result in results if result.failure is not None]
    for failure in failures:
        print()
        print(explain(failure))
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py", description="Fuzz the WebSocket machine and the codec, from one seed."
    )
    parser.add_argument("--area", choices=[*LIVES, "all"], default="all", help="default: all")
    parser.add_argument("--inputs", type=int, help="for each area; default: 1,000,000")
    parser.add_argument("--seconds", type=float, help="for each area, instead or at most")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--jobs", type=int, default=2, help="processes; default: 2")
    parser.add_argument("--nice", type=int, default=0, help="make way for others")
    parser.add_argument("--replay", type=int, metavar="NUMBER", help="only this input")
    return parser


def _line(result: Result) -> str:
    verdict = "failed" if result.failure is not None else "ok"
    return f"{result.area}: {result.inputs:,} inputs in {result.seconds:.0f} s, {verdict}"


def render(results: Sequence[Result]) -> str:
    """The table, and below it what became of the connections."""
    lines = [
        "| area | inputs | s | inputs/s | events | fullest | outcomes |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        rate = result.inputs / result.seconds if result.seconds else 0.0
        lines.append(
            f"| {result.area} | {result.inputs:,} | {result.seconds:.0f} | {rate:,.0f} | "
            f"{result.messages:,} | {result.fullest:.0%} | {len(result.outcomes)} |"
        )
    for result in results:
        counted = ", ".join(f"{name}: {count:,}" for name, count in result.outcomes.most_common())
        lines += ["", f"{result.area}: {counted}"]
    return "\n".join(lines)


def explain(failure: Failure) -> str:
    """What went wrong with an input, and how to see it again."""
    shown = failure.stream[:_SHOWN]
    more = "" if len(shown) == len(failure.stream) else f"\n… {len(failure.stream):,} bytes in all"
    return (
        f"{failure.report}\n"
        f"input {failure.number} of {failure.area}: {shown!r}{more}\n"
        f"replay: python tests/fuzz/run.py --area {failure.area} --replay {failure.number}"
    )
