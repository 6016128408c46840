"""Whom a hub asks: an authenticator and users' hooks, who are slow, fail, refuse and answer too late."""

from collections.abc import Mapping
from random import Random

from ...core.effects import Authenticate, Denied, Done, Effect, Failed, HookKind, Outcome, RunHook
from ...core.grants import Grant
from .faults import Fault, Faults

__all__ = ["Outside"]

_SLOW = 0.5
_LATE = 3.0


class Outside:
    """Answers effects.

    Args:
        tokens: what each token grants. It may change at any time.
        faults: how often what goes wrong.
        random: decides.
        patience: seconds after which the hub gives up.
    """

    def __init__(
        self, tokens: Mapping[str, Grant], faults: Faults, random: Random, patience: float
    ) -> None:
        self.tokens = tokens
        self.faults = faults
        self._random = random
        self._patience = patience

    def answers(self, effect: Effect) -> list[tuple[float, Outcome, Fault | None]]:
        """What is answered, after how many seconds, and by which fault; usually one, at once."""
        if isinstance(effect, Authenticate):
            found = self._authenticate(effect)
        elif isinstance(effect, RunHook):
            found = self._run(effect)
        else:
            found = (0.0, Failed("the simulation has none of this"), None)
        if self._has(Fault.DOUBLE_ANSWER):
            again = found[0] + self._random.uniform(0.0, _SLOW)
            return [found, (again, found[1], Fault.DOUBLE_ANSWER)]
        return [found]

    def _authenticate(self, effect: Authenticate) -> tuple[float, Outcome, Fault | None]:
        outcome: Outcome = Done(self.tokens.get(effect.token))
        if self._has(Fault.FAILED_AUTH):
            return self._soon(), Failed("the authenticator failed"), Fault.FAILED_AUTH
        if self._has(Fault.REFUSED_AUTH):
            return self._soon(), Done(None), Fault.REFUSED_AUTH
        if self._has(Fault.LATE_AUTH):
            return self._too_late(), outcome, Fault.LATE_AUTH
        if self._has(Fault.SLOW_AUTH):
            return self._slowly(), outcome, Fault.SLOW_AUTH
        return 0.0, outcome, None

    def _run(self, effect: RunHook) -> tuple[float, Outcome, Fault | None]:
        if self._has(Fault.FAILED_HOOK):
            return self._soon(), Failed("the hook failed"), Fault.FAILED_HOOK
        if self._has(Fault.REFUSING_HOOK):
            return self._soon(), Denied("not_now", "the hook says no"), Fault.REFUSING_HOOK
        outcome = self._outcome(effect)
        if self._has(Fault.LATE_HOOK):
            return self._too_late(), outcome, Fault.LATE_HOOK
        if self._has(Fault.SLOW_HOOK):
            return self._slowly(), outcome, Fault.SLOW_HOOK
        return 0.0, outcome, None

    def _outcome(self, effect: RunHook) -> Outcome:
        if effect.kind is HookKind.CALL:
            return Done({"called": effect.name, "with": effect.data})
        if effect.kind is HookKind.PUBLISH and self._random.random() < 0.5:
            return Done({"changed": effect.message})
        return Done()

    def _has(self, fault: Fault) -> bool:
        often = self.faults.get(fault)
        return often is not None and self._random.random() < often

    def _soon(self) -> float:
        return self._random.choice((0.0, 0.0, self._random.uniform(0.0, _SLOW)))

    def _slowly(self) -> float:
        return self._random.uniform(0.01, self._patience * 0.9)

    def _too_late(self) -> float:
        return self._patience + self._random.uniform(0.01, _LATE)
