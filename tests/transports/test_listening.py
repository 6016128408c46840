"""What can be listened on, and what is left of a connection when it is gone."""

from __future__ import annotations

import gc
import socket
from pathlib import Path

import pytest

from hubbub.apps.echo import echo
from hubbub.core.websocket import WebSocket
from support.clients import client, client_at, unix_client
from support.loops import descriptors, run, running, until
from support.net import Connection, Net, adapter, address, serving
from support.peers import raw_peer
from support.wire import request

STALE = 64
"""Connections that may be remembered after their end, until a deadline of theirs would have come."""


async def test_an_existing_socket(net: Net) -> None:
    """A socket that is bound already can be listened on."""
    sock = socket.create_server(("127.0.0.1", 0))
    async with net.serve(echo, sock=sock) as server, client(server) as peer:
        assert server.sockets[0].getsockname() == sock.getsockname()
        await peer.send("x")
        assert await peer.recv() == "x"


async def test_a_unix_socket(net: Net, tmp_path: Path) -> None:
    """So can one of the Unix kind, where a peer has no address."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "socket"))
    async with net.serve(echo, sock=sock), unix_client(str(tmp_path / "socket")) as peer:
        await peer.send("x")
        assert await peer.recv() == "x"


async def test_ipv6(net: Net) -> None:
    """Listening on the loopback of IPv6 works as on that of IPv4."""
    addresses: list[str] = []

    async def handler(connection: Connection) -> None:
        addresses.append(connection.remote_address[0])
        await echo(connection)

    async with net.serve(handler, "::1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with client_at(f"ws://[::1]:{port}/") as peer:
            await peer.send("x")
            assert await peer.recv() == "x"
    assert addresses == ["::1"]


async def test_several_addresses(net: Net) -> None:
    """One server can listen on several addresses."""
    async with net.serve(echo, ["127.0.0.1", "::1"], 0) as server:
        assert len(server.sockets) == 2
        for sock in server.sockets:
            host, port = sock.getsockname()[:2]
            url = f"ws://[{host}]:{port}/" if ":" in host else f"ws://{host}:{port}/"
            async with client_at(url) as peer:
                await peer.send("x")
                assert await peer.recv() == "x"


async def test_a_port_in_use(net: Net) -> None:
    """Listening where somebody listens raises, and leaves nothing behind."""
    async with serving(net, echo) as server:
        with pytest.raises(OSError, match="in use"):
            async with net.serve(echo, *address(server)):
                pass


def _machines() -> int:
    gc.collect()
    return sum(isinstance(each, WebSocket) for each in gc.get_objects())


async def test_nothing_leaks(net: Net) -> None:
    """After 300 connections, half of them cut off, descriptors, tasks and machines are as before."""

    async with serving(net, echo) as server, client(server) as peer:
        await peer.send("x")  # what the process makes once is made now
        await peer.recv()
    made = _machines()
    async with serving(net, echo) as server:
        before = descriptors(), len(running())
        for number in range(300):
            async with raw_peer(server) as raw:
                if number % 3:
                    await raw.upgrade()
                else:
                    await raw.send(request()[: number % 100])
                if number % 2:
                    raw.reset()
        await until(lambda: (descriptors(), len(running())) == before)
        assert _machines() - made <= STALE
        assert server.connections == set()


def test_a_loop_that_has_ended_is_let_go(backend: str) -> None:
    """Whoever runs one loop after the other does not keep the servers and connections of all of them."""

    async def serve_once() -> None:
        async with serving(adapter(backend), echo) as server, client(server) as peer:
            await peer.send("x")
            await peer.recv()

    before = _machines(), descriptors()
    run(backend, serve_once)
    assert (_machines(), descriptors()) == before
