"""What handlers do, and what that costs: a handler's failure is its own connection's, and no other's."""

from __future__ import annotations

import logging
import re
import time

import anyio
import pytest
from websockets.exceptions import ConnectionClosed as PeerConnectionClosed

from hubbub.apps.echo import echo
from hubbub.core.handshake import ServerOptions
from hubbub.core.limits import Limits
from support.clients import client
from support.loops import until
from support.net import Connection, Net, serving
from support.peers import raw_peer
from support.wire import close, frame, head, text

FORMATTER = logging.Formatter("%(levelname)s %(name)s %(message)s")


async def _nothing(connection: Connection) -> None:
    """A handler that returns at once."""


async def test_a_handler_that_returns(net: Net) -> None:
    """The connection is closed with 1000."""
    async with serving(net, _nothing) as server, client(server) as peer:
        await peer.wait_closed()
        assert (peer.close_code, peer.close_reason) == (1000, "")


async def test_a_handler_that_raises(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """The peer sees 1011 and nothing of the error; the log has exactly one line about it."""

    async def handler(connection: Connection) -> None:
        raise KeyError("secret")

    with caplog.at_level(logging.WARNING):
        async with serving(net, handler) as server, client(server) as peer:
            await peer.wait_closed()
            assert (peer.close_code, peer.close_reason) == (1011, "")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("hubbub.server", "ERROR")
    assert record.exc_info is not None


async def test_a_handler_that_raises_costs_its_own_connection(
    net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    """Peers of other handlers, before and after, notice nothing."""

    async def handler(connection: Connection) -> None:
        if connection.request.path == "/bad":
            raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])
        await echo(connection)

    async with serving(net, handler) as server, client(server) as before:
        for _ in range(3):
            async with client(server, "/bad") as bad:
                await bad.wait_closed()
                assert bad.close_code == 1011
        async with client(server) as after:
            for peer in (before, after):
                await peer.send("x")
                assert await peer.recv() == "x"
    assert [r.levelname for r in caplog.records if r.levelno > logging.INFO] == ["ERROR"] * 3


async def test_what_the_log_says_of_a_peer(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """Even at its lowest level it has no query, header or message of the peer, and no control character."""

    async def handler(connection: Connection) -> None:
        await connection.recv()
        raise RuntimeError("the handler's own words")

    headers = (("Authorization", "Bearer S3CRET"), ("Cookie", "id=S3CRET"))
    with caplog.at_level(logging.DEBUG, "hubbub"):
        async with serving(net, handler) as server:
            for target in ("/a%0ab?token=S3CRET", "/%1b[31m?S3CRET", "/?a=b&token=S3CRET"):
                for last_words, code in [
                    (text("S3CRET\n\x1b[31m"), 1011),
                    (close(4000, "S3CRET\n\x1b[31m"), 4000),
                    (frame(0x3, b"S3CRET\n\x1b[31m"), 1002),
                ]:
                    async with raw_peer(server) as raw:
                        await raw.upgrade(*headers, target=target)
                        await raw.send(last_words)
                        assert (await raw.read_close()).code == code
            for refused in ("GET /\x1b[31m\x9b?S3CRET HTTP/1.1", "GET /#S3CRET HTTP/1.1", "S3CRET"):
                async with raw_peer(server) as raw:
                    await raw.send(head(refused, [("Host", "S3CRET\x1b[31m"), *headers]))
                    assert (await raw.read_head()).startswith(b"HTTP/1.1 400 ")
            async with raw_peer(server) as raw:
                await raw.send(head("GET /%0a?S3CRET HTTP/1.1", [("Host", "localhost"), *headers]))
                assert (await raw.read_head()).startswith(b"HTTP/1.1 426 ")
    records = [record for record in caplog.records if record.name.startswith("hubbub")]
    assert [record.levelname for record in records].count("ERROR") == 3
    for record in records:
        assert "S3CRET" not in FORMATTER.format(record)
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", record.getMessage())


async def test_a_handler_that_lets_the_end_through(
    net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    """ConnectionClosed that leaves the handler is no error."""

    async def handler(connection: Connection) -> None:
        while True:
            await connection.recv()

    with caplog.at_level(logging.WARNING):
        async with serving(net, handler) as server:
            async with client(server) as peer:
                await peer.close(3000)
            async with raw_peer(server) as raw:
                await raw.upgrade()
                raw.reset()
            await until(lambda: not server.connections)
    assert caplog.records == []


async def test_the_end_of_another_connection_is_an_error(
    net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler that lets another connection's end through has failed, and is told so."""
    others: list[Connection] = []

    async def handler(connection: Connection) -> None:
        others.append(connection)
        if len(others) == 1:
            await connection.wait_closed()
        else:
            await others[0].send("too late")

    async with serving(net, handler) as server:
        async with client(server):
            pass
        async with client(server) as second:
            await second.wait_closed()
            assert second.close_code == 1011
    assert [r.levelname for r in caplog.records if r.levelname == "ERROR"] == ["ERROR"]


async def test_one_bad_connection_does_not_disturb_the_others(net: Net) -> None:
    """While peers send garbage, flood, and vanish, a healthy pair goes on without a loss."""

    async def bad(kind: int) -> None:
        async with raw_peer(server, receive_buffer=8192) as peer:
            if kind == 0:
                await peer.send(b"\x00" * 5000)
                await peer.read_rest()
                return
            await peer.upgrade()
            if kind == 1:
                await peer.send(b"\xff" * 5000)
                await peer.read_close()
            elif kind == 2:
                with anyio.move_on_after(1):  # it need not get rid of all
                    await peer.send(text("flood" * 20) * 2000)
                peer.reset()
            else:
                await peer.send(text("x" * 100, final=False))
                await peer.end()
                await peer.read_rest()

    async with (
        serving(net, echo) as server,
        client(server) as healthy,
        anyio.create_task_group() as tasks,
    ):
        for number in range(40):
            tasks.start_soon(bad, number % 4)
        for number in range(200):
            before = time.monotonic()
            await healthy.send(str(number))
            assert await healthy.recv() == str(number)
            assert time.monotonic() - before < 5


async def test_an_internal_error_costs_one_connection(
    net: Net, caplog: pytest.LogCaptureFixture
) -> None:
    """If a machine raises, its socket is dropped with one line in the log, and the others go on."""
    pings = 0

    def entropy(size: int) -> bytes:
        nonlocal pings
        pings += 1
        if pings == 1:
            raise OSError("no entropy")
        return bytes(size)

    options = ServerOptions(limits=Limits(ping_interval=0.05))
    async with net.serve(echo, "127.0.0.1", 0, options=options, entropy=entropy) as server:
        async with client(server) as first:
            with pytest.raises(PeerConnectionClosed):
                await first.recv()
        async with client(server) as second:
            await until(lambda: pings >= 3)
            await second.send("still there")
            assert await second.recv() == "still there"
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert lines == ["a connection is dropped after an internal error"]
