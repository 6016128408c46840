"""A hub with a store: what is published on durable topics outlives it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from hubbub.core.errors import LocalProtocolError
from hubbub.core.rules import Rule
from hubbub.transports.stores.memory import MemoryStore, Shelf
from hubbub.transports.stores.protocol import StoreUnavailable
from hubbub.transports.stores.sqlite import SQLiteStore
from support.hub_peers import hub, hub_config, peer
from support.loops import until
from support.net import Net, address
from support.tasks import Task

CONFIG = hub_config(rules=(Rule(pattern="log.>", history=1000, durable=True),))


async def test_what_is_published_outlives_the_hub(net: Net, tmp_path: Path) -> None:
    """With a store in a file, a client goes on in the next hub where it stood in the last one."""
    path = tmp_path / "store"
    async with hub(net, CONFIG, store=SQLiteStore(path)) as server, peer(server) as ann:
        await ann.subscribe_to("log.a")
        first = await server.publish("log.a", "one")
        assert (first.recipients, first.offset) == (1, 1)
        push = await ann.recv()
        assert (push["message"], push["offset"], push["epoch"]) == ("one", 1, first.epoch)
        answer = await ann.publish("log.a", {"two": 2})
        assert (answer["offset"], answer["epoch"]) == (2, first.epoch)
    async with hub(net, CONFIG, store=SQLiteStore(path)) as server, peer(server) as ann:
        assert (await server.publish("log.a", "three")).offset == 3
        since = {"log.a": {"offset": push["offset"], "epoch": push["epoch"]}}
        assert (await ann.subscribe_to("log.a", since=since))["recovered"] is True
        assert [(await ann.recv())["message"] for _ in range(2)] == [{"two": 2}, "three"]


async def test_many_publishers(net: Net) -> None:
    """Each gets its own answer; the order of offsets is that in which all receive them."""
    async with hub(net, CONFIG, store=MemoryStore()) as server, peer(server) as ann:
        await ann.subscribe_to("log.a")
        offsets: dict[int, int] = {}

        async def publish(number: int) -> None:
            published = await server.publish("log.a", number)
            assert published.offset is not None
            offsets[published.offset] = number

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(publish, number)
        got = [await ann.recv() for _ in range(50)]
        assert [push["offset"] for push in got] == list(range(1, 51))
        assert [push["message"] for push in got] == [offsets[at] for at in range(1, 51)]


async def test_a_repeat(net: Net) -> None:
    """What has the same key is published once, and answered with the same position."""
    async with hub(net, CONFIG, store=MemoryStore()) as server:
        first = await server.publish("log.a", 1, idempotency_key="k")
        again = await server.publish("log.a", 1, idempotency_key="k")
        assert (again.offset, again.epoch) == (first.offset, first.epoch)
        assert again.duplicate


async def test_a_store_that_fails(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """Publishers are told that it may be stored or not; when the store works again, so does the hub."""
    shelf = Shelf()
    async with hub(net, CONFIG, store=MemoryStore(shelf)) as server, peer(server) as ann:
        await server.publish("log.a", 1)
        shelf.broken = "the disk is full"
        with pytest.raises(StoreUnavailable, match="may or may not be stored"):
            await server.publish("log.a", 2)
        assert (await ann.publish("log.a", 2))["code"] == "unavailable"
        assert (await ann.publish("other", 2))["type"] == "published"
        shelf.broken = None

        async def works() -> None:
            while True:
                try:
                    await server.publish("log.a", 3)
                except StoreUnavailable:
                    await anyio.lowlevel.checkpoint()
                else:
                    return

        with anyio.fail_after(5):
            await works()
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "the store failed, and durable topics wait for it: the disk is full" in lines
    assert any(line.startswith("the store works again") for line in lines)


async def test_a_store_that_cannot_be_opened(net: Net) -> None:
    """The server does not start, says why, and leaves no port in use."""
    shelf = Shelf()
    shelf.broken = "no such disk"
    with pytest.raises(StoreUnavailable, match="no such disk"):
        async with hub(net, CONFIG, store=MemoryStore(shelf)):
            pass


async def test_a_port_in_use(net: Net, tmp_path: Path) -> None:
    """A store that was opened is let go where the server cannot start; one of another server is not."""
    store = SQLiteStore(tmp_path / "store")
    async with hub(net) as other:
        with pytest.raises(OSError, match="in use"):
            async with net.serve_hub(CONFIG, *address(other), store=store):
                pass
    async with hub(net, CONFIG, store=store) as server:
        with pytest.raises(LocalProtocolError):
            async with hub(net, CONFIG, store=store):
                pass
        assert (await server.publish("log.a", 1)).offset == 1


class SlowStore(MemoryStore):
    """A store that takes its time to append."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = anyio.Event(), anyio.Event()

    async def append(self, records: Any, acknowledged: Any) -> None:
        """Wait first."""
        self.asked.set()
        await self.go_on.wait()
        await super().append(records, acknowledged)


async def test_a_store_is_waited_for_at_the_end(net: Net) -> None:
    """What was on its way to the store is stored and answered before the hub has ended."""
    store = SlowStore()
    async with (
        hub(net, CONFIG, store=store) as server,
        anyio.create_task_group() as tasks,
    ):
        publishing = Task(tasks, server.publish, "log.a", 1)
        await store.asked.wait()
        server.close()
        ending = Task(tasks, server.wait_closed)
        await until(lambda: server.hub.draining)
        assert not ending.done
        store.go_on.set()
        assert (await publishing.wait()).offset == 1
        await ending.wait()
        with pytest.raises(StoreUnavailable):
            await server.publish("log.a", 2)
    assert len(await _stored(store.shelf)) == 1


async def _stored(shelf: Shelf) -> list[Any]:
    store = MemoryStore(shelf)
    await store.open()
    return list(await store.read("log.a", 0, 10**6))


async def test_damage_is_told(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """What a store found broken when it was opened stands in the log."""
    shelf = Shelf()
    async with hub(net, CONFIG, store=MemoryStore(shelf)) as server:
        for number in range(3):
            await server.publish("log.a", number)
    shelf.damage("log.a", 2)
    async with hub(net, CONFIG, store=MemoryStore(shelf)):
        pass
    assert "the store is damaged on log.a: its record 2 is damaged or missing" in caplog.text
    assert "it now ends at 1; 2 publications are lost" in caplog.text
