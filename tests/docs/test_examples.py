"""The programs under docs/examples, each run against real peers."""

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from support.programs import Program, running
from support.tree import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "selectors_server.py"
HUB = ROOT / "docs" / "examples" / "selectors_hub.py"


async def talk_to_selectors_server() -> None:
    """Two polite clients and a rude one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLE),
        env={**os.environ, "PORT": "0"},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
        async with connect(url) as one, connect(url) as other:
            for message in ("text", b"binary", "", "x" * 500_000):
                await one.send(message)
                assert await one.recv() == message
            await other.send(["in ", "fragments"])
            assert await other.recv() == "in fragments"
            assert await (await one.ping()) < 10
        assert (one.close_code, other.close_code) == (1000, 1000)
        async with connect(url) as rude:
            rude.transport.write(b"\xff" * 10)
            with pytest.raises(ConnectionClosedError) as told:
                await asyncio.wait_for(rude.recv(), 10)
            assert told.value.rcvd is not None
            assert told.value.rcvd.code == 1002
        async with connect(url) as another:
            await another.send("still there")
            assert await another.recv() == "still there"
    finally:
        process.kill()
        await process.wait()


def test_the_selectors_server_serves_real_clients() -> None:
    """The adapter in the docs echoes, answers pings, closes rightly, and survives a bad peer."""
    asyncio.run(asyncio.wait_for(talk_to_selectors_server(), 60))


def test_the_selectors_server_is_short() -> None:
    """A complete adapter takes less than 80 lines."""
    assert len(EXAMPLE.read_text().splitlines()) < 80


async def heard(client: ClientConnection) -> dict[str, Any]:
    """The next message, without the time in it."""
    message: dict[str, Any] = json.loads(await client.recv())
    message.pop("timestamp", None)
    return message


async def ask(client: ClientConnection, **fields: object) -> dict[str, Any]:
    """Send a request; its answer, whatever pushes come before it."""
    await client.send(json.dumps({**fields, "id": 7}))
    while (message := await heard(client)).pop("id", None) != 7:
        pass
    return message


async def end(client: ClientConnection) -> int | None:
    """Read until the server has closed; its code."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await client.recv()
    return client.close_code


def hub_on_selectors() -> contextlib.AbstractAsyncContextManager[Program]:
    """The hub of the docs, as a process."""
    return running(str(HUB), command=(sys.executable,), environ={"PORT": "0"})


async def test_the_selectors_hub_serves_real_clients() -> None:
    """People meet in a room, the hook of the docs is asked, and a signal drains the hub."""
    async with hub_on_selectors() as program:
        async with program.client("?name=ann") as ann, program.client("?name=bob") as bob:
            for client in (ann, bob):
                assert (await heard(client))["status"] == "ok"
            room = {"action": "subscribe", "topics": ["room.lobby"]}
            assert (await ask(ann, **room))["type"] == "subscribed"
            assert (await ask(bob, **room))["type"] == "subscribed"
            joined = {"type": "system", "message": "bob joined the chat", "topic": "room.lobby"}
            assert await heard(ann) == joined
            said: dict[str, Any] = {"topic": "room.lobby", "message": "hello"}
            assert (await ask(bob, action="publish", **said))["recipients"] == 2
            assert await heard(ann) == {"type": "chat", "sender": "bob", **said}
            too_long = await ask(bob, action="publish", topic="room.lobby", message="x" * 281)
            assert too_long["code"] == "too_long"
            assert await (await ann.ping()) < 10
            async with program.client() as rude:
                rude.transport.write(b"\xff" * 10)
                assert await end(rude) == 1002
            program.process.terminate()
            assert "after" in await heard(ann)
            assert (await end(ann), await end(bob)) == (1001, 1001)
        assert await program.ends() == 0
        assert program.log == ""


async def test_the_selectors_hub_bounds_who_does_not_read() -> None:
    """A subscriber that stops reading gets what the socket took, and then 4008; others get all."""
    async with (
        hub_on_selectors() as program,
        program.client() as reader,
        program.client(max_queue=1) as sleeper,
    ):
        for client in (reader, sleeper):
            answer = await ask(client, action="subscribe", topics=["big"])
            assert answer["type"] == "subscribed"
        sleeper.transport.pause_reading()
        answer = {}
        for number in range(190):
            message = [number, 60_000 * "x"]
            answer = await ask(reader, action="publish", topic="big", message=message)
        assert answer == {"type": "published", "topic": "big", "recipients": 1}
        sleeper.transport.resume_reading()
        assert await end(sleeper) == 4008


def test_the_selectors_hub_is_short() -> None:
    """A complete adapter of a hub takes less than 100 lines."""
    assert len(HUB.read_text().splitlines()) < 100
