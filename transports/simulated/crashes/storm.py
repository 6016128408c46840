"""Plays a plan: everybody acts, everything goes wrong, and in the end all must be well."""

from collections.abc import Callable
from functools import partial
from typing import Final

from ....core.client_states import ClientState
from ..insides import check_empty
from ..violation import Violation
from .faults import CrashFault, Store
from .plan import TOPICS, CrashPlan
from .world import World

__all__ = ["CrashStorm"]

_CATCH_UP: Final = 30.0
"""Seconds in which everybody must have caught up when nothing goes wrong any more."""

_STEP: Final = 0.25
_EVERY: Final = 60
"""Actions between two looks at the hub's bounds."""

_BURSTS: Final = (1, 2, 6, 10)
"""Publications at once."""

_STORES: Final = {
    CrashFault.SLOW: Store.SLOW,
    CrashFault.LATE: Store.LATE,
    CrashFault.FAILS_BEFORE: Store.FAILS_BEFORE,
    CrashFault.FAILS_AFTER: Store.FAILS_AFTER,
    CrashFault.FULL: Store.FULL,
    CrashFault.READ_ERROR: Store.UNREADABLE,
}

_JUMPS: Final = (-3.0, -0.5, 0.5, 3.0)

_APPENDS: Final = (CrashFault.APPEND_LOST, CrashFault.APPEND_STORED, CrashFault.APPEND_TORN)


