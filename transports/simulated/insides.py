"""Looks into a hub: its bounds, its books, and what is left of those who went.

What a hub keeps inside is nobody's business but this module's, which is why it may look.
"""

# pyright: reportPrivateUsage=false
# ruff: noqa: SLF001

from typing import Final

from ...core.hub import Hub
from ...core.publication import GapMark
from ...core.session import Session
from ...core.session_states import SessionState
from .model import Model
from .violation import Violation

__all__ = ["check_bounds", "check_empty", "check_equal", "is_asked"]

_COUNTED: Final = ("connections", "sessions", "requests", "errors", "publications")
"""Counters of a hub of which the model says what they must be."""

_SHARED: Final = 1024
"""Bytes of answers that nobody counts before they are queued: one answer over the bound, at least."""


def check_bounds(hub: Hub, now: float) -> None:
    """Whether everything that grows is within its limit, and every session has its deadline."""
    limits, registry = hub.limits, hub._registry
    waiting = stalled = 0
    for session in registry.links:
        waiting += _waiting(session)
        stalled += session.stalled
        _check_outbox(session)
        _check_deadline(hub, session, now)
    _equal("account.waiting is what waits", hub.account.waiting, waiting)
    _equal("account.stalled is what is stalled", hub.account.stalled, stalled)
    for name, value, limit in (
        ("max_connections", len(registry.connected), limits.max_connections),
        ("max_opening", registry._opening, limits.max_opening),
        ("max_topics", len(hub._table), limits.max_topics),
        ("max_events", len(hub.account._events), limits.max_events),
        (
            "max_connections_per_address",
            max(registry._addresses.values(), default=0),
            limits.max_connections_per_address,
        ),
        (
            "max_connections_per_user",
            max(map(len, registry._users.values()), default=0),
            limits.max_connections_per_user,
        ),
    ):
        if value > limit:
            raise Violation(f"{name} is a bound", f"{value}, and {limit} are allowed")
    _equal("sockets that are opening", registry._opening, links_opening(hub))
    _check_names(hub)


def links_opening(hub: Hub) -> int:
    """How many sockets are opening; those whose session is over are not counted any more."""
    return sum(
        session not in hub._registry.connected and not session._detached
        for session in hub._registry.links
    )


def _check_outbox(session: Session) -> None:
    # Not `session.outbox`: who asks for that has the session share its queue no more.
    outbox, limits = session._outbox, session._limits
    size = 0
    for lane in outbox._lanes():
        for entry in lane:
            if isinstance(entry, GapMark):
                if not entry.topic:
                    continue  # a hole
                if entry.missed < 1:
                    raise Violation("a gap counts what was lost", "a gap of none", session.number)
            size += entry.cost
    _equal("an outbox knows its size", outbox.size, size, session)
    answers = sum(map(len, outbox.answers or ()))
    _equal("an outbox knows the size of its answers", outbox.answers_size, answers, session)
    if _waiting(session) > limits.outbox_size:
        text = f"{_waiting(session)} bytes, and {limits.outbox_size} are allowed"
        raise Violation("outbox_size is a bound", text, session.number)
    most = limits.answers_size + max(_SHARED, limits.max_subscriptions * 192)
    if outbox.answers_size > most:
        text = f"{outbox.answers_size} bytes of answers, and {limits.answers_size} are allowed"
        raise Violation("answers_size is a bound", text, session.number)
    if len(session.subscriptions) > limits.max_subscriptions:
        text = f"{len(session.subscriptions)} subscriptions"
        raise Violation("max_subscriptions is a bound", text, session.number)
    if session.state is SessionState.OVER and (outbox or session.shared is not None):
        raise Violation("nothing waits for who is gone", f"{outbox.size} bytes", session.number)
    if outbox and session.shared is not None:
        raise Violation("who shares a queue has no other", f"{outbox.size} bytes", session.number)


