"""A hub in lock-step on a loop, with an adapter's own server (see `support.hub_lockstep`)."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from hubbub.transports.asyncio import HubServer
from support.hub_lockstep import (
    CONFIG,
    HOOKS,
    WALL,
    HubRecord,
    Step,
    answer_http,
    look_up,
    server_act,
)
from support.lockstep import Bytes
from support.lockstep_loop import Listening, Recorded, recorded
from support.net import Net

__all__ = ["played"]


class _Peer:
    def __init__(self, sock: Recorded) -> None:
        self.sock = sock
        self.ended = False


class HubOnLoop:
    """Plays on the running loop, with one adapter's server and bare sockets."""

    def __init__(self, net: Net, tasks: TaskGroup) -> None:
        self._net = net
        self._tasks = tasks
        self._record = HubRecord()
        self._peers: list[_Peer] = []
        self._listening = Listening()
        self._listening.accepted = []
        self._listening.bind(("127.0.0.1", 0))

    async def play(self, steps: Sequence[Step]) -> HubRecord:
        """All steps; what happened."""
        record = self._record
        server: HubServer
        async with self._net.serve_hub(
            CONFIG,
            sock=self._listening,
            hooks=HOOKS,
            authenticate=look_up,
            http=answer_http,
            clock=lambda: 0.0,
            wall_clock=lambda: WALL,
            entropy=Bytes(0),
            on_event=record.events.append,
        ) as server:
            self._where = self._listening.getsockname()
            await self._settle(server)
            for step in steps:
                if step.what == "drain":
                    server.close()
                elif step.number is None:
                    record.returned.append(server_act(server.hub, step, 0.0))
                    server.changed()
                else:
                    await self._act(step, step.number)
                await self._settle(server)
        self._tasks.cancel_scope.cancel()
        record.to_client = [bytes(peer.sock.received) for peer in self._peers]
        record.ended = [peer.ended for peer in self._peers]
        record.counters = server.hub.counters
        for peer in self._peers:
            peer.sock.close()
        return record

    async def _act(self, step: Step, number: int) -> None:
        if step.what in ("open", "connect"):
            sock = recorded()
            sock.setblocking(False)
            sock.connect_ex(self._where)
            await anyio.wait_writable(sock)
            self._peers.append(_Peer(sock))
            self._tasks.start_soon(self._listen, self._peers[-1])
        peer = self._peers[number]
        if step.what == "end":
            with contextlib.suppress(OSError):  # the hub has closed it before
                peer.sock.shutdown(socket.SHUT_WR)
            return
        data = step.bytes()
        while data:
            await anyio.wait_writable(peer.sock)
            data = data[peer.sock.send(data) :]

    async def _listen(self, peer: _Peer) -> None:
        while True:
            await anyio.wait_readable(peer.sock)
            with contextlib.suppress(BlockingIOError):
                try:
                    if not peer.sock.recv(65536):
                        break
                except ConnectionResetError:
                    break
        peer.ended = True

    async def _settle(self, server: HubServer) -> None:
        """Wait until nothing is left to do: all bytes have arrived, and turns change nothing."""
        quiet, last = 0, None
        with anyio.fail_after(10):
            while quiet < 12:
                await anyio.lowlevel.checkpoint()
                seen = self._seen(server)
                quiet = quiet + 1 if seen == last and self._arrived() else 0
                last = seen

    def _seen(self, server: HubServer) -> list[int]:
        counts = [server.hub.links, server.hub.outbox_bytes, len(self._record.events)]
        for sock in (*(peer.sock for peer in self._peers), *self._listening.accepted):
            counts += [sock.sent, len(sock.received), sock.fileno()]
        return counts

    def _arrived(self) -> bool:
        accepted = self._listening.accepted
        return len(accepted) == len(self._peers) and all(
            theirs.sent == len(peer.sock.received)
            and (theirs.fileno() < 0 or peer.sock.sent == len(theirs.received))
            for theirs, peer in zip(accepted, self._peers, strict=True)
        )


async def played(net: Net, steps: Sequence[Step]) -> HubRecord:
    """What happens on the running loop."""
    async with anyio.create_task_group() as tasks:
        return await HubOnLoop(net, tasks).play(steps)
    raise AssertionError("it was cancelled")
