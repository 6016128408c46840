"""Faults of users and of the system, each of which harms one connection at most."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import anyio.to_thread
import pytest

from hubbub.apps.echo import echo
from hubbub.transports.client_connection import ClientConnection
from support.loops import until
from support.net import Connection, Net, serving, url
from support.peers import raw_peer


async def test_another_thread(net: Net, backend: str) -> None:
    """A call from another thread may raise, but the server goes on."""
    async with serving(net, echo) as server, net.connect(url(server)) as connection:
        await connection.send("before")
        assert await connection.recv() == "before"

        def elsewhere() -> None:
            try:
                net.broadcast(server.connections, "from a thread")
            except RuntimeError:
                assert backend == "trio"

        await anyio.to_thread.run_sync(elsewhere)
        await connection.send("behind")
        with anyio.fail_after(5):
            while await connection.recv() != "behind":
                pass
        async with net.connect(url(server)) as another:
            await another.send("x")
            assert await another.recv() == "x"


async def test_a_connection_that_can_not_be_made(net: Net) -> None:
    """Where `create_connection` raises, nothing is left open."""

    class Wrong(ClientConnection):
        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            raise ValueError("wrong")

    async with serving(net, echo) as server:
        with pytest.raises(ValueError, match="wrong"):
            await net.connect(url(server), create_connection=Wrong).__aenter__()
        await until(lambda: not server.connections)


async def test_the_end_in_a_task_group(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """A handler need not catch the end of its connection in its tasks either: no error is logged."""
    ended = anyio.Event()

    async def handler(connection: Connection) -> None:
        async def read() -> None:
            while True:
                await connection.recv()

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                tasks.start_soon(read_too, connection)
        finally:
            ended.set()

    async def read_too(connection: Connection) -> None:
        await connection.wait_closed()
        await connection.send("too late")

    with caplog.at_level(logging.INFO):
        async with serving(net, handler) as server:
            async with raw_peer(server) as peer:
                await peer.upgrade()
                peer.reset()
            with anyio.fail_after(5):
                await ended.wait()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_server_starts_once(net: Net) -> None:
    """A second start raises, and says what to do."""
    server = serving(net, echo)
    async with server:
        pass
    with pytest.raises(RuntimeError, match="make another"):
        _ = await server.__aenter__()
    with pytest.raises(RuntimeError, match="not started"):
        await net.serve(echo, port=0).serve_forever()


def test_the_wrong_kind_of_context(net: Net) -> None:
    """A client's TLS context, or what is none, is refused when the server is made."""
    import ssl

    with pytest.raises(ValueError, match="client"):
        net.serve(echo, port=0, ssl=ssl.create_default_context())
    with pytest.raises(TypeError, match="SSLContext"):
        net.serve(echo, port=0, ssl=True)
