"""How long a fan-out takes is told: from when it is queued until it is written."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack

import pytest

from support.hub_peers import HubPeer, hub, peer
from support.loops import until
from support.net import Net


async def test_each_turn_that_published_is_told(net: Net) -> None:
    """The number of deliveries and the seconds come once for each turn, behind what was written."""
    told: list[tuple[int, float]] = []

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            hub(net, on_fan_out=lambda count, seconds: told.append((count, seconds)))
        )
        peers: list[HubPeer] = []
        for _ in range(40):
            peers.append(await stack.enter_async_context(peer(server)))
            await peers[-1].subscribe("alerts")
        assert told == []
        await server.publish("alerts", "one")
        await server.publish("alerts", "two")
        for one in peers:
            assert (await one.recv())["message"] == "one"
        await until(lambda: bool(told))
        assert (await peers[0].publish("alerts", "three"))["recipients"] == 40
        await until(lambda: len(told) == 2)
        await server.publish("nobody", "four")
        await peers[0].ask(action="ping")
    assert [count for count, _ in told] == [80, 40]
    assert all(0 < seconds < 5 for _, seconds in told)


async def test_a_function_that_raises(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and nobody loses anything."""

    def fail(count: int, seconds: float) -> None:
        raise KeyError("a mistake")

    async with hub(net, on_fan_out=fail) as server, peer(server) as ann:
        await ann.subscribe("alerts")
        with caplog.at_level(logging.ERROR):
            await server.publish("alerts", "one")
            assert (await ann.recv())["message"] == "one"
            await server.publish("alerts", "two")
            assert (await ann.recv())["message"] == "two"
            await until(lambda: len(caplog.records) == 2)
    assert {record.message for record in caplog.records} == {"on_fan_out raised"}
