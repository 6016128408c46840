"""Sending from several tasks, and sending that is cancelled: each message arrives whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import pytest

from hubbub.core.errors import LocalProtocolError
from hubbub.core.limits import Limits
from support.clients import client
from support.net import Connection, Net, serving
from support.peers import CLOSE, CONTINUATION, TEXT, Frame, raw_peer
from support.tasks import Task, WasCancelled

LITTLE = 8192
"""A small receive buffer, so that a peer that does not read is soon felt."""


async def fill(connection: Connection, group: anyio.abc.TaskGroup) -> list[Task[None]]:
    """Send, each message in a task of its own, until one waits for the peer; all the tasks."""
    sending: list[Task[None]] = []
    while True:
        sending.append(Task(group, connection.send, b"%08d" % len(sending) + bytes(2**16)))
        with anyio.move_on_after(0.1) as patience:
            await sending[-1].wait()
        if patience.cancelled_caught:
            return sending


async def test_a_message_in_fragments_keeps_others_out(net: Net) -> None:
    """A message that another task sends meanwhile comes behind the last fragment."""
    begun, go_on = anyio.Event(), anyio.Event()

    async def slowly() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        begun.set()
        await go_on.wait()
        yield "c"

    async def handler(connection: Connection) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.send, slowly())
            await begun.wait()
            for other in ("second", "third"):
                tasks.start_soon(connection.send, other)
                await anyio.wait_all_tasks_blocked()
            go_on.set()

    async with serving(net, handler) as server, client(server) as peer:
        first, *others = [await peer.recv() for _ in range(3)]
        assert first == "abc"
        assert sorted(map(str, others)) == ["second", "third"]


@pytest.mark.parametrize("fragments_first", [False, True])
async def test_who_waited_for_room_looks_for_fragments_again(
    net: Net, fragments_first: bool
) -> None:
    """Of messages and fragments that wait for room together, none comes between the others' parts."""
    waiting = anyio.Event()
    filled = 0

    async def fragments(letter: str) -> AsyncIterator[str]:
        for number in range(3):
            yield f"{letter}{number}"
            await anyio.lowlevel.checkpoint()

    async def handler(connection: Connection) -> None:
        nonlocal filled
        async with anyio.create_task_group() as tasks:
            filled = len(await fill(connection, tasks))
            if fragments_first:
                Task(tasks, connection.send, fragments("a"))
            for number in range(3):
                Task(tasks, connection.send, f"whole {number}")
                await anyio.wait_all_tasks_blocked()
            Task(tasks, connection.send, fragments("b"))
            await anyio.wait_all_tasks_blocked()
            waiting.set()

    limits = Limits(write_limit=1000)
    async with (
        serving(net, handler, limits) as server,
        raw_peer(server, receive_buffer=LITTLE) as peer,
    ):
        await peer.upgrade()
        await waiting.wait()
        for _ in range(filled):
            await peer.read_frame()
        messages: list[list[bytes]] = []
        ended = True
        while (frame := await peer.read_frame()).opcode != CLOSE:
            if frame.opcode == CONTINUATION:
                messages[-1].append(frame.payload)
            else:
                assert ended
                messages.append([frame.payload])
            ended = frame.final
        assert frame.code == 1000
        expected = {b"whole 0", b"whole 1", b"whole 2", b"b0b1b2"}
        if fragments_first:
            expected.add(b"a0a1a2")
        assert {b"".join(message) for message in messages} == expected
        assert len(messages) == len(expected)


async def test_who_waits_behind_a_stalled_message_is_told_of_the_end(net: Net) -> None:
    """A send that waits for another task's fragments ends with the connection."""
    told = anyio.Event()

    async def fragments() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        await anyio.sleep_forever()

    async def handler(connection: Connection) -> None:
        async with anyio.create_task_group() as tasks:
            stalled = Task(tasks, connection.send, fragments())
            await anyio.wait_all_tasks_blocked()
            try:
                await connection.send("behind it")
            except net.ConnectionClosed:
                told.set()
            stalled.cancel()

    async with serving(net, handler) as server:
        async with raw_peer(server) as peer:
            await peer.upgrade()
            await peer.read_frame()
        with anyio.fail_after(10):
            await told.wait()


