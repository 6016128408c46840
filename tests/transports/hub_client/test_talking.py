"""What a program says to a hub and hears from it through `connect_hub`, on each event loop."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from hubbub.core.errors import LocalProtocolError
from hubbub.core.rules import DEFAULT_RULES, Rule
from hubbub.transports.asyncio import (
    Calling,
    Chat,
    Direct,
    Hooks,
    HubError,
    Notification,
    PresenceChange,
    Refuse,
    RemoteHub,
    Resumed,
    Subscription,
    System,
)
from support.hub_peers import hub, hub_config, token_auth
from support.net import Net, url

LOG = (Rule(pattern="log.*", history=100), *DEFAULT_RULES)


async def _take(events: Subscription, count: int) -> list[object]:
    return [await anext(events) for _ in range(count)]


async def test_publications_and_their_answers(net: Net) -> None:
    """Who subscribes gets what is published, and who publishes learns how many that are."""
    async with (
        hub(net) as server,
        net.connect_hub(url(server)) as ann,
        net.connect_hub(url(server)) as bob,
        ann.subscribe("alerts", "news.>") as heard,
    ):
        published = await bob.publish("alerts", {"text": "fire"})
        assert (published.topic, published.recipients, published.offset) == ("alerts", 1, None)
        await bob.publish("news.sport", "goal")
        first, second = await _take(heard, 2)
        assert isinstance(first, Notification)
        assert (first.topic, first.message) == ("alerts", {"text": "fire"})
        assert isinstance(second, Notification)
        assert (second.topic, second.message) == ("news.sport", "goal")


async def test_a_room(net: Net) -> None:
    """A room tells who comes, as data and in words, who said what, and who is there."""
    async with (
        hub(net) as server,
        net.connect_hub(url(server), name="ann") as ann,
        ann.subscribe("room.lobby", presence=True) as heard,
    ):
        assert ann.username == "ann"
        async with (
            net.connect_hub(url(server), name="bob") as bob,
            bob.subscribe("room.lobby"),
        ):
            await bob.publish("room.lobby", "hello")
            announced, joined, said = await _take(heard, 3)
            assert isinstance(announced, System)
            assert announced.message == "bob joined the chat"
            assert isinstance(joined, PresenceChange)
            assert (joined.event, joined.user, joined.count) == ("join", "bob", 2)
            assert isinstance(said, Chat)
            assert (said.sender, said.message) == ("bob", "hello")
            there = await ann.presence("room.lobby")
            assert [(one.user, one.connections) for one in there.members] == [
                ("ann", 1),
                ("bob", 1),
            ]
        _, left = await _take(heard, 2)
        assert isinstance(left, PresenceChange)
        assert (left.event, left.user) == ("leave", "bob")


async def test_history_and_positions(net: Net) -> None:
    """Publications have places; a subscription may begin at one, or with the last few."""
    async with hub(net, hub_config(rules=LOG)) as server, net.connect_hub(url(server)) as ann:
        published = [await ann.publish("log.a", number) for number in range(1, 6)]
        assert [one.offset for one in published] == [1, 2, 3, 4, 5]
        kept = await ann.history("log.a", before=4, limit=2)
        assert [(one.offset, one.message) for one in kept] == [(2, 2), (3, 3)]

        async with ann.subscribe("log.a", last=2) as heard:
            newest = await _take(heard, 2)
            assert [getattr(one, "message", None) for one in newest] == [4, 5]
            position = heard.position("log.a")
            assert position is not None
            assert (position.offset, position.epoch) == (5, published[0].epoch)
        await ann.publish("log.a", 6)
        async with ann.subscribe("log.a", since=position) as heard:
            resumed, sixth = await _take(heard, 2)
            assert isinstance(resumed, Resumed)
            assert resumed.recovered
            assert isinstance(sixth, Notification)
            assert sixth.message == 6


async def test_what_was_acknowledged_does_not_come_again(net: Net) -> None:
    """Taking the next acknowledges the one before, and leaving a block without an error the last."""
    config = hub_config(rules=LOG, auth=token_auth("ann"))
    async with hub(net, config) as server, net.connect_hub(url(server), token="token-ann") as ann:

        async def consume(count: int, *, fail: bool) -> list[object]:
            found: list[object] = []
            with suppress(ZeroDivisionError):
                async with ann.subscribe("log.a", ack=True, name="worker") as jobs:
                    while len(found) < count:
                        event = await anext(jobs)
                        if isinstance(event, Notification):
                            found.append(event.message)
                    if fail:
                        raise ZeroDivisionError
            return found

        assert await consume(0, fail=False) == []
        for number in range(4):
            await ann.publish("log.a", number)
        assert await consume(2, fail=True) == [0, 1]
        assert await consume(2, fail=False) == [1, 2]
        assert await consume(1, fail=False) == [3]


async def test_acknowledging_by_hand(net: Net) -> None:
    """With `ack="manual"` only what was acknowledged counts as handled."""
    config = hub_config(rules=LOG, auth=token_auth("ann"))
    async with hub(net, config) as server, net.connect_hub(url(server), token="token-ann") as ann:
        async with ann.subscribe("log.a", ack="manual") as jobs:
            for number in range(3):
                await ann.publish("log.a", number)
            events = await _take(jobs, 3)
            assert isinstance(events[0], Notification)
            await jobs.ack(events[0])
        async with ann.subscribe("log.a", ack="manual") as jobs:
            again = await _take(jobs, 2)
            assert [getattr(one, "message", None) for one in again] == [1, 2]
            assert [getattr(one, "redelivered", None) for one in again] == [True, True]
        async with ann.subscribe("plain") as plain:
            note = Notification("plain", 1, "")
            with pytest.raises(ValueError, match="keeps no history"):
                await plain.ack(note)
            with pytest.raises(LocalProtocolError, match="pass ack"):
                await plain.ack(Notification("plain", 1, "", offset=1, epoch="e"))


async def test_messages_to_a_user(net: Net) -> None:
    """A direct message reaches who iterates over them."""
    config = hub_config(auth=token_auth("ann", "bob"))
    async with (
        hub(net, config) as server,
        net.connect_hub(url(server), token="token-ann") as ann,
        net.connect_hub(url(server), token="token-bob") as bob,
        bob.directs() as heard,
    ):
        assert (await ann.send_to("bob", "psst")).recipients == 1
        direct = await anext(heard)
        assert isinstance(direct, Direct)
        assert (direct.sender, direct.message) == ("ann", "psst")


async def test_calls_and_refusals(net: Net) -> None:
    """A call gives what the hub's function gives; what is refused is raised with code and field."""
    hooks = Hooks()

    @hooks.on_call("add")
    def add(calling: Calling) -> object:
        return sum(calling.data)

    @hooks.on_call("never")
    def never(calling: Calling) -> object:
        raise Refuse("too_late", "closed on Sundays")

    async with hub(net, hooks=hooks) as server, net.connect_hub(url(server)) as ann:
        assert await ann.call("add", [1, 2]) == 3
        with pytest.raises(HubError) as refused:
            await ann.call("never")
        assert (refused.value.code, refused.value.message) == ("too_late", "closed on Sundays")
        with pytest.raises(HubError, match="no_history") as wrong:
            await ann.history("alerts")
        assert wrong.value.field == "topic"
        with pytest.raises(HubError, match="no_history"):
            async with ann.subscribe("alerts", last=1):
                raise AssertionError
        assert await ann.call("add", [3]) == 3


