"""Whatever a program waits for, cancelling it there leaves the client usable, and nothing behind."""

from __future__ import annotations

from collections import Counter

import anyio
import pytest

from hubbub.core.backoff import Backoff
from hubbub.core.rules import Rule
from hubbub.transports.asyncio import (
    ClientState,
    HubClosed,
    Notification,
    Published,
    RemoteHub,
    Subscription,
)
from support.cancelling import cancelled_at
from support.hub_peers import hub, hub_config, until_left
from support.loops import descriptors, running, until
from support.net import Net, address, url
from support.relay import relay
from support.tasks import Task, WasCancelled

CONFIG = hub_config(rules=(Rule(pattern="log", history=1000), Rule(pattern="room", presence=True)))

QUICK = Backoff(first=0.02, cap=0.02)

when = pytest.mark.parametrize("late", [False, True], ids=["while waiting", "on waking"])


class User:
    """Does one thing after the other with a client."""

    def __init__(self, ann: RemoteHub, heard: Subscription, number: int) -> None:
        self.ann = ann
        self.heard = heard
        self.number = number
        self.taken: list[object] = []
        self.waits = anyio.Event()
        """Set when it waits for an event that is not published yet."""
        self.doing = "nothing"

    async def __call__(self) -> None:
        """All that can be waited for."""
        ann = self.ann
        self.doing = "publish"
        await ann.publish("log", self.number)
        self.taken.append(await anext(self.heard))
        self.doing = "take"
        self.waits.set()
        self.taken.append(await anext(self.heard))
        self.doing = "subscribe"
        async with ann.subscribe("room"):
            self.doing = "presence"
            await ann.presence("room")
        self.doing = "history"
        await ann.history("log")
        self.doing = "done"


@when
async def test_a_task_that_is_cancelled_anywhere(net: Net, late: bool) -> None:
    """At each of its suspensions in turn; then the client does the same again, and no event is lost."""
    cancelled: Counter[str] = Counter()
    number = 0
    async with (
        hub(net, CONFIG) as server,
        net.connect_hub(url(server), name="ann") as ann,
        ann.subscribe("log") as heard,
    ):
        taken: list[object] = []

        async def publish(user: User) -> None:
            await user.waits.wait()
            await server.publish("log", "at last")

        while True:
            number += 1
            user = User(ann, heard, number)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(publish, user)
                outcome = await cancelled_at(number, user, late=late)
                user.waits.set()
            cancelled[user.doing] += outcome.cancelled
            taken += user.taken
            assert ann.state is ClientState.READY
            assert not (await ann.presence("room")).members
            kept = await ann.history("log", limit=1000)
            while len(taken) < len(kept):
                taken.append(await anext(heard))
            if outcome.suspensions < number:
                break
        assert not outcome.cancelled
        assert [getattr(one, "message", None) for one in taken] == [one.message for one in kept]
    if not late:  # trio tells of a cancellation on waking at the next step
        assert set(+cancelled) == {"publish", "take", "subscribe", "presence", "history"}


@when
async def test_a_block_that_is_cancelled_anywhere(net: Net, late: bool) -> None:
    """From the first step of connecting to the last of closing: no socket and no task is left."""
    number = 0
    async with hub(net, CONFIG) as server:

        async def whole() -> None:
            async with (
                net.connect_hub(url(server), name="ann", proxy=None) as ann,
                ann.subscribe("log") as heard,
            ):
                await ann.publish("log", 1)
                assert isinstance(await anext(heard), Notification)

        await whole()
        await until_left(server)
        await anyio.wait_all_tasks_blocked()
        before = descriptors(), len(running())
        while True:
            number += 1
            outcome = await cancelled_at(number, whole, late=late)
            await until_left(server)
            await until(lambda: (descriptors(), len(running())) == before)
            if outcome.suspensions < number:
                break
    assert not outcome.cancelled
    assert number > 4


async def test_a_request_that_was_not_sent(net: Net) -> None:
    """Cancelled while there is no connection, it is never sent."""
    async with (
        hub(net, CONFIG) as server,
        relay(address(server)) as line,
        net.connect_hub(line.url, name="ann", proxy=None, backoff=QUICK) as ann,
        anyio.create_task_group() as tasks,
    ):
        line.broken = True
        await line.cut()
        await until(lambda: ann.state is ClientState.WAITING)
        unwanted = Task(tasks, ann.publish, "log", "unwanted")
        wanted = Task(tasks, ann.publish, "log", "wanted")
        await anyio.wait_all_tasks_blocked()
        unwanted.cancel()
        with pytest.raises(WasCancelled):
            await unwanted.wait()
        line.broken = False
        await wanted.wait()
        assert [one.message for one in await ann.history("log")] == ["wanted"]


async def test_a_block_that_raises(net: Net) -> None:
    """Its error comes out as it is, without waiting for answers; who waits for one is told."""
    async with (
        hub(net, CONFIG) as server,
        relay(address(server)) as line,
        anyio.create_task_group() as tasks,
    ):
        asked: list[Task[Published]] = []

        async def fail() -> None:
            async with net.connect_hub(line.url, name="ann", proxy=None) as ann:
                line.deaf = True
                asked.append(Task(tasks, ann.publish, "log", 1))
                await anyio.wait_all_tasks_blocked()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        with pytest.raises(HubClosed, match="closed"):
            await asked[0].wait()
