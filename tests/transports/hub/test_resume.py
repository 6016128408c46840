"""Resumes through real sockets: of any length, read slowly or fast, from memory and from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from hubbub.core.hub_limits import HubLimits
from hubbub.core.rules import Rule
from hubbub.transports.stores.sqlite import SQLiteStore
from support.hub_peers import HubPeer, HubServer, hub, hub_config, peer, token_auth
from support.net import Net

RULES = (
    Rule(pattern="memory.*", history=100_000),
    Rule(pattern="stored.*", history=100_000, durable=True),
)
OUTBOX = 2**18
LIMITS = HubLimits(outbox_size=OUTBOX, durable_memory=50, request_burst=10_000)
CONFIG = hub_config(LIMITS, rules=RULES, auth=token_auth("ann"))
SIZE = 1000

BOTH = pytest.mark.parametrize("topic", ["memory.a", "stored.a"])


async def fill(server: HubServer, topic: str, count: int) -> None:
    """Publish 1, 2, 3 and so on, as large messages."""
    async with anyio.create_task_group() as tasks:
        for number in range(1, count + 1):
            tasks.start_soon(server.publish, topic, f"{number}:".ljust(SIZE))


async def resume(client: HubPeer, topic: str, offset: int, epoch: str) -> None:
    """Go on behind a position."""
    since = {topic: {"offset": offset, "epoch": epoch}}
    found = await client.subscribe_to(topic, since=since)
    assert found == {"offset": offset, "epoch": epoch, "recovered": True}


async def offsets(client: HubPeer, count: int) -> list[int]:
    """Those of the next publications."""
    return [(await client.recv())["offset"] for _ in range(count)]


@BOTH
async def test_a_long_resume(net: Net, tmp_path: Path, topic: str) -> None:
    """All of it comes, in order; the hub holds no more of it at once than an outbox has."""
    count = 2000
    most = 0
    async with hub(net, CONFIG, store=SQLiteStore(tmp_path / "store")) as server:
        async with peer(server) as ann:
            epoch = (await ann.subscribe_to(topic))["epoch"]
        await fill(server, topic, count)
        async with peer(server) as ann:
            await resume(ann, topic, 0, epoch)
            for number in range(1, count + 1):
                assert (await ann.recv())["offset"] == number
                most = max(most, server.hub.outbox_bytes)
            await server.publish(topic, "live")
            assert (await ann.recv())["offset"] == count + 1
            (session,) = server.hub.sessions()
            assert session.behind is None
    assert count * SIZE > 4 * OUTBOX
    assert most <= OUTBOX


@BOTH
async def test_who_reads_nothing_for_a_while(net: Net, tmp_path: Path, topic: str) -> None:
    """It is set behind when its socket and its outbox are full, and gets everything when it reads again."""
    count = 3000
    async with (
        hub(net, CONFIG, store=SQLiteStore(tmp_path / "store")) as server,
        peer(server) as ann,
        peer(server) as bob,
    ):
        await ann.subscribe_to(topic)
        await bob.subscribe_to(topic)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fill, server, topic, count)
            assert await offsets(bob, count) == list(range(1, count + 1))
        assert server.hub.outbox_bytes <= OUTBOX + SIZE
        assert await offsets(ann, count) == list(range(1, count + 1))
        assert server.hub.counters.gaps == 0


async def test_several_at_once(net: Net, tmp_path: Path) -> None:
    """Sessions that resume at different places share a store, and each gets its own rest."""
    topics, count = ("stored.a", "stored.b", "memory.a"), 300
    async with hub(net, CONFIG, store=SQLiteStore(tmp_path / "store")) as server:
        places: dict[str, str] = {}
        async with peer(server) as ann:
            for topic in topics:
                places[topic] = (await ann.subscribe_to(topic))["epoch"]
        for topic in topics:
            await fill(server, topic, count)

        async def read(offset: int) -> None:
            async with peer(server) as ann:
                since = {
                    topic: {"offset": offset, "epoch": epoch} for topic, epoch in places.items()
                }
                await ann.ask(action="subscribe", topics=topics, since=since)
                got: dict[str, list[Any]] = {topic: [] for topic in topics}
                for _ in range((count - offset) * len(topics)):
                    push = await ann.recv()
                    got[push["topic"]].append(push["offset"])
                assert all(one == list(range(offset + 1, count + 1)) for one in got.values())

        async with anyio.create_task_group() as tasks:
            for offset in range(0, count, 40):
                tasks.start_soon(read, offset)


@BOTH
async def test_a_hub_that_ends_and_another(net: Net, tmp_path: Path, topic: str) -> None:
    """After a drain a client goes on in the next hub where it was, if that has the log; else it is told."""
    path = tmp_path / "store"
    async with hub(net, CONFIG, store=SQLiteStore(path)) as server, peer(server) as ann:
        epoch = (await ann.subscribe_to(topic))["epoch"]
        await fill(server, topic, 20)
        assert await offsets(ann, 20) == list(range(1, 21))
        server.close()
        assert (await ann.closed())[0] == 1001
    async with hub(net, CONFIG, store=SQLiteStore(path)) as server, peer(server) as ann:
        since = {topic: {"offset": 12, "epoch": epoch}}
        found = await ann.subscribe_to(topic, since=since)
        await server.publish(topic, "next")
        if topic == "stored.a":
            assert found["recovered"]
            assert await offsets(ann, 9) == list(range(13, 22))
        else:
            assert not found["recovered"]
            assert await offsets(ann, 1) == [1]


@BOTH
async def test_a_consumer(net: Net, tmp_path: Path, topic: str) -> None:
    """It gets a window, more for each acknowledgement, and again what another connection has not handled."""
    async with hub(net, CONFIG, store=SQLiteStore(tmp_path / "store")) as server:
        await fill(server, topic, 200)
        async with peer(server, "/?token=token-ann") as ann:
            assert (await ann.recv())["type"] == "auth"
            await ann.subscribe_to(topic, ack=True, last=200)
            assert await offsets(ann, 64) == list(range(1, 65))
            await ann.send(action="ack", topic=topic, offset=40)
            assert await offsets(ann, 40) == list(range(65, 105))
            async with peer(server, "/?token=token-ann") as other:
                assert (await other.recv())["type"] == "auth"
                assert (await other.subscribe_to(topic, ack=True))["offset"] == 40
                again = [await other.recv() for _ in range(64)]
                assert [one["offset"] for one in again] == list(range(41, 105))
                assert all(one["redelivered"] for one in again)
                replaced = await ann.recv()
                assert (replaced["type"], replaced["reason"]) == ("unsubscribed", "replaced")
                await other.send(action="ack", topic=topic, offset=104)
                rest = [await other.recv() for _ in range(64)]
                assert [one["offset"] for one in rest] == list(range(105, 169))
                assert not any("redelivered" in one for one in rest)
