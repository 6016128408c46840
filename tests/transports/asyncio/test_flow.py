"""Who does not keep up: handlers that do not read, peers that do not read, and broadcasts to both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed as PeerConnectionClosed

from hubbub.apps.echo import echo
from hubbub.core import outgoing
from hubbub.core.errors import LocalProtocolError
from hubbub.core.extensions import Deflate
from hubbub.core.handshake import ServerOptions
from hubbub.core.limits import Limits
from hubbub.transports.asyncio import ConnectionClosed, ServerConnection, broadcast, serve
from support.loops import until
from support.peers import TEXT, Frame, client, raw_peer, serving
from support.wire import text

MUCH = 64 * 2**20
"""More bytes than the system's socket buffers on both sides hold."""

LITTLE = 8192
"""A small receive buffer, so that a peer that does not read is soon felt."""


@pytest.mark.slow
async def test_a_handler_that_does_not_read_stops_the_peer() -> None:
    """The peer's sends block while the handler does not read; then all arrives, in order."""
    read = asyncio.Event()
    size, count = 2**18, MUCH // 2**18

    async def handler(connection: ServerConnection) -> None:
        await read.wait()
        for number in range(count):
            message = await connection.recv()
            assert len(message) == size
            assert message[:8] == b"%08d" % number
        await connection.send("all")

    async with serving(handler) as server, client(server) as peer:
        sent = 0

        async def send() -> None:
            nonlocal sent
            for number in range(count):
                await peer.send(b"%08d" % number + bytes(size - 8))
                sent += 1

        sending = asyncio.create_task(send())
        # It must come to rest before the end: nothing is sent for a good while.
        seen, since = 0, time.monotonic()
        while time.monotonic() - since < 0.3:
            await asyncio.sleep(0.01)
            if sent != seen:
                seen, since = sent, time.monotonic()
        assert 0 < sent < count
        read.set()
        await sending
        assert await peer.recv() == "all"


async def test_a_handler_that_does_not_read_still_sends_and_answers_pings() -> None:
    """Receiving and sending do not hold each other up."""
    done = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        await connection.send("hello")
        await done.wait()

    async with serving(handler) as server, client(server) as peer:
        assert await peer.recv() == "hello"
        await asyncio.wait_for(await peer.ping(), 5)
        done.set()


@pytest.mark.slow
async def test_a_peer_that_does_not_read_makes_send_wait() -> None:
    """`send` waits for the peer to take what was sent, and the deadline of writing ends the wait."""
    ended: asyncio.Queue[tuple[float, ConnectionClosed]] = asyncio.Queue()
    sent = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal sent
        before = time.monotonic()
        try:
            while sent < MUCH:
                before = time.monotonic()
                await connection.send(bytes(2**16))
                sent += 2**16
        except ConnectionClosed as error:
            ended.put_nowait((time.monotonic() - before, error))

    limits = Limits(write_timeout=0.3)
    async with serving(handler, limits) as server, raw_peer(server, receive_buffer=LITTLE) as peer:
        await peer.upgrade()
        waited, error = await ended.get()
        assert 0.29 < waited < 5
        assert sent < MUCH
        assert error.code == 1006
        assert "write deadline" in str(error)
        await until(lambda: not server.connections)


async def test_a_slow_peer_gets_everything() -> None:
    """`send` goes on when a peer that paused reads again, and nothing is lost."""
    count = 200

    async def handler(connection: ServerConnection) -> None:
        for number in range(count):
            await connection.send(b"%08d" % number + bytes(2**16))

    async with serving(handler) as server, raw_peer(server, receive_buffer=LITTLE) as peer:
        await peer.upgrade()
        for number in range(count):
            frame = await peer.read_frame()
            assert frame.payload[:8] == b"%08d" % number
            await asyncio.sleep(0)
        assert (await peer.read_frame()).code == 1000


async def test_cancelling_send_has_sent_the_message() -> None:
    """A message whose `send` is cancelled while it waits arrives whole, and the next one behind it."""
    waiting = asyncio.Event()
    cancelled = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal cancelled
        for number in range(1000):
            sending = asyncio.create_task(connection.send(b"%08d" % number + bytes(2**16)))
            await asyncio.wait([sending], timeout=0.1)
            if not sending.done():
                sending.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await sending
                cancelled = number
                waiting.set()
                break
        await connection.send("next")

    async with serving(handler) as server, raw_peer(server, receive_buffer=LITTLE) as peer:
        await peer.upgrade()
        await waiting.wait()
        for number in range(cancelled + 1):
            message = await peer.read_frame()
            assert message.payload[:8] == b"%08d" % number
            assert len(message.payload) == 2**16 + 8
        assert await peer.read_frame() == Frame(TEXT, b"next")


