"""A hub and its clients in memory: machines on both sides, virtual time, and no loop.

Bytes move when `settle` is called, and then until none are left. What the hub asks of the outside waits in
`effects` for the test to answer, unless `outside` answers it at once. A peer that does not read leaves its
socket full: its session is only told the time, as the contract of `Link` says.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hubbub.core import ClientOptions, Closed, Limits, TextMessage, WebSocket
from hubbub.core.auth import AnonymousAccess, External, TokenAuth
from hubbub.core.effects import Effect, HookKind, Outcome
from hubbub.core.events import Accepted, Pong, Refused
from hubbub.core.forwarded import PeerAddress
from hubbub.core.grants import Grant
from hubbub.core.handshake import ServerOptions
from hubbub.core.hub import Hub
from hubbub.core.hub_config import HubConfig
from hubbub.core.hub_events import HubEvent
from hubbub.core.hub_limits import HubLimits
from hubbub.core.link import End
from hubbub.core.outbox import Publication
from hubbub.core.records import Heads
from hubbub.core.rules import DEFAULT_RULES, Rule
from hubbub.core.session import Session
from hubbub.core.session_states import SessionState
from hubbub.core.topics import is_pattern
from hubbub.transports.simulated import seeded_entropy

__all__ = ["WALL", "HubPair", "Message", "Peer", "Raw", "config", "everything", "tokens"]

WALL = 1_700_000_000.0
"""The time of day at which every pair begins."""

ADDRESS = ("192.0.2.1", 50_000)

Message = dict[str, Any]


def everything(user: str, **fields: Any) -> Grant:
    """A grant to read and write all topics."""
    fields = {"read": (">",), "write": (">",)} | fields
    return Grant(user=user, **fields)


def tokens(*users: str | Grant) -> TokenAuth:
    """For each user, or each grant, the token `t-` and the user's name."""
    grants = [everything(user) if isinstance(user, str) else user for user in users]
    return TokenAuth.of_plain({f"t-{grant.user}": grant for grant in grants})


def config(
    *,
    rules: Sequence[Rule] = DEFAULT_RULES,
    auth: TokenAuth | External | None = None,
    anonymous: AnonymousAccess | bool = True,
    options: Mapping[str, Any] | None = None,
    trusted_proxies: Any = None,
    **limits: Any,
) -> HubConfig:
    """A configuration; keywords that are none of its own are limits."""
    if isinstance(anonymous, bool):
        access = AnonymousAccess() if anonymous else None
    else:
        access = anonymous
    return HubConfig(
        options=ServerOptions(limits=HubLimits(**limits), **(options or {})),
        rules=tuple(rules),
        auth=auth,
        anonymous=access,
        trusted_proxies=trusted_proxies,
    )


