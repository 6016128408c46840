"""Ports and sockets: shared, picked, given, waiting to be served; and what happens when none is left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import anyio
import pytest

from hubbub.apps.echo import echo
from support.loops import descriptors
from support.net import Connection, Handler, Net, address, url
from support.peers import raw_peer
from support.tree import ROOT
from support.wire import frame, request, text


def _named(name: str) -> Handler:
    async def handler(connection: Connection) -> None:
        await connection.send(name)

    return handler


async def _asked(net: Net, where: str) -> str:
    async with net.connect(where, proxy=None) as client:
        answer: str = await client.recv()
        return answer


async def _echoes(net: Net, where: str) -> None:
    async with net.connect(where, proxy=None) as client:
        await client.send("x")
        assert await client.recv() == "x"


async def test_a_shared_port(net: Net) -> None:
    """With `reuse_port` two servers share a port, both are found, and one goes on without the other."""
    async with net.serve(_named("a"), "127.0.0.1", 0, reuse_port=True) as one:
        where = url(one)
        async with net.serve(_named("b"), *address(one), reuse_port=True) as two:
            found: set[str] = set()
            with anyio.fail_after(10):
                while found != {"a", "b"}:
                    found.add(await _asked(net, where))
            two.close()
            await two.wait_closed()
        assert {await _asked(net, where) for _ in range(5)} == {"a"}


async def test_a_port_that_is_not_shared(net: Net) -> None:
    """It takes both: where only one of two servers says `reuse_port`, the second can't listen."""
    for first, second in [(True, None), (None, True), (None, None), (False, False)]:
        async with net.serve(echo, "127.0.0.1", 0, reuse_port=first) as server:
            before = descriptors()
            with pytest.raises(OSError, match=r"cannot listen on \('127\.0\.0\.1', "):
                async with net.serve(echo, *address(server), reuse_port=second):
                    pass
            assert descriptors() == before


async def test_a_port_that_was_just_left(net: Net) -> None:
    """A server that starts again finds its port free, though the system remembers old connections."""
    async with net.serve(echo, "127.0.0.1", 0) as server:
        place = address(server)
        client = await net.connect(url(server), proxy=None).__aenter__()
    await client.wait_closed()
    async with net.serve(echo, *place) as server:
        await _echoes(net, url(server))


HOSTS = [
    (["127.0.0.1", "127.0.0.2", "::1"], {"127.0.0.1", "127.0.0.2", "::1"}),
    (["127.0.0.1", "127.0.0.1", "localhost"], {"127.0.0.1"}),
    (None, {"0.0.0.0", "::"}),
    ("", {"0.0.0.0", "::"}),
    ([None], {"0.0.0.0", "::"}),
]


@pytest.mark.parametrize(("hosts", "expected"), HOSTS, ids=[str(hosts) for hosts, _ in HOSTS])
async def test_several_hosts_share_a_free_port(net: Net, hosts: Any, expected: set[str]) -> None:
    """Port 0 picks one that is free, the same on every address; no address is listened on twice."""
    async with net.serve(echo, hosts, 0) as server:
        names = [sock.getsockname() for sock in server.sockets]
        assert {name[0] for name in names} >= expected
        assert len(names) == len(set(names))
        (port,) = {name[1] for name in names}
        assert port
        for host in {name[0] for name in names} - {"0.0.0.0", "::"}:
            await _echoes(net, f"ws://[{host}]:{port}/" if ":" in host else f"ws://{host}:{port}/")


async def test_one_family(net: Net) -> None:
    """`family` leaves the addresses of the other out."""
    async with net.serve(echo, None, 0, family=socket.AF_INET) as server:
        assert [sock.family for sock in server.sockets] == [socket.AF_INET]


async def test_one_host_of_several_cannot_be_listened_on(net: Net) -> None:
    """Then none is, and the error says which."""
    before = descriptors()
    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        async with net.serve(echo, ["127.0.0.1", "192.0.2.1"], 0):
            pass
    with pytest.raises(OSError):
        async with net.serve(echo, ["127.0.0.1", "nothing.invalid"], 0):
            pass
    assert descriptors() == before


