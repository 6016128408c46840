"""The chat room: who sees what, and in which form."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from hubbub.apps.chat import Chat, chat_routes
from support.clients import Client, client
from support.loops import until
from support.net import Server, adapter, serving
from support.peers import raw_peer
from support.programs import serving as serving_program
from support.wire import head, text

NOW = "2026-01-02T03:04:05+00:00"


@asynccontextmanager
async def _room() -> AsyncIterator[Server]:
    """A chat room where it is always the same time."""
    async with serving(adapter("asyncio"), Chat(now=lambda: NOW), routes=chat_routes()) as server:
        yield server


async def _next(peer: Client | ClientConnection) -> dict[str, Any]:
    message = await asyncio.wait_for(peer.recv(), 5)
    assert isinstance(message, str)
    parsed: dict[str, Any] = json.loads(message)
    return parsed


async def test_a_conversation() -> None:
    """Everyone sees what is said, the speaker too; the others see who comes and goes."""
    async with _room() as server, client(server) as one:
        async with client(server) as two:
            joined = {"type": "system", "message": "User-2 joined the chat", "timestamp": NOW}
            assert await _next(one) == joined
            await one.send('<b>"Grüße"</b>\n世界')
            said = {
                "type": "chat",
                "sender": "User-1",
                "message": '<b>"Grüße"</b>\n世界',
                "timestamp": NOW,
            }
            assert await _next(one) == said
            # Two's first message is this one: nobody is told of their own coming.
            assert await _next(two) == said
            await two.send("bye")
            assert await _next(two) == said | {"sender": "User-2", "message": "bye"}
            assert await _next(one) == said | {"sender": "User-2", "message": "bye"}
        left = {"type": "system", "message": "User-2 left the chat", "timestamp": NOW}
        assert await _next(one) == left


async def test_the_order_of_keys() -> None:
    """The text is as the tutorial shows it, to the letter."""
    async with _room() as server, client(server) as one, client(server):
        assert await one.recv() == (
            '{"type":"system","message":"User-2 joined the chat","timestamp":"' + NOW + '"}'
        )
        await one.send("hello")
        assert await one.recv() == (
            '{"type":"chat","sender":"User-1","message":"hello","timestamp":"' + NOW + '"}'
        )


async def test_timestamps() -> None:
    """The program's timestamps are of now, in ISO 8601 with a zone."""
    async with serving_program("chat") as program, program.client() as one:
        await one.send("hello")
        at = datetime.fromisoformat((await _next(one))["timestamp"])
        assert at.tzinfo is not None
        assert abs((datetime.now(UTC) - at).total_seconds()) < 10


async def test_names() -> None:
    """Nobody has the name of somebody present, and a name is not given again soon."""
    async with _room() as server, client(server) as first:
        names = []
        for _ in range(3):
            async with client(server) as other:
                await other.send("x")
                names.append((await _next(other))["sender"])
        assert names == ["User-2", "User-3", "User-4"]
        await first.send("x")
        while (message := await _next(first))["type"] != "chat" or message["sender"] != "User-1":
            pass


async def test_binary_closes() -> None:
    """A binary message is refused with 1003; the others see that its sender left, and talk on."""
    async with _room() as server, client(server) as one, client(server) as two:
        assert (await _next(one))["message"] == "User-2 joined the chat"
        await two.send(b"\x00")
        with pytest.raises(ConnectionClosed):
            await two.recv()
        assert (two.close_code, two.close_reason) == (1003, "this chat takes text")
        assert (await _next(one))["message"] == "User-2 left the chat"
        await one.send("still here")
        assert (await _next(one))["message"] == "still here"


async def test_a_member_who_vanishes() -> None:
    """A member who is cut off has left, as one who closes has."""
    async with _room() as server, client(server) as one, raw_peer(server) as two:
        await two.upgrade()
        assert (await _next(one))["message"] == "User-2 joined the chat"
        two.reset()
        assert (await _next(one))["message"] == "User-2 left the chat"


async def test_a_member_who_does_not_keep_up(caplog: pytest.LogCaptureFixture) -> None:
    """It is closed with 4008 and one line in the log; the others miss nothing."""
    async with (
        _room() as server,
        client(server) as one,
        raw_peer(server, receive_buffer=8192) as slow,
    ):
        await slow.upgrade()
        assert (await _next(one))["message"] == "User-2 joined the chat"
        said = 0
        with caplog.at_level(logging.WARNING):
            while not caplog.records:
                assert said < 2000
                await one.send("x" * 50_000)
                assert (await _next(one))["type"] == "chat"
                said += 1
            for _ in range(20):
                await one.send("after")
                assert (await _next(one))["message"] == "after"
        assert [record.message for record in caplog.records] == ["User-2 does not keep up"]
        assert (await slow.read_close()).code == 4008
        await slow.end()
        assert (await _next(one))["message"] == "User-2 left the chat"


async def test_a_burst_is_no_reason_to_close_anyone(caplog: pytest.LogCaptureFixture) -> None:
    """Members who read get every message, however many come in one segment."""
    async with _room() as server, client(server) as one, raw_peer(server) as fast:
        await fast.upgrade()
        assert (await _next(one))["message"] == "User-2 joined the chat"
        await fast.send(b"".join(text(f"{number}") for number in range(5000)))

        async def read() -> None:
            for number in range(5000):
                frame = await fast.read_frame()
                assert json.loads(frame.payload)["message"] == str(number)

        reading = asyncio.create_task(read())
        for number in range(5000):
            assert (await _next(one))["message"] == str(number)
        await reading
    assert caplog.records == []


async def test_a_member_who_leaves_is_not_called_slow(caplog: pytest.LogCaptureFixture) -> None:
    """What is said while a member closes brings no line into the log."""
    async with _room() as server, client(server) as one, raw_peer(server) as two:
        await two.upgrade()
        assert (await _next(one))["message"] == "User-2 joined the chat"
        leaving = next(c for c in server.connections if c.request.headers["host"] == "example.com")
        with caplog.at_level(logging.WARNING):
            leaving.close_soon()
            await one.send("said meanwhile")
            assert (await _next(one))["message"] == "said meanwhile"
            assert (await two.read_frame()).code == 1000
            await two.end()
            await until(lambda: leaving not in server.connections)
        assert caplog.records == []


async def test_the_page() -> None:
    """`/` is the page, in UTF-8, with a policy that lets it load nothing; it is under 100 lines."""
    async with _room() as server, raw_peer(server) as peer:
        await peer.send(head("GET / HTTP/1.1", [("Host", "localhost")]))
        headers = (await peer.read_head()).decode().lower()
        assert headers.startswith("http/1.1 200 ")
        assert "content-type: text/html; charset=utf-8" in headers
        assert "content-security-policy: default-src 'none';" in headers
        page = (await peer.read_rest()).decode()
        assert page.startswith("<!doctype html>")
        assert len(page.splitlines()) < 100
        assert "src=" not in page
        assert "@import" not in page
