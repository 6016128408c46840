"""How connections end: by the handler, by the peer, by accident."""

from __future__ import annotations

import logging
import time
from typing import Any

import anyio
import pytest

from hubbub.apps.echo import echo
from hubbub.core.errors import LocalProtocolError
from hubbub.core.limits import Limits
from hubbub.core.states import State
from support.clients import client
from support.loops import until
from support.net import Connection, Net, serving
from support.peers import CLOSE, Frame, raw_peer
from support.tasks import Mailbox
from support.wire import close, frame, head, request, text


async def _nothing(connection: Connection) -> None:
    """A handler that returns at once."""


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1014, 3000, 4999])
async def test_codes_of_the_peer(net: Net, code: int) -> None:
    """The handler learns the peer's code and reason, and the peer gets its code back."""
    ended: Mailbox[Connection] = Mailbox()

    async def handler(connection: Connection) -> None:
        with pytest.raises(net.ConnectionClosed) as caught:
            await connection.recv()
        kind = net.ConnectionClosedOK if code in (1000, 1001) else net.ConnectionClosedError
        assert type(caught.value) is kind
        ended.put(connection)

    async with serving(net, handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        await peer.send(close(code, "Grüße"))
        assert (await peer.read_frame()).code == code
        connection = await ended.get()
        assert (connection.close_code, connection.close_reason) == (code, "Grüße")
        assert await peer.read_rest() == b""
    await connection.wait_closed()
    assert connection.state is State.CLOSED


async def test_a_close_frame_without_a_code(net: Net) -> None:
    """It is told as 1005, and answered by one without a code."""
    ended: Mailbox[int | None] = Mailbox()

    async def handler(connection: Connection) -> None:
        async for _ in connection:
            pass
        ended.put(connection.close_code)

    async with serving(net, handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        await peer.send(frame(CLOSE))
        assert await peer.read_frame() == Frame(CLOSE, b"")
        assert await ended.get() == 1005


async def test_codes_of_ours(net: Net) -> None:
    """The peer sees the handler's code and reason; a code that may not be sent changes nothing."""

    async def handler(connection: Connection) -> None:
        for code, reason in [(1005, ""), (1006, ""), (999, ""), (5000, ""), (1000, "x" * 124)]:
            with pytest.raises(LocalProtocolError):
                await connection.close(code, reason)
        await connection.send("still here")
        await connection.close(4321, "Grüße")
        await connection.close(1000, "the second time only waits")
        with pytest.raises(net.ConnectionClosed):
            await connection.send("too late")

    async with serving(net, handler) as server, client(server) as peer:
        assert await peer.recv() == "still here"
        await peer.wait_closed()
        assert (peer.close_code, peer.close_reason) == (4321, "Grüße")


async def test_a_peer_that_does_not_answer_our_close(net: Net) -> None:
    """`close` waits for `close_timeout` and not longer; then the socket is closed."""
    took: Mailbox[float] = Mailbox()

    async def handler(connection: Connection) -> None:
        before = time.monotonic()
        await connection.close()
        took.put(time.monotonic() - before)

    async with serving(net, handler, Limits(close_timeout=0.2)) as server, raw_peer(server) as peer:
        await peer.upgrade()
        assert (await peer.read_frame()).code == 1000
        assert await peer.read_rest() == b""
        assert 0.19 < await took.get() < 5


@pytest.mark.parametrize("how", ["RST", "FIN", "FIN within a frame"])
async def test_a_peer_that_vanishes(net: Net, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """The handler learns of it at once, as 1006; the log has no warning."""
    heard = anyio.Event()
    ended: Mailbox[Any] = Mailbox()

    async def handler(connection: Connection) -> None:
        assert await connection.recv() == "here"
        heard.set()
        with pytest.raises(net.ConnectionClosedError) as caught:
            await connection.recv()
        ended.put(caught.value)

    with caplog.at_level(logging.WARNING):
        async with serving(net, handler) as server, raw_peer(server) as peer:
            await peer.upgrade()
            await peer.send(text("here"))
            await heard.wait()
            if how == "RST":
                peer.reset()
            else:
                await peer.send(text("half")[:-1] if how != "FIN" else b"")
                await peer.end()
                assert await peer.read_rest() == b""
            with anyio.fail_after(5):
                error = await ended.get()
            assert isinstance(error, net.ConnectionClosedError)
            assert (error.code, error.reason) == (1006, "")
            await until(lambda: not server.connections)
    assert caplog.records == []


@pytest.mark.parametrize("data", [b"", b"G", request()[:-3]], ids=["nothing", "a byte", "half"])
@pytest.mark.parametrize("how", ["RST", "FIN"])
async def test_a_peer_that_vanishes_in_the_handshake(
    net: Net, data: bytes, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that is never finished reaches no handler and no log, and the socket is closed."""

    handled = 0

    async def handler(connection: Connection) -> None:
        nonlocal handled
        handled += 1

    with caplog.at_level(logging.WARNING):
        async with serving(net, handler) as server, raw_peer(server) as peer:
            await peer.send(data)
            if how == "RST":
                peer.reset()
            else:
                await peer.end()
                await peer.read_rest()
            async with client(server) as other:
                await other.wait_closed()  # the server goes on
    assert handled == 1
    assert caplog.records == []


async def test_unread_bytes_do_not_cost_the_peer_our_close(net: Net) -> None:
    """With a thousand bytes unread at our close, the peer sees the Close frame, then the end.

    A socket that is closed over unread bytes sends a reset, and the peer loses what it has not read.
    """
    async with serving(net, _nothing) as server:
        for size in (1000, 60_000):
            async with raw_peer(server) as peer:
                await peer.send(request() + text("x" * 100) * (size // 100))
                head = await peer.read_head()
                assert head.startswith(b"HTTP/1.1 101 ")
                assert (await peer.read_frame()).code == 1000
                await peer.send(text("x" * 100) * (size // 100) + close(1000))
                assert await peer.read_rest() == b""


async def test_unread_bytes_do_not_cost_the_peer_a_refusal(net: Net) -> None:
    """A body behind a refused request does not turn the answer into a reset."""
    async with serving(net, _nothing) as server, raw_peer(server) as peer:
        await peer.send(request(without=["Upgrade"], method="POST") + b"x" * 50_000)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 4")
        await peer.read_rest()


async def test_answers_reach_a_peer_that_has_ended_its_stream(net: Net) -> None:
    """Messages, a Close frame and the end of the stream at once: the answers come all the same."""
    async with serving(net, echo) as server:
        async with raw_peer(server) as peer:
            await peer.send(request() + text("a") + text("b") + close(1000))
            await peer.end()
            await peer.read_head()
            assert [(await peer.read_frame()).payload for _ in "ab"] == [b"a", b"b"]
            assert (await peer.read_frame()).code == 1000
            assert await peer.read_rest() == b""
        async with raw_peer(server) as peer:
            await peer.send(head("GET /healthz HTTP/1.1", [("Host", "localhost")]))
            await peer.end()
            assert (await peer.read_rest()).endswith(b"ok\n")


async def test_what_is_sent_after_close_is_thrown_away(net: Net) -> None:
    """Messages that cross our Close frame are counted, not handed out."""
    closed: Mailbox[Connection] = Mailbox()

    async def handler(connection: Connection) -> None:
        await connection.close(1000)
        closed.put(connection)

    async with serving(net, handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        assert (await peer.read_frame()).code == 1000
        await peer.send(text("a") + text("b") + close(1000) + text("c") + close(1000))
        assert await peer.read_rest() == b""
        await peer.end()
        connection = await closed.get()
        assert connection.closed is not None
        assert connection.closed.discarded == 2