class HubPair:
    """A hub, and peers that `peer` makes."""

    def __init__(
        self,
        hub_config: HubConfig | None = None,
        *,
        hooks: Mapping[HookKind, tuple[str, ...]] | None = None,
        heads: Heads | None = None,
        outside: Callable[[Effect], Outcome | None] = lambda _: None,
        crowd: bool = False,
        strict: bool = False,
    ) -> None:
        self.now = 0.0
        self.strict = strict
        """Whether nothing is looked at that an adapter need not look at, as the contract of `Link` says."""
        self.at_once = 65536
        """How much such an adapter takes at once."""
        self.armed: float | None = None
        """When the hub wanted to be called, when somebody asked last."""
        self.crowd = crowd
        """Whether what is said to many is taken with `take_crowd`."""
        self.hub = Hub(
            hub_config, now=self.now, entropy=seeded_entropy(7), hooks=hooks, heads=heads
        )
        self.hub.set_wall_clock(WALL, self.now)
        self.outside = outside
        self.effects: list[Effect] = []
        self.events: list[HubEvent] = []
        self.peers: dict[Session, Peer | Raw] = {}
        self.sessions: list[Session] = []
        self._next_seed = 100

    # Peers.

    def raw(self, address: PeerAddress = ADDRESS) -> Raw:
        """A socket that has sent nothing."""
        raw = Raw(self, self.hub.connect(address, self.now))
        self.sessions.append(raw.session)
        self.peers[raw.session] = raw
        return raw

    def peer(
        self,
        target: str = "/",
        *,
        headers: tuple[tuple[str, str], ...] = (),
        address: PeerAddress = ADDRESS,
        settle: bool = True,
        **options: Any,
    ) -> Peer:
        """A client that opens a WebSocket."""
        self._next_seed += 1
        # A client of a hub answers pings, and leaves timeouts to the server.
        patient = Limits(ping_interval=None, open_timeout=None)
        made = ClientOptions(
            host="example.com", target=target, headers=headers, limits=patient, **options
        )
        ws = WebSocket(made, now=self.now, entropy=seeded_entropy(self._next_seed))
        peer = Peer(self, self.hub.connect(address, self.now), ws)
        self.sessions.append(peer.session)
        self.peers[peer.session] = peer
        if settle:
            self.settle()
        return peer

    def named(self, name: str, **options: Any) -> Peer:
        """A client that is let in under a name."""
        peer = self.peer(f"/?name={name}", **options)
        assert peer.take() == [{"type": "auth", "status": "ok", "username": name}]
        return peer

    def user(self, user: str, **options: Any) -> Peer:
        """A client that is let in by the token of a user; see `tokens`."""
        peer = self.peer(f"/?token=t-{user}", **options)
        assert peer.take() == [{"type": "auth", "status": "ok", "username": user}]
        return peer

    # Bytes and time.

    def settle(self) -> None:
        """Move bytes and answer effects until nothing is left to do."""
        self.changed()
        moved = True
        while moved:
            moved = False
            for peer in tuple(self.peers.values()):
                moved |= peer.write(self.now)
            while (session := self.hub.next_dirty(crowd=not self.crowd)) is not None:
                found = self.peers.get(session)
                if found is not None:
                    moved |= found.flush(self.now)
            if self.crowd:
                for carrier, chunk in self.hub.take_crowd(3):
                    carrier.receive(chunk, self.now)
                    moved = True
                moved |= self.hub.has_dirty  # those that cannot be taken so
            while (effect := self.hub.next_effect()) is not None:
                outcome = self.outside(effect)
                if outcome is None:
                    self.effects.append(effect)
                else:
                    self.hub.complete(effect.id, outcome, self.now)
                    moved = True
        while (event := self.hub.next_event()) is not None:
            self.events.append(event)

    def complete(self, outcome: Outcome, effect: Effect | None = None) -> None:
        """Answer an effect that waits, the oldest if none is named."""
        if effect is None:
            effect = self.effects.pop(0)
        else:
            self.effects.remove(effect)
        self.hub.complete(effect.id, outcome, self.now)
        self.changed()
        self.settle()

    def advance(self, seconds: float) -> None:
        """Let time pass in the steps that the hub asks for; bytes move at once."""
        until = self.now + seconds
        while (at := self._next_timeout()) is not None and at <= until:
            self.now = max(self.now, at)
            self.hub.handle_timeout(self.now)
            self.changed()
            for peer in tuple(self.peers.values()):
                if isinstance(peer, Peer):
                    peer.ws.handle_timeout(self.now)
            self.settle()
        self.now = until

    def changed(self) -> None:
        """The hub was given something: it may want to be called at another moment."""
        self.armed = self.hub.next_timeout()

    def _next_timeout(self) -> float | None:
        moments = [self.armed if self.strict else self.hub.next_timeout()]
        moments += [p.ws.next_timeout() for p in self.peers.values() if isinstance(p, Peer)]
        return min((at for at in moments if at is not None), default=None)

    def check(self) -> None:
        """What the hub and its sessions know of each other must agree. `sessions` are all that it has made."""
        hub = self.hub
        sessions = list(self.sessions)
        registry, account = hub._registry, hub.account
        assert account.waiting == sum(map(_waiting, sessions))
        assert account.stalled == sum(one.stalled for one in sessions)
        opening = connected = 0
        subscriptions: Counter[str] = Counter()
        present: Counter[tuple[str, str]] = Counter()
        for one in sessions:
            outbox = one._outbox  # to ask for it openly would change what is shared
            entries = [entry for lane in outbox._lanes() for entry in lane]
            # A mark that tells of nothing is a hole, which is filled when something is taken.
            there = [one for one in entries if isinstance(one, Publication) or one.missed]
            assert outbox.size == sum(entry.cost for entry in there)
            assert outbox.size <= outbox.limit
            assert outbox.answers_size == sum(map(len, outbox.answers or ()))
            over = one.state is SessionState.OVER
            leaving = one.state is SessionState.LEAVING
            assert not (over and (outbox or one.shared or one.waiting_for or one._moments))
            assert (one in registry.links) == (not one._gone)
            opening += one.state is SessionState.OPENING
            connected += not (over or leaving or one.state is SessionState.OPENING)
            admitted = one.state in (SessionState.OPEN, SessionState.WAITING)
            assert (one in registry.admitted) == admitted
            assert (one in registry.of(one.user)) == admitted
            assert admitted or not one.subscriptions
            for topic in one.subscriptions:
                assert one.grant is not None
                assert one.grant.may_read(topic)
                assert one in hub._table.exact(topic)
                subscriptions[topic] += 1
                if not is_pattern(topic) and hub._publishing.rules.of(topic).presence:
                    present[topic, one.user] += 1
            if not one.told:  # then its adapter need not look
                assert not outbox
            if not one._gone:
                moments = [*(one._moments or {}).values(), one.ws.next_timeout()]
                assert one._at == min((at for at in moments if at is not None), default=None)
        assert registry._opening == opening
        assert len(registry.connected) == connected
        assert dict(hub.topics()) == dict(subscriptions)
        assert present == Counter(
            {
                (topic, user): count
                for topic in hub._presence.topics()
                for user, count in hub._presence.members(topic)
            }
        )

    def take_events(self) -> list[HubEvent]:
        """What the hub has told since the last time."""
        found, self.events = self.events, []
        return found