async def test_cancelling_send_between_fragments_closes() -> None:
    """A message that stays unfinished cannot be followed by another: 1011."""
    begun = asyncio.Event()

    async def fragments() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        begun.set()
        await asyncio.Event().wait()

    async def handler(connection: ServerConnection) -> None:
        sending = asyncio.create_task(connection.send(fragments()))
        await begun.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        with pytest.raises(ConnectionClosed):
            await connection.send("next")

    async with serving(handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        assert await peer.read_frame() == Frame(TEXT, b"a", final=False)
        assert (await peer.read_frame()).code == 1011


async def test_a_peer_that_is_gone_ends_a_waiting_send() -> None:
    """A send that waits for a peer raises as soon as the peer has vanished."""
    ended: asyncio.Queue[None] = asyncio.Queue()
    waiting = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        while not waiting.is_set():
            sending = asyncio.create_task(connection.send(bytes(2**16)))
            await asyncio.wait([sending], timeout=0.1)
            if not sending.done():
                waiting.set()
                with pytest.raises(ConnectionClosed):
                    await sending
                ended.put_nowait(None)

    async with serving(handler) as server, raw_peer(server, receive_buffer=LITTLE) as peer:
        await peer.upgrade()
        await waiting.wait()
        peer.reset()
        await asyncio.wait_for(ended.get(), 5)


async def _stay(connection: ServerConnection) -> None:
    async for _ in connection:
        pass


@pytest.mark.parametrize("message", ["x" * 1000, b"x" * 1000], ids=["text", "binary"])
async def test_broadcast(message: str | bytes) -> None:
    """Everyone gets the message, with compression or without."""
    async with (
        serving(_stay, deflate=Deflate(threshold=0)) as server,
        client(server) as plain,
        client(server, compression="deflate") as compressed,
    ):
        await until(lambda: len(server.connections) == 2)
        assert broadcast(server.connections, message) == []
        for peer in (plain, compressed):
            assert await peer.recv() == message


async def test_broadcast_encodes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frame is made once, and compressed once, for any number of receivers."""
    made = {"encode_frame": 0, "compress": 0}

    def count(name: str) -> None:
        real = getattr(outgoing, name)

        def counted(*args: Any, **keywords: Any) -> Any:
            made[name] += 1
            return real(*args, **keywords)

        monkeypatch.setattr(outgoing, name, counted)

    for name in made:
        count(name)
    async with (
        serving(_stay, deflate=Deflate(threshold=0)) as server,
        client(server, compression="deflate") as one,
        client(server, compression="deflate") as two,
        client(server) as three,
    ):
        await until(lambda: len(server.connections) == 3)
        broadcast(server.connections, "hello")
        assert [await peer.recv() for peer in (one, two, three)] == ["hello"] * 3
    assert made == {"encode_frame": 2, "compress": 1}


async def test_broadcast_skips_and_tells_who_does_not_keep_up() -> None:
    """A peer that does not read is skipped and returned; the others get every message."""
    async with (
        serving(_stay) as server,
        client(server) as fast,
        raw_peer(server, receive_buffer=LITTLE) as slow,
    ):
        await slow.upgrade(target="/slow")
        await until(lambda: len(server.connections) == 2)
        (slow_one,) = (c for c in server.connections if c.request.path == "/slow")
        message, skipped = "x" * 2**16, 0
        for _ in range(MUCH // 2**16):
            missed = broadcast(server.connections, message)
            assert missed in ([], [slow_one])
            skipped += len(missed)
            assert await fast.recv() == message
            if skipped == 3:
                break
        assert skipped == 3


async def test_broadcast_skips_who_is_closing_or_in_the_middle_of_a_message() -> None:
    """Nothing comes between the fragments of a message, or behind a Close frame."""
    go_on = asyncio.Event()

    async def fragments() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        await go_on.wait()

    async def handler(connection: ServerConnection) -> None:
        await connection.send(fragments())
        connection.close_soon()
        assert broadcast([connection], "closing") == [connection]

    async with serving(handler) as server, client(server) as peer:
        await until(lambda: len(server.connections) == 1)
        (connection,) = server.connections
        await until(lambda: bool(broadcast(server.connections, "before")))
        assert broadcast([connection], "between") == [connection]
        go_on.set()
        received = [message async for message in peer]
        assert received[-1] == "ab"
        assert set(received[:-1]) <= {"before"}


async def test_broadcast_in_one_go() -> None:
    """However much is sent in one turn of the loop, a peer that keeps up misses nothing."""
    async with serving(_stay) as server, client(server) as peer:
        await until(lambda: len(server.connections) == 1)
        for number in range(100):
            assert broadcast(server.connections, f"{number} " + "x" * 4000) == []
        for number in range(100):
            assert str(await peer.recv()).startswith(f"{number} ")


async def test_broadcast_refuses_what_is_no_message() -> None:
    """A wrong message raises before anybody gets it."""
    with pytest.raises(LocalProtocolError):
        broadcast([], "\ud800")
    wrong: Any = 5
    with pytest.raises(TypeError):
        broadcast([], wrong)


async def test_one_bad_connection_does_not_disturb_the_others() -> None:
    """While peers send garbage, flood, and vanish, a healthy pair goes on without a loss."""

    async def bad(kind: int) -> None:
        async with raw_peer(server, receive_buffer=LITTLE) as peer:
            if kind == 0:
                peer.send(b"\x00" * 5000)
                await peer.read_rest()
                return
            await peer.upgrade()
            if kind == 1:
                peer.send(b"\xff" * 5000)
                await peer.read_close()
            elif kind == 2:
                peer.send(text("flood" * 20) * 2000)
                peer.reset()
            else:
                peer.send(text("x" * 100, final=False))
                peer.end()
                await peer.read_rest()

    async with serving(echo) as server, client(server) as healthy, asyncio.TaskGroup() as tasks:
        for number in range(40):
            tasks.create_task(bad(number % 4))
        for number in range(200):
            before = time.monotonic()
            await healthy.send(str(number))
            assert await healthy.recv() == str(number)
            assert time.monotonic() - before < 5


async def test_an_internal_error_costs_one_connection(caplog: pytest.LogCaptureFixture) -> None:
    """If a machine raises, its socket is dropped with one line in the log, and the others go on."""
    pings = 0

    def entropy(size: int) -> bytes:
        nonlocal pings
        pings += 1
        if pings == 1:
            raise OSError("no entropy")
        return bytes(size)

    limits = Limits(ping_interval=0.05)
    async with serve(
        echo, "127.0.0.1", 0, options=ServerOptions(limits=limits), entropy=entropy
    ) as server:
        async with client(server) as first:
            with pytest.raises(PeerConnectionClosed):
                await first.recv()
        async with client(server) as second:
            await until(lambda: pings >= 3)
            await second.send("still there")
            assert await second.recv() == "still there"
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert lines == ["a connection is dropped after an internal error"]


async def test_thousands_of_messages_in_one_read_leave_others_their_turn() -> None:
    """A handler that never waits gives other tasks a turn every few messages."""
    turns = 0
    taken: list[int] = []

    async def handler(connection: ServerConnection) -> None:
        async for _ in connection:
            taken.append(turns)  # noqa: PERF401 - the turn counts, at the moment

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with serving(handler) as server, raw_peer(server) as peer:
        ticking = asyncio.create_task(tick())
        await peer.upgrade()
        peer.send(text("") * 3000)
        await until(lambda: len(taken) == 3000)
        ticking.cancel()
        await asyncio.wait([ticking])
    assert max(taken.count(turn) for turn in set(taken)) <= 64


async def test_any_number_of_tasks_may_send_to_a_slow_peer() -> None:
    """Senders wait for their turn before they queue, so no bound is broken."""
    failures: list[Exception] = []

    async def one(connection: ServerConnection) -> None:
        try:
            await connection.send(bytes(2**20))
        except LocalProtocolError as error:
            failures.append(error)

    async def handler(connection: ServerConnection) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(30):
                tasks.create_task(one(connection))

    async with serving(handler) as server, client(server, max_size=None) as peer:
        for _ in range(30):
            assert len(await peer.recv()) == 2**20
    assert failures == []


async def test_who_waits_behind_a_stalled_message_is_told_of_the_end() -> None:
    """A send that waits for another task's fragments ends with the connection."""
    never = asyncio.Event()
    told = asyncio.Event()

    async def fragments() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        await never.wait()

    async def handler(connection: ServerConnection) -> None:
        stalled = asyncio.create_task(connection.send(fragments()))
        await asyncio.sleep(0)
        try:
            await connection.send("behind it")
        except ConnectionClosed:
            told.set()
        stalled.cancel()
        await asyncio.wait([stalled])

    async with serving(handler) as server:
        async with raw_peer(server) as peer:
            await peer.upgrade()
            await peer.read_frame()
        async with asyncio.timeout(10):
            await told.wait()


async def test_fragments_one_by_one_or_joined() -> None:
    """With `fragments` set, recv_streaming gives the parts of a message and recv the whole."""
    parts: list[list[Any]] = []

    async def handler(connection: ServerConnection) -> None:
        parts.append([part async for part in connection.recv_streaming()])
        parts.append([await connection.recv()])

    async with serving(handler, fragments=True) as server, client(server) as peer:
        await peer.send(["a", "b"])
        await peer.send(["c", "d"])
        await peer.wait_closed()
    assert parts[0][:2] == ["a", "b"]
    assert "".join(parts[0]) == "ab"
    assert parts[1] == ["cd"]


async def test_the_end_of_another_connection_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that lets another connection's end through has failed, and is told so."""
    others: list[ServerConnection] = []

    async def handler(connection: ServerConnection) -> None:
        others.append(connection)
        if len(others) == 1:
            await connection.wait_closed()
        else:
            await others[0].send("too late")

    async with serving(handler) as server:
        async with client(server):
            pass
        async with client(server) as second:
            await second.wait_closed()
            assert second.close_code == 1011
    assert [r.levelname for r in caplog.records if r.levelname == "ERROR"] == ["ERROR"]
