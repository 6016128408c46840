"""Connections over TLS."""

from __future__ import annotations

import logging
import ssl
import time
from contextlib import AbstractAsyncContextManager, suppress

import anyio
import pytest
import trio

from hubbub.apps.echo import echo
from hubbub.core.handshake import ServerOptions
from hubbub.core.limits import Limits
from support.certificates import Certificate
from support.clients import client
from support.loops import until
from support.net import Connection, Handler, Net, Server
from support.peers import raw_peer
from support.wire import request, text


def _serving(
    net: Net, certificate: Certificate, limits: Limits | None = None, handler: Handler = echo
) -> AbstractAsyncContextManager[Server]:
    options = ServerOptions(limits=limits if limits is not None else Limits())
    context = certificate.server_context()
    server: AbstractAsyncContextManager[Server] = net.serve(
        handler, "127.0.0.1", 0, options=options, ssl=context
    )
    return server


async def test_echo(net: Net, certificate: Certificate) -> None:
    """Messages of any size come back over TLS."""
    async with (
        _serving(net, certificate) as server,
        client(server, ssl=certificate.client_context()) as peer,
    ):
        for message in ("Grüße", b"", "x" * 2**20, bytes(2**19)):
            await peer.send(message)
            assert await peer.recv() == message


async def test_closing_takes_no_longer_than_without_tls(net: Net, certificate: Certificate) -> None:
    """Whoever closes first, nobody waits for a deadline."""
    context = certificate.client_context()

    async def handler(connection: Connection) -> None:
        if connection.request.path != "/ours":
            await echo(connection)

    async with _serving(net, certificate, handler=handler) as server:
        for path, code in [("/theirs", 4000), ("/ours", 1000)]:
            before = time.monotonic()
            async with client(server, path, ssl=context) as peer:
                if path == "/theirs":
                    await peer.close(4000)
                await peer.wait_closed()
                assert peer.close_code == code
            await until(lambda: not server.connections)
            assert time.monotonic() - before < 1


async def test_last_words_arrive(net: Net, certificate: Certificate) -> None:
    """The Close frame reaches a peer that has sent more than we read."""
    async with (
        _serving(net, certificate) as server,
        raw_peer(server, ssl=certificate.client_context()) as peer,
    ):
        await peer.send(request() + text("x" * 100) * 500 + b"\xff\xff" + b"x" * 30_000)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")
        for _ in range(500):
            assert (await peer.read_frame()).payload == b"x" * 100
        assert (await peer.read_frame()).code == 1002


async def test_a_plain_client_at_a_tls_port(
    net: Net, certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    """It is cut off without a traceback in the log, and TLS clients go on."""
    with caplog.at_level(logging.WARNING):
        async with _serving(net, certificate) as server:
            async with raw_peer(server) as plain:
                await plain.send(request())
                await plain.read_rest()
            async with client(server, ssl=certificate.client_context()) as peer:
                await peer.send("x")
                assert await peer.recv() == "x"
    assert caplog.records == []


async def test_a_client_that_does_not_trust_us(
    net: Net, certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    """Its refusal is no news for the log."""
    with caplog.at_level(logging.WARNING):
        async with _serving(net, certificate) as server:
            with pytest.raises((ssl.SSLError, trio.BrokenResourceError)) as caught:
                async with client(server, ssl=ssl.create_default_context()):
                    pass
            refusal = caught.value.__cause__ if net.__name__.endswith("trio") else caught.value
            assert isinstance(refusal, ssl.SSLCertVerificationError)
            async with client(server, ssl=certificate.client_context()):
                pass
    assert caplog.records == []


async def test_a_tls_handshake_that_takes_too_long(
    net: Net, certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that says nothing is cut off at the deadline of opening."""
    limits = Limits(open_timeout=0.2)
    with caplog.at_level(logging.WARNING):
        async with _serving(net, certificate, limits) as server, raw_peer(server) as silent:
            before = time.monotonic()
            assert await silent.read_rest() == b""
            assert 0.15 < time.monotonic() - before < 5
    assert caplog.records == []


async def test_a_peer_that_does_not_end_tls(net: Net, certificate: Certificate) -> None:
    """A peer that never answers our end is left after `drain_timeout`."""
    limits = Limits(close_timeout=0.2, drain_timeout=0.2)
    async with _serving(net, certificate, limits) as server, raw_peer(server) as raw:
        # A TLS handshake by hand, so that nothing is answered behind our back.
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = certificate.client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await raw.send(outgoing.read())
                incoming.write(await raw.read_some())
            else:
                break
        tls.write(request())
        await raw.send(outgoing.read())
        await until(lambda: len(server.connections) == 1)
        before = time.monotonic()
        server.close()
        await server.wait_closed()
        assert time.monotonic() - before < 2
        await raw.read_rest()


async def test_shutdown_during_a_tls_handshake(net: Net, certificate: Certificate) -> None:
    """A TLS handshake that hangs does not hold the server up."""
    limits = Limits(open_timeout=0.5)
    async with _serving(net, certificate, limits) as server, raw_peer(server) as raw:
        await raw.send(b"\x16\x03")
        async with client(server, ssl=certificate.client_context()):
            pass  # so that the server has accepted the other before
        before = time.monotonic()
        server.close()
        await server.wait_closed()
        assert time.monotonic() - before < 1
        with suppress(anyio.BrokenResourceError):
            assert await raw.read_rest() == b""


@pytest.mark.parametrize("how", ["RST", "FIN"])
async def test_a_peer_that_is_cut_off(
    net: Net, certificate: Certificate, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A TLS connection whose peer vanishes without a word ends quietly."""
    with caplog.at_level(logging.WARNING):
        async with (
            _serving(net, certificate) as server,
            raw_peer(server, ssl=certificate.client_context()) as peer,
        ):
            await peer.upgrade()
            await until(lambda: len(server.connections) == 1)
            if how == "RST":
                peer.reset()
            else:
                peer.cut()
            await until(lambda: not server.connections)
    assert caplog.records == []
