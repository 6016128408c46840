"""`connect`: what it asks for, where it connects, and how it fails."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import time
from typing import Any

import anyio
import pytest

from hubbub.apps.echo import echo
from hubbub.core import ClientOptions, Limits, LocalProtocolError, State
from hubbub.transports.asyncio import ClientConnection
from support.answering import Answerer, answering, silent_port
from support.cancelling import cancelled_at
from support.certificates import Certificate
from support.loops import descriptors, running, until
from support.net import Connection, Net, address, serving, url
from support.wire import close, head, text


def _to(port: int, path: str = "/") -> str:
    return f"ws://127.0.0.1:{port}{path}"


async def _opened(net: Net, uri: str, **keywords: Any) -> Any:
    """A connection that is not closed at the end of any block."""
    return await net.connect(uri, proxy=None, **keywords).__aenter__()


# The request.


async def _asked(net: Net, user: str = "", **keywords: Any) -> dict[str, str]:
    """The headers of a request, by their names in lower case."""
    asked: list[dict[str, str]] = []

    async def handler(connection: Connection) -> None:
        asked.append({name.lower(): value for name, value in connection.request.headers.lines})

    async with net.serve(handler, "127.0.0.1", 0, origins=None, subprotocols=["b"]) as server:
        uri = url(server).replace("//", f"//{user}")
        async with net.connect(uri, proxy=None, **keywords) as connection:
            assert [message async for message in connection] == []
            own = connection.request.headers
    assert {name.lower(): value for name, value in own.lines} == {
        name: value for name, value in asked[0].items() if name != "sec-websocket-key"
    }
    return asked[0]


async def test_headers(net: Net) -> None:
    """The request has what was asked for, calls us by our name, and nothing that was not asked for."""
    plain = await _asked(net)
    assert re.fullmatch(r"Python/\d+\.\d+\.\d+\S* hubbub/\S+", plain["user-agent"])
    for absent in ("authorization", "origin", "cookie", "sec-websocket-protocol"):
        assert absent not in plain
    asked = await _asked(
        net,
        origin="https://example.com",
        subprotocols=["a", "b"],
        compression="deflate",
        additional_headers={"X-Hello": "there", "Cookie": "a=b"},
    )
    assert asked["origin"] == "https://example.com"
    assert asked["sec-websocket-protocol"] == "a, b"
    assert asked["sec-websocket-extensions"].startswith("permessage-deflate")
    assert (asked["x-hello"], asked["cookie"]) == ("there", "a=b")


async def test_the_user_agent(net: Net) -> None:
    """It can be another, be left out, and stand among the headers."""
    assert (await _asked(net, user_agent_header="x/1"))["user-agent"] == "x/1"
    assert "user-agent" not in await _asked(net, user_agent_header=None)
    given = await _asked(net, additional_headers=[("user-agent", "y/2")])
    assert given["user-agent"] == "y/2"


async def test_a_user_in_the_uri(net: Net) -> None:
    """They are sent as Basic authentication, decoded, unless the headers say otherwise."""
    asked = await _asked(net, user="Aladdin:open%20sesame@")
    assert asked["authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    headers = {"Authorization": "Bearer x"}
    asked = await _asked(net, user="a:b@", additional_headers=headers)
    assert asked["authorization"] == "Bearer x"


async def test_options(net: Net) -> None:
    """What the keywords leave out is as the options say."""
    options = ClientOptions(
        host="elsewhere.example",
        target="/elsewhere",
        headers=(("X-Hello", "there"),),
        subprotocols=("b",),
        origin="https://example.com",
        limits=Limits(max_size=5),
    )
    asked = await _asked(net, options=options, max_queue=1)
    assert (asked["x-hello"], asked["origin"]) == ("there", "https://example.com")
    assert asked["host"].startswith("127.0.0.1:")
    async with serving(net, echo) as server:
        connection = await _opened(net, url(server), options=options, origin=None)
        await connection.send("123456")
        with pytest.raises(net.ConnectionClosedError, match="1009"):
            await connection.recv()
        await connection.wait_closed()


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"uri": "http://example.com/"}, ValueError),
        ({"uri": "ws://example.com/#x"}, ValueError),
        ({"additional_headers": {"a b": "c"}}, LocalProtocolError),
        ({"additional_headers": {"Host": "c"}}, LocalProtocolError),
        ({"user_agent_header": "a\r\nb"}, LocalProtocolError),
        ({"subprotocols": ["a b"]}, LocalProtocolError),
        ({"subprotocols": "chat"}, TypeError),
        ({"compression": "gzip"}, ValueError),
        ({"ssl": ssl.create_default_context()}, ValueError),
        ({"proxy": "socks5://127.0.0.1/"}, ValueError),
        ({"max_size": 0}, ValueError),
        ({"open_timeout": "1"}, ValueError),
        ({"max_siez": 1}, TypeError),
    ],
    ids=lambda value: None if isinstance(value, type) else ", ".join(value),
)
def test_mistakes(net: Net, keywords: dict[str, Any], error: type[Exception]) -> None:
    """They are told when `connect` is called, before anything is sent."""
    with pytest.raises(error):
        net.connect(**{"uri": "ws://127.0.0.1/", **keywords})


# Where.


async def test_an_existing_socket(net: Net) -> None:
    """A connected socket is used, and closed at the end."""
    async with serving(net, echo) as server:
        sock = socket.create_connection(address(server))
        async with net.connect("ws://example.com/", sock=sock) as connection:
            await connection.send("x")
            assert await connection.recv() == "x"
        assert sock.fileno() == -1


async def test_another_place_than_the_uris(net: Net) -> None:
    """`host` and `port` say where to connect; the server is asked for what the URI names."""
    seen: list[str] = []

    async def handler(connection: Connection) -> None:
        seen.append(connection.request.headers["Host"])
        await echo(connection)

    async with serving(net, handler) as server:
        host, port = address(server)
        places: list[tuple[str, dict[str, Any]]] = [
            ("ws://example.com:81/", {"host": host, "port": port}),
            (f"ws://example.com:{port}/", {"host": host}),
            (f"ws://{host}/", {"port": port}),
        ]
        for uri, place in places:
            async with net.connect(uri, proxy=None, **place) as connection:
                assert connection.remote_address == (host, port)
                await connection.send("x")
                assert await connection.recv() == "x"
    assert seen == ["example.com:81", f"example.com:{port}", host]


async def test_our_own_address(net: Net) -> None:
    """`local_addr` says where to connect from."""
    async with serving(net, echo) as server:
        connection = await _opened(net, url(server), local_addr=("127.0.0.7", 0))
        own = connection.local_address
        assert own[0] == "127.0.0.7"
        await until(lambda: {c.remote_address for c in server.connections} == {own})
        await connection.close()
        await until(lambda: not server.connections)
        before = descriptors()
        with pytest.raises(OSError, match=r"192\.0\.2\.1|assign"):
            await _opened(net, url(server), local_addr=("192.0.2.1", 0))
        assert descriptors() <= before


async def test_tls_names(net: Net, certificate: Certificate) -> None:
    """The certificate must be for the URI's host, or for `server_hostname`."""
    context = certificate.client_context()
    async with net.serve(echo, "127.0.0.1", 0, ssl=certificate.server_context()) as server:
        host, port = address(server)
        there = {"host": host, "port": port, "ssl": context}
        async with net.connect(f"wss://localhost:{port}/", ssl=context, host=host, proxy=None):
            pass
        async with net.connect(
            "wss://example.com/", server_hostname="localhost", proxy=None, **there
        ):
            pass
        before = descriptors()
        with pytest.raises(ssl.SSLCertVerificationError, match=r"example\.com"):
            await _opened(net, "wss://example.com/", **there)
        with pytest.raises(ssl.SSLCertVerificationError):
            await _opened(net, f"wss://{host}:{port}/")
        await until(lambda: descriptors() <= before)


