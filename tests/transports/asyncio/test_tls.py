"""Connections over TLS."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time

import pytest

from hubbub.apps.echo import echo
from hubbub.core.handshake import ServerOptions
from hubbub.core.limits import Limits
from hubbub.transports.asyncio import ServerConnection, serve
from support.certificates import Certificate
from support.loops import until
from support.peers import RawPeer, address, client, raw_peer
from support.wire import request, text


def _serving(certificate: Certificate, limits: Limits | None = None) -> serve:
    options = ServerOptions(limits=limits if limits is not None else Limits())
    context = certificate.server_context()
    return serve(echo, "127.0.0.1", 0, options=options, ssl=context)


async def test_echo(certificate: Certificate) -> None:
    """Messages of any size come back over TLS."""
    async with (
        _serving(certificate) as server,
        client(server, ssl=certificate.client_context()) as peer,
    ):
        for message in ("Grüße", b"", "x" * 2**20, bytes(2**19)):
            await peer.send(message)
            assert await peer.recv() == message


async def test_closing_takes_no_longer_than_without_tls(certificate: Certificate) -> None:
    """Whoever closes first, nobody waits for a deadline."""
    context = certificate.client_context()

    async def handler(connection: ServerConnection) -> None:
        if connection.request.path != "/ours":
            await echo(connection)

    server_context = certificate.server_context()
    async with serve(handler, "127.0.0.1", 0, ssl=server_context) as server:
        for path, code in [("/theirs", 4000), ("/ours", 1000)]:
            before = time.monotonic()
            async with client(server, path, ssl=context) as peer:
                if path == "/theirs":
                    await peer.close(4000)
                await peer.wait_closed()
                assert peer.close_code == code
            await until(lambda: not server.connections)
            assert time.monotonic() - before < 1


async def test_last_words_arrive(certificate: Certificate) -> None:
    """The Close frame reaches a peer that has sent more than we read."""
    context = certificate.client_context()
    async with _serving(certificate) as server:
        host, port = address(server)
        peer = RawPeer(*await asyncio.open_connection(host, port, ssl=context))
        peer.send(request() + text("x" * 100) * 500 + b"\xff\xff" + b"x" * 30_000)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")
        for _ in range(500):
            assert (await peer.read_frame()).payload == b"x" * 100
        assert (await peer.read_frame()).code == 1002
        await peer.close()


async def test_a_plain_client_at_a_tls_port(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    """It is cut off without a traceback in the log, and TLS clients go on."""
    with caplog.at_level(logging.WARNING):
        async with _serving(certificate) as server:
            async with raw_peer(server) as plain:
                plain.send(request())
                await plain.read_rest()
            async with client(server, ssl=certificate.client_context()) as peer:
                await peer.send("x")
                assert await peer.recv() == "x"
    assert caplog.records == []


async def test_a_client_that_does_not_trust_us(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    """Its refusal is no news for the log."""
    with caplog.at_level(logging.WARNING):
        async with _serving(certificate) as server:
            with pytest.raises(ssl.SSLError):
                await client(server, ssl=ssl.create_default_context())
            async with client(server, ssl=certificate.client_context()):
                pass
    assert caplog.records == []


async def test_a_tls_handshake_that_takes_too_long(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that says nothing is cut off at the deadline of opening."""
    limits = Limits(open_timeout=0.2)
    with caplog.at_level(logging.WARNING):
        async with _serving(certificate, limits) as server, raw_peer(server) as silent:
            before = time.monotonic()
            assert await silent.read_rest() == b""
            assert 0.15 < time.monotonic() - before < 5
    assert caplog.records == []


async def test_a_peer_that_does_not_end_tls(certificate: Certificate) -> None:
    """A peer that never answers our end is left after `drain_timeout`."""
    limits = Limits(close_timeout=0.2, drain_timeout=0.2)
    async with _serving(certificate, limits) as server, raw_peer(server) as raw:
        # A TLS handshake by hand, so that nothing is answered behind our back.
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = certificate.client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                raw.send(outgoing.read())
                incoming.write(await raw._reader.read(65536))
            else:
                break
        tls.write(request())
        raw.send(outgoing.read())
        await until(lambda: len(server.connections) == 1)
        before = time.monotonic()
        server.close()
        await server.wait_closed()
        assert time.monotonic() - before < 2
        await raw.read_rest()


async def test_shutdown_during_a_tls_handshake(certificate: Certificate) -> None:
    """A TLS handshake that hangs does not hold the server up."""
    async with _serving(certificate, Limits(open_timeout=0.5)) as server, raw_peer(server) as raw:
        raw.send(b"\x16\x03")
        await raw.drain()
        before = time.monotonic()
        server.close()
        await server.wait_closed()
        assert time.monotonic() - before < 1
        await raw.read_rest()


async def test_a_peer_that_resets(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    """A TLS connection that is cut off ends quietly."""
    with caplog.at_level(logging.WARNING):
        async with _serving(certificate) as server:
            peer = await client(server, ssl=certificate.client_context())
            await until(lambda: len(server.connections) == 1)
            peer.transport.abort()
            await until(lambda: not server.connections)
    assert caplog.records == []
