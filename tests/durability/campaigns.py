"""Two runs against a real server: it is killed again and again, or its clients come and go."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from .account import Account
from .actors import Actor, Consumer, Publisher, Subscriber, World
from .server import Server
from .verify import heads, verify

__all__ = ["drop", "kill"]

_CATCHING_UP = 60.0
"""Seconds that everybody has to catch up when nothing new comes."""

_AT_MOST = 900.0
"""Seconds after which a run counts as stuck."""

_STARTING = 0.1
"""The share of processes that are killed before they serve."""


async def kill(
    folder: Path, transport: str, *, kills: int, seed: int, at_least: int = 0
) -> Account:
    """Kill a server under load.

    Args:
        folder: where its files are.
        transport: which event loop it runs on.
        kills: how often.
        seed: of all that is random here; when a process is killed depends on the machine too.
        at_least: publications to be acknowledged before it ends.
    """
    rng = random.Random(seed)
    account = Account(f"kill -9, {transport}")
    kept, trimmed = [f"kept.{number}" for number in range(4)], ["trimmed.0"]
    publishers = [f"p{number}" for number in range(8)]
    server = Server(folder, transport, [*publishers, "reader", "worker"])
    world = World(server.port, rng, account)
    lossy = frozenset(trimmed)
    writing = [
        Publisher(world, user, kept + trimmed, 1 + 2 * at) for at, user in enumerate(publishers)
    ]
    reading = [
        *(Subscriber(world, "reader", kept + trimmed, lossy=lossy) for _ in range(3)),
        *(Subscriber(world, "reader", kept, stays=0.3) for _ in range(6)),
        *(Subscriber(world, "reader", trimmed, stays=0.3, lossy=lossy) for _ in range(3)),
    ]
    working = [Consumer(world, "worker", topic, f"w-{topic}") for topic in kept[:3]]
    began = time.monotonic()
    async with _running(server, [*writing, *reading, *working]):
        while account.kills < kills:
            await server.start()
            if account.kills and rng.random() < _STARTING:
                await asyncio.sleep(rng.uniform(0.0, 0.5))
                account.kills_while_starting += 1
            else:
                account.served(*await server.serving())
                await asyncio.sleep(rng.uniform(0.02, 0.5))
            await server.kill()
            account.kills += 1
        await server.start()
        account.served(*await server.serving())
        await _until(lambda: account.published >= at_least)
        world.calm = True
        await _all_caught_up(world, writing, reading, working)
    account.seconds = time.monotonic() - began
    verify(server.store, world)
    return account


async def drop(
    folder: Path, transport: str, *, clients: int, messages: int, seed: int, stays: float = 2.0
) -> Account:
    """Let clients drop their connections, and resume, while much is published.

    Args:
        folder: where the server's files are.
        transport: which event loop it runs on.
        clients: how many subscribe.
        messages: how many are published.
        stays: seconds for which a client stays, on average.
        seed: of all that is random here.
    """
    rng = random.Random(seed)
    account = Account(f"drops, {transport}")
    count = max(2, clients // 20)
    topics = [f"{('memory', 'kept')[number % 2]}.{number}" for number in range(count)]
    publishers = [f"p{number}" for number in range(10)]
    server = Server(folder, transport, ["reader", *publishers])
    world = World(server.port, rng, account)
    writing = [
        Publisher(world, user, topics[at::10] or topics, 16, messages // 10)
        for at, user in enumerate(publishers)
    ]
    reading = [
        Subscriber(world, "reader", rng.sample(topics, rng.choice((1, 1, 2))), stays=stays)
        for _ in range(clients)
    ]
    began = time.monotonic()
    async with _running(server, reading) as tasks:
        await server.start()
        account.served(*await server.serving())
        await _until(lambda: all(reader.at for reader in reading))
        tasks += [asyncio.create_task(one.run()) for one in writing]
        await _until(lambda: all(one.done for one in writing))
        world.calm = True
        await _all_caught_up(world, writing, reading, [])
        for one in writing:
            one.end()
    account.seconds = time.monotonic() - began
    verify(server.store, world)
    return account


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(_AT_MOST):
        while not holds():  # noqa: ASYNC110 - of many actors at once
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def _running(
    server: Server, actors: Sequence[Actor]
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Actors that run; in the end they leave, and the server is stopped."""
    failures: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: failures.append(f"{context['message']}: {context.get('exception')!r}")
    )
    tasks = [asyncio.create_task(actor.run()) for actor in actors]
    try:
        yield tasks
        for actor in actors:
            actor.end()
        await asyncio.gather(*tasks)
        if failures:
            raise RuntimeError("\n".join(failures[:5]))
        status = await server.stop()
        if status:
            raise RuntimeError(f"the server ended with {status}: {server.log.read_text()[-2000:]}")
    finally:
        for task in tasks:
            task.cancel()
        await server.kill()


async def _all_caught_up(
    world: World,
    writing: Sequence[Publisher],
    reading: Sequence[Subscriber],
    working: Sequence[Consumer],
) -> None:
    """Wait until everybody has what was published; who has not in time has lost it."""
    until = time.monotonic() + _CATCHING_UP
    behind: list[str] = []
    while time.monotonic() < until:
        if all(one.done for one in writing):
            ends = heads(world)
            behind = [
                *(f"{one.user}: {one.at}" for one in reading if not one.has_all(ends)),
                *(f"{one.name}: {one.acked}" for one in working if not one.has_all(ends)),
            ]
            if not behind:
                return
        else:
            behind = [f"{one.user}: {one.unanswered}" for one in writing if not one.done]
        await asyncio.sleep(0.05)
    for text in behind:
        world.account.fault("lost", f"in the end: {text[:300]}")
