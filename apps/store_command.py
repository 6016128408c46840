"""`hubbub store`: what can be done with the file of a store from outside."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..transports.stores.checking import Report, check
from ..transports.stores.protocol import StoreUnavailable
from .escaping import escape
from .failure import Failure

__all__ = ["store"]

store = typer.Typer(help="Look after the file of a store.", no_args_is_help=True)

StorePath = Annotated[
    Path, typer.Argument(metavar="PATH", help="The file, as given to --store.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")]


@store.callback()
def _store() -> None:  # pyright: ignore[reportUnusedFunction] - typer calls it
    """Look after the file of a store."""


@store.command("check")
def check_command(path: StorePath, json: AsJson = False) -> int:
    """Read all of a store and verify it; change nothing. Ends with 1 if anything is damaged."""
    try:
        report = check(path)
    except StoreUnavailable as error:
        raise Failure(f"{path}: {error}") from error
    if json:
        print(msgspec.json.encode(report).decode())
    else:
        _print(report)
    return 1 if report.problem_count else 0


def _print(report: Report) -> None:
    records = sum(topic.records for topic in report.topics)
    print(
        f"{escape(report.path)}: schema {report.schema}, {report.bytes:,} bytes; "
        f"topics: {len(report.topics):,}, publications: {records:,}, "
        f"acknowledged positions: {report.acknowledged:,}"
    )
    for topic in report.topics:
        offsets = f"{topic.first} to {topic.last}" if topic.first <= topic.last else "none"
        epochs = ", ".join(
            f"{escape(known.epoch)} to {known.last}{' (torn)' if known.torn else ''}"
            for known in topic.epochs
        )
        print(
            f"{escape(topic.topic)}: publications: {topic.records:,} ({topic.bytes:,} bytes), "
            f"offsets: {offsets}, next: {topic.last + 1}, epochs: {epochs or 'none'}"
        )
    for problem in report.problems:
        print(f"damaged: {escape(problem)}")
    if report.problem_count > len(report.problems):
        print(f"damaged: and {report.problem_count - len(report.problems):,} more")
    if not report.problem_count:
        print("everything is whole")
