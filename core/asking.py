"""How a hub asks the outside on behalf of a session that waits for it."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from .account import Account
from .codecs import native
from .effects import Done, Effect, Failed, HookKind, Outcome, RunHook, Who
from .errors import LocalProtocolError
from .grants import Grant
from .hub_events import RequestFailed
from .pending import PendingEffects, Then
from .session import Session
from .topics import is_pattern, matches, overlaps

__all__ = ["Asking"]


class Asking:
    """Effects of sessions, and the hooks that there are.

    Args:
        hooks: for each kind the patterns of the user's functions, in order; the first that fits is
            asked. Those of calls are compared with the name called.
        pending: where effects wait.
        account: what is counted.
    """

    def __init__(
        self, hooks: Mapping[HookKind, tuple[str, ...]], pending: PendingEffects, account: Account
    ) -> None:
        self._hooks = dict(hooks)
        self._pending = pending
        self._account = account

    def new_id(self) -> int:
        """A number for an effect."""
        return self._pending.new_id()

    def hook(self, kind: HookKind, topic: str | None = None) -> int | None:
        """Which function to ask about a topic, or a name that is called; None if there is none."""
        patterns = self._hooks.get(kind)
        if not patterns:
            return None
        if topic is None:
            return 0
        return next((at for at, one in enumerate(patterns) if matches(one, topic)), None)

    def hooks(self, kind: HookKind, pattern: str) -> tuple[int, ...]:
        """Which functions to ask about a pattern: all that would be asked about a topic that it matches."""
        patterns = self._hooks.get(kind, ())
        if not is_pattern(pattern):
            hook = self.hook(kind, pattern)
            return () if hook is None else (hook,)
        return tuple(at for at, one in enumerate(patterns) if overlaps(one, pattern))

    def ask(self, session: Session, effect: Effect, then: Then, now: float) -> None:
        """Have `session` wait for an effect; `then` is called if it still does when the outcome comes."""

        def answered(outcome: Outcome, at: float) -> None:
            if session.waiting_for != effect.id:
                return  # it has left meanwhile
            session.answered(at)
            then(outcome, at)
            session.work(at)

        self._pending.ask(effect, answered, now)
        session.ask(effect.id, now)

    def run_hook(
        self,
        session: Session,
        kind: HookKind,
        hook: int,
        then: Then,
        now: float,
        *,
        grant: Grant | None = None,
        topic: str | None = None,
        message: Any = None,
        name: str | None = None,
        data: Any = None,
    ) -> None:
        """Have a user's function run on behalf of a session."""

        def answered(outcome: Outcome, at: float) -> None:
            if not (isinstance(outcome, Done) and outcome.value is UNSET):
                try:
                    native.encode_value(outcome)
                except LocalProtocolError as error:
                    outcome = Failed(str(error))
            if isinstance(outcome, Failed):
                self.hook_failed(session, kind, outcome.reason)
            then(outcome, at)

        who = who_is(session, grant)
        effect = RunHook(self.new_id(), kind, hook, who, topic, message, name, data)
        self.ask(session, effect, answered, now)

    def tell_hook(self, session: Session, kind: HookKind, now: float) -> None:
        """Have a user's function run, for which nothing waits."""
        hook = self.hook(kind)
        if hook is None:
            return

        def answered(outcome: Outcome, _: float) -> None:
            if isinstance(outcome, Failed):
                self.hook_failed(session, kind, outcome.reason)

        self._pending.ask(RunHook(self.new_id(), kind, hook, who_is(session)), answered, now)

    def hook_failed(self, session: Session, kind: HookKind, reason: str) -> None:
        """Count it, and say so."""
        self._account.counters.hook_failures += 1
        self._account.tell(RequestFailed(session.number, f"on_{kind.value}", reason))


def who_is(session: Session, grant: Grant | None = None) -> Who:
    """A session, as users' functions see it; with a grant, what it is about to be."""
    grant = grant if grant is not None else session.grant
    assert grant is not None
    return Who(session.number, grant.user, session.address, grant.anonymous, grant.admin)
