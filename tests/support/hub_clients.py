"""Client's machines that talk to a real hub, on virtual time: `HubPair` with `HubClient`s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hubbub.core import ClientOptions, Limits, WebSocket
from hubbub.core.client import HubClient
from hubbub.core.client_events import FetchToken, StateChange, StreamEvent
from hubbub.core.client_options import HubClientOptions
from hubbub.core.client_states import ClientState
from hubbub.core.client_streams import Stream
from hubbub.core.hub import Hub
from hubbub.core.messages import Answer
from hubbub.core.session import Session
from hubbub.transports.simulated import seeded_entropy
from support.hub_pair import ADDRESS, WALL, HubPair, Peer

__all__ = ["ClientPair", "Joined"]

_PATIENT = Limits(ping_interval=None, open_timeout=None, max_queue=4)


class _Line(Peer):
    """One connection of a client's machine."""

    def __init__(self, pair: HubPair, session: Session, ws: WebSocket, client: HubClient) -> None:
        super().__init__(pair, session, ws)
        self.client = client
        self.lost_up = False
        """Whether all that the client sends is lost from now on."""
        self.lost_down = False
        """Whether all that the hub sends is lost from now on."""

    def send_bytes(self, data: bytes) -> None:
        """Send these."""
        if not self.lost_up:
            super().send_bytes(data)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes."""
        if not self.lost_down:
            super().receive(data, now)

    def _take_events(self) -> None:
        self.client.work(self.pair.now)


class Joined:
    """One client of the hub.

    Args:
        pair: the hub.
        seed: of its entropy.
        options: of the client.
    """

    def __init__(self, pair: ClientPair, seed: int, **options: Any) -> None:
        self.pair = pair
        self._seed = seed
        self.client = HubClient(HubClientOptions(**options), entropy=seeded_entropy(seed))
        self.line: _Line | None = None
        """Its newest connection."""
        self.reachable = True
        self.changes: list[StateChange] = []
        self.answers: dict[int, Answer] = {}

    def run(self) -> bool:
        """Do what it asks for; whether that was anything."""
        moved = False
        while (effect := self.client.next_effect()) is not None:
            moved = True
            if isinstance(effect, FetchToken):
                self.client.fetched(effect.id, f"t-user{self._seed}", self.pair.now)
            elif self.reachable:
                self._connect(effect.id)
            else:
                self.client.failed(effect.id, "nobody listens", self.pair.now)
        while (change := self.client.next_event()) is not None:
            self.changes.append(change)
        while (answer := self.client.next_answer()) is not None:
            assert answer[0] not in self.answers, "answered twice"
            self.answers[answer[0]] = answer[1]
        return moved

    def _connect(self, effect: int) -> None:
        now = self.pair.now
        self._seed += 1000
        options = ClientOptions(host="example.com", limits=_PATIENT)
        ws = WebSocket(options, now=now, entropy=seeded_entropy(self._seed))
        session = self.pair.hub.connect(ADDRESS, now)
        self.line = _Line(self.pair, session, ws, self.client)
        self.pair.peers[session] = self.line
        assert self.client.connected(effect, ws, now)

    # For tests.

    @property
    def state(self) -> ClientState:
        """Where it stands."""
        return self.client.state

    def cut(self) -> None:
        """Lose the connection, if there is one."""
        line = self.line
        if line is not None and not (line.cut or line.ended):
            line.cut_off()
            self.pair.settle()

    def subscribe(self, *topics: str, **options: Any) -> Stream:
        """Subscribe, and let everything happen that this causes."""
        stream = self.client.subscribe(topics, self.pair.now, **options)
        self.pair.settle()
        return stream

    def take(self, stream: Stream) -> StreamEvent | None:
        """Take an event."""
        event = self.client.take(stream, self.pair.now)
        self.pair.settle()
        return event

    def events(self, stream: Stream) -> list[StreamEvent]:
        """Take all that waits."""
        found: list[StreamEvent] = []
        while (event := self.take(stream)) is not None:
            found.append(event)
        return found

    def ask(self, request: Callable[[float], int]) -> int:
        """Ask for something: `ask(lambda now: client.ping(now))`."""
        number = request(self.pair.now)
        self.pair.settle()
        return number


class ClientPair(HubPair):
    """A hub, and clients that `join` makes."""

    joined: tuple[Joined, ...] = ()
    restarts = 0

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.hooks = keywords.get("hooks")

    def join(self, **options: Any) -> Joined:
        """A client that connects."""
        client = Joined(self, len(self.joined) + 1, **options)
        self.joined = (*self.joined, client)
        self.settle()
        return client

    def settle(self) -> None:
        """Let everything happen that can."""
        moved = True
        while moved:
            super().settle()
            moved = False
            for one in self.joined:
                one.client.work(self.now)
                moved |= one.run()
                line = one.line
                moved |= line is not None and line.session in self.peers and line.ws.wants_write

    def _next_timeout(self) -> float | None:
        moments = [super()._next_timeout(), *(one.client.next_timeout() for one in self.joined)]
        return min((at for at in moments if at is not None), default=None)

    def advance(self, seconds: float) -> None:
        """Let time pass in the steps that the machines ask for; bytes move at once."""
        until = self.now + seconds
        while (at := self._next_timeout()) is not None and at <= until:
            self.now = max(self.now, at)
            for one in self.joined:
                one.client.handle_timeout(self.now)
            super().advance(0.0)
            self.settle()
        self.now = until

    def restart(self) -> None:
        """The hub is gone, with all that it had in memory, and there is another one."""
        for one in self.joined:
            one.reachable = False
            one.cut()
        self.restarts += 1
        entropy = seeded_entropy(7_000 + self.restarts)
        self.hub = Hub(self.hub.config, now=self.now, entropy=entropy, hooks=self.hooks)
        self.hub.set_wall_clock(WALL, self.now)
        for one in self.joined:
            one.reachable = True
        self.settle()
