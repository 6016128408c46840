"""Pings: what the handler asks for, and keepalive."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from hubbub.apps.echo import echo
from hubbub.core.errors import LocalProtocolError
from hubbub.core.limits import Limits
from support.clients import client
from support.loops import until
from support.net import Connection, Net, serving
from support.peers import PONG, TEXT, Frame, raw_peer
from support.tasks import Mailbox
from support.wire import close, frame, text


async def test_ping_measures_latency(net: Net) -> None:
    """A ping's future gives the time to its pong, also while nobody receives."""
    measured: Mailbox[float] = Mailbox()

    async def handler(connection: Connection) -> None:
        measured.put(await (await connection.ping()))
        measured.put(await (await connection.ping(b"mine")))
        waiting = await connection.ping(b"again")
        with pytest.raises(LocalProtocolError, match="payload"):
            _ = await connection.ping(b"again")
        async for message in connection:
            await connection.send(message)
        measured.put(await waiting)

    async with serving(net, handler) as server, client(server) as peer:
        for _ in range(2):
            assert 0 < await measured.get() < 5
        await peer.send("x")
        assert await peer.recv() == "x"
    assert 0 < await measured.get() < 5


async def test_one_pong_answers_many_pings(net: Net) -> None:
    """However many pings one pong answers, every future is settled and messages go on coming."""

    async def handler(connection: Connection) -> None:
        waiting = [await connection.ping(b"%d" % number) for number in range(64)]
        for each in waiting:
            await each
        await echo(connection)

    async with serving(net, handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        pings = [await peer.read_frame() for _ in range(64)]
        await peer.send(frame(PONG, pings[-1].payload))
        await peer.send(text("on"))
        assert await peer.read_frame() == Frame(TEXT, b"on")


async def test_a_ping_that_is_never_answered(net: Net) -> None:
    """Its future raises when the connection ends; nobody need await it."""
    waiting: Mailbox[Awaitable[float]] = Mailbox()

    async def handler(connection: Connection) -> None:
        waiting.put(await connection.ping())
        _ = await connection.ping()
        await connection.wait_closed()
        with pytest.raises(net.ConnectionClosed):
            _ = await connection.ping()

    async with serving(net, handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        await peer.send(close(1000))
        with pytest.raises(net.ConnectionClosed):
            await (await waiting.get())


async def test_keepalive_measures_latency(net: Net) -> None:
    """Keepalive pings go out by themselves and `latency` tells what they found."""
    connections: list[Connection] = []

    async def handler(connection: Connection) -> None:
        connections.append(connection)
        assert connection.latency == 0.0
        await echo(connection)

    async with serving(net, handler, Limits(ping_interval=0.02)) as server, client(server):
        await until(lambda: bool(connections) and connections[0].latency > 0)
        assert connections[0].latency < 5
