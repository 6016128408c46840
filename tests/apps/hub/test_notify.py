"""`hubbub serve notify`: the tutorial's notification server, on the hub."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from hubbub.apps.hub.notify import beat
from support.hub_peers import hub, peer
from support.net import adapter
from support.programs import serving


async def test_the_heartbeat() -> None:
    """It comes after each interval, to those who subscribe, and ends with the hub."""
    async with hub(adapter("asyncio")) as server, peer(server) as ann:
        await ann.subscribe("system")
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 3:
                server.hub.draining = True

        await beat(server, 30.0, sleep)
        assert slept == [30.0, 30.0, 30.0]
        for _ in range(2):
            got = await ann.recv()
            assert (got["type"], got["topic"], got["message"]) == (
                "notification",
                "system",
                "Heartbeat check - all systems normal",
            )
        assert server.hub.counters.publications == 2


async def _recv(peer: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await asyncio.wait_for(peer.recv(), 10))
    del found["timestamp"]
    return found


@pytest.mark.parametrize("transport", ["asyncio", "trio"])
async def test_the_shapes_of_the_tutorial(transport: str) -> None:
    """Its clients work as they are: what they send and get is what the tutorial shows."""
    options = ["--transport", transport, "--heartbeat", "0.2"]
    async with (
        serving("notify", *options) as program,
        program.client() as ann,
        program.client() as bob,
    ):
        assert re.fullmatch(r"hubbub notify listens on ws://127\.0\.0\.1:\d+/", program.line)
        await ann.send(json.dumps({"action": "subscribe", "topics": ["news", "system"]}))
        assert json.loads(await ann.recv()) == {"type": "subscribed", "topics": ["news", "system"]}
        beat = {"type": "notification", "topic": "system"}
        assert await _recv(ann) == {**beat, "message": "Heartbeat check - all systems normal"}
        await bob.send(json.dumps({"action": "publish", "topic": "news", "message": "hello"}))
        assert json.loads(await bob.recv()) == {
            "type": "published",
            "topic": "news",
            "recipients": 1,
        }
        news = {"type": "notification", "topic": "news", "message": "hello"}
        while (got := await _recv(ann))["topic"] == "system":
            pass
        assert got == news
        program.process.terminate()
        assert await program.ends() == 0
        assert "page" not in await program.rest_of_output()
