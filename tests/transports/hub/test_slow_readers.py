"""Peers of a hub that do not read: what happens to them, and that nothing happens to others."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from hubbub.core.hub_limits import HubLimits
from hubbub.core.rules import Rule
from support.hub_peers import HubServer, hub, hub_config, peer, until_left
from support.loops import until
from support.net import Net
from support.peers import RawPeer, raw_peer
from support.wire import text

LITTLE = 4096
"""Bytes that the system may hold for a peer; it takes some more."""

LIMITS = HubLimits(outbox_size=200_000)
MESSAGE = "x" * 50_000


async def _subscribe(server: HubServer, slow: RawPeer, topic: str) -> None:
    await slow.upgrade()
    await slow.send(text(f'{{"action":"subscribe","topics":["{topic}"]}}'))
    assert b'"subscribed"' in (await slow.read_frame()).payload


async def test_who_does_not_read_gets_4008(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """It gets whole frames, then 4008; who reads gets everything; the log says it once."""
    got = 0

    async def listen() -> None:
        nonlocal got
        async for _ in ann.connection:
            got += 1

    async with (
        hub(net, hub_config(LIMITS)) as server,
        raw_peer(server, receive_buffer=LITTLE) as slow,
        peer(server) as ann,
        anyio.create_task_group() as tasks,
    ):
        await _subscribe(server, slow, "alerts")
        await ann.subscribe("alerts")
        tasks.start_soon(listen)
        sent = 0
        while not server.hub.counters.dropped_disconnect:
            await server.publish("alerts", MESSAGE)
            sent += 1
            await until(lambda count=sent: got == count)  # type: ignore[misc]
        frames = 0
        while (frame := await slow.read_frame()).opcode == 1:
            assert MESSAGE.encode() in frame.payload
            frames += 1
        assert frame.code == 4008
        assert frames < sent
        assert (await server.publish("alerts", "end")).recipients == 1
        await until(lambda: got == sent + 1)
        await ann.connection.close()
    lines = [record.getMessage() for record in caplog.records if "slow" in record.getMessage()]
    assert lines == ["too slow User-1, session 1 on alerts: disconnect"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio"])  # it takes seconds, and is the same on each loop
async def test_who_never_reads_again(net: Net) -> None:
    """Its socket is closed in time, though it never takes the Close frame."""
    limits = HubLimits(outbox_size=200_000, close_timeout=0.1, drain_timeout=0.1)
    async with (
        hub(net, hub_config(limits)) as server,
        raw_peer(server, receive_buffer=LITTLE) as slow,
    ):
        await _subscribe(server, slow, "alerts")
        while not server.hub.counters.dropped_disconnect:
            await server.publish("alerts", MESSAGE)
            await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            await until_left(server)
            await until(lambda: server._sockets == 0)


async def test_dropping_the_oldest(net: Net) -> None:
    """Where the rule says so, it keeps its connection, and is told how many it missed."""
    config = hub_config(LIMITS, rules=(Rule(pattern=">", slow="drop-oldest"),))
    async with hub(net, config) as server, raw_peer(server, receive_buffer=LITTLE) as slow:
        await _subscribe(server, slow, "alerts")
        sent = 0
        while server.hub.counters.dropped_oldest < 3:
            await server.publish("alerts", MESSAGE)
            sent += 1
            await anyio.lowlevel.checkpoint()
        await server.publish("alerts", "end")
        received = missed = 0
        while b'"end"' not in (frame := await slow.read_frame()).payload:
            if b'"gap"' in frame.payload:
                missed += int(frame.payload.split(b'"missed":')[1].rstrip(b"}"))
            else:
                received += 1
        assert missed == server.hub.counters.dropped_oldest
        assert received + missed == sent


async def test_a_peer_that_vanishes_with_a_full_queue(net: Net) -> None:
    """What waited for it is thrown away and counted."""
    async with hub(net, hub_config(LIMITS)) as server:
        async with raw_peer(server, receive_buffer=LITTLE) as gone:
            await _subscribe(server, gone, "alerts")
            while not server.hub.outbox_bytes:
                await server.publish("alerts", MESSAGE)
                await anyio.lowlevel.checkpoint()
            gone.reset()
        await until_left(server)
        assert server.hub.outbox_bytes == 0
        assert (await server.publish("alerts", 1)).recipients == 0
