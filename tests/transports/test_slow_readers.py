"""Peers that read slowly, or not at all, and what they cost."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from hubbub.core.limits import Limits
from hubbub.transports.poller import READ
from support.loops import until
from support.net import Connection, Net, serving
from support.peers import RawPeer, raw_peer

LITTLE = 4096
"""Bytes that the system may hold for a peer; it takes some more."""

MUCH = 2**23
"""More than the system holds for both sides."""


ONE_LOOP = pytest.mark.parametrize("backend", ["asyncio"])
"""They take seconds, and what they look at is the same code on every loop."""


async def _read_slowly(peer: RawPeer, size: int, seconds: float) -> int:
    """Read so much, at a pace at which all takes so long; how much came before the end."""
    got = 0
    began = time.monotonic()
    while got < size:
        try:
            got += len(await peer.read_some())
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            break
        ahead = got / size * seconds - (time.monotonic() - began)
        if ahead > 0:
            await anyio.sleep(ahead)
    return got


async def test_a_socket_that_caught_up_is_not_watched_for_room(net: Net) -> None:
    """Once a large message has left, the socket is watched for reading only: else it would keep us busy."""
    sockets: list[Any] = []
    sent = anyio.Event()

    async def handler(connection: Connection) -> None:
        sockets.append(connection.socket)
        await connection.send(bytes(MUCH))
        sent.set()
        await connection.wait_closed()

    async with serving(net, handler) as server, raw_peer(server, receive_buffer=LITTLE) as peer:
        await peer.upgrade()
        assert len((await peer.read_frame()).payload) == MUCH
        await sent.wait()
        await until(lambda: sockets[0]._watching == READ)


async def test_a_peer_that_takes_nothing_of_a_large_message(net: Net) -> None:
    """The write deadline counts for one frame, too, of which the socket holds the rest."""
    limits = Limits(write_timeout=0.3, ping_interval=None)
    ended = anyio.Event()

    async def handler(connection: Connection) -> None:
        try:
            while True:
                await connection.send(bytes(MUCH))
        except net.ConnectionClosed:
            ended.set()

    async with (
        serving(net, handler, limits) as server,
        raw_peer(server, receive_buffer=LITTLE) as peer,
    ):
        await peer.upgrade()
        with anyio.fail_after(10):
            await ended.wait()


@ONE_LOOP
@pytest.mark.slow
async def test_a_peer_that_reads_slowly_gets_all(net: Net) -> None:
    """Who keeps reading is not cut off by the write deadline, however long one frame takes."""
    limits = Limits(write_timeout=1.2, ping_interval=0.2, ping_timeout=None)

    async def handler(connection: Connection) -> None:
        await connection.send(bytes(MUCH))
        await connection.wait_closed()

    async with (
        serving(net, handler, limits) as server,
        raw_peer(server, receive_buffer=LITTLE) as peer,
    ):
        await peer.upgrade()
        began = time.monotonic()
        assert await _read_slowly(peer, MUCH, 6) >= MUCH
        assert time.monotonic() - began > 3


@ONE_LOOP
@pytest.mark.slow
async def test_a_handler_that_returns_behind_a_large_message(net: Net) -> None:
    """What it sent last arrives, though the peer takes longer for it than the close deadline."""
    limits = Limits(close_timeout=0.5, drain_timeout=0.5)

    async def handler(connection: Connection) -> None:
        await connection.send(bytes(MUCH))

    async with (
        serving(net, handler, limits) as server,
        raw_peer(server, receive_buffer=LITTLE) as peer,
    ):
        await peer.upgrade()
        assert await _read_slowly(peer, MUCH, 6) >= MUCH
