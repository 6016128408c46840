"""Receiving: one task at a time, nothing lost, and no handler alone on the loop."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from hubbub.core.limits import Limits
from support.clients import client
from support.loops import until
from support.net import Connection, Net, serving
from support.peers import CONTINUATION, PING, PONG, raw_peer
from support.tasks import Mailbox, Task, WasCancelled
from support.wire import frame, text


async def test_one_task_receives(net: Net) -> None:
    """A second task that receives at the same time is told so; the first gets the message."""
    outcome: Mailbox[str | bytes | None] = Mailbox()

    async def handler(connection: Connection) -> None:
        async with anyio.create_task_group() as tasks:
            first = Task(tasks, connection.recv)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(RuntimeError, match="another task is receiving"):
                await connection.recv()
            with pytest.raises(RuntimeError, match="another task is receiving"):
                await anext(aiter(connection))
            with pytest.raises(RuntimeError, match="another task is receiving"):
                await anext(connection.recv_streaming())
            outcome.put(None)
            outcome.put(await first.wait())

    async with serving(net, handler) as server, client(server) as peer:
        assert await outcome.get() is None
        await peer.send("for the first")
        assert await outcome.get() == "for the first"


@pytest.mark.parametrize("before", [0, 15, 16, 17, 32])
async def test_two_that_receive_after_many_messages(net: Net, before: int) -> None:
    """One gets the message and the other is told, also where the others are about to have their turn."""
    arrived, waiting = anyio.Event(), anyio.Event()
    outcome: Mailbox[str | bytes] = Mailbox()

    async def receive(connection: Connection) -> None:
        try:
            outcome.put(await connection.recv())
        except net.ConcurrencyError:
            outcome.put("refused")

    async def handler(connection: Connection) -> None:
        await arrived.wait()
        for _ in range(before):
            assert await connection.recv() == "early"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive, connection)
            tasks.start_soon(receive, connection)
            await anyio.wait_all_tasks_blocked()
            waiting.set()

    limits = Limits(max_queue=100)
    async with serving(net, handler, limits) as server, raw_peer(server) as peer:
        await peer.upgrade()
        await peer.send(text("early") * before + frame(PING))
        assert (await peer.read_frame()).opcode == PONG
        arrived.set()
        await waiting.wait()
        await peer.send(text("late"))
        with anyio.fail_after(2):
            assert {await outcome.get(), await outcome.get()} == {"refused", "late"}


async def test_cancelling_recv_loses_nothing(net: Net) -> None:
    """Messages come in order and whole, however often receiving is cancelled."""

    async def handler(connection: Connection) -> None:
        got: list[str | bytes] = []
        turns = 0
        async with anyio.create_task_group() as tasks:
            while len(got) < 200:
                receiver = Task(tasks, connection.recv)
                for _ in range(turns % 4):
                    await anyio.lowlevel.checkpoint()
                turns += 1
                receiver.cancel()
                try:
                    got.append(await receiver.wait())
                except WasCancelled:
                    continue
        await connection.send(" ".join(str(each) for each in got))

    async with serving(net, handler) as server, client(server) as peer:
        for number in range(200):
            await peer.send(str(number))
        assert await peer.recv() == " ".join(map(str, range(200)))


@pytest.mark.parametrize("again", ["recv", "recv_streaming"])
async def test_cancelling_recv_between_fragments_loses_nothing(net: Net, again: str) -> None:
    """The fragments that a cancelled `recv` has seen are part of the message that comes next."""
    waiting, cancelled = anyio.Event(), anyio.Event()
    heard: Mailbox[str | bytes] = Mailbox()

    async def handler(connection: Connection) -> None:
        async with anyio.create_task_group() as tasks:
            receiver = Task(tasks, connection.recv)
            await waiting.wait()
            receiver.cancel()
            with pytest.raises(WasCancelled):
                await receiver.wait()
        cancelled.set()
        if again == "recv":
            heard.put(await connection.recv())
        else:
            parts = [part async for part in connection.recv_streaming()]
            heard.put("".join(str(part) for part in parts))

    async with serving(net, handler, fragments=True) as server, raw_peer(server) as peer:
        await peer.upgrade()
        await peer.send(text("Hub", final=False) + frame(PING))
        assert (await peer.read_frame()).opcode == PONG
        await anyio.wait_all_tasks_blocked()
        waiting.set()
        await cancelled.wait()
        await peer.send(frame(CONTINUATION, b"bub"))
        with anyio.fail_after(5):
            assert await heard.get() == "Hubbub"


async def test_async_for_ends_with_the_connection(net: Net) -> None:
    """The loop over messages ends when the peer closes well, and raises when it does not."""
    ended: Mailbox[Any] = Mailbox()

    async def handler(connection: Connection) -> None:
        try:
            async for _ in connection:
                pass
        except net.ConnectionClosed as error:
            ended.put(error)
        else:
            ended.put(None)

    async with serving(net, handler) as server:
        for code in (1000, 1001):
            async with client(server) as peer:
                await peer.send("x")
                await peer.close(code)
            assert await ended.get() is None
        async with client(server) as peer:
            await peer.close(3001, "enough")
        error = await ended.get()
        assert isinstance(error, net.ConnectionClosedError)
        assert (error.code, error.reason) == (3001, "enough")
        async with raw_peer(server) as raw:
            await raw.upgrade()
            raw.reset()
        error = await ended.get()
        assert isinstance(error, net.ConnectionClosedError)
        assert error.code == 1006


async def test_thousands_of_messages_in_one_read_leave_others_their_turn(net: Net) -> None:
    """A handler that never waits gives other tasks a turn every few messages."""
    turns = 0
    taken: list[int] = []

    async def handler(connection: Connection) -> None:
        async for _ in connection:
            taken.append(turns)  # noqa: PERF401 - the turn counts, at the moment

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with (
        serving(net, handler) as server,
        raw_peer(server) as peer,
        anyio.create_task_group() as tasks,
    ):
        await peer.upgrade()
        tasks.start_soon(tick)
        await peer.send(text("") * 3000)
        await until(lambda: len(taken) == 3000)
        tasks.cancel_scope.cancel()
    assert max(taken.count(turn) for turn in set(taken)) <= 64
