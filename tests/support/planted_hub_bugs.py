"""Bugs of a hub, each planted into the real code: the simulation must find every one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import pytest

from hubbub.core.effects import Authenticate, Outcome
from hubbub.core.outbox import Outbox
from hubbub.core.pending import PendingEffects
from hubbub.core.publication import GapMark, Publication
from hubbub.core.session import Session
from hubbub.core.subscribe_requests import SubscribeRequests
from hubbub.core.subscribing import Subscribing
from hubbub.core.subscriptions import SubscriptionTable
from hubbub.core.timeouts import Deadlines

__all__ = ["BUGS", "Bug"]


class Bug(NamedTuple):
    """What is wrong, and how to plant it."""

    name: str
    plant: Callable[[pytest.MonkeyPatch], None]


def _without(kind: type[Any], method: str, inner: type[Any], left_out: str) -> Callable[..., None]:
    """Have one method do all that it does but what another one does for it."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right, used = getattr(kind, method), getattr(inner, left_out)
        inside = False

        def wrong(self: Any, *arguments: Any, **keywords: Any) -> Any:
            nonlocal inside
            inside = True
            try:
                return right(self, *arguments, **keywords)
            finally:
                inside = False

        def perhaps(self: Any, *arguments: Any, **keywords: Any) -> Any:
            return 0 if inside else used(self, *arguments, **keywords)

        patch.setattr(kind, method, wrong)
        patch.setattr(inner, left_out, perhaps)

    return plant


def _doubled(patch: pytest.MonkeyPatch) -> None:
    def receivers(self: SubscriptionTable[Any], topic: str) -> Collection[Any]:
        names = dict.fromkeys((topic, *self._index.matching(topic)))
        return [one for name in names for one in self.exact(name)]

    patch.setattr(SubscriptionTable, "receivers", receivers)


def _presence_stays(patch: pytest.MonkeyPatch) -> None:
    right = Subscribing.leave

    def leave(self: Subscribing, session: Session, now: float) -> None:
        closed = session.ws.closed
        if closed is None or closed.cause != "the connection was lost":
            right(self, session, now)
            return
        for topic in tuple(session.subscriptions):
            self._table.remove(session, topic)
        session.subscriptions.clear()

    patch.setattr(Subscribing, "leave", leave)


def _late_answer_is_taken(patch: pytest.MonkeyPatch) -> None:
    right = PendingEffects.complete
    asked = PendingEffects.ask
    kinds: dict[int, bool] = {}

    def ask(self: PendingEffects, effect: Any, then: Any, now: float) -> None:
        kinds[effect.id] = isinstance(effect, Authenticate)
        asked(self, effect, then, now)

    def complete(self: PendingEffects, effect_id: int, outcome: Outcome, now: float) -> bool:
        if effect_id not in self._then and kinds.get(effect_id):
            others = (one for one in self._then if kinds.get(one))
            effect_id = next(others, effect_id)
        return right(self, effect_id, outcome, now)

    patch.setattr(PendingEffects, "ask", ask)
    patch.setattr(PendingEffects, "complete", complete)


def _drop_is_not_counted(patch: pytest.MonkeyPatch) -> None:
    right = Outbox.push_lossy

    def push_lossy(self: Outbox, publication: Publication, *arguments: Any) -> Any:
        lost = right(self, publication, *arguments)
        for lane in self._lanes():
            for entry in lane:
                if isinstance(entry, GapMark) and entry.topic == publication.topic:
                    entry.missed = max(1, entry.missed - 1)
        return lost

    patch.setattr(Outbox, "push_lossy", push_lossy)


def _close_overtakes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Session, "leave", Session.fail)


def _timer_is_lost(patch: pytest.MonkeyPatch) -> None:
    right = Deadlines.set

    def set_once(self: Deadlines[Any], key: Any, at: float | None) -> None:
        queued = self._queued.get(key)
        right(self, key, at)
        if queued is not None and at is not None and at > queued:
            # The old moment comes, finds that a later one is wanted, and is forgotten.
            self._queued[key] = at

    patch.setattr(Deadlines, "set", set_once)


BUGS = [
    Bug(
        "a publication comes after its unsubscribe",
        _without(SubscribeRequests, "unsubscribe", Session, "discard"),
    ),
    Bug("overlapping patterns deliver twice", _doubled),
    Bug("presence stays after a cut", _presence_stays),
    Bug("a late answer about a token is used for the next session", _late_answer_is_taken),
    Bug("a drop is not counted", _drop_is_not_counted),
    Bug("a close overtakes the queue", _close_overtakes),
    Bug(
        "a revocation leaves what is queued",
        _without(Subscribing, "drop_forbidden", Session, "discard"),
    ),
    Bug("a timer is lost when it is armed anew", _timer_is_lost),
]
