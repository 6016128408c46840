"""Servers behind a real nginx, over TCP and over a Unix socket."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import pytest

from hubbub.apps.echo import echo
from support.certificates import Certificate
from support.loops import until
from support.net import Connection, Handler, Net, Server, address
from support.nginx import Nginx, nginx

upstreams = pytest.mark.parametrize("upstream", ["TCP", "Unix"])
SCHEMES = (False, True)
"""Whether TLS is spoken to nginx."""

CLIENT = "127.0.0.2"
"""Where the client stands: another address than nginx's own."""


async def _say_who(connection: Connection) -> None:
    await connection.send(str(connection.remote_address[:1]))


class Place:
    """A server with nginx before it."""

    def __init__(self, net: Net, certificate: Certificate, server: Server, front: Nginx) -> None:
        self._net = net
        self._certificate = certificate
        self.server = server
        self.front = front

    def client(self, *, secure: bool = False, **keywords: Any) -> Any:
        """A client that stands elsewhere, and goes through nginx."""
        context = self._certificate.client_context() if secure else None
        url = self.front.url(secure=secure)
        local = (CLIENT, 0)
        return self._net.connect(url, proxy=None, local_addr=local, ssl=context, **keywords)


@asynccontextmanager
async def _placed(
    net: Net,
    certificate: Certificate,
    folder: Path,
    upstream: str,
    handler: Handler = echo,
    *lines: str,
    host: bool = True,
    **keywords: Any,
) -> AsyncIterator[Place]:
    path = str(folder / "socket")
    made = (
        net.serve(handler, "127.0.0.1", 0, **keywords)
        if upstream == "TCP"
        else net.unix_serve(handler, path, **keywords)
    )
    async with made as server:
        where = "{}:{}".format(*address(server)) if upstream == "TCP" else f"unix:{path}"
        with nginx(where, folder, certificate, *lines, host=host) as front:
            yield Place(net, certificate, server, front)


@upstreams
async def test_messages(net: Net, certificate: Certificate, tmp_path: Path, upstream: str) -> None:
    """Messages of both types and all sizes, and both sides' Close frames, pass."""
    closed: list[tuple[int | None, str | None]] = []

    async def handler(connection: Connection) -> None:
        try:
            await echo(connection)
        finally:
            closed.append((connection.close_code, connection.close_reason))

    async with _placed(
        net, certificate, tmp_path, upstream, handler, compression="deflate"
    ) as place:
        for secure in SCHEMES:
            async with place.client(secure=secure) as client:
                for message in ("Grüße", b"", "x" * 2**20, bytes(2**18)):
                    await client.send(message)
                    assert await client.recv() == message
                await client.close(4000, "enough")
                assert (client.close_code, client.close_reason) == (4000, "enough")
                await until(lambda: closed == [(4000, "enough")])
                closed.clear()


@upstreams
async def test_the_clients_address(
    net: Net, certificate: Certificate, tmp_path: Path, upstream: str
) -> None:
    """Where nginx is trusted its client's address is reported, and none that the client made up."""
    async with _placed(
        net,
        certificate,
        tmp_path,
        upstream,
        _say_who,
        trusted_proxies=("127.0.0.1", "unix"),
    ) as place:
        forgeries: tuple[list[str], ...] = (
            [],
            ["192.0.2.1"],
            ["192.0.2.1, 127.0.0.1"],
            ["127.0.0.1"],
            ["unix, ::1"],
        )
        for forged, secure in product(forgeries, SCHEMES):
            headers = [("X-Forwarded-For", value) for value in forged]
            async with place.client(secure=secure, additional_headers=headers) as client:
                assert await client.recv() == str((CLIENT,))


@upstreams
async def test_an_nginx_that_is_not_trusted(
    net: Net, certificate: Certificate, tmp_path: Path, upstream: str
) -> None:
    """Its header changes nothing: the address is that of nginx itself."""
    own = "('127.0.0.1',)" if upstream == "TCP" else ""
    async with (
        _placed(
            net, certificate, tmp_path, upstream, _say_who, trusted_proxies=("192.0.2.0/24",)
        ) as place,
        place.client() as client,
    ):
        assert await client.recv() == own


