"""A scenario in lock-step: one peer acts, then all wait until nothing is left to do. Here without a loop.

Time and entropy are counters, so what each side puts on the wire depends on nothing but the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubbub.core import (
    Accepted,
    BinaryMessage,
    ClientOptions,
    Closed,
    Deflate,
    Event,
    Limits,
    Pong,
    PreparedMessage,
    Requested,
    ServerOptions,
    TextMessage,
    WebSocket,
)
from hubbub.transports.simulated import Endpoint, SimulatedLink

Message = str | bytes

SLOW = Limits(max_queue=1)
"""Of a client that does not read on before its message is taken."""

HOST = "localhost"


@dataclass(frozen=True)
class Step:
    """What one peer does."""

    what: str
    who: str = "client"
    number: int = 0
    """Which connection, in the order in which they were opened."""
    data: Any = None


@dataclass
class Heard:
    """What went over one connection."""

    to_server: bytes = b""
    to_client: bytes = b""
    server: list[object] = field(default_factory=list)
    """What the server's user was told: messages, pongs, and the code and reason of the end."""
    client: list[object] = field(default_factory=list)


@dataclass
class Record:
    """All that happened."""

    connections: list[Heard] = field(default_factory=list)
    skipped: list[list[int]] = field(default_factory=list)
    """For each broadcast, who was left out."""


class Count:
    """A clock that goes on by a microsecond each time that it is looked at."""

    def __init__(self) -> None:
        self._at = 0

    def __call__(self) -> float:
        """The time."""
        self._at += 1
        return self._at / 1e6


class Bytes:
    """Entropy that counts."""

    def __init__(self, first: int) -> None:
        self._next = first

    def __call__(self, size: int) -> bytes:
        """The next bytes."""
        self._next += 1
        return self._next.to_bytes(size, "big")


class _User:
    """What the users of the loop do, for one machine of the simulation."""

    def __init__(self, ws: WebSocket, log: list[object], *, reads: bool = True) -> None:
        self.ws = ws
        self.log = log
        self.reads = reads
        self._opened = False
        self._asked: list[bytes | None] = []

    def ping(self, now: float, payload: bytes | None) -> None:
        """Ping, and remember what was asked."""
        self.ws.ping(now, payload)
        self._asked.append(payload)

    def __call__(self, now: float) -> None:
        """Take what may be taken; the first event, which opens, is the adapter's own."""
        while (self.reads or not self._opened) and (event := self.ws.next_event()) is not None:
            self._take(event, now)

    def _take(self, event: Event, now: float) -> None:
        match event:
            case Requested():
                self.ws.accept(now)
                self._opened = True
            case Accepted():
                self._opened = True
            case Pong():
                self.log.append(("pong", self._asked.pop(0)))
            case TextMessage(data) | BinaryMessage(data):
                self.log.append(data)
                if isinstance(data, str) and data.endswith("?"):
                    self.ws.send(data[:-1] + "!", now)
            case Closed():
                self.log.append((event.code, event.reason))


class Simulated:
    """Plays with nothing but the machines and a simulated link for each connection."""

    def __init__(self) -> None:
        self._record = Record()
        self._entropy = Bytes(2**20)
        self._links: list[SimulatedLink] = []
        self._ends: list[dict[str, Endpoint]] = []
        self._users: list[dict[str, _User]] = []

    def play(self, steps: Sequence[Step]) -> Record:
        """All steps; what happened."""
        for step in steps:
            if step.what == "open":
                self._open(step)
            elif step.what == "broadcast":
                self._broadcast(step.data)
            else:
                self._act(step)
            for link in self._links:
                link.run(link.now)
        for heard, ends in zip(self._record.connections, self._ends, strict=True):
            heard.to_server = bytes(ends["server"].received)
            heard.to_client = bytes(ends["client"].received)
        return self._record

    def _open(self, step: Step) -> None:
        deflate = Deflate()
        limits = step.data.get("limits", Limits())
        client = WebSocket(
            ClientOptions(
                host=HOST,
                target=f"/{step.number}",
                limits=limits,
                deflate=deflate if step.data.get("deflate") else None,
            ),
            now=0.0,
            entropy=Bytes(step.number * 2**10),
        )
        server = WebSocket(ServerOptions(deflate=deflate), now=0.0, entropy=self._entropy)
        heard = Heard()
        users = {
            "server": _User(server, heard.server),
            "client": _User(client, heard.client, reads="limits" not in step.data),
        }
        ends = {
            "server": Endpoint(server, users["server"]),
            "client": Endpoint(client, users["client"]),
        }
        self._record.connections.append(heard)
        self._users.append(users)
        self._ends.append(ends)
        self._links.append(SimulatedLink(ends["server"], ends["client"], seed=0))

    def _broadcast(self, message: Message) -> None:
        prepared = PreparedMessage(message)
        skipped: list[int] = []
        for number, (users, ends) in enumerate(zip(self._users, self._ends, strict=True)):
            ws = users["server"].ws
            if ws.state.value != "open" or ws.write_paused:
                skipped.append(number)
            else:
                ws.send_prepared(prepared, 0.0)
                self._links[number].poke(ends["server"])
        self._record.skipped.append(skipped)

    def _act(self, step: Step) -> None:
        user, end = self._users[step.number][step.who], self._ends[step.number][step.who]
        ws = user.ws
        acts: dict[str, Callable[[], object]] = {
            "ping": lambda: user.ping(0.0, step.data),
            "pong": lambda: ws.pong(0.0, step.data),
            "close": lambda: ws.close(0.0, *step.data),
            "raw": lambda: end.outbound.extend(step.data),
        }
        if step.what == "send":
            parts = step.data if isinstance(step.data, list) else [step.data]
            for part in parts[:-1]:
                ws.send(part, 0.0, final=False)
            ws.send(parts[-1], 0.0)
        elif step.what == "read":
            user.reads = True
            user(0.0)
        else:
            acts[step.what]()
        self._links[step.number].poke(end)


def played_without_loop(steps: Sequence[Step]) -> Record:
    """What happens in the simulation."""
    return Simulated().play(steps)
