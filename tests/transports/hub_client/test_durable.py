"""A client, and a hub that is restarted over the same store: nothing is lost, and nothing comes twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from hubbub.core.backoff import Backoff
from hubbub.core.hub_limits import HubLimits
from hubbub.core.rules import Rule
from hubbub.transports.asyncio import HubServer, Notification, Published, Resumed, Subscription
from hubbub.transports.stores.sqlite import SQLiteStore
from support.answering import silent_port
from support.hub_peers import hub_config, token_auth
from support.loops import until
from support.net import Net
from support.relay import relay
from support.tasks import Task

QUICK = Backoff(first=0.02, cap=0.02)

CONFIG = hub_config(
    HubLimits(reconnect_spread=0.01),
    rules=(Rule(pattern="orders", history=1000, durable=True),),
    auth=token_auth("ann"),
)


class Hubs:
    """One hub after the other, at one place and over one store."""

    def __init__(self, net: Net, path: Path) -> None:
        self._net = net
        self._path = path
        self.port = silent_port()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[HubServer]:
        """Run the next."""
        server: HubServer
        async with self._net.serve_hub(
            CONFIG, "127.0.0.1", self.port, store=SQLiteStore(self._path)
        ) as server:
            yield server


async def _numbers(events: Subscription, count: int) -> list[object]:
    """So many publications, whatever else is told between them."""
    found: list[object] = []
    while len(found) < count:
        event = await anext(events)
        if isinstance(event, Notification):
            found.append(event.message)
        else:
            assert isinstance(event, Resumed)
            assert event.recovered, event
    return found


@pytest.mark.parametrize("ack", [False, True], ids=["", "acknowledged"])
async def test_restarts(net: Net, tmp_path: Path, ack: bool) -> None:
    """A subscription goes on over every restart, with all that was published, once."""
    hubs = Hubs(net, tmp_path / "store")
    where = f"ws://127.0.0.1:{hubs.port}/"
    client = net.connect_hub(where, token="token-ann", backoff=QUICK)
    expected: list[object] = []
    taken: list[object] = []
    async with hubs.one() as server:
        ann = await client.__aenter__()
        heard = ann.subscribe("orders", ack=ack)
        await heard.__aenter__()
        for number in range(3):
            await server.publish("orders", number)
            expected.append(number)
        taken += await _numbers(heard, 2)
    for begin in (10, 20):
        async with hubs.one() as server:
            for number in range(begin, begin + 3):
                await server.publish("orders", number)
                expected.append(number)
            taken += await _numbers(heard, 3)
    async with hubs.one():
        taken += await _numbers(heard, len(expected) - len(taken))
        assert taken == expected
        await heard.__aexit__(None, None, None)
        await client.__aexit__(None, None, None)


async def test_an_answer_that_a_restart_lost(net: Net, tmp_path: Path) -> None:
    """What was stored and not answered is answered by the next hub, which knows its key."""
    hubs = Hubs(net, tmp_path / "store")
    async with relay(("127.0.0.1", hubs.port)) as line, anyio.create_task_group() as tasks:
        async with hubs.one() as server:
            client = net.connect_hub(line.url, token="token-ann", backoff=QUICK)
            ann = await client.__aenter__()
            line.deaf = True
            publishing: Task[Published] = Task(tasks, ann.publish, "orders", 1)
            await until(lambda: server.hub.account.counters.publications == 1)
            line.broken = True
            await line.cut()
        async with hubs.one():
            line.deaf = line.broken = False
            published = await publishing.wait()
            assert published.duplicate
            assert [one.message for one in await ann.history("orders")] == [1]
            await client.__aexit__(None, None, None)
