"""Plays seeds of crashes, and says what came of it."""

from ..playing import Outcome, look_for
from .plan import crash_plan_of
from .storm import CrashStorm

__all__ = ["simulate_crashes"]


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
    found = look_for(storm.play, world.server.last.get, "nothing that goes wrong outside raises")
    return Outcome(
        seed, world.record.digest, storm.done, world.agenda.now, dict(world.occurred), found
    )