@pytest.mark.parametrize("listening", [True, False])
async def test_an_existing_socket(net: Net, listening: bool) -> None:
    """It is served whether or not it listened before, and closed with the server."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    if listening:
        sock.listen()
    async with net.serve(echo, sock=sock) as server:
        assert server.sockets == (sock,)
        await _echoes(net, url(server))
    assert sock.fileno() == -1


@pytest.mark.parametrize(
    "places",
    [
        {},
        {"host": "127.0.0.1"},
        {"port": 0, "path": "/x"},
        {"port": 0, "sock": None, "path": "/x"},
    ],
    ids=str,
)
async def test_where_to_listen_must_be_clear(net: Net, places: dict[str, Any]) -> None:
    """Nowhere, and two places at once, raise TypeError."""
    with pytest.raises(TypeError, match="port"):
        async with net.serve(echo, **places):
            pass
    with socket.socket() as sock, pytest.raises(TypeError, match="port"):
        async with net.serve(echo, port=0, sock=sock):
            pass


async def test_serving_later(net: Net) -> None:
    """With `start_serving=False` clients wait in the system's queue until it begins."""
    async with net.serve(_named("x"), "127.0.0.1", 0, start_serving=False) as server:
        assert not server.is_serving()
        async with raw_peer(server) as early:
            await early.send(request())
            with anyio.move_on_after(0.05) as waiting:
                await early.read_some()
            assert waiting.cancelled_caught
            await server.start_serving()
            assert server.is_serving()
            assert (await early.read_head()).startswith(b"HTTP/1.1 101 ")
            assert (await early.read_frame()).payload == b"x"
            await server.start_serving()
            assert await _asked(net, url(server)) == "x"
    assert not server.is_serving()
    await server.start_serving()
    assert not server.is_serving()


async def test_serving_for_ever_begins(net: Net) -> None:
    """So does `serve_forever`, which ends when the server is closed."""
    async with (
        net.serve(_named("x"), "127.0.0.1", 0, start_serving=False) as server,
        anyio.create_task_group() as tasks,
    ):
        where = url(server)
        tasks.start_soon(server.serve_forever)
        assert await _asked(net, where) == "x"
        server.close()


async def test_closing_before_serving(net: Net) -> None:
    """A server that never began closes at once; who waits in its queue is cut off."""
    async with (
        net.serve(echo, "127.0.0.1", 0, start_serving=False) as server,
        raw_peer(server) as early,
    ):
        server.close()
        with anyio.fail_after(5):
            await server.wait_closed()
            with pytest.raises(anyio.BrokenResourceError):
                await early.read_rest()


@contextmanager
def _overrun(backend: str, more: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process of its own that can accept so many connections at once."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", ROOT / "tests/support/overrun.py", backend, str(more)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _open(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.sendall(request())
    return sock


def _echo(sock: socket.socket, word: str) -> None:
    sock.sendall(text(word))
    received = b""
    while not received.endswith(frame(1, word.encode(), mask=None)):
        received += sock.recv(4096)
        assert received


def _until_none_is_left(process: subprocess.Popen[bytes]) -> tuple[list[socket.socket], ...]:
    """Open connections until the server complains: those that are served, and those that wait."""
    assert process.stdout is not None
    assert process.stderr is not None
    port = int(process.stdout.readline())
    opened = [_open(port) for _ in range(4)]
    for sock in opened:
        _echo(sock, "served")
    waiting = [_open(port) for _ in range(3)]
    line = process.stderr.readline()
    assert line.startswith(b"ERROR hubbub.server cannot accept: Too many open files")
    for sock in opened:
        _echo(sock, "still served")
    return opened, waiting


def _ends(process: subprocess.Popen[bytes]) -> None:
    """It ends when it is told to, and has said nothing more."""
    _, errors = process.communicate(b"", timeout=10)
    assert errors == b""
    assert process.returncode == 0


@pytest.mark.slow
def test_no_descriptor_is_left(backend: str) -> None:
    """The log says so once; open connections go on, and who waits is served when some are closed."""
    with _overrun(backend, 4) as process:
        opened, waiting = _until_none_is_left(process)
        for sock in opened:
            sock.close()
        for sock in waiting:
            _echo(sock, "served at last")
            sock.close()
        _ends(process)


@pytest.mark.slow
def test_closing_while_none_is_left(backend: str) -> None:
    """A server that waits for a descriptor can be closed like any other."""
    with _overrun(backend, 4) as process:
        for sock in chain(*_until_none_is_left(process)):
            sock.close()
        _ends(process)
