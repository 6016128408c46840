"""The command line: choose the cases, run them, print the tables, exit with the verdict."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from .cases import ALL, SHARE, all_case_ids, choose
from .programs import client_command, server_command
from .runner import run_against_client, run_against_server
from .table import as_json, render
from .verdicts import Report, judge

Run = Callable[[Sequence[str]], Coroutine[Any, Any, Report]]
"""Runs the chosen cases against one program."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say. Return 0 if every run passed, and 1 if one did not."""
    parser = _parser()
    options = parser.parse_args(arguments)
    given = options.server_command or options.client_command
    if given and (options.side or options.transport or options.fast_path):
        parser.error("--side, --transport and --fast-path choose among this repository's programs")
    if options.client_command and options.at_once:
        parser.error("--at-once: a given client decides by itself how many cases it runs at once")
    try:
        chosen = choose(all_case_ids(), SHARE if options.share else options.cases or ALL)
    except ValueError as error:
        parser.error(str(error))
    reports = []
    for run in _runs(options):
        report = asyncio.run(run(chosen))
        print(render(report), flush=True)
        reports.append(report)
    if options.json:
        options.json.write_text(json.dumps([as_json(report) for report in reports], indent=1))
    return 1 if any(judge(report) for report in reports) else 0


def _runs(options: argparse.Namespace) -> Iterator[Run]:
    """Yield one run for each program that the options name."""
    at_once = options.at_once or 1
    against_server = partial(run_against_server, limit=options.time_limit, at_once=at_once)
    against_client = partial(run_against_client, limit=options.time_limit)
    if options.server_command:
        yield partial(against_server, "given server", shlex.split(options.server_command))
        return
    if options.client_command:
        yield partial(against_client, "given client", shlex.split(options.client_command))
        return
    for side, transport, way in product(
        _chosen(options.side, "server", "client"),
        _chosen(options.transport, "asyncio", "trio"),
        _chosen(options.fast_path, "on", "off"),
    ):
        label = f"{side} on {transport}, fast path {way}"
        if side == "server":
            command = server_command(transport, fast_path=way == "on")
            yield partial(against_server, label, command, silent=True)
        else:
            command = client_command(transport, fast_path=way == "on", at_once=at_once)
            yield partial(against_client, label, command, silent=True)


def _chosen(option: str | None, *values: str) -> Sequence[str]:
    return values if option in (None, "both") else [option]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Run Autobahn's WebSocket cases against the echo server and the echo client.",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--share", action="store_true", help="a part that takes a quarter minute")
    which.add_argument(
        "--cases",
        action="append",
        metavar="GLOB",
        help="only the cases that match, such as 7.* or 9.3.1 (repeatable)",
    )
    parser.add_argument(
        "--side", choices=["server", "client", "both"], help="whom to test; default: both"
    )
    parser.add_argument(
        "--transport", choices=["asyncio", "trio", "both"], help="its event loop; default: both"
    )
    parser.add_argument("--fast-path", choices=["on", "off", "both"], help="default: both")
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--server-command",
        metavar="COMMAND",
        help="another server; the first line that it prints must end with its URL",
    )
    given.add_argument(
        "--client-command",
        metavar="COMMAND",
        help="another client; the URL of the fuzzer is put at the end of its arguments",
    )
    parser.add_argument(
        "--at-once", type=_positive, metavar="N", help="cases that run at once; default: 1"
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


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
