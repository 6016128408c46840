"""How connections begin: requests, answers and deadlines."""

from __future__ import annotations

import time

import anyio
import pytest
from websockets.exceptions import InvalidStatus

from hubbub.apps.echo import echo
from hubbub.core.handshake import ServerOptions
from hubbub.core.limits import Limits
from support.clients import client
from support.net import Connection, Net, address, serving
from support.peers import raw_peer
from support.tasks import Task
from support.wire import head, request


async def test_subprotocols(net: Net) -> None:
    """The first of ours that the client offers is agreed on; the handler knows it."""

    async def handler(connection: Connection) -> None:
        await connection.send(str(connection.subprotocol))

    async with serving(net, handler, subprotocols=("b", "a")) as server:
        for offered, agreed in [(["a", "b"], "b"), (["a"], "a"), (["c"], None), (None, None)]:
            async with client(server, subprotocols=offered) as peer:
                assert peer.subprotocol == agreed
                assert await peer.recv() == str(agreed)


async def test_headers(net: Net) -> None:
    """The handler sees the request's headers and target; the client sees the server's headers."""

    async def handler(connection: Connection) -> None:
        headers = connection.request.headers
        await connection.send(f"{connection.request.target} {headers['x-hello']}")
        assert connection.remote_address[0] == "127.0.0.1"

    async with (
        serving(net, handler, headers=(("X-Server", "hubbub"),)) as server,
        client(server, "/room?token=x", additional_headers={"X-Hello": "there"}) as peer,
    ):
        assert await peer.recv() == "/room?token=x there"
        assert peer.response.headers["X-Server"] == "hubbub"


async def test_ordinary_http(net: Net) -> None:
    """A GET is answered from the routes, then the connection is closed."""
    async with serving(net, echo) as server:
        for path, status in [("/healthz", b"200"), ("/nothing", b"426")]:
            async with raw_peer(server) as peer:
                await peer.send(head(f"GET {path} HTTP/1.1", [("Host", "localhost")]))
                answer = await peer.read_rest()
                assert answer.startswith(b"HTTP/1.1 " + status)
                assert b"Connection: close" in answer


def test_nobody_answers_other_requests(net: Net) -> None:
    """Options that report ordinary requests are refused: a handler could not answer them."""
    with pytest.raises(ValueError, match=r"options\.http.*routes"):
        net.serve(echo, port=0, options=ServerOptions(http=True))


async def test_a_page_of_another_site(net: Net) -> None:
    """A browser's request from another site's page is refused with 403, from our own accepted."""
    async with serving(net, echo) as server:
        host, port = address(server)
        async with client(server, origin=f"http://{host}:{port}"):
            pass
        with pytest.raises(InvalidStatus) as caught:
            async with client(server, origin="https://evil.example"):
                pass
        assert caught.value.response.status_code == 403


@pytest.mark.parametrize("sent", [b"", request()[:50], b"G"], ids=["nothing", "half", "a byte"])
async def test_a_handshake_that_takes_too_long(net: Net, sent: bytes) -> None:
    """It is closed at the deadline: with 408 if a request was begun, silently if not."""
    async with serving(net, echo, Limits(open_timeout=0.2)) as server, raw_peer(server) as peer:
        before = time.monotonic()
        await peer.send(sent)
        answer = await peer.read_rest()
        assert 0.15 < time.monotonic() - before < 5
        assert answer.startswith(b"HTTP/1.1 408 ") if sent else answer == b""


async def test_bytes_that_trickle_do_not_move_the_deadline(net: Net) -> None:
    """A hundred connections that send a byte now and then are gone at the deadline; others open."""
    took: list[float] = []

    async def slowly() -> None:
        before = time.monotonic()
        async with raw_peer(server) as peer, anyio.create_task_group() as tasks:
            reading = Task(tasks, peer.read_rest)
            for byte in request():
                await peer.send(bytes([byte]))
                with anyio.move_on_after(0.05):
                    assert (await reading.wait()).startswith(b"HTTP/1.1 408 ")
                    took.append(time.monotonic() - before)
                    return
        raise AssertionError("it was never closed")

    async with (
        serving(net, echo, Limits(open_timeout=0.5)) as server,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(100):
            tasks.start_soon(slowly)
        async with client(server) as peer:
            await peer.send("x")
            assert await peer.recv() == "x"
    assert len(took) == 100
    assert max(took) < 5
