"""Plays seeds, and says what came of it."""

import traceback
from collections import Counter
from collections.abc import Callable

import msgspec

from .agenda import Stuck
from .plan import plan_of
from .recording import Recorded
from .storm import Storm
from .violation import Violation

__all__ = ["Found", "Outcome", "look_for", "simulate"]

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
    hub = storm.hub
    found = look_for(
        storm.play, lambda number: hub.connections[number - 1], "nothing that a peer does raises"
    )
    occurred: Counter[str] = hub.occurred
    return Outcome(seed, hub.digest, storm.done, hub.now, dict(occurred), found)


def look_for(
    play: Callable[[], None], connection: Callable[[int], Recorded | None], raises: str
) -> Found | None:
    """Play, and return what does not hold; None if everything does.

    Args:
        play: plays all, and raises where something does not hold.
        connection: finds one by its number.
        raises: which invariant it breaks that something raises.
    """
    try:
        play()
    except Violation as violation:
        connections = map(connection, violation.connections)
        lines = [line for one in connections if one is not None for line in _last(one)]
        return Found(violation.invariant, violation.text, lines)
    except Stuck as stuck:
        return Found("time passes", str(stuck), [])
    except Exception as error:  # noqa: BLE001 - whatever it is, it breaks that invariant
        calls = traceback.format_exc().splitlines()[-2 * _FRAMES :]
        return Found(raises, repr(error), calls)
    return None


def _last(connection: Recorded) -> list[str]:
    """What happened last on it."""
    return [
        f"{at:.6f} {connection.number} {what} {text}"[:_LINE] for at, what, text in connection.last
    ]
