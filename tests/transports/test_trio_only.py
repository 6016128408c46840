"""What only trio has: servers as tasks of a nursery, and cancelling that lasts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from hubbub.apps.echo import echo
from hubbub.core.limits import Limits
from support.clients import client
from support.loops import BACKENDS, until
from support.net import Connection, Net, Server, serving

pytestmark = pytest.mark.parametrize(
    "backend", [name for name in BACKENDS if name == "trio"], indirect=True
)


async def test_a_server_as_a_task(net: Net) -> None:
    """`nursery.start(serve(...).run)` gives the server, which ends with its nursery."""
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(net.serve(echo, "127.0.0.1", 0).run)
        async with client(server) as peer:
            await peer.send("x")
            assert await peer.recv() == "x"
            nursery.cancel_scope.cancel()
    assert server.sockets == ()
    assert server.connections == set()


async def test_a_server_as_a_task_that_is_closed(net: Net) -> None:
    """When `close` was called its task ends by itself."""
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(net.serve(echo, "127.0.0.1", 0).run)
        async with client(server) as peer:
            server.close()
            await peer.wait_closed()
            assert peer.close_code == 1001


async def test_a_port_in_use(net: Net) -> None:
    """`nursery.start` raises what made listening fail."""
    async with serving(net, echo) as server, trio.open_nursery() as nursery:
        host, port = server.sockets[0].getsockname()
        with pytest.raises(OSError, match="in use"):
            await nursery.start(net.serve(echo, host, port).run)


async def test_a_handler_that_raises_cancels_nobody(net: Net) -> None:
    """Its error goes to the log, not into the nursery of the server."""

    async def handler(connection: Connection) -> None:
        if connection.request.path == "/bad":
            raise KeyError
        await echo(connection)

    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(net.serve(handler, "127.0.0.1", 0).run)
        async with client(server) as good:
            async with client(server, "/bad") as bad:
                await bad.wait_closed()
                assert bad.close_code == 1011
            await good.send("x")
            assert await good.recv() == "x"
        server.close()


async def test_everything_is_a_checkpoint(net: Net) -> None:
    """In a cancelled scope, what a handler awaits of its connection raises Cancelled and does nothing."""
    cancelled: list[str] = []

    async def handler(connection: Connection) -> None:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "recv": connection.recv,
            "send": lambda: connection.send("never"),
            "wait_closed": connection.wait_closed,
        }
        for name, call in calls.items():
            with trio.CancelScope() as scope:
                scope.cancel()
                await call()
            if scope.cancelled_caught:
                cancelled.append(name)
        assert await connection.recv() == "is not lost"
        await connection.send("done")

    async with serving(net, handler) as server, client(server) as peer:
        await peer.send("is not lost")
        assert await peer.recv() == "done"
    assert cancelled == ["recv", "send", "wait_closed"]


async def test_a_handler_that_shields_itself(net: Net) -> None:
    """A shield is respected: the server waits until it ends."""
    ended = False

    async def handler(connection: Connection) -> None:
        nonlocal ended
        with trio.CancelScope(shield=True):
            await connection.wait_closed()
            await trio.sleep(0.05)
            ended = True

    limits = Limits(close_timeout=0.2, drain_timeout=0.2)
    with trio.CancelScope() as scope:
        async with serving(net, handler, limits) as server, client(server):
            await until(lambda: bool(server.connections))
            scope.cancel()
            await trio.sleep_forever()
    assert ended
