"""How a server ends: everyone is told, nobody holds it up."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import repeat

import anyio
import anyio.lowlevel
import pytest
from websockets.exceptions import ConnectionClosed as PeerConnectionClosed

from hubbub.apps.echo import echo
from hubbub.core.errors import LocalProtocolError
from hubbub.core.limits import Limits
from support.clients import client
from support.loops import until
from support.net import Connection, Net, address, serving
from support.peers import CLOSE, CONTINUATION, connected, raw_peer
from support.tasks import Task, WasCancelled
from support.wire import close, request


async def test_the_server_closes(net: Net) -> None:
    """Closing the server sends 1001 to everyone, and lets handlers end."""
    ended: list[str] = []

    async def handler(connection: Connection) -> None:
        async for _ in connection:
            pass
        ended.append("handler")

    async with serving(net, handler) as server:
        where = address(server)
        async with client(server) as one, client(server) as two:
            await until(lambda: len(server.connections) == 2)
            server.close()
            await server.wait_closed()
            assert ended == ["handler"] * 2
            for peer in (one, two):
                await peer.wait_closed()
                assert peer.close_code == 1001
        assert server.connections == set()
        with pytest.raises(ConnectionRefusedError):
            await connected(*where)


async def _send_wholes(connection: Connection) -> None:
    while True:
        await connection.send(bytes(50_000))


async def _send_fragments(connection: Connection) -> None:
    async def fragments() -> AsyncGenerator[bytes]:
        while True:
            yield bytes(5_000)

    async with aclosing(fragments()) as made:
        await connection.send(made)


async def _send_an_iterator(connection: Connection) -> None:
    await connection.send(repeat(bytes(5_000)))


async def _send_small_ones(connection: Connection) -> None:
    while True:
        await connection.send("x")
        await anyio.lowlevel.checkpoint()


async def _say_nothing(connection: Connection) -> None:
    await connection.wait_closed()


TALKERS = {
    "/wholes": (_send_wholes, 50_000),
    "/fragments": (_send_fragments, 5_000),
    "/iterator": (_send_an_iterator, 5_000),
    "/small": (_send_small_ones, 1),
    "/nothing": (_say_nothing, 0),
}


async def test_everyone_is_told_and_nothing_is_half_written(net: Net) -> None:
    """Whatever handlers send at that moment, each peer gets whole frames, 1001, and the end."""

    async def handler(connection: Connection) -> None:
        await TALKERS[connection.request.path][0](connection)

    listening = 0
    told: list[str] = []

    async def listen(path: str) -> None:
        nonlocal listening
        async with raw_peer(server) as peer:
            await peer.upgrade(target=path)
            listening += 1
            while (frame := await peer.read_frame()).opcode != CLOSE:
                assert len(frame.payload) == TALKERS[path][1]
                assert frame.final or path in {"/fragments", "/iterator"}
                assert frame.opcode != CONTINUATION or path in {"/fragments", "/iterator"}
            assert frame.code == 1001
            await peer.send(close(1001))
            assert await peer.read_rest() == b""
            told.append(path)

    async with serving(net, handler) as server, anyio.create_task_group() as tasks:
        for path in TALKERS:
            for _ in range(6):
                tasks.start_soon(listen, path)
        await until(lambda: listening == 6 * len(TALKERS))
        server.close()
        with anyio.fail_after(10):
            await server.wait_closed()
    assert sorted(told) == sorted(list(TALKERS) * 6)


async def test_leaving_the_block_closes(net: Net) -> None:
    """The end of `async with` closes the server as `close` does."""
    async with anyio.create_task_group() as tasks:
        async with serving(net, echo) as server:
            opened, ended = anyio.Event(), anyio.Event()

            async def stay() -> None:
                async with client(server) as peer:
                    opened.set()
                    await peer.wait_closed()
                    assert peer.close_code == 1001
                ended.set()

            tasks.start_soon(stay)
            await opened.wait()
        await ended.wait()
        assert server.connections == set()


async def test_cancelling_the_block_closes(net: Net) -> None:
    """A server whose block is cancelled leaves no connection open and no socket listening."""
    opened = anyio.Event()
    where: list[tuple[str, int]] = []

    async def serve_for_ever() -> None:
        limits = Limits(close_timeout=0.2, drain_timeout=0.2)
        async with serving(net, echo, limits) as server:
            where.append(address(server))
            opened.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        serving_task = Task(tasks, serve_for_ever)
        await opened.wait()
        stream = await connected(*where[0])
        await stream.send(request())
        assert (await stream.receive()).startswith(b"HTTP/1.1 101 ")
        serving_task.cancel()
        with pytest.raises(WasCancelled):
            await serving_task.wait()
        with pytest.raises(ConnectionRefusedError):
            await connected(*where[0])
        with anyio.fail_after(5):
            try:
                while True:
                    await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
        await stream.aclose()


async def test_serve_forever_ends_when_the_server_is_closed(net: Net) -> None:
    """`serve_forever` returns once `close` was called and everything has ended."""
    async with (
        serving(net, echo) as server,
        client(server) as peer,
        anyio.create_task_group() as tasks,
    ):
        forever = Task(tasks, server.serve_forever)
        await peer.send("x")
        assert await peer.recv() == "x"
        assert not forever.done
        server.close(code=1012, reason="restarting")
        with anyio.fail_after(5):
            await forever.wait()
        await peer.wait_closed()
        assert (peer.close_code, peer.close_reason) == (1012, "restarting")


async def test_serve_forever_closes_when_it_is_cancelled(net: Net) -> None:
    """Cancelling `serve_forever` closes the server and every connection."""
    async with (
        serving(net, echo) as server,
        client(server) as peer,
        anyio.create_task_group() as tasks,
    ):
        forever = Task(tasks, server.serve_forever)
        await peer.send("x")
        assert await peer.recv() == "x"
        forever.cancel()
        with pytest.raises(WasCancelled):
            await forever.wait()
        await peer.wait_closed()
        assert peer.close_code == 1001


async def test_the_server_refuses_a_code_that_may_not_be_sent(net: Net) -> None:
    """The mistake is told at once, and the server goes on."""
    async with serving(net, echo) as server, client(server) as peer:
        with pytest.raises(LocalProtocolError):
            server.close(code=1006)
        await peer.send("x")
        assert await peer.recv() == "x"


async def test_the_server_waits_bounded_for_peers(net: Net) -> None:
    """A peer that does not answer 1001 holds the server up for `close_timeout` only."""
    limits = Limits(close_timeout=0.2, drain_timeout=0.2)
    async with serving(net, echo, limits) as server, raw_peer(server) as peer:
        await peer.upgrade()
        before = time.monotonic()
        server.close()
        await server.wait_closed()
        assert time.monotonic() - before < 1
        assert (await peer.read_frame()).code == 1001


@pytest.mark.slow
async def test_the_server_waits_bounded_for_handlers(
    net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler that does not end is cancelled, and nothing else is: who closed the server goes on."""
    cancelled = 0
    went_on = False

    async def handler(connection: Connection) -> None:
        nonlocal cancelled
        try:
            await anyio.sleep_forever()
        finally:
            cancelled += 1

    with caplog.at_level(logging.WARNING):
        async with serving(net, handler) as server, client(server), client(server):
            await until(lambda: len(server.connections) == 2)
            before = time.monotonic()
            server.close()
            await server.wait_closed()
            assert 0.5 < time.monotonic() - before < 5
            assert cancelled == 2
            await anyio.lowlevel.checkpoint()
            went_on = True
    assert went_on
    assert caplog.records == []


async def test_connections_in_the_handshake_at_shutdown(net: Net) -> None:
    """They do not hold the server up, and their sockets are closed."""
    async with serving(net, echo) as server, raw_peer(server) as silent, raw_peer(server) as half:
        await half.send(request()[:40])
        async with client(server):
            pass  # so that the server has accepted both before
        before = time.monotonic()
        server.close()
        await server.wait_closed()
        assert time.monotonic() - before < 1
        for peer in (silent, half):
            with pytest.raises(
                (anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead)
            ):
                await peer.read_head()


async def test_a_message_before_shutdown_is_answered(net: Net) -> None:
    """What was sent before the server's Close frame still arrives."""

    async def handler(connection: Connection) -> None:
        await connection.send("x" * 200_000)
        await connection.recv()

    async with serving(net, handler) as server, client(server) as peer:
        await until(lambda: len(server.connections) == 1)
        server.close()
        assert await peer.recv() == "x" * 200_000
        with pytest.raises(PeerConnectionClosed):
            await peer.recv()
        assert peer.close_code == 1001
