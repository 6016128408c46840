"""Whatever a connection's task waits for, cancelling it there leaves the connection usable or closed."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest
from websockets.exceptions import ConnectionClosed as PeerConnectionClosed

from hubbub.core.events import Close
from hubbub.core.limits import Limits
from hubbub.core.states import State
from support.cancelling import Outcome, cancelled_at
from support.clients import Client, client
from support.loops import descriptors, running, until
from support.net import Connection, Net, serving, url
from support.tasks import Mailbox

LARGE = 300_000
"""Bytes that neither `write_limit` nor one turn of the loop takes."""

LIMITS = Limits(write_limit=1000)

STEPS = {"text", "large", "pong", "fragments", "list", "close"}
"""At which of its steps a `User` has surely waited."""

when = pytest.mark.parametrize("late", [False, True], ids=["while waiting", "on waking"])

NOT_FINISHED = Close(1011, "message not finished")


@dataclass
class User:
    """Does one thing after the other with a connection whose peer answers each message by its length."""

    connection: Connection
    heard: list[str | bytes] = field(default_factory=list)
    doing: str = "nothing"

    async def __call__(self) -> None:
        """All that can be waited for."""
        connection = self.connection
        self.doing = "text"
        for _ in range(2):
            await connection.send("x" * 3)
            self.heard.append(await connection.recv())
        self.doing = "large"
        await connection.send(bytes(LARGE))
        self.heard.append(await connection.recv())
        self.doing = "pong"
        await (await connection.ping())
        self.doing = "fragments"
        async with aclosing(self._fragments()) as fragments:
            await connection.send(fragments)
        self.doing = "answer"
        self.heard.append(await anext(aiter(connection)))
        self.doing = "list"
        await connection.send([bytes(LARGE // 4)] * 4)
        self.heard.append(await connection.recv())
        self.doing = "close"
        await connection.close(4000)
        self.doing = "nothing more"
        await connection.wait_closed()

    async def _fragments(self) -> AsyncGenerator[bytes]:
        for _ in range(4):
            await anyio.lowlevel.checkpoint()
            yield bytes(LARGE // 4)

    async def find_usable_or_closed(self) -> None:
        """What must hold after cancelling: nothing is lost, and the end is one or the other."""
        if self.connection.state is State.OPEN:
            assert self.doing not in {"close", "nothing more"}
            await self.connection.send("x" * 77)
            while self.heard[-1:] != ["77"]:
                self.heard.append(await self.connection.recv())
            answers = ["3", "3", *[str(LARGE)] * 3]
            assert self.heard in [[*answers[:sent], "77"] for sent in range(6)]
        else:
            assert self.doing in {"fragments", "list", "close", "nothing more"}
            with anyio.fail_after(5):
                await self.connection.wait_closed()
            assert self.connection.state is State.CLOSED
            closed = self.connection.closed
            assert closed is not None
            unfinished = self.doing in {"fragments", "list"}
            assert closed.sent == (NOT_FINISHED if unfinished else Close(4000))


async def _answer(peer: Client) -> None:
    with suppress(PeerConnectionClosed):
        while True:
            await peer.send(str(len(await peer.recv())))


@when
async def test_a_handler_that_is_cancelled_anywhere(net: Net, late: bool) -> None:
    """At each of its suspensions in turn; then the peer can be talked to, or the connection is closed."""
    outcomes: Mailbox[Outcome | Exception] = Mailbox()
    cancelled: Counter[str] = Counter()
    number = 0

    async def handler(connection: Connection) -> None:
        user = User(connection)
        try:
            outcome = await cancelled_at(number, user, late=late)
            cancelled[user.doing] += outcome.cancelled
            await user.find_usable_or_closed()
        except Exception as error:
            outcomes.put(error)
            raise
        outcomes.put(outcome)

    async with serving(net, handler, LIMITS) as server:
        while True:
            number += 1
            async with client(server) as peer:
                await _answer(peer)
            outcome = await outcomes.get()
            assert isinstance(outcome, Outcome), f"at suspension {number}: {outcome!r}"
            if outcome.suspensions < number:
                break
    assert not outcome.cancelled
    assert set(+cancelled) >= STEPS


async def _answer_as_handler(connection: Connection) -> None:
    async for message in connection:
        await connection.send(str(len(message)))


@when
async def test_a_client_that_is_cancelled_anywhere(net: Net, late: bool) -> None:
    """The same holds on the client's side."""
    cancelled: Counter[str] = Counter()
    number = 0
    async with serving(net, _answer_as_handler) as server:
        while True:
            number += 1
            async with net.connect(url(server), proxy=None, write_limit=1000) as connection:
                user = User(connection)
                outcome = await cancelled_at(number, user, late=late)
                cancelled[user.doing] += outcome.cancelled
                await user.find_usable_or_closed()
            if outcome.suspensions < number:
                break
    assert not outcome.cancelled
    assert set(+cancelled) >= STEPS


@when
async def test_connecting_that_is_cancelled_anywhere(net: Net, late: bool) -> None:
    """From the first step of opening to the last of closing: no socket is left on either side."""
    number = 0

    async def connect() -> None:
        async with net.connect(url(server), proxy=None) as connection:
            await connection.send("x")
            assert await connection.recv() == "1"

    async with serving(net, _answer_as_handler) as server:
        await connect()
        await until(lambda: not server.connections)
        await anyio.wait_all_tasks_blocked()
        before = descriptors(), len(running())
        while True:
            number += 1
            outcome = await cancelled_at(number, connect, late=late)
            await until(lambda: (descriptors(), len(running())) == before)
            if outcome.suspensions < number:
                break
    assert not outcome.cancelled
    assert number > 4


@when
async def test_cancelling_wait_closed_changes_nothing(net: Net, late: bool) -> None:
    """Who no longer waits for the end has not brought it about, and others wait on."""
    ended: Mailbox[str] = Mailbox()

    async def handler(connection: Connection) -> None:
        async def other() -> None:
            await connection.wait_closed()
            ended.put("other")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            if not late:
                outcome = await cancelled_at(1, connection.wait_closed, late=late)
                assert outcome == Outcome(1, cancelled=True)
                assert connection.state is State.OPEN
                await connection.send("still here")
            else:
                await connection.send("still here")
                await cancelled_at(1, connection.wait_closed, late=late)
                assert connection.state is State.CLOSED
        ended.put("handler")

    async with serving(net, handler) as server, client(server) as peer:
        assert await peer.recv() == "still here"
        await peer.close()
        assert [await ended.get(), await ended.get()] == ["other", "handler"]
