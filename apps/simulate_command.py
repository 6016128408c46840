"""`hubbub simulate`: a hub, its clients and a bad network on virtual time, from one seed; or one that crashes."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

__all__ = ["simulate_command"]

_SEEDS: Final = re.compile(r"(-?\d+)\.\.(-?\d+)")

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
    wanted = [seed] if seed is not None else _range(seeds or "")
    # Here, because no other command needs the simulation, and a server that was killed is to be back soon.
    from .simulating import play_all, write_trace

    if seed is not None and trace is not None:
        write_trace(seed, trace, crashes=crashes)
    return play_all(wanted, processes=processes, crashes=crashes)


def _range(text: str) -> Sequence[int]:
    match = _SEEDS.fullmatch(text)
    if match is None or int(match[1]) > int(match[2]):
        raise typer.BadParameter(f"--seeds={text}: must be N..M, such as 1..100")
    return range(int(match[1]), int(match[2]) + 1)
