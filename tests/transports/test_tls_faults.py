"""TLS that goes wrong: what each side learns, and what reaches the other."""

from __future__ import annotations

import logging
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSStream
from hypothesis import given
from hypothesis import strategies as st

from hubbub.apps.echo import echo
from hubbub.core import Accepted, Closed, End, Refused, Requested, TextMessage
from hubbub.transports.tls import TLSLink
from support.certificates import Certificate, make_certificate
from support.clients import client
from support.loops import until
from support.net import Connection, Net, address
from support.peers import raw_peer
from support.talk import talkers
from support.tls_pairs import Contexts, all_contexts, in_turn, tls_pair, versions


@pytest.fixture(scope="session")
def contexts(certificate: Certificate) -> dict[str, Contexts]:
    """Both sides' contexts, for each version of TLS."""
    return all_contexts(certificate)


@pytest.fixture(scope="session")
def of_client(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A client's own certificate."""
    return make_certificate(tmp_path_factory.mktemp("client"))


def _requiring(certificate: Certificate, of_client: Certificate) -> ssl.SSLContext:
    """The context of a server that wants that client's certificate."""
    context = certificate.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(of_client.certificate)
    return context


def _having(certificate: Certificate, own: Certificate) -> ssl.SSLContext:
    """The context of a client that has a certificate."""
    context = certificate.client_context()
    context.load_cert_chain(own.certificate, own.key)
    return context


# In memory.


def _assert_failed(both: Contexts) -> tuple[str, str]:
    """Neither side opens, both end, and nothing raises; what each side says."""
    pair = tls_pair(both, close=False)
    pair.joined.run()
    pair.assert_ended()
    assert [type(event) for event in pair.client.events] == [Closed]
    assert not any(isinstance(event, Requested | TextMessage) for event in pair.server.events[1:])
    return pair.errors()


def test_a_certificate_that_is_not_trusted(contexts: dict[str, Contexts]) -> None:
    """The client says so, and its alert reaches the server, in each version."""
    for both in contexts.values():
        stranger = ssl.create_default_context()
        stranger.minimum_version = both.client.minimum_version
        stranger.maximum_version = both.client.maximum_version
        said, heard = _assert_failed(Contexts(stranger, both.server))
        assert "certificate verify failed" in said
        assert "alert unknown ca" in heard


def test_a_certificate_for_another_name(contexts: dict[str, Contexts]) -> None:
    """The name that was asked for must stand in it."""
    for both in contexts.values():
        said, heard = _assert_failed(Contexts(both.client, both.server, "example.com"))
        assert "Hostname mismatch" in said
        assert "alert bad certificate" in heard


def test_no_version_in_common(contexts: dict[str, Contexts]) -> None:
    """The server says so, and its alert reaches the client."""
    for one, other in ("1.2", "1.3"), ("1.3", "1.2"):
        heard, said = _assert_failed(Contexts(contexts[one].client, contexts[other].server))
        assert "unsupported protocol" in said or "version" in said.replace("_", " ").lower()
        assert "alert protocol version" in heard


def test_a_client_that_is_asked_for_its_certificate(
    certificate: Certificate, of_client: Certificate, contexts: dict[str, Contexts]
) -> None:
    """Without one it learns that from the server's alert; with one it is let in."""
    for both in contexts.values():
        server = _requiring(certificate, of_client)
        heard, said = _assert_failed(Contexts(both.client, server))
        assert "peer did not return a certificate" in said
        assert "alert certificate required" in heard or "handshake failure" in heard
        pair = tls_pair(Contexts(_having(certificate, of_client), server), [("send", "x")])
        pair.joined.run()
        assert isinstance(pair.client.events[0], Accepted)
        assert pair.client.events[1] == TextMessage("x")
        pair.assert_ended()


GARBAGE = st.binary(max_size=100) | st.binary(max_size=60).map(
    # Begins like a record: a type, a version and a length.
    lambda rest: b"\x16\x03\x01\x00" + rest
)


@versions
@in_turn
@given(garbage=GARBAGE, server=st.booleans())
def test_garbage_instead_of_a_handshake(
    contexts: dict[str, Contexts], version: str, garbage: bytes, server: bool
) -> None:
    """A link that is given garbage waits for more or fails with an alert; at the stream's end it ends."""
    both = contexts[version]
    talker = talkers(close=False)[server]
    link = TLSLink(
        talker.ws,
        both.server if server else both.client,
        server_side=server,
        server_hostname=None if server else "localhost",
    )
    link.data_to_send(0.0)
    for byte in garbage:
        link.receive_data(bytes([byte]), 0.0)
    alert = b"".join(link.data_to_send(0.0))
    if link.error is not None:
        # A fatal alert is two bytes in a record of type 21.
        assert alert == b"" or (alert[0], alert[-2]) == (21, 2)
        assert link.end is End.CLOSE
        assert not link.wants_read
    link.receive_eof(0.0)
    link.data_to_send(0.0)
    assert link.end is End.CLOSE
    talker(0.0)
    assert [type(event) for event in talker.events] == [Closed]


@versions
@in_turn
@given(at=st.integers(0, 10_000), flip=st.integers(1, 255), cut=st.integers(0, 1))
def test_a_byte_that_is_changed(
    contexts: dict[str, Contexts], version: str, at: int, flip: int, cut: int
) -> None:
    """Wherever one byte of either stream is changed, no wrong event is told, and both sides end in time."""
    pair = tls_pair(contexts[version], [("send", "x" * 500)], close=False)
    pair.sides[cut].flips = {at: flip}
    pair.joined.run()
    pair.joined.advance(60.0)
    right = [TextMessage("x" * 500)]
    for talker in (pair.client, pair.server):
        messages = [event for event in talker.events if isinstance(event, TextMessage)]
        assert messages in ([], right)
        assert not any(isinstance(event, Refused) for event in talker.events)
    if at < pair.sides[cut].sent:
        pair.assert_ended()


@versions
def test_an_alert_in_the_middle(contexts: dict[str, Contexts], version: str) -> None:
    """A changed byte of an open connection ends it on both sides; the other learns why from an alert."""
    pair = tls_pair(contexts[version], [("send", "x")], close=False)
    pair.joined.run()
    pair.sides[0].flips = {pair.sides[0].sent + 20: 1}
    pair.client.ws.send("y" * 100, 0.0)
    pair.joined.run()
    pair.assert_ended()
    heard, said = pair.errors()
    assert "bad record mac" in said.replace("decryption failed or ", "")
    assert "alert bad record mac" in heard
    for talker in (pair.client, pair.server):
        assert isinstance(talker.events[-1], Closed)
        assert talker.events[-1].code == 1006


# On the loops.


@pytest.mark.parametrize("version", ["1.2", "1.3"])
async def test_another_client(
    net: Net, contexts: dict[str, Contexts], version: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The client of `websockets` speaks wss with our server, in each version, and ours with itself."""
    both = contexts[version]
    with caplog.at_level(logging.WARNING):
        async with net.serve(echo, "127.0.0.1", 0, ssl=both.server) as server:
            host, port = address(server)
            async with (
                client(server, ssl=both.client) as other,
                net.connect(f"wss://{host}:{port}/", ssl=both.client, proxy=None) as ours,
            ):
                for message in ("Grüße", b"", "x" * 2**20):
                    await other.send(message)
                    await ours.send(message)
                    assert await other.recv() == message
                    assert await ours.recv() == message
    assert caplog.records == []


async def test_clients_certificates(
    net: Net,
    certificate: Certificate,
    of_client: Certificate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that wants them lets in who has one, and tells others what is missing."""
    handled = 0

    async def handler(connection: Connection) -> None:
        nonlocal handled
        handled += 1
        await echo(connection)

    context = _requiring(certificate, of_client)
    own = _having(certificate, of_client)
    with caplog.at_level(logging.WARNING):
        async with net.serve(handler, "127.0.0.1", 0, ssl=context) as server:
            host, port = address(server)
            uri = f"wss://{host}:{port}/"
            async with client(server, ssl=own) as other:
                await other.send("x")
                assert await other.recv() == "x"
            async with net.connect(uri, ssl=own, proxy=None) as ours:
                await ours.send("x")
                assert await ours.recv() == "x"
            connect = net.connect(uri, ssl=certificate.client_context(), proxy=None)
            with pytest.raises(ssl.SSLError, match="certificate required"):
                await connect.__aenter__()
            await until(lambda: not server.connections and not server.openings)
    assert handled == 2
    assert caplog.records == []


async def test_our_alert_reaches_a_server(net: Net, certificate: Certificate) -> None:
    """A server whose certificate we do not trust is told so before our socket is closed."""
    heard: list[str] = []
    told = anyio.Event()

    async def shake_hands(stream: Any) -> None:
        async with stream:
            try:
                await TLSStream.wrap(
                    stream, server_side=True, ssl_context=certificate.server_context()
                )
            except anyio.BrokenResourceError as error:
                heard.append(str(error.__cause__))
            except (ssl.SSLError, anyio.EndOfStream) as error:
                heard.append(str(error))
            told.set()

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, shake_hands, tasks)
        port = listener.extra(SocketAttribute.local_port)
        with pytest.raises(ssl.SSLCertVerificationError):
            await net.connect(f"wss://localhost:{port}/", proxy=None).__aenter__()
        await told.wait()
        tasks.cancel_scope.cancel()
    assert len(heard) == 1
    assert "alert unknown ca" in heard[0]


async def test_our_alert_reaches_a_client(net: Net, certificate: Certificate) -> None:
    """A client whose TLS is wrong gets an alert, though it sent much more than we read."""
    async with (
        net.serve(echo, "127.0.0.1", 0, ssl=certificate.server_context()) as server,
        raw_peer(server) as peer,
    ):
        received = b""
        with suppress(anyio.BrokenResourceError):
            await peer.send(b"\x16\x03\x01\x00\x05hello" + bytes(100_000))
        with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
            while True:
                received += await peer.read_some()
        assert received[:1] == b"\x15"
        await until(lambda: not server.openings)


async def test_files_that_are_wrong(net: Net, certificate: Certificate, tmp_path: Path) -> None:
    """A server's own TLS that can't work, for it has no certificate, costs each client only its own."""
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with net.serve(echo, "127.0.0.1", 0, ssl=bare) as server:
        host, port = address(server)
        connect = net.connect(f"wss://{host}:{port}/", ssl=certificate.client_context(), proxy=None)
        with pytest.raises(ssl.SSLError, match="handshake failure"):
            await connect.__aenter__()
        await until(lambda: not server.openings)
