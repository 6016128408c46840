"""A hub in lock-step: one peer acts, then all wait until nothing is left to do. Here without a loop.

Peers are bytes that a step says, so all that differs between two ways of driving a hub is what the hub
itself puts on the wire. Time stands still and entropy counts: neither may decide anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hubbub.core import (
    AnonymousAccess,
    Authenticate,
    Counters,
    Done,
    Effect,
    End,
    External,
    Grant,
    HttpRequest,
    Hub,
    HubConfig,
    HubEvent,
    HubLimits,
    Outcome,
    Request,
    Response,
    Rule,
    RunHook,
    ServerOptions,
    Session,
    text_response,
)
from hubbub.transports.asyncio import Calling, Connecting, Hooks, Publishing, Refuse, Subscribing
from hubbub.transports.simulated import without_loop
from support.lockstep import Bytes
from support.wire import close, request, text

__all__ = [
    "CONFIG",
    "HOOKS",
    "WALL",
    "HubRecord",
    "Peer",
    "Step",
    "WithoutLoop",
    "answer_http",
    "look_up",
    "played_without_loop",
    "server_act",
]

WALL = 1_700_000_000.0
"""The time of day, all the while."""

PEER = ("127.0.0.1", 50_000)

GRANTS = {
    "t-alice": Grant(user="alice", read=(">",), write=(">",), admin=True),
    "t-bob": Grant(user="bob", read=("room.*", "news", "kept", "loud"), write=("room.*", "kept")),
}


def look_up(token: str) -> Grant | None:
    """Whose a token is."""
    return GRANTS.get(token)


def answer_http(request_: Request, body: bytes, address: str | None) -> Response:
    """What a user's function answers to ordinary requests."""
    return text_response(200, f"{request_.method} {request_.path} {len(body)} {address}")


HOOKS = Hooks()


@HOOKS.on_connect
def _let_in(connecting: Connecting) -> None:
    if connecting.user == "eve":
        raise Refuse("forbidden", "not you")


@HOOKS.on_subscribe("shut.door")
def _closed(_: Subscribing) -> None:
    raise Refuse("closed", "come back tomorrow")


@HOOKS.on_publish("room.*")
def _moderate(publishing: Publishing) -> object:
    if publishing.message == "rude":
        raise Refuse("rude", "be kind")
    if publishing.message == "long":
        return "x" * 500
    return {"said": publishing.message} if publishing.message == "plain" else None


@HOOKS.on_call("add")
async def _add(calling: Calling) -> object:
    if not isinstance(calling.data, list):
        raise KeyError("data")
    return sum(calling.data)


CONFIG = HubConfig(
    options=ServerOptions(
        limits=HubLimits(outbox_size=8192, error_burst=12),
        http=True,
        origins=("https://example.com",),
    ),
    rules=(
        Rule(pattern="room.*", presence=True, announce=True, max_message=200),
        Rule(pattern="kept", history=8),
        Rule(pattern="loud", slow="drop-oldest", priority="low"),
        Rule(pattern="state", slow="latest", priority="high"),
    ),
    auth=External(),
    anonymous=AnonymousAccess(read=("room.*", "news", "kept", "shut.*"), write=("room.*",)),
)


@dataclass(frozen=True)
class Step:
    """What one peer does, or, where `number` is None, the server itself."""

    what: str
    number: int | None = None
    """Which connection, in the order in which they were opened."""
    data: Any = None

    def bytes(self) -> bytes:
        """What a peer puts on the wire."""
        match self.what, self.data:
            case "open", (target, lines):
                return request(*lines, target=target)
            case "say", list():
                return b"".join(text(json.dumps(one)) for one in self.data)
            case "say", dict():
                return text(json.dumps(self.data))
            case "raw", bytes():
                return bytes(self.data)
            case "close", int():
                return close(self.data)
            case _:
                return b""


@dataclass
class HubRecord:
    """All that happened."""

    to_client: list[bytes] = field(default_factory=list)
    """What went to each connection's client."""
    ended: list[bool] = field(default_factory=list)
    """Whether the hub ended its stream."""
    events: list[HubEvent] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)
    returned: list[object] = field(default_factory=list)
    """What the server's own commands gave."""