class CrashStorm:
    """One run.

    Args:
        plan: what the seed stands for.
    """

    def __init__(self, plan: CrashPlan) -> None:
        self.world = World(plan)
        self.done = 0
        """Actions so far."""
        self._random = self.world.random
        self._jump = 0.0
        weights: dict[Callable[[], bool], float] = {
            self._publish: 3.0,
            self._repeat: 4.0,
            self._take: 14.0,
            self._acknowledge: 20.0,
        }
        faults: dict[CrashFault, tuple[Callable[[], bool], float]] = {
            CrashFault.CRASH: (self._crash, 0.9),
            CrashFault.CUT: (self._cut, 2.0),
            CrashFault.RECONNECT_STORM: (self._reconnect_storm, 0.25),
            CrashFault.STALL: (self._stall, 2.5),
            CrashFault.CLIENT_CRASH: (self._client_crash, 1.5),
            CrashFault.TAKEOVER: (self._take_over, 12.0),
            CrashFault.CLOCK: (self._set_clock, 1.5),
        }
        for fault, state in _STORES.items():
            faults[fault] = partial(self._spoil, state), 3.0
        for fault, (action, factor) in faults.items():
            if plan.faults.get(fault):
                weights[action] = plan.faults[fault] * factor
        self._actions = tuple(weights)
        self._weights = tuple(weights.values())

    def play(self) -> None:
        """Play to the end.

        Raises:
            Violation: something does not hold.
            Stuck: no time passes any more.
        """
        world, agenda = self.world, self.world.agenda
        world.server.start()
        for guest in world.guests:
            guest.start()
        agenda.run(agenda.now + 0.1)
        looked = 0
        while self.done < world.plan.actions:
            (action,) = self._random.choices(self._actions, self._weights)
            if action():
                self.done += 1
            agenda.run(agenda.now + self._random.expovariate(1.0 / world.plan.pause))
            if self.done >= looked + _EVERY:
                looked = self.done
                world.check()
        self._finish()

    # What clients do.

    def _publish(self) -> bool:
        publisher = self._random.choice(self.world.publishers)
        count = self._random.choice(_BURSTS)
        topics = self._random.sample(TOPICS, 2)
        publisher.publish([self._random.choice(topics) for _ in range(count)])
        return self._did(count)

    def _repeat(self) -> bool:
        return self._random.choice(self.world.publishers).repeat()

    def _take(self) -> bool:
        lazy = [one for one in self.world.readers if one.lazy]
        if not lazy:
            return False
        return self._did(self._random.choice(lazy).take(self._random.randint(1, 12)))

    def _acknowledge(self) -> bool:
        lazy = [one for one in self.world.consumers if one.lazy]
        if not lazy:
            return False
        return self._did(self._random.choice(lazy).acknowledge(self._random.randint(1, 8)))

    def _did(self, count: int) -> bool:
        """An application called its client so often."""
        self.done += max(0, count - 1)
        return count > 0

    # What goes wrong.

    def _spoil(self, state: Store) -> bool:
        """From now on the store is in a bad way, for a while."""
        world = self.world
        if world.disk.state is not Store.WELL:
            return False
        world.disk.state = state
        world.note("the store", world.disk.state)
        world.agenda.at(world.agenda.now + self._random.uniform(0.1, 2.5), self._mend)
        return True

    def _mend(self) -> None:
        self.world.disk.state = Store.WELL

    def _crash(self) -> bool:
        server, how = self.world.server, self._random.choice(_APPENDS)
        if server.hub is None or server.crashes_at_append is not None:
            return False
        if self._random.random() < 0.7:
            server.crashes_at_append = partial(self._crash_now, how)
        else:
            self._crash_now(how)
        return True

    def _crash_now(self, how: CrashFault) -> None:
        world = self.world
        if world.server.hub is None or world.finishing:
            return
        world.occurred[f"fault {CrashFault.CRASH}"] += 1
        world.server.crash(how, self._random.uniform(0.02, 0.8))
        for fault in (CrashFault.DAMAGE, CrashFault.LOST_COMMITS):
            often = world.plan.faults.get(fault, 0.0)
            if self._random.random() < often:
                durable = [topic for topic in TOPICS if topic.startswith("d.")]
                if world.disk.lose(durable, damaged=fault is CrashFault.DAMAGE):
                    world.occurred[f"fault {fault}"] += 1

    def _cut(self) -> bool:
        guest = self._random.choice(self.world.guests)
        if not guest.connected:
            return False
        self.world.occurred[f"fault {CrashFault.CUT}"] += 1
        guest.cut()
        return True

    def _reconnect_storm(self) -> bool:
        if self.world.server.hub is None:
            return False
        self.world.occurred[f"fault {CrashFault.RECONNECT_STORM}"] += 1
        for guest in self.world.guests:
            guest.cut()
        return True

    def _stall(self) -> bool:
        guest = self._random.choice(self.world.guests)
        connection = guest.connection
        if not guest.connected or connection is None or connection.client_end.stalled:
            return False
        self.world.occurred[f"fault {CrashFault.STALL}"] += 1
        guest.stall(stalled=True)

        def read_on() -> None:
            if guest.connection is connection:
                guest.stall(stalled=False)

        self.world.agenda.at(self.world.agenda.now + self._random.uniform(0.1, 3.0), read_on)
        return True

    def _client_crash(self) -> bool:
        self.world.occurred[f"fault {CrashFault.CLIENT_CRASH}"] += 1
        self._random.choice(self.world.guests).crash()
        return True

    def _take_over(self) -> bool:
        if not self._random.choice(self.world.consumers).take_over():
            return False
        self.world.occurred[f"fault {CrashFault.TAKEOVER}"] += 1
        return True

    def _set_clock(self) -> bool:
        jump = -self._jump or self._random.choice(_JUMPS)
        self._jump += jump
        self.world.occurred[f"fault {CrashFault.CLOCK}"] += 1
        self.world.set_clock(jump)
        return True

    # The end.

    def _finish(self) -> None:
        """Nothing goes wrong any more: everybody catches up."""
        world = self.world
        world.finishing = True
        world.disk.state = Store.WELL
        world.server.crashes_at_append = None
        for guest in world.guests:
            guest.lazy = False
            if guest.connected:
                guest.stall(stalled=False)
        for reader in world.readers:
            reader.take()
            reader.changed()
        for consumer in world.consumers:
            consumer.acknowledge(1 << 30)
        self._wait(self._not_there)
        for topic in TOPICS:
            self._random.choice(world.publishers).publish([topic])
        self._wait(self._not_caught_up)
        world.check()
        world.check_covered()
        self._leave()

    def _wait(self, missing: Callable[[], str | None]) -> None:
        agenda = self.world.agenda
        until = agenda.now + _CATCH_UP
        while (what := missing()) is not None:
            if agenda.now >= until:
                raise Violation("everybody catches up", what)
            agenda.run(agenda.now + _STEP)

    def _not_there(self) -> str | None:
        for guest in self.world.guests:
            if guest.machine.state is not ClientState.READY:
                return f"{guest.whose} is {guest.machine.state.value}"
        for publisher in self.world.publishers:
            if publisher.open:
                return f"{publisher.whose} waits for {list(publisher.open)}"
        return None

    def _not_caught_up(self) -> str | None:
        missing = self._not_there()
        if missing is not None:
            return missing
        for one in (*self.world.readers, *self.world.consumers):
            if one.behind is not None:
                return f"{one.whose}: {one.behind}"
        for guest in self.world.guests:
            connection = guest.connection
            if connection is not None and connection.tap.unanswered:
                return f"{guest.whose} has {connection.tap.unanswered} requests unanswered"
        return None

    def _leave(self) -> None:
        """All go, and nothing is kept of anybody."""
        world = self.world
        world.leaving = True
        for guest in world.guests:
            guest.machine.close(world.agenda.now)
            guest.changed()
        hub = world.server.hub
        assert hub is not None

        def missing() -> str | None:
            return None if hub.idle else f"{hub.links} sockets"

        self._wait(missing)
        check_empty(hub)