# Failures.


async def test_nobody_listens(net: Net) -> None:
    """A port where nobody listens, and a name that nobody has, raise OSError and leave nothing."""
    before = descriptors()
    with pytest.raises(ConnectionRefusedError):
        await _opened(net, _to(silent_port()))
    with pytest.raises(socket.gaierror):
        await _opened(net, "ws://nothing.invalid/")
    assert descriptors() == before


async def test_a_refusal(net: Net) -> None:
    """Another status than 101 raises InvalidStatus with the whole response."""
    body = b"not today" * 10

    async def refuse(peer: Answerer) -> None:
        await peer.read_head()
        lines = [("Content-Length", str(len(body))), ("X-Why", "because")]
        await peer.send(head("HTTP/1.1 403 No", lines) + body[:5])
        await peer.send(body[5:])
        await peer.read_rest()

    async with answering(refuse) as port:
        with pytest.raises(net.InvalidStatus, match="403") as caught:
            await _opened(net, _to(port))
        response = caught.value.response
        assert (response.status, response.headers["x-why"]) == (403, "because")
        assert response.body == body
        with pytest.raises(net.InvalidStatus) as caught:
            await _opened(net, _to(port), max_body=7)
        assert caught.value.response.body == body[:7]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "InvalidMessage"),
        (b"HTTP/1.1 101 Switch", "InvalidMessage"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "InvalidHandshake"),
        (head("HTTP/1.1 101 X", [("Upgrade", "websocket")]), "InvalidHandshake"),
    ],
    ids=["nothing", "half", "no HTTP", "no handshake"],
)
async def test_an_answer_that_is_none(net: Net, answer: bytes, error: str) -> None:
    """No whole response raises InvalidMessage; one that breaks the rules of HTTP or WebSocket its base."""

    async def wrong(peer: Answerer) -> None:
        await peer.read_head()
        if answer:
            await peer.send(answer)

    async with answering(wrong) as port:
        for _ in range(2):
            before = descriptors()
            with pytest.raises(net.InvalidHandshake) as caught:
                await _opened(net, _to(port))
            assert type(caught.value).__name__ == error
        await until(lambda: descriptors() <= before)


