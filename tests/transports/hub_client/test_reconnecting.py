"""Lost connections: what a client does about them, and what its user sees."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import anyio
import pytest

from hubbub.core.auth import External
from hubbub.core.backoff import Backoff
from hubbub.core.client_options import ClientLimits
from hubbub.core.grants import Grant
from hubbub.core.hub_limits import HubLimits
from hubbub.core.rules import DEFAULT_RULES, Rule
from hubbub.transports.asyncio import (
    ClientState,
    HubClosed,
    HubError,
    Notification,
    Published,
    Resumed,
    StateChange,
)
from support.hub_peers import hub, hub_config, token_auth
from support.loops import until
from support.net import Net, address, url
from support.relay import relay
from support.tasks import Task

QUICK = Backoff(first=0.02, cap=0.02)
LOG = (Rule(pattern="log", history=100), *DEFAULT_RULES)


async def test_a_subscription_goes_on(net: Net) -> None:
    """What was published while there was no connection follows, once; the user is told of the break."""
    async with (
        hub(net, hub_config(rules=LOG)) as server,
        relay(address(server)) as line,
        net.connect_hub(line.url, backoff=QUICK) as ann,
        ann.subscribe("log") as heard,
    ):
        await server.publish("log", 1)
        assert getattr(await anext(heard), "message", None) == 1
        line.broken = True
        await line.cut()
        await until(lambda: ann.state is ClientState.WAITING)
        await server.publish("log", 2)
        line.broken = False
        await until(lambda: ann.state is ClientState.READY)
        await server.publish("log", 3)
        resumed = await anext(heard)
        assert isinstance(resumed, Resumed)
        assert resumed.recovered
        assert [getattr(await anext(heard), "message", None) for _ in range(2)] == [2, 3]


async def test_a_topic_without_history(net: Net) -> None:
    """The user is told that something may be missing, and the subscription goes on."""
    async with (
        hub(net) as server,
        relay(address(server)) as line,
        net.connect_hub(line.url, backoff=QUICK) as ann,
        ann.subscribe("alerts") as heard,
    ):
        await line.cut()
        resumed = await anext(heard)
        assert resumed == Resumed("alerts", False)
        await server.publish("alerts", 1)
        assert isinstance(await anext(heard), Notification)


async def test_a_publication_whose_answer_is_lost(net: Net) -> None:
    """It is sent again, and the hub knows it: it is published once, and answered as a duplicate."""
    async with (
        hub(net, hub_config(rules=LOG)) as server,
        relay(address(server)) as line,
        net.connect_hub(line.url, name="ann", backoff=QUICK) as ann,
        anyio.create_task_group() as tasks,
    ):
        line.deaf = True
        publishing: Task[Published] = Task(tasks, ann.publish, "log", 1)
        await until(lambda: server.hub.account.counters.publications == 1)
        await line.lose_answers()
        published = await publishing.wait()
        assert published.duplicate
        assert published.offset == 1
        assert [one.message for one in await ann.history("log")] == [1]


async def test_what_is_not_repeated(net: Net) -> None:
    """A nameless client's publication, and a message to a user, are `unavailable` when the answer is lost."""
    config = hub_config(auth=token_auth("ann"))
    async with (
        hub(net, config) as server,
        relay(address(server)) as line,
        net.connect_hub(line.url, token="token-ann", backoff=QUICK) as ann,
        net.connect_hub(line.url, backoff=QUICK) as nobody,
        anyio.create_task_group() as tasks,
    ):
        counters = server.hub.account.counters
        before = counters.requests
        line.deaf = True
        asked = [
            Task(tasks, nobody.publish, "alerts", 1),
            Task(tasks, ann.send_to, "ann", 1),
            Task(tasks, ann.call, "something"),
        ]
        # The hub has answered all three, in whatever order they came, which nobody hears.
        await until(lambda: counters.requests == before + 3)
        await line.lose_answers()
        for task in asked:
            with pytest.raises(HubError, match="may or may not"):
                await task.wait()
        assert (await nobody.publish("alerts", 1)).recipients == 0


async def test_requests_wait_for_a_connection(net: Net) -> None:
    """What is asked for while there is none is asked for when there is one."""
    async with (
        hub(net) as server,
        relay(address(server)) as line,
        net.connect_hub(line.url, backoff=QUICK) as ann,
        anyio.create_task_group() as tasks,
    ):
        line.broken = True
        await line.cut()
        await until(lambda: ann.state is ClientState.WAITING)
        publishing: Task[Published] = Task(tasks, ann.publish, "alerts", 1)
        await anyio.lowlevel.checkpoint()
        line.broken = False
        assert (await publishing.wait()).recipients == 0


async def test_a_name_that_our_own_dead_connection_holds(net: Net) -> None:
    """The client asks for it again until the hub has found the connection dead."""
    async with (
        hub(net) as server,
        relay(address(server)) as line,
        net.connect_hub(line.url, name="ann", backoff=QUICK) as ann,
    ):
        await line.cut(half=True)
        await until(lambda: ann.state is ClientState.IDENTIFYING)
        await until(lambda: server.hub.account.counters.errors == 1)
        assert ann.state is ClientState.IDENTIFYING
        await line.bury()
        await until(lambda: ann.state is ClientState.READY)
        assert ann.username == "ann"


