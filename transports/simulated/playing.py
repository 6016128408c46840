"""Plays seeds, and says what came of it."""

import traceback
from collections import Counter

import msgspec

from .agenda import Stuck
from .client import Connection
from .plan import plan_of
from .storm import Storm
from .violation import Violation

__all__ = ["Found", "Outcome", "simulate"]

_LINE = 400
"""Characters of what happened that a report shows."""

_FRAMES = 6
"""Calls that a report shows of an exception."""


class Found(msgspec.Struct, frozen=True):
    """Something that does not hold."""

    invariant: str
    """Which, in a few words."""
    text: str
    """What was seen, and what should have been."""
    lines: list[str]
    """What happened last on the connections involved."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of one run."""

    seed: int
    digest: str
    """A hash of all bytes on each connection, all events and effects, and their times."""
    actions: int
    """What clients, operators and the network did."""
    seconds: float
    """How long it took, in its own time."""
    occurred: dict[str, int]
    """How often what happened: faults, policies, close codes, answers, pushes."""
    found: Found | None
    """What does not hold; None if everything does."""


def simulate(
    seed: int, *, actions: int = 300, clients: int = 8, trace: list[str] | None = None
) -> Outcome:
    """Play one seed.

    Args:
        seed: any integer. It decides the hub's configuration, its clients, and all that happens.
        actions: how many there are at least.
        clients: likewise.
        trace: gets a line for each thing that happens.
    """
    storm = Storm(plan_of(seed, actions=actions, clients=clients))
    storm.hub.record.lines = trace
    found: Found | None = None
    try:
        storm.play()
    except Violation as violation:
        found = Found(violation.invariant, violation.text, _last(storm, violation.connections))
    except Stuck as stuck:
        found = Found("time passes", str(stuck), [])
    except Exception as error:  # noqa: BLE001 - whatever it is, a peer must not cause it
        calls = traceback.format_exc().splitlines()[-2 * _FRAMES :]
        found = Found("nothing that a peer does raises", repr(error), calls)
    hub = storm.hub
    occurred: Counter[str] = hub.occurred
    return Outcome(seed, hub.digest, storm.done, hub.now, dict(occurred), found)


def _last(storm: Storm, numbers: tuple[int, ...]) -> list[str]:
    lines: list[str] = []
    for number in numbers:
        connection: Connection = storm.hub.connections[number - 1]
        for at, what, text in connection.last:
            lines.append(f"{at:.6f} {number} {what} {text}"[:_LINE])
    return lines
