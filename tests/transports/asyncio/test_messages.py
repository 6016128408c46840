"""Messages between a handler and real clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed as PeerConnectionClosed

from hubbub.apps.echo import echo
from hubbub.core.errors import LocalProtocolError
from hubbub.core.limits import Limits
from hubbub.transports.asyncio import ConnectionClosed, ConnectionClosedError, ServerConnection
from support.loops import until
from support.peers import BINARY, CLOSE, CONTINUATION, TEXT, Frame, client, raw_peer, serving
from support.wire import close, frame, request, text


@pytest.mark.parametrize(
    "message",
    ["Grüße, 世界 🌍", b"\x00\xff", "", b"", "x" * 2**20, bytes(2**20)],
    ids=["text", "binary", "empty text", "empty binary", "1 MiB of text", "1 MiB of binary"],
)
async def test_echo(message: str | bytes) -> None:
    """A message comes back as it was, text as text and bytes as bytes."""
    async with serving(echo) as server, client(server) as peer:
        await peer.send(message)
        assert await peer.recv() == message


async def test_fragments_arrive_as_one_message() -> None:
    """Fragments of a peer's message, pings between them, are one message to the handler."""
    async with serving(echo) as server, client(server) as peer:
        await peer.send(["Hub", "", "bub"])
        assert await peer.recv() == "Hubbub"
    async with serving(echo) as server, raw_peer(server) as raw:
        await raw.upgrade()
        raw.send(text("Hub", final=False) + frame(0x9, b"?") + frame(CONTINUATION, b"bub"))
        assert await raw.read_frame() == Frame(0xA, b"?")
        assert await raw.read_frame() == Frame(TEXT, b"Hubbub")


async def _async(items: Iterable[str]) -> AsyncIterator[str]:
    for item in items:
        yield item
        await asyncio.sleep(0)


