"""Who does not keep up: handlers that do not read, and peers that do not."""

from __future__ import annotations

import socket
import time
from typing import Any

import anyio
import anyio.lowlevel

from hubbub.core.handshake import ServerOptions
from hubbub.core.limits import Limits
from support.clients import client
from support.loops import until
from support.net import Connection, Handler, Net, serving
from support.peers import BINARY, CONTINUATION, raw_peer
from support.tasks import Mailbox
from support.wire import frame

MUCH = 8 * 2**20
"""More bytes than the buffers hold on both sides that are set small below."""

LITTLE = 8192
"""The size to which buffers of the system are set."""


def _frugal(net: Net, handler: Handler, limits: Limits | None = None) -> Any:
    """Serve from sockets with small buffers: what waits is soon felt."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LITTLE)
    sock.bind(("127.0.0.1", 0))
    options = ServerOptions(limits=limits if limits is not None else Limits())
    return net.serve(handler, sock=sock, options=options)


async def test_a_handler_that_does_not_read_stops_the_peer(net: Net) -> None:
    """The peer's sends block while the handler does not read; then all arrives, in order."""
    read = anyio.Event()
    size = 2**16
    count = MUCH // size
    zeros = frame(CONTINUATION, bytes(size - 8))
    sent = 0

    async def handler(connection: Connection) -> None:
        await read.wait()
        for number in range(count):
            message = await connection.recv()
            assert len(message) == size
            assert message[:8] == b"%08d" % number
        await connection.send("all")

    async with (
        _frugal(net, handler) as server,
        raw_peer(server, send_buffer=LITTLE) as peer,
        anyio.create_task_group() as tasks,
    ):

        async def send() -> None:
            nonlocal sent
            for number in range(count):
                await peer.send(frame(BINARY, b"%08d" % number, final=False) + zeros)
                sent += 1

        await peer.upgrade()
        tasks.start_soon(send)
        # It must come to rest before the end: nothing is sent for a good while.
        seen, since = 0, time.monotonic()
        while time.monotonic() - since < 0.3:
            await anyio.sleep(0.01)
            if sent != seen:
                seen, since = sent, time.monotonic()
        assert 0 < sent * size < MUCH // 2
        read.set()
        assert (await peer.read_frame()).payload == b"all"


async def test_a_handler_that_does_not_read_still_sends_and_answers_pings(net: Net) -> None:
    """Receiving and sending do not hold each other up."""
    done = anyio.Event()

    async def handler(connection: Connection) -> None:
        await connection.send("hello")
        await done.wait()

    async with serving(net, handler) as server, client(server) as peer:
        assert await peer.recv() == "hello"
        with anyio.fail_after(5):
            await peer.ping()
        done.set()


async def test_a_peer_that_does_not_read_makes_send_wait(net: Net) -> None:
    """`send` waits for the peer to take what was sent, and the deadline of writing ends the wait."""
    ended: Mailbox[tuple[float, Any]] = Mailbox()
    sent = 0

    async def handler(connection: Connection) -> None:
        nonlocal sent
        before = time.monotonic()
        try:
            while sent < MUCH:
                before = time.monotonic()
                await connection.send(bytes(2**16))
                sent += 2**16
        except net.ConnectionClosed as error:
            ended.put((time.monotonic() - before, error))

    limits = Limits(write_timeout=0.3)
    async with (
        _frugal(net, handler, limits) as server,
        raw_peer(server, receive_buffer=LITTLE) as peer,
    ):
        await peer.upgrade()
        waited, error = await ended.get()
        assert 0.29 < waited < 5
        assert sent < MUCH // 2
        assert isinstance(error, net.ConnectionClosed)
        assert error.code == 1006
        assert "write deadline" in str(error)
        await until(lambda: not server.connections)


async def test_a_slow_peer_gets_everything(net: Net) -> None:
    """`send` goes on when a peer that paused reads again, and nothing is lost."""
    count = 100

    async def handler(connection: Connection) -> None:
        for number in range(count):
            await connection.send(b"%08d" % number + bytes(2**16))

    async with _frugal(net, handler) as server, raw_peer(server, receive_buffer=LITTLE) as peer:
        await peer.upgrade()
        for number in range(count):
            received = await peer.read_frame()
            assert received.payload[:8] == b"%08d" % number
            await anyio.lowlevel.checkpoint()
        assert (await peer.read_frame()).code == 1000


async def test_what_waits_at_the_end_still_arrives(net: Net) -> None:
    """A handler that returns while its peer is behind has sent all that it sent."""

    async def handler(connection: Connection) -> None:
        await connection.send(bytes(2**20))

    async with _frugal(net, handler) as server, raw_peer(server, receive_buffer=LITTLE) as peer:
        await peer.upgrade()
        assert len((await peer.read_frame()).payload) == 2**20
        assert (await peer.read_frame()).code == 1000
