"""How a client ends: what is still answered, what is not, and who is told."""

from __future__ import annotations

import anyio
import pytest

from hubbub.core.client_options import ClientLimits
from hubbub.transports.asyncio import (
    ClientState,
    ConcurrencyError,
    Hooks,
    HubClosed,
    Notification,
    Publishing,
)
from support.hub_peers import hub, until_left
from support.net import Net, address, url
from support.relay import relay
from support.tasks import Task


async def test_requests_are_answered_before_the_end(net: Net) -> None:
    """Closing waits for them; what was published is published."""
    asked = anyio.Event()
    go_on = anyio.Event()
    hooks = Hooks()

    @hooks.on_publish("slow")
    async def wait(publishing: Publishing) -> None:
        asked.set()
        await go_on.wait()

    async with hub(net, hooks=hooks) as server, anyio.create_task_group() as tasks:
        async with net.connect_hub(url(server)) as ann:
            publishing = Task(tasks, ann.publish, "slow", 1)
            await asked.wait()
            closing = Task(tasks, ann.close)
            await anyio.wait_all_tasks_blocked()
            assert not closing.done
            with pytest.raises(HubClosed):
                await ann.publish("alerts", 1)
            go_on.set()
            assert (await publishing.wait()).recipients == 0
            await closing.wait()
            assert ann.state is ClientState.OVER
        await until_left(server)


async def test_answers_that_do_not_come(net: Net) -> None:
    """After `leave_timeout` they are not waited for."""
    async with (
        hub(net) as server,
        relay(address(server)) as line,
        anyio.create_task_group() as tasks,
    ):
        limits = ClientLimits(leave_timeout=0.05)
        async with net.connect_hub(line.url, limits=limits, close_timeout=0.05) as ann:
            line.deaf = True
            publishing = Task(tasks, ann.publish, "alerts", 1)
            await anyio.wait_all_tasks_blocked()
        with pytest.raises(HubClosed, match="was closed"):
            await publishing.wait()


async def test_iterations_end(net: Net) -> None:
    """Closing a subscription, or the client, ends loops quietly; what waits may be taken before."""
    async with hub(net) as server, anyio.create_task_group() as tasks:

        async def count(subscription: object) -> int:
            found = 0
            async for event in subscription:  # type: ignore[attr-defined]
                assert isinstance(event, Notification)
                found += 1
            return found

        async with net.connect_hub(url(server)) as ann:
            first, second = ann.subscribe("first"), ann.subscribe("second")
            async with first, second:
                counted = Task(tasks, count, first)
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(ConcurrencyError):
                    await anext(first)
                await first.close()
                assert await counted.wait() == 0
                assert [event async for event in first] == []
                await ann.publish("second", 1)
                await ann.presence("room.lobby")  # whose answer comes behind the publication
            assert await count(second) == 0
            third = ann.subscribe("third")
            async with third:
                await server.publish("third", 1)
                await ann.presence("room.lobby")
                await ann.close()
                assert await count(third) == 1


async def test_states(net: Net) -> None:
    """Who watches them sees the state that there is, each other, and the last."""
    async with hub(net) as server:
        async with net.connect_hub(url(server)) as ann:
            states = ann.states()
            assert (await anext(states)).state is ClientState.READY
        assert [change.state async for change in states] == [ClientState.LEAVING, ClientState.OVER]
