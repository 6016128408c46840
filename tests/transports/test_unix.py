"""Servers on Unix sockets: the path comes and goes with them, and peers have no address."""

from __future__ import annotations

import logging
import os
import socket
from itertools import repeat
from pathlib import Path

import pytest

from hubbub.apps.echo import echo
from support.certificates import Certificate
from support.clients import unix_client
from support.loops import descriptors, until
from support.net import Connection, Net

FORMS = pytest.mark.parametrize("form", [str, Path], ids=["str", "Path"])


@FORMS
async def test_echo(net: Net, tmp_path: Path, form: type[str | Path]) -> None:
    """Our own client and that of `websockets` are served; the path may be a `str` or a `Path`."""
    path = form(tmp_path / "socket")
    async with net.unix_serve(echo, path) as server:
        assert server.sockets[0].getsockname() == str(path)
        async with net.unix_connect(path) as ours, unix_client(str(path)) as other:
            for client in (ours, other):
                await client.send("x" * 100_000)
                assert await client.recv() == "x" * 100_000


async def test_tls(net: Net, tmp_path: Path, certificate: Certificate) -> None:
    """TLS works there, for the name in the URI, which is localhost unless another is given."""
    path = tmp_path / "socket"
    context = certificate.client_context()
    async with net.unix_serve(echo, path, ssl=certificate.server_context()):
        for keywords in ({}, {"uri": "wss://127.0.0.1/"}):
            async with net.unix_connect(path, ssl=context, **keywords) as client:
                await client.send("x")
                assert await client.recv() == "x"


async def test_the_request(net: Net, tmp_path: Path) -> None:
    """The URI says what is asked for, and the Host; without one that is `/` of localhost."""
    seen: list[tuple[str, str]] = []

    async def handler(connection: Connection) -> None:
        seen.append((connection.request.target, connection.request.headers["Host"]))

    path = tmp_path / "socket"
    async with net.unix_serve(handler, path):
        for keywords in ({}, {"uri": "ws://example.com:81/room?a=b"}):
            async with net.unix_connect(path, **keywords) as client:
                assert [message async for message in client] == []
    assert seen == [("/", "localhost"), ("/room?a=b", "example.com:81")]


