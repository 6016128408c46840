"""One message to many connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from hubbub.core import outgoing
from hubbub.core.errors import LocalProtocolError
from hubbub.core.extensions import Deflate
from support.clients import client
from support.loops import until
from support.net import Connection, Net, serving
from support.peers import CLOSE, raw_peer

MUCH = 64 * 2**20
"""More bytes than the system's socket buffers on both sides hold."""


async def _stay(connection: Connection) -> None:
    async for _ in connection:
        pass


@pytest.mark.parametrize("message", ["x" * 1000, b"x" * 1000], ids=["text", "binary"])
async def test_broadcast(net: Net, message: str | bytes) -> None:
    """Everyone gets the message, with compression or without."""
    async with (
        serving(net, _stay, deflate=Deflate(threshold=0)) as server,
        client(server) as plain,
        client(server, compression="deflate") as compressed,
    ):
        await until(lambda: len(server.connections) == 2)
        assert net.broadcast(server.connections, message) == []
        for peer in (plain, compressed):
            assert await peer.recv() == message


async def test_broadcast_encodes_once(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
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
        serving(net, _stay, deflate=Deflate(threshold=0)) as server,
        client(server, compression="deflate") as one,
        client(server, compression="deflate") as two,
        client(server) as three,
    ):
        await until(lambda: len(server.connections) == 3)
        net.broadcast(server.connections, "hello")
        assert [await peer.recv() for peer in (one, two, three)] == ["hello"] * 3
    assert made == {"encode_frame": 2, "compress": 1}


async def test_broadcast_skips_and_tells_who_does_not_keep_up(net: Net) -> None:
    """A peer that does not read is skipped and returned; the others get every message."""
    async with (
        serving(net, _stay) as server,
        client(server) as fast,
        raw_peer(server, receive_buffer=8192) as slow,
    ):
        await slow.upgrade(target="/slow")
        await until(lambda: len(server.connections) == 2)
        (slow_one,) = (c for c in server.connections if c.request.path == "/slow")
        message, skipped = "x" * 2**16, 0
        for _ in range(MUCH // 2**16):
            missed = net.broadcast(server.connections, message)
            assert missed in ([], [slow_one])
            skipped += len(missed)
            assert await fast.recv() == message
            if skipped == 3:
                break
        assert skipped == 3


async def test_broadcast_skips_who_is_closing_or_in_the_middle_of_a_message(net: Net) -> None:
    """Nothing comes between the fragments of a message, or behind a Close frame."""
    go_on = anyio.Event()

    async def fragments() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        await go_on.wait()

    async def handler(connection: Connection) -> None:
        await connection.send(fragments())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.close)
            await until(lambda: connection.state.value != "open")
            assert net.broadcast([connection], "closing") == [connection]
        assert net.broadcast([connection], "closed") == [connection]

    async with serving(net, handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        await until(lambda: len(server.connections) == 1)
        (connection,) = server.connections
        await until(lambda: bool(net.broadcast(server.connections, "before")))
        assert net.broadcast([connection], "between") == [connection]
        go_on.set()
        frames = [await peer.read_frame()]
        while frames[-1].opcode != CLOSE:
            frames.append(await peer.read_frame())
        assert frames[-1].code == 1000
        assert [frame.payload for frame in frames[-3:-1]] == [b"a", b"b"]
        assert [frame.final for frame in frames[-3:-1]] == [False, True]
        assert {frame.payload for frame in frames[:-3]} <= {b"before"}
        await peer.end()


async def test_broadcast_in_one_go(net: Net) -> None:
    """Sent in one turn of the loop, more than `write_limit` is skipped only if the socket takes no more."""
    async with serving(net, _stay) as server, client(server) as peer:
        await until(lambda: len(server.connections) == 1)
        for number in range(100):
            assert net.broadcast(server.connections, f"{number} " + "x" * 4000) == []
        for number in range(100):
            assert str(await peer.recv()).startswith(f"{number} ")


async def test_broadcast_refuses_what_is_no_message(net: Net) -> None:
    """A wrong message raises before anybody gets it."""
    with pytest.raises(LocalProtocolError):
        net.broadcast([], "\ud800")
    wrong: Any = 5
    with pytest.raises(TypeError):
        net.broadcast([], wrong)