async def test_any_number_of_tasks_may_send_to_a_slow_peer(net: Net) -> None:
    """Senders wait for their turn before they queue, so no bound is broken."""
    failures: list[Exception] = []

    async def one(connection: Connection) -> None:
        try:
            await connection.send(bytes(2**20))
        except LocalProtocolError as error:
            failures.append(error)

    async def handler(connection: Connection) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(one, connection)

    async with serving(net, handler) as server, client(server, max_size=None) as peer:
        for _ in range(30):
            assert len(await peer.recv()) == 2**20
    assert failures == []


async def test_cancelling_send_has_sent_the_message(net: Net) -> None:
    """A message whose `send` is cancelled while it waits arrives whole, and the next one behind it."""
    waiting = anyio.Event()
    cancelled = 0

    async def handler(connection: Connection) -> None:
        nonlocal cancelled
        async with anyio.create_task_group() as tasks:
            sending = await fill(connection, tasks)
            sending[-1].cancel()
            with pytest.raises(WasCancelled):
                await sending[-1].wait()
            cancelled = len(sending) - 1
            waiting.set()
        await connection.send("next")

    async with serving(net, handler) as server, raw_peer(server, receive_buffer=LITTLE) as peer:
        await peer.upgrade()
        await waiting.wait()
        for number in range(cancelled + 1):
            message = await peer.read_frame()
            assert message.payload[:8] == b"%08d" % number
            assert len(message.payload) == 2**16 + 8
        assert await peer.read_frame() == Frame(TEXT, b"next")


async def test_cancelling_send_before_its_turn_has_sent_nothing(net: Net) -> None:
    """A message that was still waiting for room when its `send` was cancelled never arrives."""
    waiting = anyio.Event()
    filled = 0

    async def handler(connection: Connection) -> None:
        nonlocal filled
        async with anyio.create_task_group() as tasks:
            filled = len(await fill(connection, tasks))
            behind = Task(tasks, connection.send, "never")
            await anyio.wait_all_tasks_blocked()
            behind.cancel()
            with pytest.raises(WasCancelled):
                await behind.wait()
            waiting.set()
        await connection.send("next")

    async with serving(net, handler) as server, raw_peer(server, receive_buffer=LITTLE) as peer:
        await peer.upgrade()
        await waiting.wait()
        for _ in range(filled):
            assert len((await peer.read_frame()).payload) == 2**16 + 8
        assert await peer.read_frame() == Frame(TEXT, b"next")


async def test_cancelling_send_between_fragments_closes(net: Net) -> None:
    """A message that stays unfinished cannot be followed by another: 1011."""
    begun = anyio.Event()

    async def fragments() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        begun.set()
        await anyio.sleep_forever()

    async def handler(connection: Connection) -> None:
        async with anyio.create_task_group() as tasks:
            sending = Task(tasks, connection.send, fragments())
            await begun.wait()
            sending.cancel()
            with pytest.raises(WasCancelled):
                await sending.wait()
        with pytest.raises(net.ConnectionClosed):
            await connection.send("next")

    async with serving(net, handler) as server, raw_peer(server) as peer:
        await peer.upgrade()
        assert await peer.read_frame() == Frame(TEXT, b"a", final=False)
        assert (await peer.read_frame()).code == 1011


async def test_a_peer_that_is_gone_ends_a_waiting_send(net: Net) -> None:
    """Sends that wait for a peer raise as soon as the peer has vanished."""
    ended, waiting = anyio.Event(), anyio.Event()

    async def handler(connection: Connection) -> None:
        async with anyio.create_task_group() as tasks:
            first = (await fill(connection, tasks))[-1]
            second = Task(tasks, connection.send, "behind it")
            await anyio.wait_all_tasks_blocked()
            waiting.set()
            for sending in (first, second):
                with pytest.raises(net.ConnectionClosed):
                    await sending.wait()
        ended.set()

    async with serving(net, handler) as server, raw_peer(server, receive_buffer=LITTLE) as peer:
        await peer.upgrade()
        await waiting.wait()
        peer.reset()
        with anyio.fail_after(5):
            await ended.wait()