async def test_what_no_hub_would_take(net: Net) -> None:
    """A caller's mistake is raised at once, and says what to do."""
    async with hub(net) as server, net.connect_hub(url(server)) as ann:
        with pytest.raises(LocalProtocolError, match="has white space"):
            await ann.publish("no topic", 1)
        with pytest.raises(LocalProtocolError, match="JSON"):
            await ann.publish("alerts", {1, 2} | {object()})
        with pytest.raises(TypeError, match="needs a topic"):
            ann.subscribe()
        with pytest.raises(LocalProtocolError, match="not patterns"):
            await anext(ann.subscribe("alerts.*", last=1))
        async with ann.subscribe("alerts"):
            with pytest.raises(LocalProtocolError, match="subscribed to already"):
                await anext(ann.subscribe("alerts"))


async def test_a_loop_without_a_block(net: Net) -> None:
    """A plain loop subscribes with its first step, and unsubscribes when it is left."""
    async with hub(net) as server, net.connect_hub(url(server)) as ann:
        heard: list[object] = []

        async def listen(me: RemoteHub) -> None:
            async for event in me.subscribe("echo"):
                assert isinstance(event, Notification)
                heard.append(event.message)
                if len(heard) == 3:
                    break
                await me.publish("echo", len(heard))

        async with (
            net.connect_hub(url(server)) as bob,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(listen, ann)
            while not (await bob.publish("echo", 0)).recipients:
                pass
        assert heard == [0, 1, 2]
        assert (await ann.publish("echo", 9)).recipients == 0
