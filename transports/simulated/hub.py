"""A whole hub on virtual time: one real `Hub`, real clients, simulated links, and somebody who checks."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Final

from ...core.effects import HookKind
from ...core.extensions import Deflate
from ...core.grants import Grant
from ...core.handshake import ClientOptions
from ...core.hub_config import HubConfig
from ...core.messages import Published
from ...core.session import Session
from ...core.session_states import SessionState
from ...core.websocket import WebSocket
from .agenda import Agenda
from .checking import Checker
from .client import Connection, Credentials, SimulatedClient
from .faults import Faults
from .insides import check_bounds, check_empty, check_equal, is_asked
from .link import Endpoint, SimulatedLink, seeded_entropy
from .model import Model
from .network import PERFECT, Network
from .outside import Outside
from .predicting import Predictor
from .recording import Record
from .server_loop import ServerLoop
from .violation import Violation
from .watched import WatchedHub, WatchedOutbox
from .wire import Frame, WireReader

__all__ = ["SimulatedHub"]

WALL: Final = 1_800_000_000.0
"""Seconds since 1970 at the start."""


class SimulatedHub:
    """One hub and its clients.

    Everything is decided by the seed: a run with the same arguments and the same calls gives the same bytes.
    Nothing happens before `run` is called.

    Args:
        config: of the hub. Its topics may not keep history.
        seed: decides cuts, delays, faults.
        faults: how often the network and the outside do what they should not.
        clients: how many there are from the start; `client` makes more.
        tokens: what each token grants.
        hooks: which hooks are asked: patterns, by kind. What they answer is simulated.
        network: what lies between the hub and its clients.
        turn: seconds that the hub's loop takes, at most: what comes meanwhile is handled in one turn.
        lag: seconds by which the loop's timer may be late.

    Raises:
        Violation: by any call: something that a hub promises does not hold.
    """

    def __init__(
        self,
        config: HubConfig | None = None,
        seed: int = 0,
        *,
        faults: Faults | None = None,
        clients: int = 0,
        tokens: Mapping[str, Grant] | None = None,
        hooks: Mapping[HookKind, tuple[str, ...]] | None = None,
        network: Network = PERFECT,
        turn: float = 0.0,
        lag: float = 0.0,
    ) -> None:
        self.config = config = config if config is not None else HubConfig()
        hooks = hooks if hooks is not None else {}
        if any(rule.logged for rule in config.rules):
            raise ValueError("config.rules: topics with history are not simulated")
        self.random = Random(seed)
        """Decides everything that nothing else decides."""
        self.tokens: dict[str, Grant] = dict(tokens or {})
        """What each token grants; it may change at any time, where the hub has to ask."""
        self.faults: Faults = faults if faults is not None else {}
        self.network = network
        self.agenda = Agenda()
        self.model = Model(config, self.tokens, hooks)
        self.predictor = Predictor(self.model)
        self.checker = Checker(self.model, turn + lag + 0.01)
        self.outside = Outside(self.tokens, self.faults, self.random, config.limits.hook_timeout)
        self.occurred: Counter[str] = self.checker.occurred
        """How often what happened."""
        self.clients: list[SimulatedClient] = []
        self.connections: list[Connection] = []
        """All that there were."""
        self.record = Record(self.agenda)
        """What happened."""
        self.on_opened: Callable[[SimulatedClient], None] | None = None
        """Called when a client's connection is open."""
        self.hub = WatchedHub(self, config, seed, hooks)
        self._by_end: dict[Endpoint, Connection] = {}
        self._wire = WireReader()
        self._loop = ServerLoop(self, turn, lag)
        self.set_wall_clock(WALL)
        for _ in range(clients):
            self.client()

    # Time.

    @property
    def now(self) -> float:
        """The time, in seconds since the start."""
        return self.agenda.now

    def run(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            Stuck: no time passes any more.
        """
        self.agenda.run(self.now + seconds)

    @property
    def wall(self) -> float:
        """Seconds since 1970, as the hub was told."""
        return self.model.wall(self.now)

    def set_wall_clock(self, wall: float) -> None:
        """The clock on the hub's wall is set to so many seconds since 1970."""
        self.model.offset = wall - self.now
        self.hub.set_wall_clock(self.model.offset, self.now)
        self._loop.changed(self.now)

    @property
    def digest(self) -> str:
        """A hash of all bytes on each connection, all events and effects, and their times, so far."""
        return self.record.digest

    # Clients.

    def client(
        self,
        *,
        network: Network | None = None,
        deflate: Deflate | None = None,
        address: str | None = None,
    ) -> SimulatedClient:
        """One more client, which is not connected."""
        number = len(self.clients) + 1
        client = SimulatedClient(
            self,
            number,
            address=address if address is not None else f"10.0.0.{number}",
            network=network if network is not None else self.network,
            deflate=deflate,
        )
        self.clients.append(client)
        return client

    def open(
        self, client: SimulatedClient, options: ClientOptions, credentials: Credentials
    ) -> Connection:
        """Connect a client: see `SimulatedClient.connect`."""
        now = self.now
        number = len(self.connections) + 1
        entropy = seeded_entropy(self.random.getrandbits(32))
        ws = WebSocket(options, now=now, entropy=entropy)
        session = self.hub.connect((client.address, 40_000 + number), now)
        connection = Connection(client, number, session, ws, credentials, client.address)
        if session.number != number:
            raise Violation("sessions have numbers of their own", f"{session.number}", number)
        session.carrier = connection
        session.plain = True
        session.outbox = WatchedOutbox(session.outbox.limit, partial(self._unqueued, connection))
        self.connections.append(connection)
        peer = self.model.connect(connection, now)
        if session.state is SessionState.OVER:  # refused before it began
            self.model.end(peer, now)
        connection.hub_end = Endpoint(session, self._loop.changed, deferred=True)
        connection.client_end = Endpoint(ws, lambda _: client.changed(connection))
        self._by_end[connection.hub_end] = self._by_end[connection.client_end] = connection
        connection.heard_at = now
        self.record.note(connection, "connects", " ".join(credentials))
        connection.link = SimulatedLink(
            connection.hub_end,
            connection.client_end,
            seed=self.random.getrandbits(32),
            network=client.network,
            agenda=self.agenda,
            observer=self,
        )
        self._loop.changed(now)
        return connection

    # Commands of the server's own.

    def publish(
        self, topic: str, message: object, *, sender: str | None = None, key: str | None = None
    ) -> int:
        """Publish as the server itself; how many sessions get it."""
        expected = self.model.publish(topic, message, self.now, sender)
        published = self.hub.publish(topic, message, self.now, sender=sender, key=key)
        if not isinstance(published, Published) or published.recipients != expected:
            raise Violation("who gets a publication is counted", f"{published}, not {expected}")
        self._loop.changed(self.now)
        return expected

    def send_to(self, user: str, message: object, *, sender: str = "server") -> int:
        """Send to all sessions of a user; how many they are."""
        expected = self.model.direct(user, message, self.now, sender)
        if self.hub.send_to(user, message, self.now, sender=sender) != expected:
            raise Violation("who gets a direct message is counted", f"not {expected}")
        self._loop.changed(self.now)
        return expected

    def disconnect(self, user: str) -> int:
        """Close all sessions of a user; how many they were."""
        expected = self.model.disconnect(user)
        if self.hub.disconnect(user, self.now) != expected:
            raise Violation("an operator reaches all sessions of a user", f"not {expected}")
        self._loop.changed(self.now)
        return expected

    def revoke(self, user: str, pattern: str) -> int:
        """Take topics away from a user; how many sessions it has."""
        expected = self.model.revoke(user, pattern, self.now)
        if self.hub.revoke(user, pattern, self.now) != expected:
            raise Violation("an operator reaches all sessions of a user", f"not {expected}")
        self.model.announcing.settle()
        self._loop.changed(self.now)
        return expected

    def drain(self) -> None:
        """Take nobody any more, and close everybody."""
        self.model.draining = True
        self.hub.drain(self.now)
        self._loop.changed(self.now)

    def stop(self) -> None:
        """Close everybody at once; what waits for them is lost."""
        self.model.draining = self.model.stopped = True
        for peer in self.model.inside():
            self.model.condemned.append(peer)
        self.hub.close(self.now)
        self._loop.changed(self.now)

    # What must hold.

    def check(self) -> None:
        """Look at everything that must hold at any time."""
        self.checker.check_time(self.now)
        check_bounds(self.hub, self.now)
        check_equal(self.hub, self.model)

    def check_caught_up(self) -> None:
        """When all is quiet: everybody got everything, or was told of what is lost."""
        self.check()
        self.checker.check_caught_up()
        for connection in self.connections:
            reached = connection.link.network.silent_from is None
            if connection.is_open and reached and connection.frames:
                text = f"{len(connection.frames)} messages are under way"
                raise Violation("everybody catches up", text, connection.number)

    def check_empty(self) -> None:
        """When all have left and time has passed: nothing is kept of anybody."""
        self.check()
        check_empty(self.hub)
        untold = [number for number, told in self.model.farewells.items() if not told]
        if untold:
            raise Violation("who left is told once", "the hook of leaving was not asked", *untold)

    # For the hub (see `Watcher`).

    def requested(self, session: Session, now: float) -> None:
        """Somebody comes."""
        self.predictor.entrance.opened(self.model.peers[session.number], now)

    def received(self, session: Session, text: str | None, now: float) -> None:
        """Somebody asks for something."""
        peer = self.model.peers[session.number]
        if text is None:
            self.predictor.received_binary(peer, now)
        else:
            self.predictor.received(peer, text, now)

    def handled(self) -> None:
        """That is done."""
        self.model.announcing.settle()

    def ended(self, session: Session, code: int, cause: str, now: float) -> None:
        """Somebody leaves; one that was refused at once was never there."""
        peer = self.model.peers.get(session.number)
        if peer is not None:
            self.record.note(peer.connection, "is over", f"{code} {cause}")
            effect = None if peer.pending is None else peer.pending.effect
            if effect is not None and not is_asked(self.hub, effect):
                self.predictor.given_up(peer)  # that may be why
            leaving = session.state is SessionState.LEAVING
            self.model.announcing.ends += 1
            self.checker.ended(peer, code, leaving, now)

    def left(self, session: Session) -> None:
        """That is done."""
        if session.number in self.model.peers:
            announcing = self.model.announcing
            announcing.ends -= 1
            if not announcing.ends and not announcing.busy:
                announcing.settle()

    # For links (see `LinkObserver`).

    def taken(self, side: Endpoint, frames: list[bytes]) -> None:
        """Look at what the hub gives out, when it does."""
        connection = self._by_end[side]
        if side is not connection.hub_end:
            return
        peer = self.model.peers[connection.number]
        for data in frames:
            frame = self._wire.read(data)
            if frame.kind == "text":
                self._put_on_wire(connection, frame)
                continue
            if self.record.lines is not None or frame.kind == "close":
                self.record.note(
                    connection, "hub gives out", f"{frame.kind} {frame.code or ''} {frame.text}"
                )
            self.checker.taken(peer, frame, self.now)

    def put(self, connection: Connection, data: bytes) -> None:
        """What was taken for a session among many."""
        frames = self._wire.split(data)
        self._unqueued(connection, frames)
        connection.link.put(connection.hub_end, frames)

    def _put_on_wire(self, connection: Connection, frame: Frame) -> None:
        """A message leaves: it must be the next of those that were taken from the session's queue."""
        taken = connection.taken
        if not taken or taken.popleft().text != frame.text:
            raise Violation("what leaves was taken from the queue", frame.text, connection.number)
        connection.frames.append(frame)

    def _unqueued(self, connection: Connection, frames: list[bytes]) -> None:
        """Messages are taken from a session's queue: from now on nothing can take them back."""
        peer = self.model.peers[connection.number]
        for data in frames:
            frame = self._wire.read(data)
            connection.taken.append(frame)
            if self.record.lines is not None:
                self.record.note(connection, "hub gives out", frame.text)
            self.checker.taken(peer, frame, self.now)

    def read(self, side: Endpoint, piece: bytes) -> None:
        """A piece arrives."""
        connection = self._by_end[side]
        at_hub = side is connection.hub_end
        if at_hub:
            silence = self.now - connection.heard_at
            connection.longest_silence = max(connection.longest_silence, silence)
            connection.heard_at = self.now
        self.record.note_bytes(connection, at_hub, piece)

    def lost(self, side: Endpoint) -> None:
        """A socket is closed."""
        connection = self._by_end[side]
        self.record.note_loss(connection, side is connection.hub_end)