@pytest.mark.parametrize("ours", [True, False], ids=["our client", "another"])
async def test_addresses(
    net: Net, tmp_path: Path, ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A peer that has no name is "", in the log "unix"; one that has is told by it."""
    path, name = str(tmp_path / "socket"), str(tmp_path / "client")
    seen: list[object] = []

    async def handler(connection: Connection) -> None:
        seen.extend([connection.remote_address, connection.local_address])

    def named() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(name)
        sock.connect(path)
        return sock

    with caplog.at_level(logging.INFO):
        async with net.unix_serve(handler, path):
            if ours:
                async with net.unix_connect(path) as client:
                    assert [message async for message in client] == []
                    assert client.remote_address == path
                async with net.connect("ws://localhost/", sock=named()) as client:
                    assert [message async for message in client] == []
                    assert client.remote_address == path
            else:
                async with unix_client(path) as peer:
                    await peer.wait_closed()
    assert seen == ["", path, name, path] if ours else ["", path]
    opened = [r.getMessage() for r in caplog.records if r.getMessage().startswith("open ")]
    assert opened == ["open unix /", f"open {name} /"][: len(opened)]
    assert opened


async def test_the_path_is_removed(net: Net, tmp_path: Path) -> None:
    """At the close of the server, even if nobody waits for that, or it never accepted."""
    path = tmp_path / "socket"
    for start in (True, False):
        before = descriptors()
        async with net.unix_serve(echo, path, start_serving=start) as server:
            assert path.is_socket()
            server.close()
            assert not path.exists()
        assert descriptors() == before


async def test_the_path_is_removed_after_a_change_of_folder(
    net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path means the one that it was when the server began."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "socket").touch()
    monkeypatch.chdir(tmp_path)
    async with net.unix_serve(echo, "socket"):
        monkeypatch.chdir(elsewhere)
    assert not (tmp_path / "socket").exists()
    assert (elsewhere / "socket").exists()


async def test_a_stale_path_is_replaced(net: Net, tmp_path: Path) -> None:
    """What a server left behind that was killed is no hindrance."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    assert path.is_socket()
    async with net.unix_serve(echo, path), net.unix_connect(path) as client:
        await client.send("x")
        assert await client.recv() == "x"


@pytest.mark.parametrize("kind", ["file", "folder", "link to a file"])
async def test_what_is_no_socket_stays(net: Net, tmp_path: Path, kind: str) -> None:
    """Anything else at the path is left alone, and the error names it."""
    path = tmp_path / "socket"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        (tmp_path / "file").write_text("precious")
        path.symlink_to("file")
    before = descriptors()
    with pytest.raises(OSError, match=str(path)):
        async with net.unix_serve(echo, path):
            pass
    assert path.is_dir() if kind == "folder" else path.read_text() == "precious"
    assert descriptors() == before


@pytest.mark.parametrize("path", ["x" * 200, "no/such/folder/socket"], ids=["long", "no folder"])
async def test_a_path_that_cannot_be(net: Net, tmp_path: Path, path: str) -> None:
    """A path that the system refuses raises, and leaves nothing behind."""
    before = descriptors()
    with pytest.raises(OSError):
        async with net.unix_serve(echo, tmp_path / path):
            pass
    with pytest.raises(OSError):
        async with net.unix_connect(tmp_path / path):
            pass
    assert descriptors() == before


async def test_another_servers_new_path_stays(net: Net, tmp_path: Path) -> None:
    """A server whose place was taken by the next does not remove the path when it closes."""
    path = tmp_path / "socket"
    async with net.unix_serve(echo, path) as old:
        async with net.unix_serve(echo, path):
            old.close()
            await old.wait_closed()
            async with net.unix_connect(path) as client:
                await client.send("x")
                assert await client.recv() == "x"
        assert not path.exists()


async def test_a_path_that_is_gone_already(net: Net, tmp_path: Path) -> None:
    """Somebody else may have removed it, or put something else there, which stays."""
    path = tmp_path / "socket"
    async with net.unix_serve(echo, path):
        path.unlink()
    async with net.unix_serve(echo, path):
        path.unlink()
        path.write_text("precious")
    assert path.read_text() == "precious"


async def test_an_abstract_name(net: Net) -> None:
    """Linux's abstract names work, and stand in no folder."""
    name = f"\0hubbub-{os.getpid()}"
    async with net.unix_serve(echo, name), net.unix_connect(name) as client:
        await client.send("x")
        assert await client.recv() == "x"


async def test_nobody_listens(net: Net, tmp_path: Path) -> None:
    """Connecting to a path that nobody serves raises what the system says."""
    path = tmp_path / "socket"
    with pytest.raises(FileNotFoundError):
        await net.unix_connect(path).__aenter__()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    before = descriptors()
    with pytest.raises(ConnectionRefusedError):
        await net.unix_connect(path).__aenter__()
    assert descriptors() == before


async def test_a_server_that_is_overrun(net: Net, tmp_path: Path) -> None:
    """Clients that find its queue full fail with what may be tried again; the others are served."""
    path = tmp_path / "socket"
    async with net.unix_serve(echo, path, backlog=1, start_serving=False) as server:
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for sock in waiting:
            sock.connect(str(path))
        for _ in range(4):
            client = net.unix_connect(path)
            with pytest.raises((OSError, net.exceptions.InvalidMessage)) as caught:
                await client.__aenter__()
            assert client.judge(caught.value) is None
        for sock in waiting:
            sock.close()
        await server.start_serving()
        async for late in net.unix_connect(path, reconnect_delays=lambda: repeat(0.01)):
            await late.send("x")
            assert await late.recv() == "x"
            await late.close()
            break
        await until(lambda: not server.connections)