async def test_a_forged_header_of_an_untrusted_peer(net: Net) -> None:
    """Whoever comes past the proxy is seen where it is, whatever it says."""
    async with net.serve(_say_who, "127.0.0.1", 0, trusted_proxies=("127.0.0.1", "unix")) as server:
        for header in ("192.0.2.1", "127.0.0.1", "192.0.2.1, 127.0.0.1", ""):
            async with net.connect(
                "ws://{}:{}/".format(*address(server)),
                proxy=None,
                local_addr=("127.0.0.3", 0),
                additional_headers={"X-Forwarded-For": header},
            ) as client:
                assert await client.recv() == "('127.0.0.3',)"


@upstreams
async def test_origins(net: Net, certificate: Certificate, tmp_path: Path, upstream: str) -> None:
    """Where nginx passes the Host header on, pages of its own host may connect, and no others."""
    async with _placed(net, certificate, tmp_path, upstream) as place:
        for secure in SCHEMES:
            own = place.front.origin(secure=secure)
            async with place.client(secure=secure, origin=own) as client:
                await client.send("x")
                assert await client.recv() == "x"
            with pytest.raises(net.InvalidStatus, match="403"):
                await place.client(secure=secure, origin="https://evil.example").__aenter__()


@upstreams
async def test_origins_without_the_host(
    net: Net, certificate: Certificate, tmp_path: Path, upstream: str
) -> None:
    """Where nginx names its upstream instead, a page is refused, or allowed by a list."""
    for listed, allowed in [("same-host", False), (["https://example.com"], True)]:
        async with _placed(
            net, certificate, tmp_path, upstream, host=False, origins=listed
        ) as place:
            origin = "https://example.com" if allowed else place.front.origin(secure=False)
            if allowed:
                async with place.client(origin=origin):
                    pass
            else:
                with pytest.raises(net.InvalidStatus, match="403"):
                    await place.client(origin=origin).__aenter__()


@pytest.mark.slow
async def test_keepalive_holds_an_idle_connection(
    net: Net, certificate: Certificate, tmp_path: Path
) -> None:
    """With pings more often than `proxy_read_timeout` an idle connection stays; without, nginx ends it."""
    timeout = "proxy_read_timeout 500ms;"
    for interval in (0.1, None):
        async with (
            _placed(
                net, certificate, tmp_path, "TCP", echo, timeout, ping_interval=interval
            ) as place,
            place.client(ping_interval=None) as client,
        ):
            if interval is not None:
                with anyio.move_on_after(1.2) as waiting:
                    await client.recv()
                assert waiting.cancelled_caught
                await client.send("still here")
                assert await client.recv() == "still here"
            else:
                with pytest.raises(net.ConnectionClosedError), anyio.fail_after(10):
                    await client.recv()
                await until(lambda place=place: not place.server.connections)  # type: ignore[misc]


@upstreams
@pytest.mark.parametrize("how", ["reload", "stop", "quit"])
async def test_nginx_ends(
    net: Net,
    certificate: Certificate,
    tmp_path: Path,
    upstream: str,
    how: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its connections end without a word of complaint; after a reload it takes others."""
    ended: list[int | None] = []

    async def handler(connection: Connection) -> None:
        try:
            async for message in connection:
                await connection.send(message)
        finally:
            ended.append(connection.close_code)

    with caplog.at_level(logging.WARNING):
        async with _placed(net, certificate, tmp_path, upstream, handler) as place:
            client = await place.client().__aenter__()
            await client.send("x")
            assert await client.recv() == "x"
            getattr(place.front, how)()
            with pytest.raises(net.ConnectionClosedError), anyio.fail_after(10):
                await client.recv()
            assert client.close_code == 1006
            await client.wait_closed()
            await until(lambda: not place.server.connections and ended == [1006])
            if how == "reload":
                async with place.client() as other:
                    await other.send("x")
                    assert await other.recv() == "x"
    assert [record for record in caplog.records if record.name.startswith("hubbub")] == []


@upstreams
async def test_our_own_end_passes(
    net: Net, certificate: Certificate, tmp_path: Path, upstream: str
) -> None:
    """When the server closes, clients behind nginx see 1001, and then what nginx says instead."""
    async with _placed(net, certificate, tmp_path, upstream) as place:
        clients = [await place.client(secure=secure).__aenter__() for secure in SCHEMES]
        place.server.close()
        for client in clients:
            with pytest.raises(net.ConnectionClosedOK):
                await client.recv()
            assert client.close_code == 1001
            await client.wait_closed()
        await place.server.wait_closed()
        for secure in SCHEMES:
            with pytest.raises(net.InvalidStatus, match="502"):
                await place.client(secure=secure).__aenter__()