async def test_a_restart(net: Net) -> None:
    """A hub that is drained tells when to come back; the client finds the next one at the same address."""
    config = hub_config(HubLimits(reconnect_spread=0.1), rules=LOG)
    with socket.create_server(("127.0.0.1", 0)) as one:
        place = one.getsockname()
    async with net.serve_hub(config, *place[:2]) as server:
        uri = url(server)
        made = net.connect_hub(uri, backoff=QUICK)
        ann = await made.__aenter__()
        heard = ann.subscribe("log")
        await heard.__aenter__()
        await server.publish("log", 1)
        changes = ann.states()
    async with net.serve_hub(config, *place[:2]) as server:
        seen: list[StateChange] = []
        async for change in changes:
            seen.append(change)
            if change.state is ClientState.READY and len(seen) > 1:
                break
        lost = next(change for change in seen if change.state is ClientState.WAITING)
        assert lost.code == 1001
        assert lost.delay is not None
        assert lost.delay <= 0.1
        await until(lambda: bool(server.hub.account.counters.sessions))
        await ann.publish("log", 2)
        assert getattr(await anext(heard), "message", None) == 1
        resumed = await anext(heard)
        assert isinstance(resumed, Resumed)
        assert not resumed.recovered  # what was in memory is gone with the first hub
        assert getattr(await anext(heard), "message", None) == 2
        await made.__aexit__(None, None, None)


async def test_an_operator_disconnects(net: Net) -> None:
    """After 4003 the client gives up: who waits is told, with the close code."""
    async with (
        hub(net, hub_config(auth=token_auth("ann"))) as server,
        net.connect_hub(url(server), token="token-ann") as ann,
        ann.subscribe("alerts") as heard,
    ):
        await server.disconnect("ann", "go away")
        with pytest.raises(HubClosed, match="4003 'go away'") as closed:
            await anext(heard)
        assert closed.value.close_code == 4003
        with pytest.raises(HubClosed):
            await ann.publish("alerts", 1)
        assert ann.state is ClientState.OVER


async def test_a_subscription_is_taken_away(net: Net) -> None:
    """What is revoked ends: the others go on."""
    async with (
        hub(net, hub_config(auth=token_auth("ann"))) as server,
        net.connect_hub(url(server), token="token-ann") as ann,
        ann.subscribe("alerts") as heard,
        ann.subscribe("news") as news,
    ):
        await server.revoke("ann", "alerts")
        with pytest.raises(HubError, match="revoked"):
            await anext(heard)
        await server.publish("news", 1)
        assert isinstance(await anext(news), Notification)


async def test_a_token_that_ends(net: Net) -> None:
    """After 4001 a function is asked for another token, at once; a plain token ends the client."""
    fetched: Iterator[str] = iter(["short", "long"])

    def authenticate(token: str) -> Grant:
        until = time.time() + 0.05 if token == "short" else None
        return Grant(user="ann", read=(">",), until=until)

    async def token() -> str:
        await anyio.lowlevel.checkpoint()
        return next(fetched)

    config = hub_config(auth=External(), anonymous=False)
    async with hub(net, config, authenticate=authenticate) as server:
        async with (
            net.connect_hub(url(server), token=token) as ann,
            ann.subscribe("alerts") as heard,
        ):
            assert await anext(heard) == Resumed("alerts", False)
        async with net.connect_hub(url(server), token="short") as ann:
            with pytest.raises(HubClosed, match=r"4001.*nothing fetches") as closed:
                await anext(ann.subscribe("alerts"))
            assert closed.value.close_code == 4001


async def test_a_newer_token(net: Net) -> None:
    """`refresh` says it on the same connection; a wrong one is refused, and the old one goes on."""
    tokens: Iterator[str] = iter(["one", "two", "wrong"])
    grants = {
        "one": Grant(user="ann", read=("alerts",)),
        "two": Grant(user="ann", read=("alerts", "news")),
    }
    async with (
        hub(net, hub_config(auth=External(), anonymous=False), authenticate=grants.get) as server,
        net.connect_hub(url(server), token=lambda: next(tokens)) as ann,
    ):
        with pytest.raises(HubError, match="forbidden"):
            async with ann.subscribe("news"):
                raise AssertionError
        await ann.refresh()
        async with ann.subscribe("news"):
            pass
        with pytest.raises(HubError, match="Invalid token"):
            await ann.refresh()
        async with ann.subscribe("news"):
            pass
        await ann.refresh("one")
        with pytest.raises(HubError, match="forbidden"):
            async with ann.subscribe("news"):
                raise AssertionError


async def test_slow_applications_hold_the_hub_back(net: Net) -> None:
    """While events wait the client reads nothing on, and what comes later is not lost."""
    limits = ClientLimits(max_events=10)
    config = hub_config(HubLimits(outbox_size=65536), rules=(Rule(pattern="log", history=100_000),))
    count = 3000
    async with (
        hub(net, config) as server,
        net.connect_hub(url(server), limits=limits, max_queue=4) as ann,
        ann.subscribe("log") as heard,
    ):
        for number in range(count):
            await server.publish("log", "x" * 1000 + str(number))
        assert [
            int(str(getattr(await anext(heard), "message", None))[1000:]) for _ in range(count)
        ] == list(range(count))
