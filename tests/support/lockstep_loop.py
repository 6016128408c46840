"""A scenario in lock-step on a loop, with an adapter's own server and clients (see `support.lockstep`)."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Sequence
from typing import Any

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from hubbub.core import ClientOptions, Limits
from support.lockstep import HOST, Bytes, Count, Heard, Record, Step
from support.net import Net

__all__ = ["Listening", "OnLoop", "Recorded", "played", "recorded"]


class Recorded(socket.socket):
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


def recorded(**arguments: Any) -> Recorded:
    """A socket of this kind."""
    sock = Recorded(**arguments)
    sock.received, sock.sent = bytearray(), 0
    # Small, so that who does not read is soon felt.
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 8192)
    return sock


class Listening(socket.socket):
    """A listening socket that accepts such."""

    accepted: list[Recorded]

    def accept(self) -> tuple[socket.socket, Any]:
        """As a socket's."""
        number, address = self._accept()  # type: ignore[attr-defined]
        sock = recorded(fileno=number)
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
        self._sockets: list[Recorded] = []
        self._listening = Listening()
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
        sockets = zip(
            self._record.connections, self._listening.accepted, self._sockets, strict=True
        )
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
        sock = recorded()
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


async def played(net: Net, steps: Sequence[Step]) -> Record:
    """What happens on the running loop."""
    async with anyio.create_task_group() as tasks:
        return await OnLoop(net, tasks).play(steps)
    raise AssertionError("it was cancelled")