def _waiting(session: Session) -> int:
    return session._outbox.size + (0 if session.shared is None else session.shared.cost)


class _Socket:
    """The hub's end of a socket, as an adapter keeps it."""

    def __init__(self, pair: HubPair, session: Session) -> None:
        self.pair = pair
        self.session = session
        session.carrier = self
        session.plain = pair.crowd
        self.reads = True
        """Whether the client takes bytes. If not, the hub's socket is full."""
        self.unread = b""
        """What the client has sent, and the hub has not read."""
        self.ended = False
        """Whether the hub closed the socket."""
        self.cut = False
        """Whether the connection is lost."""
        self._shut = False
        self._reading = True

    def flush(self, now: float) -> bool:
        """Write what the session has, if there is room; then do what it wants done to the socket."""
        if self.cut or self.ended:
            return False
        if self.pair.strict:
            return self._flush_strictly(now)
        moved = False
        if not self.reads:
            self.session.handle_timeout(now)
        while self.reads and (frames := self.session.data_to_send(now)):
            self.receive(b"".join(frames), now)
            moved = True
        return self._obey(now) or moved

    def _flush_strictly(self, now: float) -> bool:
        """The same, and then only look at what may have changed."""
        moved = False
        session = self.session
        if not self.reads:
            session.handle_timeout(now)
        else:
            unchanged = session.unchanged
            while frames := session.data_to_send(now, self.pair.at_once):
                moved = True
                self.receive(b"".join(frames), now)
                if not session.dirty:
                    if unchanged:
                        return True
                    break
                unchanged = False
            else:
                if unchanged:
                    return False
        moved |= self._obey(now)
        self.pair.changed()
        return moved

    def _obey(self, now: float) -> bool:
        """Do to the socket what the session wants."""
        moved = False
        self._reading = self.session.wants_read
        if self.unread and self._reading:
            data, self.unread = self.unread, b""
            self.session.receive_data(data, now)
            moved = True
        if self.session.end is End.HALF_CLOSE and not self._shut:
            self._shut = moved = True
            self.shut(now)
        if self.session.end is End.CLOSE:
            self.ended = True
            self.session.carrier = None
            self.pair.peers.pop(self.session, None)
            self.lost(now)
        return moved

    def send_bytes(self, data: bytes) -> None:
        """Send these; the hub reads them when it wants to."""
        if self.ended or self.cut:
            return
        reading = self._reading if self.pair.strict else self.session.wants_read
        if reading and not self.unread:
            self.session.receive_data(data, self.pair.now)
            self.pair.changed()
        else:
            self.unread += data

    def cut_off(self) -> None:
        """Lose the connection, without a word."""
        self.cut = True
        self.session.carrier = None
        self.pair.peers.pop(self.session, None)
        self.session.connection_lost(self.pair.now)
        self.lost(self.pair.now)
        self.pair.settle()

    def write(self, now: float) -> bool:
        """Send what the client has to send; whether that was anything."""
        raise NotImplementedError

    def receive(self, data: bytes, now: float) -> None:
        """The client gets bytes."""
        raise NotImplementedError

    def shut(self, now: float) -> None:
        """The hub sends nothing more."""
        raise NotImplementedError

    def lost(self, now: float) -> None:
        """The client's socket is closed."""
        raise NotImplementedError


