"""A scenario in lock-step: one peer acts, then all wait until nothing is left to do; on any loop, or none.

Time and entropy are counters, so what each side puts on the wire depends on nothing but the steps.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

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
from support.net import Net

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


# On a loop.


class _Recorded(socket.socket):
    """A socket that keeps what comes and counts what goes."""

    received: bytearray
    sent: int

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """As a socket's."""
        data = super().recv(bufsize, flags)
        self.received += data
        return data

    def send(self, data: Any, flags: int = 0) -> int:
        """As a socket's."""
        sent = super().send(data, flags)
        self.sent += sent
        return sent


def _recorded(**arguments: Any) -> _Recorded:
    sock = _Recorded(**arguments)
    sock.received, sock.sent = bytearray(), 0
    # Small, so that who does not read is soon felt.
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 8192)
    return sock


class _Listening(socket.socket):
    """A listening socket that accepts such."""

    accepted: list[_Recorded]

    def accept(self) -> tuple[socket.socket, Any]:
        """As a socket's."""
        number, address = self._accept()  # type: ignore[attr-defined]
        sock = _recorded(fileno=number)
        self.accepted.append(sock)
        return sock, address


class OnLoop:
    """Plays on the running loop, with a server and clients of one adapter."""

    def __init__(self, net: Net, tasks: TaskGroup) -> None:
        self._net = net
        self._tasks = tasks
        self._record = Record()
        self._servers: list[Any] = []
        self._clients: list[Any] = []
        self._sockets: list[_Recorded] = []
        self._listening = _Listening()
        self._listening.accepted = []
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._listening.setsockopt(socket.SOL_SOCKET, option, 8192)
        self._listening.bind(("127.0.0.1", 0))

    async def play(self, steps: Sequence[Step]) -> Record:
        """All steps; what happened."""
        async with self._net.serve(
            self._handle,
            sock=self._listening,
            compression="deflate",
            clock=Count(),
            entropy=Bytes(2**20),
        ):
            await self._settle()
            for step in steps:
                await self._act(step)
                await self._settle()
        self._tasks.cancel_scope.cancel()
        sockets = zip(self._record.connections, self._listening.accepted, self._sockets, strict=True)
        for heard, server, client in sockets:
            heard.to_server, heard.to_client = bytes(server.received), bytes(client.received)
        return self._record

    async def _act(self, step: Step) -> None:
        if step.what == "open":
            await self._open(step)
            return
        if step.what == "broadcast":
            skipped = self._net.broadcast(self._servers, step.data)
            self._record.skipped.append([self._servers.index(each) for each in skipped])
            return
        connection = (self._servers if step.who == "server" else self._clients)[step.number]
        match step.what:
            case "send":
                # It may wait for room; the scenario goes on.
                self._tasks.start_soon(connection.send, step.data)
            case "ping":
                pong = await connection.ping(step.data)
                heard = self._record.connections[step.number]
                log = heard.server if step.who == "server" else heard.client
                self._tasks.start_soon(self._await_pong, pong, log, step.data)
            case "pong":
                await connection.pong(step.data)
            case "close":
                connection.close_soon(*step.data)
            case "raw":
                self._sockets[step.number].send(step.data)
            case "read":
                log = self._record.connections[step.number].client
                self._tasks.start_soon(self._listen, connection, log)
            case _:
                raise AssertionError(step)

    async def _open(self, step: Step) -> None:
        sock = _recorded()
        sock.setblocking(False)
        sock.connect_ex(self._listening.getsockname())
        await anyio.wait_writable(sock)
        self._sockets.append(sock)
        options: dict[str, Any] = step.data
        client = await self._net.connect(
            f"ws://{HOST}/{step.number}",
            sock=sock,
            user_agent_header=None,
            clock=Count(),
            entropy=Bytes(step.number * 2**10),
            compression="deflate" if options.get("deflate") else None,
            options=ClientOptions(host=HOST, limits=options.get("limits", Limits())),
        ).__aenter__()
        self._clients.append(client)
        if "limits" not in options:
            log = self._record.connections[step.number].client
            self._tasks.start_soon(self._listen, client, log)

    async def _handle(self, connection: Any) -> None:
        self._servers.append(connection)
        heard = Heard()
        self._record.connections.append(heard)
        await self._listen(connection, heard.server)

    async def _listen(self, connection: Any, log: list[object]) -> None:
        try:
            while True:
                message = await connection.recv()
                log.append(message)
                if isinstance(message, str) and message.endswith("?"):
                    await connection.send(message[:-1] + "!")
        except self._net.ConnectionClosed:
            log.append((connection.close_code, connection.close_reason))

    async def _await_pong(
        self, pong: Awaitable[float], log: list[object], payload: bytes | None
    ) -> None:
        await pong
        log.append(("pong", payload))

    async def _settle(self) -> None:
        """Wait until nothing is left to do: all bytes arrived that are read, and turns change nothing."""
        quiet, last = 0, None
        with anyio.fail_after(10):
            while quiet < 12:
                await anyio.lowlevel.checkpoint()
                seen = self._seen()
                quiet = quiet + 1 if seen == last and self._arrived() else 0
                last = seen

    def _seen(self) -> list[int]:
        counts = [len(heard.server) + len(heard.client) for heard in self._record.connections]
        for sock in (*self._sockets, *self._listening.accepted):
            counts += [sock.sent, len(sock.received), sock.fileno()]
        return counts

    def _arrived(self) -> bool:
        pairs = zip(self._listening.accepted, self._sockets, strict=False)
        clients = zip(pairs, self._clients, strict=False)
        return all(
            server.sent == len(client.received) or connection.socket.paused
            for (server, client), connection in clients
        ) and all(
            client.sent == len(server.received)
            for server, client in zip(self._listening.accepted, self._sockets, strict=False)
        )


# On none.


class _User:
    """What the users of the loop do, for one machine of the simulation."""

    def __init__(self, ws: WebSocket, log: list[object], reads: bool = True) -> None:
        self.ws = ws
        self.log = log
        self.reads = reads
        self._asked: list[bytes | None] = []

    def ping(self, now: float, payload: bytes | None) -> None:
        """Ping, and remember what was asked."""
        self.ws.ping(now, payload)
        self._asked.append(payload)

    def __call__(self, now: float) -> None:
        """Take what may be taken."""
        opening = not self.log and self.ws.state.value == "connecting"
        while (self.reads or opening or self._opens()) and (event := self.ws.next_event()):
            opening = False
            self._take(event, now)

    def _opens(self) -> bool:
        # The first event is the adapter's own.
        return not self.__dict__.get("opened", False)

    def _take(self, event: Event, now: float) -> None:
        match event:
            case Requested():
                self.ws.accept(now)
                self.opened = True
            case Accepted():
                self.opened = True
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
            "client": _User(client, heard.client, "limits" not in step.data),
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


async def played(net: Net, steps: Sequence[Step]) -> Record:
    """What happens on the running loop."""
    async with anyio.create_task_group() as tasks:
        return await OnLoop(net, tasks).play(steps)
    raise AssertionError("it was cancelled")


assert cast
