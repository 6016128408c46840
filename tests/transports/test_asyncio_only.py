"""What only asyncio has: `await serve()`, cancelling that comes once, and tasks that outlive their maker."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest

from hubbub.apps.echo import echo
from support.clients import client
from support.loops import ASYNCIO_LOOPS, until
from support.net import Connection, Net, serving

pytestmark = pytest.mark.parametrize("backend", ASYNCIO_LOOPS, indirect=True)


async def test_without_async_with(net: Net) -> None:
    """`await serve(...)` gives a server that is closed by hand."""
    server = await net.serve(echo, "127.0.0.1", 0)
    async with client(server) as peer:
        await peer.send("x")
        assert await peer.recv() == "x"
    server.close()
    await server.wait_closed()
    assert server.connections == set()


async def test_cancelling_the_task_of_recv_loses_nothing(net: Net) -> None:
    """`Task.cancel` may come when the message is there already, which a cancel scope avoids."""

    async def handler(connection: Connection) -> None:
        got: list[str | bytes] = []
        turns = 0
        while len(got) < 200:
            receiver = asyncio.create_task(connection.recv())
            for _ in range(turns % 4):
                await asyncio.sleep(0)
            turns += 1
            receiver.cancel()
            try:
                got.append(await receiver)
            except asyncio.CancelledError:
                continue
        await connection.send(" ".join(str(each) for each in got))

    async with serving(net, handler) as server, client(server) as peer:
        for number in range(200):
            await peer.send(str(number))
        assert await peer.recv() == " ".join(map(str, range(200)))


async def test_a_pong_that_nobody_may_wait_for_any_more(net: Net) -> None:
    """The future of a ping may be cancelled; its pong disturbs nobody."""

    async def handler(connection: Connection) -> None:
        for _ in range(3):
            waiting = await connection.ping()
            assert isinstance(waiting, asyncio.Future)
            waiting.cancel()
        await (await connection.ping())
        await connection.send("still here")

    async with serving(net, handler) as server, client(server) as peer:
        assert await peer.recv() == "still here"


async def test_a_server_that_is_cancelled_once_says_goodbye(net: Net) -> None:
    """Who leaves the block by one `Task.cancel` still waits for the end of every connection."""
    opened: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    left = 0

    async def handler(connection: Connection) -> None:
        nonlocal left
        async for _ in connection:
            pass
        left += 1

    async def serve_for_ever() -> None:
        async with serving(net, handler) as server:
            servers.append(server)
            opened.set_result(server.sockets[0].getsockname())
            await asyncio.get_running_loop().create_future()

    servers: list[Any] = []
    task = asyncio.create_task(serve_for_ever())
    await opened
    (server,) = servers
    assert isinstance(server, net.Server)
    async with client(server) as peer:
        await until(lambda: len(server.connections) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left == 1
        await peer.wait_closed()
        assert peer.close_code == 1001


@pytest.mark.slow
async def test_a_handler_that_resists_cancelling(
    net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    """One that ends when it is cancelled is waited for, one that does not is left; the log tells."""
    cancelled = 0
    release = asyncio.Event()

    async def handler(connection: Connection) -> None:
        nonlocal cancelled
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                cancelled += 1
                if connection.request.path == "/good" or cancelled > 2:
                    raise

    with caplog.at_level(logging.WARNING):
        async with serving(net, handler) as server, client(server, "/good"), client(server, "/bad"):
            await until(lambda: len(server.connections) == 2)
            before = time.monotonic()
            server.close()
            await server.wait_closed()
            assert 0.5 < time.monotonic() - before < 5
            assert cancelled == 2
            assert sum("did not end" in record.message for record in caplog.records) == 1
            release.set()