class Raw(_Socket):
    """A client that sends whatever bytes the test says."""

    def __init__(self, pair: HubPair, session: Session) -> None:
        super().__init__(pair, session)
        self.got = b""

    def write(self, now: float) -> bool:
        """Nothing by itself."""
        return False

    def receive(self, data: bytes, now: float) -> None:
        """Keep them."""
        self.got += data

    def shut(self, now: float) -> None:
        """Nothing by itself."""

    def lost(self, now: float) -> None:
        """Nothing more comes."""


class Peer(_Socket):
    """A client that speaks the protocol."""

    def __init__(self, pair: HubPair, session: Session, ws: WebSocket) -> None:
        super().__init__(pair, session)
        self.ws = ws
        self.inbox: list[Message] = []
        self.closed: Closed | None = None
        """How its connection ended."""
        self.refused: Refused | None = None
        """The answer to its opening request, if it was not let open a WebSocket."""
        self._last_id = 0
        self._hung_up = False

    # For tests.

    def send(self, **fields: Any) -> None:
        """Send a request, and let everything happen that it causes."""
        self.say(json.dumps(fields))

    def say(self, message: str | bytes) -> None:
        """Send a message, whatever it is."""
        if self.ws.can_send:
            self.ws.send(message, self.pair.now)
        self.pair.settle()

    def ask(self, **fields: Any) -> Message:
        """Send a request; the answer, without its id. All else stays in the inbox."""
        self._last_id += 1
        self.send(**fields, id=self._last_id)
        return self.answer(self._last_id)

    def answer(self, number: int | str) -> Message:
        """Take the answer to the request with this id."""
        found = [message for message in self.inbox if message.get("id") == number]
        assert len(found) == 1, (found, self.inbox, self.closed)
        self.inbox.remove(found[0])
        del found[0]["id"]
        return found[0]

    def subscribe(self, *topics: str, **fields: Any) -> None:
        """Subscribe, which must succeed."""
        answer = self.ask(action="subscribe", topics=topics, **fields)
        assert answer["type"] == "subscribed", answer
        assert answer["topics"] == list(topics)

    def publish(self, topic: str, message: Any = "hi", **fields: Any) -> Message:
        """Publish; the answer."""
        return self.ask(action="publish", topic=topic, message=message, **fields)

    def take(self) -> list[Message]:
        """What came since the last time."""
        found, self.inbox = self.inbox, []
        return found

    def messages(self) -> list[Any]:
        """The same of publications: what was published."""
        return [message["message"] for message in self.take() if "topic" in message]

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection."""
        self.ws.close(self.pair.now, code, reason)
        self.pair.settle()

    def stall(self) -> None:
        """Read nothing from now on."""
        self.reads = False
        self.session.plain = (
            False  # its socket takes nothing, so nothing may be taken for it unasked
        )

    def read_on(self) -> None:
        """Read again, all that waits."""
        if self.reads:
            return
        self.reads = True
        self.session.plain = self.pair.crowd
        self.flush(self.pair.now)
        self.pair.settle()

    @property
    def code(self) -> int | None:
        """The hub's close code; None while it has not closed."""
        if self.closed is None or self.closed.received is None:
            return None
        return self.closed.received.code

    # For the pair.

    def write(self, now: float) -> bool:
        """Send what the client has to send; whether that was anything."""
        data = b"".join(self.ws.data_to_send(now))
        if data:
            self.send_bytes(data)
        if self.ws.end is End.CLOSE and not (
            self.unread or self._hung_up or self.ended or self.cut
        ):
            self._hung_up = True
            self.session.receive_eof(now)
            return True
        return bool(data)

    def receive(self, data: bytes, now: float) -> None:
        """Take messages."""
        self.ws.receive_data(data, now)
        self._take_events()

    def shut(self, now: float) -> None:
        """The stream ends."""
        self.ws.receive_eof(now)
        self._take_events()

    def lost(self, now: float) -> None:
        """The socket is closed."""
        self.ws.receive_eof(now)
        self.ws.connection_lost(now)
        self._take_events()

    def _take_events(self) -> None:
        while (event := self.ws.next_event()) is not None:
            match event:
                case TextMessage(data):
                    self.inbox.append(json.loads(data))
                case Closed():
                    self.closed = event
                case Refused():
                    self.refused = event
                case _:
                    assert isinstance(event, Accepted | Pong), event
