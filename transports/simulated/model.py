"""A hub as dictionaries: slow, plain, and only as wise as what went into the real one.

It is told each thing before the real hub does it, and from that says what every session is to get. What it
can't know, which sessions are too slow, it learns from the ends and gaps that the real hub tells, and
`Checker` holds those against the rules.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ...core.effects import HookKind
from ...core.frames import CloseCode
from ...core.grants import Grant
from ...core.hub_config import HubConfig
from ...core.rules import Rule
from .announcing import Announcing
from .naive import is_plain, matches, overlaps
from .peers import Peer, Standing

if TYPE_CHECKING:
    from .client import Connection

__all__ = ["Model"]


_REMEMBERED: Final = 120.0
"""Seconds for which a publication's name is known, by the clock on the wall."""


class Model:
    """The state of a hub, and what follows for its sessions from each step.

    Args:
        config: the hub's.
        tokens: what each token grants, where the hub itself knows that.
        hooks: patterns of the hooks, by kind.
    """

    def __init__(
        self,
        config: HubConfig,
        tokens: Mapping[str, Grant],
        hooks: Mapping[HookKind, tuple[str, ...]],
    ) -> None:
        self.config = config
        self.limits = config.limits
        self.tokens = tokens
        self.hooks = hooks
        self.peers: dict[int, Peer] = {}
        """Every session that has a socket, by number."""
        self.within: dict[int, Peer] = {}
        """Those that were let in."""
        self.announcing = Announcing(self)
        """Who is present."""
        self.offset = 0.0
        """What the hub was told to add to its time for the seconds since 1970."""
        self.draining = False
        self.stopped = False
        """Whether it closed everybody at once."""
        self.counted: Counter[str] = Counter()
        """What a hub counts."""
        self.farewells: dict[int, bool] = {}
        """Sessions that were let in and have ended: whether the hook was told of it."""
        self.condemned: list[Peer] = []
        """Who must have left when this step is over."""
        self._named: dict[tuple[str, str, str], int] = {}
        self._named_at: deque[tuple[float, tuple[str, str, str]]] = deque()
        self._guests = 0
        self._rules: dict[str, Rule] = {}
        self._plain = Rule(pattern=">")
        self._stamp: tuple[float | None, str] = (None, "")

    # Sessions.

    def connect(self, connection: "Connection", now: float) -> Peer:
        """A socket was accepted."""
        self.counted["connections"] += 1
        peer = self.peers[connection.number] = Peer(connection, now)
        return peer

    def inside(self) -> list[Peer]:
        """Those that were let in, in order of coming."""
        return list(self.within.values())

    def of(self, user: str) -> list[Peer]:
        """A user's sessions."""
        return [peer for peer in self.inside() if peer.user == user]

    def has_name(self, name: str) -> bool:
        """Whether somebody is called so."""
        return any(peer.user.casefold() == name.casefold() for peer in self.inside())

    def guest_name(self) -> str:
        """What the next one is called who chose no name."""
        while True:
            self._guests += 1
            if not self.has_name(f"User-{self._guests}"):
                return f"User-{self._guests}"

    def admit(self, peer: Peer, grant: Grant, now: float) -> None:
        """A session is let in."""
        self.counted["sessions"] += 1
        peer.standing = Standing.IN
        peer.was_in = True
        self.within[peer.number] = peer
        peer.since = now
        peer.grant = grant
        peer.revoked = []

    def end(self, peer: Peer, now: float) -> None:
        """A session has no part any more."""
        was_in = self.within.pop(peer.number, None) is not None
        peer.standing = Standing.GONE
        peer.since = now
        peer.pending = None
        if was_in:
            if self.hooks.get(HookKind.DISCONNECT):
                self.farewells[peer.number] = False
            topics = tuple(peer.subscriptions)
            peer.subscriptions.clear()
            for topic in topics:
                self.announcing.leave(peer.user, topic, now)

    # Time.

    def wall(self, now: float) -> float:
        """Seconds since 1970, as the hub was told."""
        return now + self.offset

    def stamp(self, now: float) -> str:
        """The same as the hub writes it."""
        seconds = self.wall(now)
        if self._stamp[0] != seconds:
            moment = datetime.fromtimestamp(seconds, UTC)
            self._stamp = seconds, moment.isoformat(timespec="milliseconds")
        return self._stamp[1]

    # Topics.

    def rule(self, topic: str) -> Rule:
        """The rule of a topic: the first that matches."""
        found = self._rules.get(topic)
        if found is None:
            rules = (rule for rule in self.config.rules if matches(rule.pattern, topic))
            found = self._rules[topic] = next(rules, self._plain)
        return found

    def asks(self, kind: HookKind, topic: str) -> int:
        """How many hooks are to be asked about a topic, at most one, or about a pattern."""
        count = sum(overlaps(pattern, topic) for pattern in self.hooks.get(kind, ()))
        return min(1, count) if is_plain(topic) else count

    def readers(self, topic: str) -> list[Peer]:
        """Who gets what is published there."""
        return [peer for peer in self.within.values() if peer.reads(topic)]

    def names(self) -> dict[str, int]:
        """Topics and patterns, with how many sessions subscribe to each."""
        found: dict[str, int] = {}
        for peer in self.inside():
            for name in peer.subscriptions:
                found[name] = found.get(name, 0) + 1
        return found

    def publish(self, topic: str, message: object, now: float, sender: str | None) -> int:
        """Something is published; how many get it."""
        self.counted["publications"] += 1
        push: tuple[Any, ...]
        if self.rule(topic).announce and sender is not None:
            push = ("chat", topic, sender, message, self.stamp(now))
        else:
            push = ("notification", topic, message, self.stamp(now))
        readers = self.readers(topic)
        for peer in readers:
            peer.expect(topic, push)
        return len(readers)

    def repeated(self, topic: str, user: str, name: str, now: float) -> int | None:
        """How many got a publication that a user named so, and repeats; None if none is known."""
        while self._named_at and self._named_at[0][0] < self.wall(now) - _REMEMBERED:
            del self._named[self._named_at.popleft()[1]]
        return self._named.get((topic, user, name))

    def remember(self, topic: str, user: str, name: str, count: int, now: float) -> None:
        """A user gave a publication a name."""
        self._named[topic, user, name] = count
        self._named_at.append((self.wall(now), (topic, user, name)))

    def direct(self, user: str, message: object, now: float, sender: str) -> int:
        """Something is sent to a user; how many sessions get it."""
        peers = self.of(user)
        for peer in peers:
            peer.expect(None, ("direct", sender, message, self.stamp(now)))
        return len(peers)

    # Subscriptions.

    def subscribe(self, peer: Peer, topic: str, watch: bool, now: float) -> None:
        """A session subscribes to a topic or pattern."""
        self.announcing.busy = True
        if topic not in peer.subscriptions and is_plain(topic) and self.rule(topic).presence:
            self.announcing.join(peer.user, topic, now)
        peer.subscriptions[topic] = watch

    def unsubscribe(self, peer: Peer, topics: Iterable[str], now: float) -> None:
        """A session gives up topics or patterns; the rest are passed over."""
        self.announcing.busy = True
        for topic in topics:
            if peer.subscriptions.pop(topic, None) is not None:
                self.announcing.leave(peer.user, topic, now)
        peer.forget_unread()

    def drop_forbidden(self, peer: Peer, now: float) -> None:
        """A session loses what its grant does not allow, and is told so."""
        gone = [topic for topic in peer.subscriptions if not peer.may_read(topic)]
        if gone:
            self.unsubscribe(peer, gone, now)
            peer.answers.append({"type": "unsubscribed", "topics": gone, "reason": "revoked"})

    # What operators do.

    def disconnect(self, user: str) -> int:
        """An operator closes all sessions of a user; how many they are."""
        self._note(user, None)
        peers = [peer for peer in self.peers.values() if peer.still_leaves and peer.user == user]
        for peer in peers:
            peer.forget_queues()
        peers += self.of(user)
        for peer in peers:
            peer.doom.add(CloseCode.DISCONNECTED)
            self.condemned.append(peer)
        return len(peers)

    def revoke(self, user: str, pattern: str, now: float) -> int:
        """An operator takes topics away from a user; how many sessions it has."""
        self._note(user, pattern)
        # What waits for those that leave must not reach them either.
        leaving = [peer for peer in self.peers.values() if peer.still_leaves and peer.user == user]
        for peer in leaving:
            for topic in tuple(peer.queues):
                if topic is not None and matches(pattern, topic):
                    del peer.queues[topic]
        peers = self.of(user)
        for peer in peers:
            peer.revoked.append(pattern)
            self.drop_forbidden(peer, now)
        return len(peers) + len(leaving)

    def _note(self, user: str, pattern: str | None) -> None:
        """Whoever is asked about somebody may not know of it: it counts all the same."""
        for peer in self.peers.values():
            if peer.pending is not None:
                peer.pending.notes.append((user, pattern))
