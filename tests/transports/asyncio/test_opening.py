"""How connections begin: requests and answers, deadlines, and what can be listened on."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect, unix_connect
from websockets.exceptions import InvalidStatus

from hubbub.apps.echo import echo
from hubbub.core.handshake import ServerOptions
from hubbub.core.limits import Limits
from hubbub.transports.asyncio import ServerConnection, serve
from support.loops import until
from support.peers import client, raw_peer, serving
from support.wire import head, request


async def test_subprotocols() -> None:
    """The first of ours that the client offers is agreed on; the handler knows it."""

    async def handler(connection: ServerConnection) -> None:
        await connection.send(str(connection.subprotocol))

    async with serving(handler, subprotocols=("b", "a")) as server:
        for offered, agreed in [(["a", "b"], "b"), (["a"], "a"), (["c"], None), (None, None)]:
            async with client(server, subprotocols=offered) as peer:
                assert peer.subprotocol == agreed
                assert await peer.recv() == str(agreed)


async def test_headers() -> None:
    """The handler sees the request's headers and target; the client sees the server's headers."""

    async def handler(connection: ServerConnection) -> None:
        headers = connection.request.headers
        await connection.send(f"{connection.request.target} {headers['x-hello']}")
        assert connection.remote_address[0] == "127.0.0.1"

    async with (
        serving(handler, headers=(("X-Server", "hubbub"),)) as server,
        client(server, "/room?token=x", additional_headers={"X-Hello": "there"}) as peer,
    ):
        assert await peer.recv() == "/room?token=x there"
        assert peer.response is not None
        assert peer.response.headers["X-Server"] == "hubbub"


async def test_ordinary_http() -> None:
    """A GET is answered from the routes, then the connection is closed."""
    async with serving(echo) as server:
        for path, status in [("/healthz", b"200"), ("/nothing", b"426")]:
            async with raw_peer(server) as peer:
                peer.send(head(f"GET {path} HTTP/1.1", [("Host", "localhost")]))
                answer = await peer.read_rest()
                assert answer.startswith(b"HTTP/1.1 " + status)
                assert b"Connection: close" in answer


async def test_a_page_of_another_site() -> None:
    """A browser's request from another site's page is refused with 403, from our own accepted."""
    async with serving(echo) as server:
        host, port = server.sockets[0].getsockname()
        async with client(server, origin=f"http://{host}:{port}"):
            pass
        with pytest.raises(InvalidStatus) as caught:
            await client(server, origin="https://evil.example")
        assert caught.value.response.status_code == 403


@pytest.mark.parametrize("sent", [b"", request()[:50], b"G"], ids=["nothing", "half", "a byte"])
async def test_a_handshake_that_takes_too_long(sent: bytes) -> None:
    """It is closed at the deadline: with 408 if a request was begun, silently if not."""
    async with serving(echo, Limits(open_timeout=0.2)) as server, raw_peer(server) as peer:
        before = time.monotonic()
        peer.send(sent)
        answer = await peer.read_rest()
        assert 0.15 < time.monotonic() - before < 5
        assert answer.startswith(b"HTTP/1.1 408 ") if sent else answer == b""


async def test_bytes_that_trickle_do_not_move_the_deadline() -> None:
    """A hundred connections that send a byte now and then are gone at the deadline; others open."""

    async def slowly() -> float:
        before = time.monotonic()
        async with raw_peer(server) as peer:
            reading = asyncio.create_task(peer.read_rest())
            for byte in request():
                peer.send(bytes([byte]))
                done, _ = await asyncio.wait([reading], timeout=0.05)
                if done:
                    assert (await reading).startswith(b"HTTP/1.1 408 ")
                    return time.monotonic() - before
        raise AssertionError("it was never closed")

    async with serving(echo, Limits(open_timeout=0.5)) as server:
        slow = [asyncio.create_task(slowly()) for _ in range(100)]
        async with client(server) as peer:
            await peer.send("x")
            assert await peer.recv() == "x"
        assert max(await asyncio.gather(*slow)) < 5


async def test_an_existing_socket() -> None:
    """A socket that is bound already can be listened on."""
    sock = socket.create_server(("127.0.0.1", 0))
    async with serve(echo, sock=sock) as server, client(server) as peer:
        assert server.sockets[0].getsockname() == sock.getsockname()
        await peer.send("x")
        assert await peer.recv() == "x"


async def test_a_unix_socket(tmp_path: Path) -> None:
    """So can one of the Unix kind, where a peer has no address."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "socket"))
    async with serve(echo, sock=sock), unix_connect(str(tmp_path / "socket")) as peer:
        await peer.send("x")
        assert await peer.recv() == "x"


async def test_ipv6() -> None:
    """Listening on the loopback of IPv6 works as on that of IPv4."""
    addresses: list[str] = []

    async def handler(connection: ServerConnection) -> None:
        addresses.append(connection.remote_address[0])
        await echo(connection)

    async with serve(handler, "::1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://[::1]:{port}/", proxy=None) as peer:
            await peer.send("x")
            assert await peer.recv() == "x"
    assert addresses == ["::1"]


async def test_several_addresses() -> None:
    """One server can listen on several addresses."""
    async with serve(echo, ["127.0.0.1", "::1"], 0) as server:
        for sock in server.sockets:
            host, port = sock.getsockname()[:2]
            url = f"ws://[{host}]:{port}/" if ":" in host else f"ws://{host}:{port}/"
            async with connect(url, proxy=None) as peer:
                await peer.send("x")
                assert await peer.recv() == "x"


async def test_without_async_with() -> None:
    """`await serve(...)` gives a server that is closed by hand."""
    server = await serve(echo, "127.0.0.1", 0, options=ServerOptions())
    async with client(server) as peer:
        await peer.send("x")
        assert await peer.recv() == "x"
    server.close()
    await server.wait_closed()
    assert server.connections == set()


async def test_a_port_in_use() -> None:
    """Listening where somebody listens raises, and leaves nothing behind."""
    async with serving(echo) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await serve(echo, "127.0.0.1", port)


async def test_nothing_leaks() -> None:
    """After 300 connections, half of them cut off, descriptors and tasks are as before."""

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with serving(echo) as server:
        async with client(server) as peer:  # what is made once is made now
            await peer.send("x")
            await peer.recv()
        await until(lambda: not server.connections)
        before, tasks = descriptors(), len(asyncio.all_tasks())
        for number in range(300):
            async with raw_peer(server) as raw:
                if number % 3:
                    await raw.upgrade()
                else:
                    raw.send(request()[: number % 100])
                if number % 2:
                    raw.reset()
        await until(lambda: descriptors() == before and len(asyncio.all_tasks()) == tasks)
        assert server.connections == set()
        assert server._sockets == {}
        assert len(server._driver._deadlines) == 0
