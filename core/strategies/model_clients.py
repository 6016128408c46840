"""A real hub and clients' machines in memory, as a model drives them: bytes move at once, time when it is told."""

from collections.abc import Callable
from hashlib import blake2b
from itertools import count
from typing import Any, Final

import msgspec

from ..effects import Effect, Outcome
from ..events import Closed, TextMessage
from ..handshake import ClientOptions
from ..hub import Hub
from ..hub_events import HubEvent
from ..limits import Limits
from ..link import End
from ..session import Session
from ..websocket import WebSocket
from .hub_book import BookSession

__all__ = ["Message", "ModelClient", "Wires", "counted_entropy"]

Message = dict[str, Any]  # any JSON object

_PUSHES: Final = frozenset({"chat", "notification", "system", "direct", "gap", "reconnect"})

# A client answers pings, and leaves timeouts to the hub.
_LIMITS: Final = Limits(max_size=None, ping_interval=None, open_timeout=None, write_timeout=None)


def counted_entropy(seed: int) -> Callable[[int], bytes]:
    """Bytes that look random, the same for the same seed."""
    numbers = count()

    def entropy(size: int) -> bytes:
        found = b""
        while len(found) < size:
            found += blake2b(b"%d %d" % (seed, next(numbers))).digest()
        return found[:size]

    return entropy


class ModelClient:
    """One connection of somebody, from both sides; and what a model knows of it.

    Args:
        session: the hub's side.
        ws: the client's side.
    """

    def __init__(self, session: Session, ws: WebSocket) -> None:
        self.session = session
        self.ws = ws
        self.number = session.number
        """That of its session: no two have the same."""
        self.seat: BookSession | None = None
        """What the model knows of it; None while it is nobody."""
        self.received: list[Message] = []
        """Everything that it was ever told."""
        self.answers: list[Message] = []
        """What it was told in answer, and nobody has looked at."""
        self.pushes: list[Message] = []
        """What it was told unasked, and nobody has looked at."""
        self.closed: Closed | None = None
        """How its connection ended."""
        self.unread = b""
        self.hung_up = False
        self.half_closed = False

    def __repr__(self) -> str:
        return f"client {self.number} ({self.user})"

    @property
    def user(self) -> str | None:
        """Whose it is; None while it is nobody's."""
        return None if self.seat is None else self.seat.user

    @property
    def code(self) -> int | None:
        """The hub's close code; None while it has sent none."""
        if self.closed is None or self.closed.received is None:
            return None
        return self.closed.received.code

    @property
    def is_open(self) -> bool:
        """Whether it can ask for anything."""
        return self.closed is None and self.ws.can_send

    def take_events(self) -> None:
        """Look at what came."""
        while (event := self.ws.next_event()) is not None:
            match event:
                case TextMessage(data):
                    self._told(msgspec.json.decode(data))
                case Closed():
                    self.closed = event
                case _:
                    pass

    def _told(self, message: Message) -> None:
        self.received.append(message)
        kind = message["type"]
        if kind in _PUSHES or (kind == "presence" and "event" in message):
            self.pushes.append(message)
        else:
            self.answers.append(message)


class Wires:
    """Moves bytes and time between a hub and its clients, as an adapter and a network would.

    Args:
        hub: which.
        answer: answers what the hub asks of the outside.
        told: takes what the hub tells.
    """

    def __init__(
        self,
        hub: Hub,
        answer: Callable[[Effect], Outcome],
        told: Callable[[HubEvent], object],
    ) -> None:
        self._hub = hub
        self._answer = answer
        self._told = told
        self._live: dict[ModelClient, None] = {}
        self.now = 0.0
        """Seconds since the start."""

    def connect(self, target: str) -> ModelClient:
        """A client that opens a WebSocket."""
        options = ClientOptions(host="hub.example", target=target, limits=_LIMITS)
        session = self._hub.connect(("192.0.2.1", 50_000), self.now)
        ws = WebSocket(options, now=self.now, entropy=counted_entropy(session.number))
        client = session.carrier = ModelClient(session, ws)
        self._live[client] = None
        self.settle(client)
        return client

    def send(self, client: ModelClient, text: str) -> None:
        """A client says something, and everything happens that follows."""
        client.ws.send(text, self.now)
        self.settle(client)

    def close(self, client: ModelClient) -> None:
        """A client closes its connection."""
        client.ws.close(self.now)
        self.settle(client)

    def cut(self, client: ModelClient) -> None:
        """A connection is lost."""
        del self._live[client]
        client.session.connection_lost(self.now)
        client.ws.connection_lost(self.now)
        client.take_events()
        self.settle()

    def advance(self, seconds: float) -> None:
        """Let time pass, in the steps that the machines ask for."""
        until = self.now + seconds
        while (at := self._next_timeout()) is not None and at <= until:
            self.now = max(self.now, at)
            self._hub.handle_timeout(self.now)
            for client in tuple(self._live):
                client.ws.handle_timeout(self.now)
            self.settle(*self._live)
        self.now = until

    def _next_timeout(self) -> float | None:
        moments = [self._hub.next_timeout(), *(one.ws.next_timeout() for one in self._live)]
        return min((at for at in moments if at is not None), default=None)

    def settle(self, *clients: ModelClient) -> None:
        """Move bytes and answer effects until nothing is left to do.

        Args:
            clients: whose machines were given something. The hub itself says which of its own were.
        """
        hub = self._hub
        serving = dict.fromkeys(clients)
        while True:
            while (session := hub.next_dirty()) is not None:
                serving[session.carrier] = None
            if serving:
                client = next(iter(serving))
                if client not in self._live or not self._serve(client):
                    del serving[client]
            elif (effect := hub.next_effect()) is not None:
                hub.complete(effect.id, self._answer(effect), self.now)
            else:
                break
        while (event := hub.next_event()) is not None:
            self._told(event)

    def _serve(self, client: ModelClient) -> bool:
        """Move what there is in both directions; whether that was anything."""
        now, session, ws = self.now, client.session, client.ws
        client.unread += b"".join(ws.data_to_send(now))
        moved = False
        if client.unread and session.wants_read:
            data, client.unread = client.unread, b""
            session.receive_data(data, now)
            moved = True
        if ws.end is End.CLOSE and not client.unread and not client.hung_up:
            client.hung_up = moved = True
            session.receive_eof(now)
        while frames := session.data_to_send(now):
            ws.receive_data(b"".join(frames), now)
            moved = True
        if session.end is End.HALF_CLOSE and not client.half_closed:
            client.half_closed = moved = True
            ws.receive_eof(now)
        if session.end is End.CLOSE:
            del self._live[client]
            ws.receive_eof(now)
            ws.connection_lost(now)
            moved = True
        client.take_events()
        return moved
