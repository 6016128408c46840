"""The examples that stand beside FastAPI, in uvicorn."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from support.programs import STARTING, STOPPING
from support.tree import ROOT

EXAMPLES = ROOT / "docs" / "examples"


async def line_with(stream: asyncio.StreamReader, text: str) -> str:
    """The first line with this text."""
    async with asyncio.timeout(STARTING):
        while text not in (line := (await stream.readline()).decode()):
            assert line, f"no line with {text!r}"
    return line


def post(port: int, news: dict[str, Any], path: str = "/news") -> Any:
    """Post to the app; its answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=STOPPING)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(news), headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@asynccontextmanager
async def app(name: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, int]]:
    """An app in uvicorn: its process, where its WebSockets are, and the port of its pages."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "--app-dir", EXAMPLES, f"{name}:app"),
        *("--port", "0", "--no-use-colors"),
        env={**os.environ, "WS_PORT": "0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        url = (await line_with(process.stdout, "ws://")).split()[-1]
        running = await line_with(process.stderr, "Uvicorn running on ")
        found = re.search(r"http://\S+:(\d+)", running)
        assert found is not None
        yield process, url, int(found[1])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ends_well(process: asyncio.subprocess.Process) -> None:
    """It was told to end, and does."""
    assert process.stderr is not None
    await asyncio.wait_for(process.wait(), STOPPING)
    assert "Application shutdown complete" in (await process.stderr.read()).decode()


async def test_fastapi_lifespan() -> None:
    """A POST reaches every peer, the app's pages may connect, and all are told 1001 at the end."""
    async with app("fastapi_lifespan") as (process, url, port):

        def told(text: str) -> Any:
            return asyncio.to_thread(post, port, {"text": text})

        assert await told("nobody") == (200, {"told": 0})
        page = "http://localhost:8000"
        async with connect(url, proxy=None) as one, connect(url, origin=page, proxy=None) as two:  # type: ignore[arg-type]
            assert await told("hello") == (200, {"told": 2})
            assert await one.recv() == await two.recv() == "hello"
            async with connect(url, proxy=None) as three:
                await three.send("a word, which nobody wants")
            sock = two.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            two.transport.abort()
            await (await one.ping())  # the server has had a turn since
            assert await told("still there") == (200, {"told": 1})
            assert await one.recv() == "still there"
            with pytest.raises(InvalidStatus):
                await connect(url, origin="https://elsewhere.example", proxy=None)  # type: ignore[arg-type]
            process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                await one.recv()
            assert (one.close_code, one.close_reason) == (1001, "")
        await ends_well(process)


async def heard(client: ClientConnection) -> dict[str, Any]:
    """The next message of a hub, without what differs each time."""
    message: dict[str, Any] = json.loads(await client.recv())
    for field in ("timestamp", "epoch", "positions"):
        message.pop(field, None)
    return message


async def test_fastapi_hub() -> None:
    """A POST is published, who comes later gets it from history, and the end is told before it comes."""
    async with app("fastapi_hub") as (process, url, port):

        def told(topic: str, message: Any) -> Any:
            return asyncio.to_thread(post, port, {"message": message}, f"/news/{topic}")

        page = "http://localhost:8000"
        assert await told("fire", {"floor": 3}) == (200, {"recipients": 0, "offset": 1})
        status, answer = await told("two%20words", "x")
        assert (status, "white space" in answer["detail"]) == (422, True)
        fire = {"type": "notification", "topic": "news.fire", "message": {"floor": 3}, "offset": 1}
        async with connect(url, origin=page, proxy=None) as one:  # type: ignore[arg-type]
            await one.send('{"action": "subscribe", "topics": ["news.fire"], "last": 1}')
            assert await heard(one) == {"type": "subscribed", "topics": ["news.fire"]}
            assert await heard(one) == fire
            assert await told("fire", "out") == (200, {"recipients": 1, "offset": 2})
            assert await heard(one) == fire | {"message": "out", "offset": 2}
            await one.send('{"action": "publish", "topic": "news.fire", "message": "me too"}')
            assert (await heard(one))["code"] == "forbidden"
            with pytest.raises(InvalidStatus):
                await connect(url, origin="https://elsewhere.example", proxy=None)  # type: ignore[arg-type]
            process.send_signal(signal.SIGTERM)
            assert (await heard(one))["type"] == "reconnect"
            with pytest.raises(ConnectionClosed):
                await one.recv()
            assert one.close_code == 1001
        await ends_well(process)
