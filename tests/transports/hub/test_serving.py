"""How a hub is started, and where it listens."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

from hubbub.core.auth import External
from hubbub.core.forwarded import TrustedProxies
from hubbub.core.handshake import ServerOptions
from hubbub.core.hub_config import HubConfig
from hubbub.core.hub_events import HubEvent, Joined
from hubbub.core.hub_limits import HubLimits
from hubbub.transports.asyncio import HubServer
from support.certificates import Certificate
from support.clients import unix_client
from support.hub_peers import HubPeer, hub, hub_config, named, peer, token_auth
from support.loops import ASYNCIO_LOOPS, BACKENDS, until
from support.net import Net
from support.peers import raw_peer
from support.tasks import Task, WasCancelled

on_asyncio = pytest.mark.parametrize("backend", ASYNCIO_LOOPS, indirect=True)
on_trio = pytest.mark.parametrize(
    "backend", [name for name in BACKENDS if name == "trio"], indirect=True
)


@on_asyncio
async def test_without_async_with(net: Net) -> None:
    """`await serve_hub(...)` gives a server that is closed by hand."""
    server = await net.serve_hub(HubConfig(), "127.0.0.1", 0)
    assert server.get_loop() is asyncio.get_running_loop()
    async with named(server, "ann"):
        server.close()
        await server.wait_closed()


@on_trio
async def test_as_a_task(net: Net) -> None:
    """`nursery.start(serve_hub(...).run)` gives the server, which ends with its nursery."""
    async with trio.open_nursery() as nursery:
        server: HubServer = await nursery.start(net.serve_hub(HubConfig(), "127.0.0.1", 0).run)
        async with named(server, "ann"):
            nursery.cancel_scope.cancel()
    assert server.sockets == ()


async def test_serve_forever(net: Net) -> None:
    """It waits for the end; if it is cancelled, it closes the hub."""
    async with hub(net) as server, anyio.create_task_group() as tasks, named(server, "ann") as ann:
        forever = Task(tasks, server.serve_forever)
        await ann.subscribe("alerts")
        assert not forever.done
        forever.cancel()
        with pytest.raises(WasCancelled):
            await forever.wait()
        assert (await ann.closed())[0] == 1001


async def test_starting_later(net: Net) -> None:
    """With `start_serving=False` the port is bound, and connections wait until `start_serving()`."""
    async with hub(net, start_serving=False) as server:
        assert not server.is_serving()
        async with raw_peer(server) as early:
            await server.start_serving()
            assert server.is_serving()
            await early.upgrade()


async def test_before_it_is_started(net: Net) -> None:
    """What needs a running hub says so; a hub runs once."""
    server = net.serve_hub(HubConfig(), "127.0.0.1", 0)
    with pytest.raises(RuntimeError, match="not started"):
        assert server.hub
    for command in (server.publish("a", 1), server.disconnect("a"), server.serve_forever()):
        with pytest.raises(RuntimeError, match="not started"):
            await command
    server.close()
    async with server:
        pass
    with pytest.raises(RuntimeError, match="make another one"):
        async with server:
            pass


async def test_our_own_client(net: Net) -> None:
    """`connect` of this package talks to a hub too."""
    async with hub(net) as server:
        host, port = server.sockets[0].getsockname()
        async with net.connect(f"ws://{host}:{port}/?name=ann") as ann:
            assert json.loads(await ann.recv())["username"] == "ann"


async def test_tls(net: Net, certificate: Certificate) -> None:
    """A hub speaks TLS, publishes through it, and ends well through it."""
    async with hub(net, ssl=certificate.server_context()) as server:
        context = certificate.client_context()
        async with peer(server, ssl=context, server_hostname="localhost") as ann:
            await ann.subscribe("alerts")
            for size in (1, 100_000):
                await server.publish("alerts", "x" * size)
                assert (await ann.recv())["message"] == "x" * size
            server.close()
            await ann.wait_for("reconnect")
            assert (await ann.closed())[0] == 1001


async def test_a_unix_socket(net: Net, tmp_path: Path) -> None:
    """A hub listens on a path, and its peers have no address."""
    path = tmp_path / "socket"
    events: list[HubEvent] = []
    async with net.serve_hub(HubConfig(), path=path, on_event=events.append) as server:
        async with unix_client(str(path)) as connection:
            ann = HubPeer(connection)
            await ann.subscribe("alerts")
            await server.publish("alerts", 1)
            assert (await ann.recv())["message"] == 1
        await until(lambda: len(events) == 2)
    assert events[0] == Joined(1, "User-1", None, True)
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - it takes no time


async def test_trusted_proxies(net: Net) -> None:
    """The address of a peer is what a trusted proxy says, and nobody else."""
    for proxies, address in ((["127.0.0.1"], "192.0.2.7"), (["192.0.2.1"], "127.0.0.1")):
        events: list[HubEvent] = []
        config = hub_config(trusted_proxies=TrustedProxies(proxies))
        async with hub(net, config, on_event=events.append) as server:
            header = {"X-Forwarded-For": "192.0.2.7"}
            async with peer(server, "/?name=ann", additional_headers=header) as ann:
                await ann.recv()
        assert events[0] == Joined(1, "ann", address, True)


async def test_limits_of_connections(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """One connection too many is turned away with 1013, and the log says which limit it was."""
    config = hub_config(HubLimits(max_connections=1))
    async with hub(net, config) as server, named(server, "ann"), peer(server) as bob:
        assert (await bob.closed())[0] == 1013
    assert "turned away 127.0.0.1: max_connections is reached" in caplog.text


async def test_many_connections(net: Net) -> None:
    """Sockets, tasks and the count of them come back to nothing when all have left."""
    async with hub(net) as server:
        async with anyio.create_task_group() as tasks:

            async def visit(number: int) -> None:
                async with named(server, f"user{number}") as one:
                    await one.subscribe("alerts")
                    await one.wait_for("notification")

            for number in range(40):
                tasks.start_soon(visit, number)
            await until(lambda: sum(count for _, count in server.hub.topics()) == 40)
            assert (await server.publish("alerts", 1)).recipients == 40
        await until(lambda: server.hub.links == 0 and server._sockets == 0)
        assert list(server.hub.topics()) == []


MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"config": "127.0.0.1"}, TypeError, "give a HubConfig"),
    ({"hooks": print}, TypeError, "give a Hooks"),
    ({"authenticate": "token"}, TypeError, "authenticate='token': give a function"),
    ({"http": 3}, TypeError, "http=3: give a function"),
    ({"ssl": True}, TypeError, "ssl.SSLContext"),
    ({"config": HubConfig(auth=External())}, ValueError, "give authenticate="),
    (
        {"config": HubConfig(auth=token_auth("ann")), "authenticate": print},
        ValueError,
        "give one of the two",
    ),
    (
        {"config": HubConfig(options=ServerOptions(limits=HubLimits(), http=True))},
        ValueError,
        "give http=",
    ),
    ({"port": None}, TypeError, "say where to listen"),
]


@pytest.mark.parametrize(("keywords", "error", "words"), MISTAKES)
async def test_mistakes(
    net: Net, keywords: dict[str, Any], error: type[Exception], words: str
) -> None:
    """Arguments that can't work are told when the server is made."""
    with pytest.raises(error, match=words):
        net.serve_hub(**({"config": HubConfig(), "host": "127.0.0.1", "port": 0} | keywords))


async def test_another_logger(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """What is logged goes where the caller wants."""
    caplog.set_level(logging.INFO)
    async with hub(net, logger=logging.getLogger("mine")) as server, named(server, "ann"):
        pass
    lines = [record.getMessage() for record in caplog.records if record.name == "mine"]
    assert lines[0].startswith("listening on 127.0.0.1:")
    assert lines[1] == "joined ann from 127.0.0.1, session 1, anonymous"
    assert lines[2].startswith("left ann from 127.0.0.1, session 1: 1000")