def server_act(hub: Hub, step: Step, now: float) -> object:
    """What the server does by itself, in one turn."""
    match step.what:
        case "publish":
            topic, message = step.data
            return hub.publish(topic, message, now)
        case "burst":
            topic, count, size = step.data
            for number in range(count):
                hub.publish(topic, f"{number:>{size}}", now, key=f"k{number % 3}")
            return count
        case "send_to":
            user, message = step.data
            return hub.send_to(user, message, now, sender="server")
        case "disconnect":
            return hub.disconnect(step.data, now)
        case "revoke":
            user, pattern = step.data
            return hub.revoke(user, pattern, now)
        case _:
            raise AssertionError(step)


class Peer:
    """A connection, and what its client says and hears."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.unread = b""
        """What the client has said, and the hub has not read."""
        self.received = bytearray()
        self.ended = False
        """Whether the hub ended its stream."""
        self.gone = False
        """Whether the hub closed its socket."""

    def say(self, data: bytes) -> None:
        """The client puts this on the wire."""
        self.unread += data

    def leave(self, now: float) -> None:
        """The client ends its stream."""
        if not self.gone:
            self.session.receive_eof(now)


class WithoutLoop:
    """Plays with nothing but the hub."""

    def __init__(self) -> None:
        self._now = 0.0
        """It stands still."""
        self._hub = Hub(CONFIG, now=self._now, entropy=Bytes(0), hooks=HOOKS.table())
        self._hub.set_wall_clock(WALL, self._now)
        self._peers: list[Peer] = []
        self._record = HubRecord()

    def play(self, steps: Sequence[Step]) -> HubRecord:
        """All steps; what happened."""
        for step in steps:
            if step.what == "drain":
                self._hub.drain(self._now)
            elif step.number is None:
                self._record.returned.append(server_act(self._hub, step, self._now))
            else:
                self._act(step, step.number)
            self._settle()
        record = self._record
        record.to_client = [bytes(peer.received) for peer in self._peers]
        record.ended = [peer.ended for peer in self._peers]
        record.counters = self._hub.counters
        return record

    def _act(self, step: Step, number: int) -> None:
        if step.what in ("open", "connect"):
            session = self._hub.connect(PEER, self._now)
            session.carrier = peer = self._peer(session)
            self._peers.append(peer)
        peer = self._peers[number]
        if step.what == "end":
            peer.leave(self._now)
        else:
            peer.say(step.bytes())

    def _peer(self, session: Session) -> Peer:
        return Peer(session)

    def _settle(self) -> None:
        hub, moved = self._hub, True
        while moved:
            moved = self._carry()
            while (session := hub.next_dirty()) is not None:
                if session.carrier is not None:
                    moved |= self._flush(session.carrier)
            while (effect := hub.next_effect()) is not None:
                hub.complete(effect.id, _outcome(effect), self._now)
                moved = True
            at = hub.next_timeout()
            if at is not None and at <= self._now:
                hub.handle_timeout(self._now)
                moved = True
            while (event := hub.next_event()) is not None:
                self._record.events.append(event)

    def _carry(self) -> bool:
        """Bring to the hub what the clients said; whether there was anything."""
        moved = False
        for peer in self._peers:
            if peer.unread and not peer.gone and peer.session.wants_read:
                data, peer.unread = peer.unread, b""
                peer.session.receive_data(data, self._now)
                moved = True
        return moved

    def _flush(self, peer: Peer) -> bool:
        """Bring to a client what the hub has for it; whether there was anything."""
        moved = False
        while frames := peer.session.data_to_send(self._now):
            peer.received += b"".join(frames)
            moved = True
        if peer.session.end is not None:
            peer.ended = True
        if peer.session.end is End.CLOSE:
            peer.gone = True
            peer.session.carrier = None
        return moved


def _outcome(effect: Effect) -> Outcome:
    match effect:
        case Authenticate():
            return Done(look_up(effect.token))
        case RunHook():
            pattern = HOOKS.table()[effect.kind][effect.hook]
            return without_loop(HOOKS)[effect.kind][pattern](effect)
        case HttpRequest():
            return Done(answer_http(effect.request, effect.body, effect.address))
        case _:
            raise AssertionError(effect)


def played_without_loop(steps: Sequence[Step]) -> HubRecord:
    """What happens with the hub alone."""
    return WithoutLoop().play(steps)
