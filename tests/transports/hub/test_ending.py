"""How a hub ends: everyone is told when to come back, nothing is half-written, nobody holds it up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

import anyio
import pytest

from hubbub.core.http import Request, Response, text_response
from hubbub.core.hub_limits import HubLimits
from hubbub.transports.hooks import Calling, Hooks, Leaving
from support.hub_peers import HubServer, hub, hub_config, named, peer
from support.loops import descriptors, until
from support.net import Net, address
from support.peers import connected, raw_peer
from support.tasks import Task, WasCancelled
from support.wire import head, request, text

LITTLE = 4096
"""Bytes that the system may hold for a peer; it takes some more."""

GONE = (1001, "the server is shutting down")


async def test_a_drain(net: Net) -> None:
    """What waits for a peer leaves first, then a hint when to come back, then 1001."""
    config = hub_config(HubLimits(drain_batch=2, drain_interval=0.01, reconnect_spread=3.0))
    async with anyio.create_task_group() as tasks:
        async with hub(net, config) as server:
            opened: list[int] = []
            ended: list[int] = []
            where = address(server)

            async def stay(number: int) -> None:
                async with peer(server) as one:
                    await one.subscribe("alerts")
                    opened.append(number)
                    assert (await one.recv())["message"] == "last"
                    hint = await one.recv()
                    assert hint["type"] == "reconnect"
                    assert 0 <= hint["after"] < 3
                    assert await one.closed() == GONE
                    ended.append(number)

            for number in range(7):
                tasks.start_soon(stay, number)
            await until(lambda: len(opened) == 7)
            await server.publish("alerts", "last")
            server.close()
            assert server.sockets == ()
            assert not server.is_serving()
            await server.wait_closed()
            assert server.hub.idle
        with pytest.raises(ConnectionRefusedError):
            await connected(*where)
        await until(lambda: len(ended) == 7)


async def test_what_balances_load_sees_the_end_come(net: Net) -> None:
    """For `drain_delay` it listens on, refuses WebSockets with 503 and leaves others alone; then it drains."""
    config = hub_config(HubLimits(drain_delay=60.0))

    def ready(_: Request, body: bytes, client: str | None) -> Response:
        draining = server.hub.draining
        return text_response(503 if draining else 200, "draining" if draining else "ready")

    async def asked(path: str) -> bytes:
        async with raw_peer(server) as client:
            await client.send(head(f"GET {path} HTTP/1.1", [("Host", "example.com")]))
            return (await client.read_rest())[9:12]

    async with hub(net, config, http=ready) as server:
        where = address(server)
        async with named(server, "ann") as ann:
            assert await asked("/readyz") == b"200"
            server.close()
            server.close()
            assert server.is_serving()
            assert await asked("/readyz") == b"503"
            async with raw_peer(server) as late:
                await late.send(request())
                assert (await late.read_rest()).startswith(b"HTTP/1.1 503 ")
            assert (await ann.ask(action="ping"))["type"] == "pong"
            server.close(drain=False)  # somebody is in a hurry
            await server.wait_closed()
            assert await ann.closed() == GONE
            assert not server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            await connected(*where)


async def test_after_the_delay_it_drains(net: Net) -> None:
    """As it would have without: a hint, and 1001."""
    config = hub_config(HubLimits(drain_delay=0.02))
    async with hub(net, config) as server, named(server, "ann") as ann:
        server.close()
        assert (await ann.recv())["type"] == "reconnect"
        assert await ann.closed() == GONE
        assert server.sockets == ()
        await server.wait_closed()


async def test_ending_at_once(net: Net) -> None:
    """`close(drain=False)` sends 1001 to all in the same moment, without a hint."""
    config = hub_config(HubLimits(drain_batch=1, drain_interval=60.0))
    async with hub(net, config) as server, peer(server) as one, peer(server) as two:
        for each in (one, two):
            await each.subscribe("alerts")
        before = time.monotonic()
        server.close(drain=False)
        await server.wait_closed()
        assert time.monotonic() - before < 1
        for each in (one, two):
            assert await each.closed() == GONE


async def test_a_drain_in_a_hurry(net: Net) -> None:
    """A second `close(drain=False)` ends a drain that takes its time; a second `close()` does nothing."""
    config = hub_config(HubLimits(drain_batch=1, drain_interval=60.0))
    async with (
        hub(net, config) as server,
        peer(server) as one,
        peer(server) as two,
        anyio.create_task_group() as tasks,
    ):
        for each in (one, two):
            await each.subscribe("alerts")
        server.close()
        server.close()
        waiting = Task(tasks, server.wait_closed)
        assert await one.closed() == GONE
        await two.ask(action="ping")
        assert not waiting.done
        server.close(drain=False)
        await waiting.wait()
        assert await two.closed() == GONE


async def test_commands_while_it_ends_and_after(net: Net) -> None:
    """Other tasks may still publish; it reaches nobody."""
    async with hub(net) as server, peer(server) as ann:
        await ann.subscribe("alerts")
        server.close()
        await server.publish("alerts", 1)
        await server.wait_closed()
        assert (await server.publish("alerts", 1)).recipients == 0
        assert await server.disconnect("ann") == 0


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio"])  # it takes seconds, and is the same on each loop
async def test_a_slow_reader_is_waited_for_in_bounds(net: Net) -> None:
    """What waits for it is not waited for longer than the limits say, and nothing is half-written."""
    limits = HubLimits(close_timeout=0.2, drain_timeout=0.2, answer_timeout=0.1)
    async with (
        hub(net, hub_config(limits)) as server,
        raw_peer(server, receive_buffer=LITTLE) as slow,
    ):
        await slow.upgrade()
        await slow.send(text('{"action":"subscribe","topics":["alerts"]}'))
        await slow.read_frame()
        while server.hub.outbox_bytes < 500_000:
            await server.publish("alerts", "x" * 50_000)
        before = time.monotonic()
        server.close()
        await server.wait_closed()
        assert time.monotonic() - before < 4
        assert server.hub.idle


async def test_connections_in_the_handshake(net: Net) -> None:
    """They do not hold the end up, and their sockets are closed."""
    async with hub(net) as server, raw_peer(server) as silent, raw_peer(server) as half:
        await half.send(request()[:40])
        async with peer(server) as ann:
            await ann.subscribe("alerts")  # so that the server has accepted both before
        before = time.monotonic()
        server.close()
        await server.wait_closed()
        assert time.monotonic() - before < 1
        for each in (silent, half):
            with pytest.raises(
                (anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead)
            ):
                await each.read_head()


async def test_on_disconnect_may_finish(net: Net) -> None:
    """Hooks that the end itself causes are waited for."""
    hooks = Hooks()
    finished: list[str] = []

    @hooks.on_disconnect
    async def leave(leaving: Leaving) -> None:
        await anyio.sleep(0.05)
        finished.append(leaving.user)

    async with hub(net, hooks=hooks) as server, named(server, "ann"), named(server, "bob"):
        server.close()
        await server.wait_closed()
        assert sorted(finished) == ["ann", "bob"]


@pytest.mark.slow
async def test_tasks_are_cancelled(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """A hook that hangs is cancelled a second after everything else has ended."""
    hooks = Hooks()
    asked = anyio.Event()
    cancelled: list[str] = []

    @hooks.on_call("hang")
    async def hang(calling: Calling) -> None:
        asked.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(calling.user)

    with caplog.at_level(logging.ERROR):
        async with hub(net, hooks=hooks) as server, named(server, "ann") as ann:
            await ann.send(action="call", name="hang")
            await asked.wait()
            server.close(drain=False)
            await server.wait_closed()
            assert cancelled == ["ann"]
    assert caplog.records == []


async def test_leaving_the_block(net: Net) -> None:
    """The end of `async with` drains as `close` does."""
    async with anyio.create_task_group() as tasks:
        async with hub(net) as server:
            opened = anyio.Event()

            async def stay() -> None:
                async with peer(server) as one:
                    await one.subscribe("alerts")
                    opened.set()
                    await one.wait_for("reconnect")
                    assert await one.closed() == GONE

            tasks.start_soon(stay)
            await opened.wait()
        assert server.hub.idle


async def test_cancelling_the_block(net: Net) -> None:
    """A hub whose block is cancelled still drains, and leaves nothing open."""
    opened = anyio.Event()
    where: list[tuple[str, int]] = []

    async def serve_for_ever() -> None:
        limits = HubLimits(close_timeout=0.2, drain_timeout=0.2, answer_timeout=0.1)
        async with hub(net, hub_config(limits)) as server:
            where.append(address(server))
            opened.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        serving = Task(tasks, serve_for_ever)
        await opened.wait()
        stream = await connected(*where[0])
        await stream.send(request())
        assert (await stream.receive()).startswith(b"HTTP/1.1 101 ")
        serving.cancel()
        with anyio.fail_after(5):
            try:
                while True:
                    await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
        await stream.aclose()
        with pytest.raises(WasCancelled):
            await serving.wait()


async def test_hooks_may_finish_though_the_block_is_cancelled(net: Net) -> None:
    """What a cancelled hub asks while it drains is answered, and what was asked before."""
    hooks = Hooks()
    finished: list[str] = []
    opened, asked, left = anyio.Event(), anyio.Event(), anyio.Event()

    @hooks.on_call("work")
    async def work(calling: Calling) -> None:
        asked.set()
        await left.wait()
        finished.append("work")

    @hooks.on_disconnect
    async def leave(leaving: Leaving) -> None:
        await anyio.sleep(0.01)
        finished.append(leaving.user)
        left.set()

    async def serve_for_ever() -> None:
        async with hub(net, hooks=hooks) as server:
            servers.append(server)
            opened.set()
            await anyio.sleep_forever()

    servers: list[HubServer] = []
    async with anyio.create_task_group() as tasks:
        serving = Task(tasks, serve_for_ever)
        await opened.wait()
        async with named(servers[0], "ann") as ann, named(servers[0], "bob") as bob:
            await ann.send(action="call", name="work")
            await asked.wait()
            serving.cancel()
            for each in (ann, bob):
                assert await each.closed() == GONE
        with pytest.raises(WasCancelled):
            await serving.wait()
    await servers[0].wait_closed()  # on asyncio a scope that is cancelled waits for nothing
    assert sorted(finished) == ["ann", "bob", "work"]


async def test_no_descriptor_is_left(net: Net) -> None:
    """Neither after a drain nor after an end at once, however connections ended before."""
    for drain in (True, False):
        before = -1
        for _ in range(2):  # the first may open what the loop keeps
            before = descriptors() if before >= 0 else 0
            async with hub(net) as server:
                async with peer(server) as one, raw_peer(server) as gone, named(server, "ann"):
                    await one.subscribe("alerts")
                    await gone.upgrade()
                    gone.reset()
                    await server.disconnect("ann")
                server.close(drain)
        assert descriptors() == before


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio"])  # on trio a nursery waits for its tasks
async def test_a_task_that_resists_is_left_to_itself(
    net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    """The end does not wait for a hook that does not end though it was cancelled, and says so."""
    hooks = Hooks()
    asked, leave = anyio.Event(), anyio.Event()

    @hooks.on_call("hang")
    async def hang(calling: Calling) -> None:
        asked.set()
        with anyio.CancelScope(shield=True):
            while not leave.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await leave.wait()

    async with hub(net, hooks=hooks) as server, named(server, "ann") as ann:
        await ann.send(action="call", name="hang")
        await asked.wait()
        server.close(drain=False)
        await server.wait_closed()
        leave.set()
        await until(lambda: server._effects.running == 0)
    assert "1 functions did not end though they were cancelled" in caplog.text