def _waiting(session: Session) -> int:
    return session._outbox.size + (0 if session.shared is None else session.shared.cost)


def _check_deadline(hub: Hub, session: Session, now: float) -> None:
    """Whether the hub will look at a session when that needs it."""
    needed = session.ws.next_timeout()
    for moment in (session._moments or {}).values():
        needed = moment if needed is None else min(needed, moment)
    noted = hub._deadlines._wanted.get(session)
    if needed != noted and (needed is None or noted is None or noted > needed):
        text = f"it needs a look at {needed}, and the hub has noted {noted}, at {now}"
        raise Violation("every session has its deadline", text, session.number)
    first = hub._deadlines.next()
    if noted is not None and (first is None or first > noted):
        text = f"a look at {noted} is noted, and the first is at {first}"
        raise Violation("every session has its deadline", text, session.number)
    if needed is None:
        raise Violation("every session has its deadline", "it has none", session.number)


def _check_names(hub: Hub) -> None:
    """Whether nobody else has the name of somebody who chose it."""
    names: dict[str, Session] = {}
    for session in hub.sessions():
        assert session.grant is not None
        name = session.user.casefold()
        other = names.setdefault(name, session)
        if other is session:
            continue
        assert other.grant is not None
        if session.grant.anonymous or other.grant.anonymous:
            text = f"{session.user!r} and {other.user!r} are there"
            raise Violation("a chosen name is one person's", text, session.number, other.number)


def check_equal(hub: Hub, model: Model) -> None:
    """Whether the books of a hub say what the model says."""
    for name in _COUNTED:
        _equal(f"the counter of {name}", getattr(hub.counters, name), model.counted[name])
    inside = [session.number for session in hub.sessions()]
    _equal("who is in", sorted(inside), sorted(model.within))
    _equal("who subscribes to what", dict(hub.topics()), model.names())
    present = model.announcing.present()
    found = {topic: hub.presence(topic) for topic in hub._presence.topics()}
    _equal("presence is the open subscriptions", found, present)
    for session in hub.sessions():
        peer = model.within[session.number]
        _equal("what each subscribes to", session.subscriptions, peer.subscriptions, session)
        watched = {topic for topic, watch in peer.subscriptions.items() if watch}
        really = {topic for topic in watched if session in hub._presence.watchers(topic)}
        _equal("who is told of presence", really, watched, session)


def is_asked(hub: Hub, effect_id: int) -> bool:
    """Whether a hub waits for the outcome of an effect."""
    return effect_id in hub._pending._then


def check_empty(hub: Hub) -> None:
    """Whether nothing is kept of anybody."""
    registry = hub._registry
    for name, left in (
        ("sockets", registry.links),
        ("connections", registry.connected),
        ("sessions", registry.admitted),
        ("users", registry._users),
        ("names", registry._names),
        ("addresses", registry._addresses),
        ("sockets that open", registry._opening),
        ("subscriptions", hub._table.subscriptions),
        ("names with subscribers", len(hub._table)),
        ("present users", hub._presence._members),
        ("watchers", hub._presence._watchers),
        ("deadlines", hub._deadlines._wanted),
        ("effects", len(hub._pending)),
        ("questions to the store", len(hub._storing)),
        ("bytes that wait", hub.account.waiting),
        ("bytes that are stalled", hub.account.stalled),
        ("sessions to be closed", hub._publishing._failing),
        ("fan-outs under way", hub._publishing._depth),
    ):
        if left:
            raise Violation("who has left leaves nothing", f"{name}: {left}")
    if hub.next_timeout() is not None:
        raise Violation("who has left leaves nothing", f"a timeout at {hub.next_timeout()}")
    if not hub.idle:
        raise Violation("who has left leaves nothing", "the hub says that it is not idle")


def _equal(what: str, found: object, expected: object, session: Session | None = None) -> None:
    if found != expected:
        numbers = () if session is None else (session.number,)
        raise Violation(what, f"{found}, not {expected}", *numbers)
