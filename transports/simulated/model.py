"""A hub as dictionaries: slow, plain, and only as wise as what went into the real one.

It is told each thing before the real hub does it, and from that says what every session is to get. What it
can't know, which sessions are too slow, it learns from the ends and gaps that the real hub tells, and
`Checker` holds those against the rules.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...core.effects import HookKind
from ...core.frames import CloseCode
from ...core.grants import Grant
from ...core.hub_config import HubConfig
from ...core.rules import Rule
from .naive import is_plain, matches, overlaps
from .peers import Peer, Standing
from .violation import Violation

if TYPE_CHECKING:
    from .client import Connection

__all__ = ["Model"]


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
        self.there: dict[str, dict[str, int]] = {}
        """By topic, who is present, with how many sessions."""
        self.offset = 0.0
        """What the hub was told to add to its time for the seconds since 1970."""
        self.draining = False
        self.stopped = False
        """Whether it closed everybody at once."""
        self.fresh: tuple[Peer, frozenset[str]] | None = None
        """Who is subscribing in this step, and to what. Whether it hears of an end that this causes depends
        on which of these came first."""
        self.counted: Counter[str] = Counter()
        """What a hub counts."""
        self.farewells: dict[int, bool] = {}
        """Sessions that were let in and have ended: whether the hook was told of it."""
        self.condemned: list[Peer] = []
        """Who must have left when this step is over."""
        self._ending = False
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
            self._ending = True
            for topic in topics:
                self._left(peer.user, topic, now)
            self._ending = False

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

    def direct(self, user: str, message: object, now: float, sender: str) -> int:
        """Something is sent to a user; how many sessions get it."""
        peers = self.of(user)
        for peer in peers:
            peer.expect(None, ("direct", sender, message, self.stamp(now)))
        return len(peers)

    # Subscriptions.

    def subscribe(self, peer: Peer, topic: str, watch: bool, now: float) -> None:
        """A session subscribes to a topic or pattern."""
        if topic not in peer.subscriptions and is_plain(topic) and self.rule(topic).presence:
            members = self.there.setdefault(topic, {})
            members[peer.user] = members.get(peer.user, 0) + 1
            if members[peer.user] == 1:
                self._announce(topic, peer.user, True, now)
        peer.subscriptions[topic] = watch

    def unsubscribe(self, peer: Peer, topics: Iterable[str], now: float) -> None:
        """A session gives up topics or patterns; the rest are passed over."""
        for topic in topics:
            if peer.subscriptions.pop(topic, None) is not None:
                self._left(peer.user, topic, now)
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

    # Presence.

    def present(self) -> dict[str, dict[str, int]]:
        """Who must be present where: counted anew from the subscriptions."""
        found: dict[str, dict[str, int]] = {}
        for peer in self.inside():
            for topic in peer.subscriptions:
                if is_plain(topic) and self.rule(topic).presence:
                    members = found.setdefault(topic, {})
                    members[peer.user] = members.get(peer.user, 0) + 1
        return found

    def _watchers(self, topic: str) -> list[Peer]:
        return [peer for peer in self.inside() if peer.subscriptions.get(topic)]

    def _left(self, user: str, topic: str, now: float) -> None:
        """One session less of a user on a topic."""
        members = self.there.get(topic)
        if members is None or not is_plain(topic):
            return
        if user not in members:
            raise Violation("the model itself", f"{user} was never on {topic}")
        members[user] -= 1
        if not members[user]:
            del members[user]
            if not members:
                del self.there[topic]
            self._announce(topic, user, False, now)

    def _announce(self, topic: str, user: str, came: bool, now: float) -> None:
        rule = self.rule(topic)
        count = len(self.there.get(topic, ()))
        if rule.announce and count <= rule.announce_max:
            text = f"{user} {'joined' if came else 'left'} the chat"
            for peer in self.readers(topic):
                self._tell(peer, topic, ("system", topic, text, self.stamp(now)))
        for peer in self._watchers(topic):
            self._tell(peer, topic, ("presence", topic, "join" if came else "leave", user, count))

    def _tell(self, peer: Peer, topic: str, push: tuple[Any, ...]) -> None:
        if self.fresh is None or not self._ending:
            peer.expect(topic, push)
            return
        peer.unsure.add(topic)
        somebody, names = self.fresh
        known = (name for name in peer.subscriptions if name not in names)
        if peer is somebody and not any(matches(name, topic) for name in known):
            peer.perhaps.setdefault(topic, []).append(push)
        else:
            peer.expect(topic, push)