@pytest.mark.parametrize("form", [list, iter, _async], ids=["list", "iterator", "async iterator"])
async def test_iterables_leave_as_fragments(form: Callable[[Iterable[str]], Any]) -> None:
    """Each item of an iterable is a fragment; the last one ends the message."""

    async def handler(connection: ServerConnection) -> None:
        await connection.send(form(["a", "b", "c"]))
        await connection.send(form(["one"]))
        await connection.send(form([]))
        await connection.send([b"x", bytearray(b"y")])

    async with serving(handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        frames = [await peer.read_frame() for _ in range(6)]
        assert frames == [
            Frame(TEXT, b"a", final=False),
            Frame(CONTINUATION, b"b", final=False),
            Frame(CONTINUATION, b"c"),
            Frame(TEXT, b"one"),
            Frame(BINARY, b"x", final=False),
            Frame(CONTINUATION, b"y"),
        ]


async def test_a_message_in_fragments_keeps_others_out() -> None:
    """A message that another task sends meanwhile comes behind the last fragment."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        begun.set()
        await go_on.wait()
        yield "c"

    async def handler(connection: ServerConnection) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(connection.send(slowly()))
            await begun.wait()
            for other in ("second", "third"):
                tasks.create_task(connection.send(other))
            go_on.set()

    async with serving(handler) as server, client(server) as peer:
        assert [await peer.recv() for _ in range(3)] == ["abc", "second", "third"]


@pytest.mark.parametrize("wrong", [5, None, {"a": "b"}, [1], ["\ud800"], "\ud800"], ids=repr)
async def test_what_is_no_message_is_refused(wrong: Any) -> None:
    """A wrong argument raises, says so, and harms neither the connection nor the next message."""
    refused = asyncio.get_running_loop().create_future()

    async def handler(connection: ServerConnection) -> None:
        try:
            await connection.send(wrong)
        except (TypeError, LocalProtocolError) as error:
            refused.set_result(str(error))
        await connection.send("right")

    async with serving(handler) as server, client(server) as peer:
        assert await peer.recv() == "right"
        assert await refused
        await peer.wait_closed()
        assert peer.close_code == 1000


async def test_an_iterable_that_raises_closes() -> None:
    """A message that cannot be ended makes the connection useless: it is closed with 1011."""

    async def broken() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        raise KeyError("c")

    async def handler(connection: ServerConnection) -> None:
        with pytest.raises(KeyError):
            await connection.send(broken())
        with pytest.raises(ConnectionClosed):
            await connection.send("too late")

    async with serving(handler) as server, client(server) as peer:
        with pytest.raises(PeerConnectionClosed):
            await peer.recv()
        assert peer.close_code == 1011


async def test_an_iterable_that_raises_at_once_harms_nothing() -> None:
    """Where no fragment has left, the connection can go on."""

    async def broken() -> AsyncIterator[str]:
        for item in ({"a": "a"}["b"], "never"):
            yield item

    async def handler(connection: ServerConnection) -> None:
        with pytest.raises(KeyError):
            await connection.send(broken())
        await connection.send("next")

    async with serving(handler) as server, client(server) as peer:
        assert await peer.recv() == "next"


async def test_one_task_receives() -> None:
    """A second task that receives at the same time is told so; the first gets the message."""
    outcome: asyncio.Queue[str | bytes | None] = asyncio.Queue()

    async def handler(connection: ServerConnection) -> None:
        first = asyncio.create_task(connection.recv())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task is receiving"):
            await connection.recv()
        outcome.put_nowait(None)
        outcome.put_nowait(await first)

    async with serving(handler) as server, client(server) as peer:
        assert await outcome.get() is None
        await peer.send("for the first")
        assert await outcome.get() == "for the first"


async def test_cancelling_recv_loses_nothing() -> None:
    """Messages come in order and whole, however often receiving is cancelled."""

    async def handler(connection: ServerConnection) -> None:
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

    async with serving(handler) as server, client(server) as peer:
        for number in range(200):
            await peer.send(str(number))
        assert await peer.recv() == " ".join(map(str, range(200)))


async def test_async_for_ends_with_the_connection() -> None:
    """The loop over messages ends when the peer closes well, and raises when it does not."""
    ended: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def handler(connection: ServerConnection) -> None:
        try:
            async for _ in connection:
                pass
        except ConnectionClosed as error:
            ended.put_nowait(error)
        else:
            ended.put_nowait(None)

    async with serving(handler) as server:
        for code in (1000, 1001):
            async with client(server) as peer:
                await peer.send("x")
                await peer.close(code)
            assert await ended.get() is None
        async with client(server) as peer:
            await peer.close(3001, "enough")
        error = await ended.get()
        assert isinstance(error, ConnectionClosedError)
        assert (error.code, error.reason) == (3001, "enough")
        async with raw_peer(server) as raw:
            await raw.upgrade()
            raw.reset()
        error = await ended.get()
        assert isinstance(error, ConnectionClosedError)
        assert error.code == 1006


async def test_many_messages_in_one_segment() -> None:
    """A thousand small messages that come at once are answered one by one, in order."""
    async with serving(echo) as server, raw_peer(server) as peer:
        await peer.upgrade()
        peer.send(b"".join(text(str(number)) for number in range(1000)) + close(1000))
        for number in range(1000):
            assert await peer.read_frame() == Frame(TEXT, str(number).encode())
        assert await peer.read_frame() == Frame(CLOSE, b"\x03\xe8")
        assert await peer.read_rest() == b""


async def test_the_answer_comes_before_the_failure() -> None:
    """What was said right before a bad frame is answered, then the bad frame closes with 1002."""
    async with serving(echo) as server, raw_peer(server) as peer:
        await peer.upgrade()
        peer.send(text("first") + text("second") + frame(0x3))
        assert await peer.read_frame() == Frame(TEXT, b"first")
        assert await peer.read_frame() == Frame(TEXT, b"second")
        assert (await peer.read_frame()).code == 1002
        assert await peer.read_rest() == b""


async def test_frames_behind_the_request() -> None:
    """Frames in the same segment as the request, even half ones, are neither lost nor garbled."""
    message = text("early")
    async with serving(echo) as server, raw_peer(server) as peer:
        peer.send(request() + message + message[:4])
        assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")
        assert await peer.read_frame() == Frame(TEXT, b"early")
        peer.send(message[4:])
        assert await peer.read_frame() == Frame(TEXT, b"early")


async def test_ping_measures_latency() -> None:
    """A ping's future gives the time to its pong, also while nobody receives."""
    measured: asyncio.Queue[float] = asyncio.Queue()

    async def handler(connection: ServerConnection) -> None:
        measured.put_nowait(await (await connection.ping()))
        measured.put_nowait(await (await connection.ping(b"mine")))
        waiting = await connection.ping(b"again")
        with pytest.raises(LocalProtocolError, match="payload"):
            _ = await connection.ping(b"again")
        async for message in connection:
            await connection.send(message)
        measured.put_nowait(await waiting)

    async with serving(handler) as server, client(server) as peer:
        for _ in range(2):
            assert 0 < await measured.get() < 5
        await peer.send("x")
        assert await peer.recv() == "x"
    assert 0 < await measured.get() < 5


async def test_one_pong_answers_many_pings() -> None:
    """However many pings one pong answers, every future is settled and messages go on coming."""

    async def handler(connection: ServerConnection) -> None:
        waiting = [await connection.ping(b"%d" % number) for number in range(64)]
        await asyncio.gather(*waiting)
        await echo(connection)

    async with serving(handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        pings = [await peer.read_frame() for _ in range(64)]
        peer.send(frame(0xA, pings[-1].payload))
        peer.send(text("on"))
        assert await peer.read_frame() == Frame(TEXT, b"on")


async def test_a_ping_that_is_never_answered() -> None:
    """Its future raises when the connection ends; nobody need await it."""
    waiting: asyncio.Queue[asyncio.Future[float]] = asyncio.Queue()

    async def handler(connection: ServerConnection) -> None:
        waiting.put_nowait(await connection.ping())
        _ = await connection.ping()
        await connection.wait_closed()
        with pytest.raises(ConnectionClosed):
            _ = await connection.ping()

    async with serving(handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        peer.send(close(1000))
        with pytest.raises(ConnectionClosed):
            await (await waiting.get())


async def test_keepalive_measures_latency() -> None:
    """Keepalive pings go out by themselves and `latency` tells what they found."""
    connections: list[ServerConnection] = []

    async def handler(connection: ServerConnection) -> None:
        connections.append(connection)
        assert connection.latency == 0.0
        await echo(connection)

    async with serving(handler, Limits(ping_interval=0.02)) as server, client(server):
        await until(lambda: bool(connections) and connections[0].latency > 0)
        assert connections[0].latency < 5
