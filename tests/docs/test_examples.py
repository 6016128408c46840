"""The programs under docs/examples, each run against real peers."""

import asyncio
import sys

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from support.tree import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "selectors_server.py"


async def talk_to_selectors_server() -> None:
    """Two polite clients and a rude one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE), env={"PORT": "0"}, stdout=asyncio.subprocess.PIPE
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
