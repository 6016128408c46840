"""The command line: choose the cases, run them, print the tables, exit with the verdict."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from .cases import ALL, SHARE, all_case_ids, choose
from .runner import run_against_server
from .server import echo_command
from .table import as_json, render
from .verdicts import judge


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say. Return 0 if every run passed, and 1 if one did not."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        chosen = choose(all_case_ids(), SHARE if options.share else options.cases or ALL)
    except ValueError as error:
        parser.error(str(error))
    reports = []
    for label, command in _servers(options):
        report = asyncio.run(run_against_server(label, command, chosen, options.time_limit))
        print(render(report), flush=True)
        reports.append(report)
    if options.json:
        options.json.write_text(json.dumps([as_json(report) for report in reports], indent=1))
    return 1 if any(judge(report) for report in reports) else 0


def _servers(options: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """Return a label and a command for each run."""
    if options.server_command:
        return [("given server", shlex.split(options.server_command))]
    ways = ["on", "off"] if options.fast_path == "both" else [options.fast_path]
    return [(f"fast path {way}", echo_command(fast_path=way == "on")) for way in ways]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py", description="Run Autobahn's WebSocket cases against the echo server."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--share", action="store_true", help="a part that takes about a minute")
    which.add_argument(
        "--cases",
        action="append",
        metavar="GLOB",
        help="only the cases that match, such as 7.* or 9.3.1 (repeatable)",
    )
    server = parser.add_mutually_exclusive_group()
    server.add_argument(
        "--fast-path", choices=["on", "off", "both"], default="both", help="default: both"
    )
    server.add_argument(
        "--server-command",
        metavar="COMMAND",
        help="another server; the first line that it prints must end with its URL",
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=3600.0,
        metavar="SECONDS",
        help="break a run off after so long (default: 3600)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the reports here too")
    return parser
