"""`hubbub simulate`: a hub, its clients and a bad network on virtual time, from one seed; or one that crashes."""

import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Annotated, Final

import typer

from ..transports.simulated.crashes import simulate_crashes
from ..transports.simulated.many import simulate_many
from ..transports.simulated.playing import Outcome, simulate
from .escaping import escape
from .failure import Failure

__all__ = ["simulate_command"]

_SEEDS: Final = re.compile(r"(-?\d+)\.\.(-?\d+)")
_EVERY: Final = 50
"""Runs between two lines of progress."""

_SECTIONS: Final = ("fault", "policy", "close", "priority", "push", "answer", "")
"""What the table begins with, in this order; then all else."""

Seed = Annotated[int | None, typer.Option(metavar="N", help="Play this seed.")]
Seeds = Annotated[
    str | None, typer.Option(metavar="N..M", help="Play all seeds from N to M, both included.")
]
Processes = Annotated[int, typer.Option(min=1, metavar="COUNT", help="How many play at once.")]
Trace = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="With --seed: write a line for each thing that happens.",
        dir_okay=False,
    ),
]
Crashes = Annotated[
    bool,
    typer.Option(
        "--crashes",
        help="Simulate a hub with a store, whose server, disk, network and clients crash and come back.",
    ),
]


def simulate_command(
    seed: Seed = None,
    seeds: Seeds = None,
    processes: Processes = 1,
    trace: Trace = None,
    crashes: Crashes = False,
) -> int:
    """Simulate a hub under faults and check that it keeps its promises. Ends with 1 if it does not.

    Each seed stands for a configuration, its clients, 300 actions and several kinds of fault. It is played
    twice, and must give the same bytes.
    """
    if (seed is None) == (seeds is None):
        raise typer.BadParameter("give --seed N or --seeds N..M")
    if trace is not None and seed is None:
        raise typer.BadParameter("--trace is for one seed: give --seed N")
    if seed is not None:
        _write_trace(seed, trace, crashes=crashes)
    wanted = [seed] if seed is not None else _range(seeds or "")
    began = monotonic()
    outcomes: dict[int, Outcome] = {}
    occurred: Counter[str] = Counter()
    actions = 0
    play = simulate_crashes if crashes else simulate
    for count, outcome in enumerate(simulate_many(wanted, processes=processes, play=play), start=1):
        if outcome.found is not None:
            _tell(outcome, crashes=crashes)
            return 1
        first = outcomes.setdefault(outcome.seed, outcome)
        if first.digest != outcome.digest:
            print(
                f"seed {outcome.seed}: a run repeats: it gave {first.digest}, then {outcome.digest}"
            )
            _tell_replay(outcome.seed, crashes=crashes)
            return 1
        if first is outcome:
            occurred += Counter(outcome.occurred)
            actions += outcome.actions
        if count % _EVERY == 0:
            sys.stderr.write(f"{count} of {2 * len(wanted)} runs\n")
    _print_table(occurred)
    print(
        f"seeds: {len(wanted):,}, each played twice; actions: {actions:,}; "
        f"seconds: {monotonic() - began:.1f}; nothing found"
    )
    return 0


def _range(text: str) -> Sequence[int]:
    match = _SEEDS.fullmatch(text)
    if match is None or int(match[1]) > int(match[2]):
        raise typer.BadParameter(f"--seeds={text}: must be N..M, such as 1..100")
    return range(int(match[1]), int(match[2]) + 1)


def _write_trace(seed: int, path: Path | None, *, crashes: bool) -> None:
    """Play a seed once, and write down what happens."""
    if path is None:
        return
    lines: list[str] = []
    if crashes:
        simulate_crashes(seed, trace=lines)
    else:
        simulate(seed, trace=lines)
    try:
        path.write_text("".join(f"{escape(line)}\n" for line in lines))
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from error


def _tell(outcome: Outcome, *, crashes: bool) -> None:
    found = outcome.found
    assert found is not None
    print(f"seed {outcome.seed}: {escape(found.invariant)}: {escape(found.text)}")
    for line in found.lines:
        print(f"  {escape(line)}")
    _tell_replay(outcome.seed, crashes=crashes)


def _tell_replay(seed: int, *, crashes: bool) -> None:
    which = " --crashes" if crashes else ""
    print(f"replay it: hubbub simulate{which} --seed {seed} --trace {seed}.trace")


def _print_table(occurred: Counter[str]) -> None:
    def place(what: str) -> tuple[int, str]:
        section = next(at for at, one in enumerate(_SECTIONS) if what.startswith(one))
        return section, what

    for what in sorted(occurred, key=place):
        print(f"{occurred[what]:>9,}  {what}")
