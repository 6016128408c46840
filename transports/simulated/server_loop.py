"""The loop of a simulated server: turns, effects, one timer, as an adapter has them."""

from functools import partial
from typing import TYPE_CHECKING, Final

from ...core.effects import Effect, Outcome
from ...core.hub_events import Slow
from .client import Connection
from .faults import Fault

if TYPE_CHECKING:
    from .hub import SimulatedHub

__all__ = ["ServerLoop"]

_EVERY: Final = 24
"""Turns between two looks at the hub's insides."""


_LATER: Final = 0.2
"""How often the rest of a fan-out to many is left for the next turn."""


class ServerLoop:
    """Does for a hub what an adapter does, and is slow where it may be.

    Args:
        simulated: whose loop it is.
        turn: seconds that a turn takes, at most: what comes meanwhile is handled in one turn.
        lag: seconds by which the timer may be late.
    """

    def __init__(self, simulated: "SimulatedHub", turn: float, lag: float) -> None:
        self._simulated = simulated
        self._hub = simulated.hub
        self._agenda = simulated.agenda
        self._turn = turn
        self._lag = lag
        self._settling = False
        self._alarm: float | None = None
        self._turns = 0

    def changed(self, now: float) -> None:
        """The hub was given something: a turn follows."""
        if not self._settling:
            self._settling = True
            turn = self._simulated.random.uniform(0.0, self._turn) if self._turn else 0.0
            self._agenda.at(now + turn, self._settle)

    def _settle(self) -> None:
        """The end of a turn."""
        hub = self._hub
        while True:
            while (session := hub.next_dirty(crowd=False)) is not None:
                connection: Connection | None = session.carrier
                if connection is not None:
                    connection.link.serve(connection.hub_end)
            effect = hub.next_effect()
            if effect is not None:
                self._ask(effect)
            elif not self._write_to_crowd():
                break
        while (event := hub.next_event()) is not None:
            self._simulated.record.note_hub("tells", repr(event))
            if isinstance(event, Slow):
                self._simulated.occurred[f"slow, {event.policy}"] += 1
        self._settling = False
        self._simulated.checker.check_step()
        self._turns += 1
        if self._turns % _EVERY == 0:
            self._simulated.check()
        self._set_alarm()

    def _write_to_crowd(self) -> bool:
        """Write to some of those whom a fan-out to many has reached; False if all else is done for now."""
        hub = self._hub
        if not hub.crowded:
            return False
        if self._simulated.random.random() < _LATER:
            self._agenda.at(self._agenda.now, lambda: self.changed(self._agenda.now))
            return False  # others come first
        for connection, data in hub.take_crowd(self._simulated.random.randint(1, 3)):
            self._simulated.put(connection, data)
            self._simulated.occurred["written to as one of many"] += 1
        return True

    # Effects.

    def _ask(self, effect: Effect) -> None:
        simulated, now = self._simulated, self._agenda.now
        simulated.predictor.asked(effect)
        simulated.record.note_hub("asks", repr(effect))
        for delay, outcome, fault in simulated.outside.answers(effect):
            if fault is not None:
                simulated.occurred[f"fault {fault}"] += 1
            if delay:
                self._agenda.at(now + delay, partial(self._answer, effect.id, outcome))
            else:
                self._complete(effect.id, outcome)

    def _answer(self, effect_id: int, outcome: Outcome) -> None:
        self._complete(effect_id, outcome)
        self.changed(self._agenda.now)

    def _complete(self, effect_id: int, outcome: Outcome) -> None:
        simulated, now = self._simulated, self._agenda.now
        simulated.record.note_hub("is answered", f"{effect_id} {outcome!r}")
        simulated.predictor.completed(effect_id, outcome, now)
        self._hub.complete(effect_id, outcome, now)
        simulated.model.announcing.settle()

    # Time.

    def _set_alarm(self) -> None:
        at = self._hub.next_timeout()
        if at is not None and (self._alarm is None or self._alarm > at):
            self._alarm = at
            moment = max(at, self._agenda.now) + self._lateness()
            self._agenda.at(moment, partial(self._ring, at))

    def _ring(self, at: float) -> None:
        if self._alarm != at:
            return  # an earlier one was set
        self._alarm = None
        now, due = self._agenda.now, self._hub.next_timeout()
        if due is None or due > now:
            self._set_alarm()
            return
        self._simulated.predictor.begin_timeouts(now)
        self._hub.handle_timeout(now)
        self._simulated.predictor.end_timeouts()
        self.changed(now)

    def _lateness(self) -> float:
        simulated = self._simulated
        if not self._lag or simulated.random.random() >= simulated.faults.get(Fault.LAG, 0.0):
            return 0.0
        simulated.occurred[f"fault {Fault.LAG}"] += 1
        return simulated.random.uniform(0.0, self._lag)
