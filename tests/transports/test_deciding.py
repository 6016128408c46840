"""Requests that the server's user decides about: `process_request`, which may take its time."""

from __future__ import annotations

import time

import anyio
import pytest

from hubbub.apps.echo import echo
from support.clients import client
from support.loops import running, until
from support.net import Connection, Net
from support.peers import raw_peer
from support.wire import request


@pytest.mark.parametrize(
    "decides",
    [
        pytest.param(True, id="then decides"),
        pytest.param(False, id="never decides", marks=pytest.mark.slow),
    ],
)
async def test_shutdown_while_a_request_is_decided(
    net: Net, decides: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The peer gets 503 at once, whatever is decided later, and nobody else notices."""
    asked, decide = anyio.Event(), anyio.Event()
    went_on = False

    async def process_request(connection: Connection, _: object) -> None:
        asked.set()
        await decide.wait()

    async with (
        net.serve(
            echo, "127.0.0.1", 0, process_request=process_request, drain_timeout=0.2
        ) as server,
        raw_peer(server) as peer,
    ):
        await peer.send(request())
        await asked.wait()
        before = time.monotonic()
        server.close()
        assert (await peer.read_rest()).startswith(b"HTTP/1.1 503 ")
        if decides:
            decide.set()
        await server.wait_closed()
        assert time.monotonic() - before < (0.9 if decides else 5)
        await anyio.lowlevel.checkpoint()
        went_on = True
    assert went_on
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_peer_that_leaves_while_its_request_is_decided(net: Net) -> None:
    """Nothing of it is left, and others are served."""
    asked, decide = anyio.Event(), anyio.Event()

    async def process_request(connection: Connection, _: object) -> None:
        asked.set()
        await decide.wait()

    async with net.serve(echo, "127.0.0.1", 0, process_request=process_request) as server:
        before = len(running())
        async with raw_peer(server) as peer:
            await peer.send(request())
            await asked.wait()
            peer.reset()
        await anyio.wait_all_tasks_blocked()
        decide.set()
        await until(lambda: len(running()) == before)
        async with client(server) as other:
            await other.send("x")
            assert await other.recv() == "x"
        assert server.connections == set()
