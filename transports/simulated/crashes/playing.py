"""Plays seeds of crashes, and says what came of it."""

import traceback

from ..agenda import Stuck
from ..playing import Found, Outcome
from ..violation import Violation
from .plan import crash_plan_of
from .storm import CrashStorm

__all__ = ["simulate_crashes"]

_LINE = 400
"""Characters of what happened that a report shows."""

_FRAMES = 6
"""Calls that a report shows of an exception."""


def simulate_crashes(seed: int, *, actions: int = 300, trace: list[str] | None = None) -> Outcome:
    """Play one seed of a hub with a store, whose process, store, network and clients fail again and again.

    Args:
        seed: any integer. It decides the hub's configuration, its clients, and all that happens.
        actions: how many there are at least.
        trace: gets a line for each thing that happens.
    """
    storm = CrashStorm(crash_plan_of(seed, actions=actions))
    world = storm.world
    world.record.lines = trace
    found: Found | None = None
    try:
        storm.play()
    except Violation as violation:
        found = Found(violation.invariant, violation.text, _last(storm, violation.connections))
    except Stuck as stuck:
        found = Found("time passes", str(stuck), [])
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing that goes wrong outside may cause it
        calls = traceback.format_exc().splitlines()[-2 * _FRAMES :]
        found = Found("nothing that goes wrong outside raises", repr(error), calls)
    return Outcome(
        seed, world.record.digest, storm.done, world.agenda.now, dict(world.occurred), found
    )


def _last(storm: CrashStorm, numbers: tuple[int, ...]) -> list[str]:
    lines: list[str] = []
    for number in numbers:
        connection = storm.world.server.last.get(number)
        if connection is not None:
            for at, what, text in connection.last:
                lines.append(f"{at:.6f} {number} {what} {text}"[:_LINE])
    return lines
