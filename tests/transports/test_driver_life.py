"""When a loop's driver begins and ends, and what is left of it."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import time
import weakref
from importlib import import_module
from typing import Any

import pytest
import trio

from hubbub.apps.echo import echo
from hubbub.core import Limits
from hubbub.transports.driver import Driver
from support.clients import client
from support.loops import ASYNCIO_LOOPS, descriptors, running, until
from support.net import Net, Server, serving, url


def _driver(server: Server) -> Driver:
    assert server._driver is not None
    return server._driver


async def test_one_driver_for_all(net: Net) -> None:
    """Servers and clients of a loop share one; a clock of one's own makes another."""
    async with (
        serving(net, echo) as one,
        serving(net, echo) as two,
        net.serve(echo, "127.0.0.1", 0, clock=time.monotonic) as other,
        net.connect(url(one), proxy=None) as connection,
    ):
        assert _driver(one) is _driver(two) is connection.driver
        assert _driver(other) is not _driver(one)


@pytest.mark.parametrize("clock", [None, time.monotonic], ids=["the loop's", "one of its own"])
async def test_it_ends_and_begins_again(net: Net, clock: Any) -> None:
    """With the last socket the driver ends: no descriptor and no task is left; the next begins anew."""
    seen: list[Driver] = []
    before = descriptors(), len(running())
    for _ in range(3):
        async with net.serve(echo, "127.0.0.1", 0, clock=clock) as server:
            connection = await net.connect(url(server), proxy=None, clock=clock).__aenter__()
            seen.append(_driver(server))
        # The client's side may outlive the server.
        await connection.wait_closed()
        await until(lambda: (descriptors(), len(running())) == before, 3)
        assert seen[-1].stopped
    assert len(set(map(id, seen))) == 3


async def test_it_goes_on_for_the_last_socket(net: Net) -> None:
    """A connection keeps its driver while servers and connections around it come and go."""
    async with serving(net, echo) as far:
        connection = await net.connect(url(far), proxy=None).__aenter__()
        for _ in range(3):
            async with serving(net, echo) as near, net.connect(url(near), proxy=None) as other:
                assert other.driver is connection.driver
        assert not connection.driver.stopped
        await connection.send("x")
        assert await connection.recv() == "x"
        await connection.close()


async def test_keepalive_goes_on_after_a_pause(net: Net) -> None:
    """The alarm of a driver that begins anew is its own: pings go on in each."""
    for _ in range(2):
        async with serving(net, echo, Limits(ping_interval=0.03)) as server, client(server) as peer:
            (connection,) = server.connections
            await until(lambda connection=connection: connection.latency > 0)  # type: ignore[misc]
            await peer.send("x")
            assert await peer.recv() == "x"


def test_a_loop_that_ends_first(backend: str) -> None:
    """A loop that ends while its driver is in use takes that with it: both are let go."""
    module = import_module(f"hubbub.transports.{'trio' if backend == 'trio' else 'asyncio'}.driver")
    kept: list[weakref.ref[Driver]] = []

    async def use() -> None:
        driver = module.driver_of_loop(None)
        driver.hold()
        kept.append(weakref.ref(driver))

    def run_once() -> None:
        if backend == "trio":
            trio.run(use)
        else:
            with asyncio.Runner(loop_factory=ASYNCIO_LOOPS[backend]) as runner:
                runner.run(use())
        gc.collect()

    run_once()
    before = descriptors()
    for _ in range(3):
        run_once()
    assert [each() for each in kept] == [None] * 4
    assert descriptors() == before


async def test_no_descriptor_for_the_poller(net: Net) -> None:
    """Where none is left a server can't begin: it says so, and gives its sockets back."""
    sock = socket.create_server(("127.0.0.1", 0))
    before = descriptors(), len(running())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            await net.serve(echo, sock=sock).__aenter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sock.fileno() == -1
    assert (descriptors(), len(running())) == (before[0] - 1, before[1])