@pytest.mark.parametrize("sent", [b"", head("HTTP/1.1 403 No", [("Content-Length", "9")])[:-4]])
async def test_an_answer_that_takes_too_long(net: Net, sent: bytes) -> None:
    """`open_timeout` bounds the whole opening, and raises TimeoutError."""

    async def silent(peer: Answerer) -> None:
        await peer.read_head()
        if sent:
            await peer.send(sent)
        await peer.read_rest()

    async with answering(silent) as port:
        for _ in range(2):
            before = descriptors()
            began = time.monotonic()
            with pytest.raises(TimeoutError, match="timed out"):
                await _opened(net, _to(port), open_timeout=0.1)
            assert 0.09 < time.monotonic() - began < 5
        await until(lambda: descriptors() <= before)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
async def test_cancelled_while_connecting(net: Net, certificate: Certificate, late: bool) -> None:
    """Wherever connecting is cancelled, no socket and no task is left, and no half connection."""
    opened = 0

    async def connect() -> None:
        nonlocal opened
        opened += 1
        where = url(server).replace("ws:", "wss:")
        connection = await _opened(net, where, ssl=certificate.client_context())
        opened -= 1
        await connection.close()

    async with net.serve(echo, "127.0.0.1", 0, ssl=certificate.server_context()) as server:
        await connect()
        await until(lambda: not server.connections)
        await anyio.wait_all_tasks_blocked()
        before = descriptors(), len(running())
        suspensions = (await cancelled_at(10**6, connect, late=late)).suspensions
        assert suspensions > 3
        for number in range(1, suspensions + 1):
            await cancelled_at(number, connect, late=late)
            await until(lambda: (descriptors(), len(running())) == before and not server.openings)
            assert not server.connections


# The connection.


async def test_a_context_manager(net: Net) -> None:
    """The end of the block closes with 1000, or with 1011 where it raises."""
    codes: list[int | None] = []

    async def handler(connection: Connection) -> None:
        await connection.wait_closed()
        codes.append(connection.close_code)

    async with serving(net, handler) as server:
        async with net.connect(url(server), proxy=None) as connection:
            assert connection.state is State.OPEN
        assert connection.state is State.CLOSED
        with pytest.raises(KeyError):
            async with net.connect(url(server), proxy=None) as connection:
                raise KeyError
        assert connection.state is State.CLOSED
        async with await _opened(net, url(server)) as connection:
            pass
        assert connection.state is State.CLOSED
        await until(lambda: codes == [1000, 1011, 1000])


async def test_one_use_at_a_time(net: Net) -> None:
    """A `connect` that is in use says so; after its block it can be used again."""
    async with serving(net, echo) as server:
        connect = net.connect(url(server), proxy=None)
        async with connect:
            with pytest.raises(RuntimeError, match="in use"):
                await connect.__aenter__()
        async with connect as connection:
            await connection.send("x")
            assert await connection.recv() == "x"


async def test_messages_right_behind_the_answer(net: Net) -> None:
    """What comes in one piece with the 101 is received."""

    async def talk(peer: Answerer) -> None:
        await peer.accept(text("a", mask=None) + text("b", mask=None) + close(1000, mask=None))
        await peer.read_some()

    async with answering(talk) as port, net.connect(_to(port), proxy=None) as connection:
        assert [message async for message in connection] == ["a", "b"]


async def test_a_close_right_behind_the_answer(net: Net) -> None:
    """It is answered at once, though nobody receives."""

    async def leave(peer: Answerer) -> None:
        await peer.accept(close(1000, mask=None))
        await peer.read_some()

    async with answering(leave) as port:
        began = time.monotonic()
        connection = await _opened(net, _to(port))
        await connection.wait_closed()
        assert connection.close_code == 1000
        assert time.monotonic() - began < 0.9


async def test_a_connection_of_ones_own(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """`create_connection` says what it is, and `logger` where is logged."""

    class Mine(ClientConnection):
        pass

    logger = logging.getLogger("mine")
    async with serving(net, echo) as server:
        connection = await _opened(net, url(server), create_connection=Mine, logger=logger)
        assert isinstance(connection, Mine)
        await connection.close()
    with caplog.at_level(logging.INFO), anyio.move_on_after(5) as scope:
        connect = net.connect(
            _to(silent_port()), proxy=None, logger=logger, reconnect_delays=lambda: iter([0.0] * 9)
        )
        with pytest.raises(net.InvalidHandshake, match="no attempts are left"):
            async for _ in connect:
                pass
    assert not scope.cancelled_caught
    assert {record.name for record in caplog.records if record.levelname != "DEBUG"} == {"mine"}
