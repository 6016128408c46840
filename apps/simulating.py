"""Plays seeds of the simulation, tells what is found and how to replay it, and counts what occurred."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Final

from ..transports.simulated.crashes import simulate_crashes
from ..transports.simulated.many import simulate_many
from ..transports.simulated.playing import Outcome, simulate
from .escaping import escape
from .failure import Failure

__all__ = ["play_all", "write_trace"]

_EVERY: Final = 50
"""Runs between two lines of progress."""

_SECTIONS: Final = ("fault", "policy", "close", "priority", "push", "answer", "")
"""What the table begins with, in this order; then all else."""


def play_all(wanted: Sequence[int], *, processes: int, crashes: bool) -> int:
    """Play each seed twice. Return 1 for the first that does not hold or does not repeat, else 0.

    Args:
        wanted: the seeds.
        processes: how many play at once.
        crashes: whether the server and its store crash and come back.
    """
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


def write_trace(seed: int, path: Path, *, crashes: bool) -> None:
    """Play a seed once, and write down what happens.

    Raises:
        Failure: the file can't be written.
    """
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
