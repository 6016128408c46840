"""Messages between a handler and real clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import anyio.lowlevel
import pytest
from websockets.exceptions import ConnectionClosed as PeerConnectionClosed

from hubbub.apps.echo import echo
from hubbub.core.errors import LocalProtocolError
from support.clients import client
from support.net import Connection, Net, serving
from support.peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, raw_peer
from support.tasks import Mailbox
from support.wire import close, frame, request, text


@pytest.mark.parametrize(
    "message",
    ["Grüße, 世界 🌍", b"\x00\xff", "", b"", "x" * 2**20, bytes(2**20)],
    ids=["text", "binary", "empty text", "empty binary", "1 MiB of text", "1 MiB of binary"],
)
async def test_echo(net: Net, message: str | bytes) -> None:
    """A message comes back as it was, text as text and bytes as bytes."""
    async with serving(net, echo) as server, client(server) as peer:
        await peer.send(message)
        assert await peer.recv() == message


async def test_fragments_arrive_as_one_message(net: Net) -> None:
    """Fragments of a peer's message, pings between them, are one message to the handler."""
    async with serving(net, echo) as server, client(server) as peer:
        await peer.send(["Hub", "", "bub"])
        assert await peer.recv() == "Hubbub"
    async with serving(net, echo) as server, raw_peer(server) as raw:
        await raw.upgrade()
        await raw.send(text("Hub", final=False) + frame(PING, b"?") + frame(CONTINUATION, b"bub"))
        assert await raw.read_frame() == Frame(PONG, b"?")
        assert await raw.read_frame() == Frame(TEXT, b"Hubbub")


async def test_fragments_one_by_one_or_joined(net: Net) -> None:
    """With `fragments` set, recv_streaming gives the parts of a message and recv the whole."""
    parts: list[list[Any]] = []

    async def handler(connection: Connection) -> None:
        parts.append([part async for part in connection.recv_streaming()])
        parts.append([await connection.recv()])

    async with serving(net, handler, fragments=True) as server, client(server) as peer:
        await peer.send(["a", "b"])
        await peer.send(["c", "d"])
        await peer.wait_closed()
    assert parts[0][:2] == ["a", "b"]
    assert "".join(parts[0]) == "ab"
    assert parts[1] == ["cd"]


async def _async(items: Iterable[str]) -> AsyncIterator[str]:
    for item in items:
        yield item
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("form", [list, iter, _async], ids=["list", "iterator", "async iterator"])
async def test_iterables_leave_as_fragments(net: Net, form: Callable[[Iterable[str]], Any]) -> None:
    """Each item of an iterable is a fragment; the last one ends the message."""

    async def handler(connection: Connection) -> None:
        await connection.send(form(["a", "b", "c"]))
        await connection.send(form(["one"]))
        await connection.send(form([]))
        await connection.send([b"x", bytearray(b"y")])

    async with serving(net, handler) as server, raw_peer(server) as peer:
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


@pytest.mark.parametrize("wrong", [5, None, {"a": "b"}, [1], ["\ud800"], "\ud800"], ids=repr)
async def test_what_is_no_message_is_refused(net: Net, wrong: Any) -> None:
    """A wrong argument raises, says so, and harms neither the connection nor the next message."""
    refused: Mailbox[str] = Mailbox()

    async def handler(connection: Connection) -> None:
        try:
            await connection.send(wrong)
        except (TypeError, LocalProtocolError) as error:
            refused.put(str(error))
        await connection.send("right")

    async with serving(net, handler) as server, client(server) as peer:
        assert await peer.recv() == "right"
        assert await refused.get()
        await peer.wait_closed()
        assert peer.close_code == 1000


async def test_an_iterable_that_raises_closes(net: Net) -> None:
    """A message that cannot be ended makes the connection useless: it is closed with 1011."""

    async def broken() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        raise KeyError("c")

    async def handler(connection: Connection) -> None:
        with pytest.raises(KeyError):
            await connection.send(broken())
        with pytest.raises(net.ConnectionClosed):
            await connection.send("too late")

    async with serving(net, handler) as server, client(server) as peer:
        with pytest.raises(PeerConnectionClosed):
            await peer.recv()
        assert peer.close_code == 1011


async def test_an_iterable_that_raises_at_once_harms_nothing(net: Net) -> None:
    """Where no fragment has left, the connection can go on."""

    async def broken() -> AsyncIterator[str]:
        for item in ({"a": "a"}["b"], "never"):
            yield item

    async def handler(connection: Connection) -> None:
        with pytest.raises(KeyError):
            await connection.send(broken())
        await connection.send("next")

    async with serving(net, handler) as server, client(server) as peer:
        assert await peer.recv() == "next"


async def test_many_messages_in_one_segment(net: Net) -> None:
    """A thousand small messages that come at once are answered one by one, in order."""
    async with serving(net, echo) as server, raw_peer(server) as peer:
        await peer.upgrade()
        await peer.send(b"".join(text(str(number)) for number in range(1000)) + close(1000))
        for number in range(1000):
            assert await peer.read_frame() == Frame(TEXT, str(number).encode())
        assert await peer.read_frame() == Frame(CLOSE, b"\x03\xe8")
        assert await peer.read_rest() == b""


async def test_the_answer_comes_before_the_failure(net: Net) -> None:
    """What was said right before a bad frame is answered, then the bad frame closes with 1002."""
    async with serving(net, echo) as server, raw_peer(server) as peer:
        await peer.upgrade()
        await peer.send(text("first") + text("second") + frame(0x3))
        assert await peer.read_frame() == Frame(TEXT, b"first")
        assert await peer.read_frame() == Frame(TEXT, b"second")
        assert (await peer.read_frame()).code == 1002
        assert await peer.read_rest() == b""


async def test_frames_behind_the_request(net: Net) -> None:
    """Frames in the same segment as the request, even half ones, are neither lost nor garbled."""
    message = text("early")
    async with serving(net, echo) as server, raw_peer(server) as peer:
        await peer.send(request() + message + message[:4])
        assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")
        assert await peer.read_frame() == Frame(TEXT, b"early")
        await peer.send(message[4:])
        assert await peer.read_frame() == Frame(TEXT, b"early")
