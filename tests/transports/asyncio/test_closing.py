"""How connections end: by the handler, by the peer, by accident."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from websockets.exceptions import ConnectionClosed as PeerConnectionClosed

from hubbub.apps.echo import echo
from hubbub.core.errors import LocalProtocolError
from hubbub.core.limits import Limits
from hubbub.core.states import State
from hubbub.transports.asyncio import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    ServerConnection,
)
from support.loops import until
from support.peers import CLOSE, Frame, address, client, raw_peer, serving
from support.wire import close, frame, head, request, text


async def _nothing(connection: ServerConnection) -> None:
    """A handler that returns at once."""


async def test_a_handler_that_returns() -> None:
    """The connection is closed with 1000."""
    async with serving(_nothing) as server, client(server) as peer:
        await peer.wait_closed()
        assert (peer.close_code, peer.close_reason) == (1000, "")


async def test_a_handler_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """The peer sees 1011 and nothing of the error; the log has exactly one line about it."""

    async def handler(connection: ServerConnection) -> None:
        raise KeyError("secret")

    with caplog.at_level(logging.WARNING):
        async with serving(handler) as server, client(server) as peer:
            await peer.wait_closed()
            assert (peer.close_code, peer.close_reason) == (1011, "")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("hubbub.server", "ERROR")
    assert record.exc_info is not None


async def test_a_handler_that_lets_the_end_through(caplog: pytest.LogCaptureFixture) -> None:
    """ConnectionClosed that leaves the handler is no error."""

    async def handler(connection: ServerConnection) -> None:
        while True:
            await connection.recv()

    with caplog.at_level(logging.WARNING):
        async with serving(handler) as server:
            async with client(server) as peer:
                await peer.close(3000)
            async with raw_peer(server) as raw:
                await raw.upgrade()
                raw.reset()
            await until(lambda: not server.connections)
    assert caplog.records == []


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1014, 3000, 4999])
async def test_codes_of_the_peer(code: int) -> None:
    """The handler learns the peer's code and reason, and the peer gets its code back."""
    ended: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def handler(connection: ServerConnection) -> None:
        with pytest.raises(ConnectionClosed) as caught:
            await connection.recv()
        assert isinstance(caught.value, ConnectionClosedOK) is (code in (1000, 1001))
        ended.put_nowait(connection)

    async with serving(handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        peer.send(close(code, "Grüße"))
        assert (await peer.read_frame()).code == code
        connection = await ended.get()
        assert (connection.close_code, connection.close_reason) == (code, "Grüße")
        assert await peer.read_rest() == b""
    await connection.wait_closed()
    assert connection.state is State.CLOSED


async def test_a_close_frame_without_a_code() -> None:
    """It is told as 1005, and answered by one without a code."""
    ended: asyncio.Queue[int | None] = asyncio.Queue()

    async def handler(connection: ServerConnection) -> None:
        async for _ in connection:
            pass
        ended.put_nowait(connection.close_code)

    async with serving(handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        peer.send(frame(CLOSE))
        assert await peer.read_frame() == Frame(CLOSE, b"")
        assert await ended.get() == 1005


async def test_codes_of_ours() -> None:
    """The peer sees the handler's code and reason; a code that may not be sent changes nothing."""

    async def handler(connection: ServerConnection) -> None:
        for code, reason in [(1005, ""), (1006, ""), (999, ""), (5000, ""), (1000, "x" * 124)]:
            with pytest.raises(LocalProtocolError):
                await connection.close(code, reason)
        await connection.send("still here")
        await connection.close(4321, "Grüße")
        await connection.close(1000, "the second time only waits")
        with pytest.raises(ConnectionClosed):
            await connection.send("too late")

    async with serving(handler) as server, client(server) as peer:
        assert await peer.recv() == "still here"
        await peer.wait_closed()
        assert (peer.close_code, peer.close_reason) == (4321, "Grüße")


async def test_a_peer_that_does_not_answer_our_close() -> None:
    """`close` waits for `close_timeout` and not longer; then the socket is closed."""
    took: asyncio.Queue[float] = asyncio.Queue()

    async def handler(connection: ServerConnection) -> None:
        before = time.monotonic()
        await connection.close()
        took.put_nowait(time.monotonic() - before)

    async with serving(handler, Limits(close_timeout=0.2)) as server, raw_peer(server) as peer:
        await peer.upgrade()
        assert (await peer.read_frame()).code == 1000
        assert await peer.read_rest() == b""
        assert 0.19 < await took.get() < 5


@pytest.mark.parametrize("how", ["RST", "FIN", "FIN within a frame"])
async def test_a_peer_that_vanishes(how: str, caplog: pytest.LogCaptureFixture) -> None:
    """The handler learns of it at once, as 1006; the log has no warning."""
    ended: asyncio.Queue[ConnectionClosedError] = asyncio.Queue()

    async def handler(connection: ServerConnection) -> None:
        assert await connection.recv() == "here"
        with pytest.raises(ConnectionClosedError) as caught:
            await connection.recv()
        ended.put_nowait(caught.value)

    with caplog.at_level(logging.WARNING):
        async with serving(handler) as server, raw_peer(server) as peer:
            await peer.upgrade()
            peer.send(text("here"))
            await peer.drain()
            await until(lambda: bool(server.connections))
            if how == "RST":
                peer.reset()
            else:
                peer.send(text("half")[:-1] if how != "FIN" else b"")
                peer.end()
                assert await peer.read_rest() == b""
            error = await asyncio.wait_for(ended.get(), 5)
            assert (error.code, error.reason) == (1006, "")
            await until(lambda: not server.connections)
    assert caplog.records == []


@pytest.mark.parametrize("data", [b"", b"G", request()[:-3]], ids=["nothing", "a byte", "half"])
@pytest.mark.parametrize("how", ["RST", "FIN"])
async def test_a_peer_that_vanishes_in_the_handshake(
    data: bytes, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that is never finished reaches no handler and no log, and the socket is closed."""

    handled = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal handled
        handled += 1

    with caplog.at_level(logging.WARNING):
        async with serving(handler) as server, raw_peer(server) as peer:
            peer.send(data)
            await peer.drain()
            if how == "RST":
                peer.reset()
            else:
                peer.end()
                await peer.read_rest()
            async with client(server) as other:
                await other.wait_closed()  # the server goes on
    assert handled == 1
    assert caplog.records == []


async def test_unread_bytes_do_not_cost_the_peer_our_close() -> None:
    """With a thousand bytes unread at our close, the peer sees the Close frame, then the end.

    A socket that is closed over unread bytes sends a reset, and the peer loses what it has not read.
    """
    async with serving(_nothing) as server:
        for size in (1000, 60_000):
            async with raw_peer(server) as peer:
                peer.send(request() + text("x" * 100) * (size // 100))
                head = await peer.read_head()
                assert head.startswith(b"HTTP/1.1 101 ")
                assert (await peer.read_frame()).code == 1000
                peer.send(text("x" * 100) * (size // 100) + close(1000))
                assert await peer.read_rest() == b""


async def test_unread_bytes_do_not_cost_the_peer_a_refusal() -> None:
    """A body behind a refused request does not turn the answer into a reset."""
    async with serving(_nothing) as server, raw_peer(server) as peer:
        peer.send(request(without=["Upgrade"], method="POST") + b"x" * 50_000)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 4")
        await peer.read_rest()


async def test_answers_reach_a_peer_that_has_ended_its_stream() -> None:
    """Messages, a Close frame and the end of the stream at once: the answers come all the same."""
    async with serving(echo) as server:
        async with raw_peer(server) as peer:
            peer.send(request() + text("a") + text("b") + close(1000))
            peer.end()
            await peer.read_head()
            assert [(await peer.read_frame()).payload for _ in "ab"] == [b"a", b"b"]
            assert (await peer.read_frame()).code == 1000
            assert await peer.read_rest() == b""
        async with raw_peer(server) as peer:
            peer.send(head("GET /healthz HTTP/1.1", [("Host", "localhost")]))
            peer.end()
            assert (await peer.read_rest()).endswith(b"ok\n")


async def test_what_is_sent_after_close_is_thrown_away() -> None:
    """Messages that cross our Close frame are counted, not handed out."""
    closed: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def handler(connection: ServerConnection) -> None:
        await connection.close(1000)
        closed.put_nowait(connection)

    async with serving(handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        assert (await peer.read_frame()).code == 1000
        peer.send(text("a") + text("b") + close(1000) + text("c") + close(1000))
        assert await peer.read_rest() == b""
        peer.end()
        connection = await closed.get()
        assert connection.closed is not None
        assert connection.closed.discarded == 2


async def test_the_server_closes() -> None:
    """Closing the server sends 1001 to everyone, and lets handlers end."""
    ended: list[str] = []

    async def handler(connection: ServerConnection) -> None:
        async for _ in connection:
            pass
        ended.append("handler")

    async with serving(handler) as server:
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
            await asyncio.open_connection(*where)


async def test_serve_forever_ends_when_the_server_is_closed() -> None:
    """`serve_forever` returns once `close` was called and everything has ended."""
    async with serving(echo) as server, client(server) as peer:
        forever = asyncio.create_task(server.serve_forever())
        await peer.send("x")
        assert await peer.recv() == "x"
        server.close(1012, "restarting")
        await asyncio.wait_for(forever, 5)
        await peer.wait_closed()
        assert (peer.close_code, peer.close_reason) == (1012, "restarting")


async def test_serve_forever_closes_when_it_is_cancelled() -> None:
    """Cancelling `serve_forever` closes the server and every connection."""
    async with serving(echo) as server, client(server) as peer:
        forever = asyncio.create_task(server.serve_forever())
        await peer.send("x")
        assert await peer.recv() == "x"
        forever.cancel()
        with pytest.raises(asyncio.CancelledError):
            await forever
        await peer.wait_closed()
        assert peer.close_code == 1001


async def test_the_server_refuses_a_code_that_may_not_be_sent() -> None:
    """The mistake is told at once, and the server goes on."""
    async with serving(echo) as server, client(server) as peer:
        with pytest.raises(LocalProtocolError):
            server.close(1006)
        await peer.send("x")
        assert await peer.recv() == "x"


async def test_the_server_waits_bounded_for_peers() -> None:
    """A peer that does not answer 1001 holds the server up for `close_timeout` only."""
    limits = Limits(close_timeout=0.2, drain_timeout=0.2)
    async with serving(echo, limits) as server, raw_peer(server) as peer:
        await peer.upgrade()
        before = time.monotonic()
        server.close()
        await server.wait_closed()
        assert time.monotonic() - before < 1
        assert (await peer.read_frame()).code == 1001


@pytest.mark.slow
async def test_the_server_waits_bounded_for_handlers(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that does not end is cancelled, and one that resists is left; the log tells."""
    cancelled = 0
    release = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        nonlocal cancelled
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                cancelled += 1
                if connection.request.path == "/good" or cancelled > 2:
                    raise

    async with serving(handler) as server, client(server, "/good"), client(server, "/bad"):
        await until(lambda: len(server.connections) == 2)
        before = time.monotonic()
        server.close()
        await server.wait_closed()
        assert 0.5 < time.monotonic() - before < 5
        assert cancelled == 2
        assert sum("did not end" in record.message for record in caplog.records) == 1
        release.set()


async def test_connections_in_the_handshake_at_shutdown() -> None:
    """They do not hold the server up, and their sockets are closed."""
    async with serving(echo) as server, raw_peer(server) as silent, raw_peer(server) as half:
        half.send(request()[:40])
        await half.drain()
        async with client(server):
            pass  # so that the server has accepted both before
        before = time.monotonic()
        server.close()
        await server.wait_closed()
        assert time.monotonic() - before < 1
        for peer in (silent, half):
            with pytest.raises((ConnectionError, EOFError, asyncio.IncompleteReadError)):
                await peer.read_head()


async def test_a_message_before_shutdown_is_answered() -> None:
    """What was sent before the server's Close frame still arrives."""

    async def handler(connection: ServerConnection) -> None:
        await connection.send("x" * 200_000)
        await connection.recv()

    async with serving(handler) as server, client(server) as peer:
        await until(lambda: len(server.connections) == 1)
        server.close()
        assert await peer.recv() == "x" * 200_000
        with pytest.raises(PeerConnectionClosed):
            await peer.recv()
        assert peer.close_code == 1001
