"""The command line: run what was asked for, print the table, exit with the verdict."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .account import Account, spread
from .campaigns import drop, kill

__all__ = ["main", "render"]

_EACH_KILL = 100
"""Acknowledged publications for each kill, at least."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say. Return 0 if nothing was wrong, and 1 if something was."""
    options = _parser().parse_args(arguments)
    loops = ("asyncio", "trio") if options.transport == "both" else (options.transport,)
    kills = options.kills
    if kills is None:
        kills = 0 if options.drops else 100
    accounts: list[Account] = []
    for transport in loops:
        if kills:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                run = kill(
                    Path(folder),
                    transport,
                    kills=kills,
                    seed=options.seed,
                    at_least=kills * _EACH_KILL,
                )
                accounts.append(asyncio.run(run))
        if options.drops:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                run = drop(
                    Path(folder),
                    transport,
                    clients=options.drops,
                    messages=options.messages,
                    seed=options.seed,
                )
                accounts.append(asyncio.run(run))
    print(render(accounts))
    for account in accounts:
        for text in account.faults:
            print(f"{account.title}: {text}")
    late = sum(seconds > options.within for account in accounts for seconds in account.serving)
    if late:
        print(f"{late} times it served only after more than {options.within:g} s")
    return 1 if late or any(account.wrong for account in accounts) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Kill a real server under load, or let its clients drop, and see what is lost.",
    )
    parser.add_argument("--kills", type=int, help="how often; default: 100, or 0 with --drops")
    parser.add_argument(
        "--drops", type=int, metavar="CLIENTS", help="so many clients drop and resume at random"
    )
    parser.add_argument(
        "--messages", type=int, default=100_000, help="published meanwhile; default: 100,000"
    )
    parser.add_argument("--transport", choices=["asyncio", "trio", "both"], default="both")
    parser.add_argument(
        "--within",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="until a server that was killed must serve again; default: 2, for an idle machine",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--folder", help="where stores are made; default: that of temporary files")
    return parser


def render(accounts: Sequence[Account]) -> str:
    """The table: a column for each run."""
    rows: list[tuple[str, list[str]]] = [
        (
            "kills, of these before it served",
            [f"{a.kills} ({a.kills_while_starting})" for a in accounts],
        ),
        ("connections given up by clients", [f"{a.drops:,}" for a in accounts]),
        ("resumes at a position", [f"{a.resumes:,}" for a in accounts]),
        ("acknowledged publications", [f"{a.published:,}" for a in accounts]),
        ("of these answered as repeats", [f"{a.repeats:,}" for a in accounts]),
        ("deliveries checked", [f"{a.deliveries:,}" for a in accounts]),
        ("redelivered to consumers", [f"{a.redelivered:,}" for a in accounts]),
        (
            "gaps and losses told, on trimmed topics",
            [f"{a.gaps_told + a.not_recovered:,}" for a in accounts],
        ),
        ("**acknowledged and lost**", [f"{a.lost:,}" for a in accounts]),
        ("**gaps not told**", [f"{a.untold:,}" for a in accounts]),
        ("**doubles**", [f"{a.doubled:,}" for a in accounts]),
        ("**out of order**", [f"{a.disordered:,}" for a in accounts]),
        ("**anything else wrong**", [f"{a.others:,}" for a in accounts]),
        ("serving again: median, slowest (s)", [spread(a.serving) for a in accounts]),
        ("the same in seconds of CPU", [spread(a.serving_cpu) for a in accounts]),
        ("the whole run (s)", [f"{a.seconds:.0f}" for a in accounts]),
    ]
    lines = [
        f"| | {' | '.join(account.title for account in accounts)} |",
        "|---" * (len(accounts) + 1) + "|",
    ]
    lines += [f"| {title} | {' | '.join(cells)} |" for title, cells in rows]
    return "\n".join(lines)
