"""What differs from `websockets` though it has the same name, parameters and default.

`test_websockets_table.py` names each of these tests beside the row that it stands for.
"""

from __future__ import annotations

import inspect
import logging
import re
import ssl
import warnings
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import anyio
import pytest
from websockets.datastructures import Headers as TheirHeaders
from websockets.exceptions import NegotiationError as TheirNegotiationError
from websockets.http11 import Request as TheirRequest
from websockets.http11 import Response as TheirResponse
from websockets.protocol import State as TheirState
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from hubbub.core import (
    Close,
    Closed,
    Headers,
    Limits,
    LocalProtocolError,
    Request,
    Response,
    ServerOptions,
    State,
)
from hubbub.transports.exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    ProxyError,
)
from support.net import Connection, Net, serving, url
from support.pair import connected


async def echo(connection: Connection) -> None:
    """Send every message back."""
    async for message in connection:
        await connection.send(message)


def connecting(net: Net, server: Any, path: str = "/", **keywords: Any) -> Any:
    """A client of a server of this machine, whatever the environment says of proxies."""
    return net.connect(url(server, path), proxy=None, **keywords)


def calls_of(net: Net) -> list[Any]:
    """`serve` and `connect`, each with what it must have."""
    return [
        lambda **keywords: net.serve(echo, port=0, **keywords),
        lambda **keywords: net.connect("wss://example.com", **keywords),
    ]


# serve and connect.


def test_nothing_is_awaited_to_connect_or_serve_on_trio(net: Net) -> None:
    """`await serve(…)` and `await connect(…)` are asyncio's, whose tasks outlive their maker."""
    for function in (net.serve, net.connect):
        assert hasattr(function, "__await__") == (not net.__name__.endswith("trio"))


async def test_a_server_is_told_where_to_listen(net: Net) -> None:
    """A host alone is not enough."""
    with pytest.raises(TypeError, match="give port, sock or path"):
        async with net.serve(echo, "127.0.0.1"):
            pass


async def test_origins(net: Net) -> None:
    """Texts and no patterns; who has no Origin may connect, also where `None` is not listed."""
    with pytest.raises(TypeError):
        net.serve(echo, port=0, origins=["https://example.com", re.compile(".*example.*")])
    async with net.serve(echo, "127.0.0.1", 0, origins=["https://example.com"]) as server:
        async with connecting(net, server) as connection:
            assert connection.state is State.OPEN
        async with connecting(net, server, origin="https://example.com") as connection:
            assert connection.state is State.OPEN
        with pytest.raises(InvalidStatus, match="403"):
            async with connecting(net, server, origin="https://example.org"):
                pass


async def test_a_client_without_our_subprotocol_is_let_in(net: Net) -> None:
    """Only `select_subprotocol` refuses one."""
    with pytest.raises(TheirNegotiationError):
        ServerProtocol(subprotocols=[Subprotocol("chat")]).select_subprotocol([])

    def select(_: Connection, offered: list[str]) -> str:
        if "chat" not in offered:
            raise net.exceptions.NegotiationError("speak chat")
        return "chat"

    async with (
        net.serve(echo, "127.0.0.1", 0, subprotocols=["chat"]) as server,
        connecting(net, server, subprotocols=["other"]) as connection,
    ):
        assert connection.subprotocol is None
    async with net.serve(echo, "127.0.0.1", 0, select_subprotocol=select) as server:
        with pytest.raises(InvalidStatus, match="400"):
            async with connecting(net, server, subprotocols=["other"]):
                pass


async def test_the_functions_of_a_user_get_our_types(net: Net) -> None:
    """Requests, responses and states are those of `hubbub.core`."""
    seen: list[object] = []

    def process(connection: Connection, request: Request) -> Response | None:
        seen.append(request)
        return connection.respond(403, "no") if request.path == "/no" else None

    async with net.serve(echo, "127.0.0.1", 0, process_request=process) as server:
        async with connecting(net, server) as connection:
            seen += [connection.request, connection.response, connection.state]
            assert not isinstance(connection.state, int)
        with pytest.raises(InvalidStatus) as told:
            async with connecting(net, server, "/no"):
                pass
    refused = told.value.response
    assert refused.status == 403
    seen += [refused, InvalidProxyStatus(refused).response]
    assert not [
        each for each in seen if isinstance(each, (TheirRequest, TheirResponse, TheirState))
    ]
    assert not [each for each in seen if not isinstance(each, (Request, Response, State))]
    assert [state.name for state in State] == [state.name for state in TheirState]


async def test_headers_are_added_by_returning_a_response(net: Net) -> None:
    """Neither a response nor its headers can be changed, so another one is returned."""
    TheirHeaders()["X"] = "1"
    with pytest.raises(TypeError):
        Response(101).headers["X"] = "1"  # type: ignore[index]
    with pytest.raises(AttributeError):
        Response(101).status = 200  # type: ignore[misc]

    def process(connection: Connection, request: Request, response: Response) -> Response:
        with pytest.raises(AttributeError):
            connection.respond(403, "no").headers = Headers()  # type: ignore[misc]
        return Response(response.status, Headers({"X-Room": "1"}))

    async with (
        net.serve(echo, "127.0.0.1", 0, process_response=process) as server,
        connecting(net, server) as connection,
    ):
        assert connection.response.headers["X-Room"] == "1"
        assert "Server" not in connection.response.headers


async def test_any_byte_proves_life(net: Net) -> None:
    """Who sends messages is alive, though the pong does not come."""
    heard = 0

    async def handler(connection: Connection) -> None:
        nonlocal heard
        async for _ in connection:
            heard += 1

    async def talk(stream: Any) -> None:
        await stream.send(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        for _ in range(20):
            await stream.send(b"\x81\x81\0\0\0\0x")
            await anyio.sleep(0.02)

    keywords = {"ping_interval": 0.05, "ping_timeout": 0.1}
    async with net.serve(handler, "127.0.0.1", 0, **keywords) as server:
        host, port = server.sockets[0].getsockname()
        async with await anyio.connect_tcp(host, port) as stream:
            await talk(stream)
            received = await stream.receive()
            assert b"\x89\x04" in received  # pings, none of which was answered
            assert heard > 15
            (connection,) = server.connections
            assert connection.state is State.OPEN


def test_a_limit_is_one_number(net: Net) -> None:
    """`close_timeout` is no `None`, and no size is a pair."""
    for call in calls_of(net):
        with pytest.raises(ValueError, match="close_timeout"):
            call(close_timeout=None)
        for name in ("max_size", "write_limit"):
            with pytest.raises(ValueError, match=name):
                call(**{name: (2**20, 2**16)})
        assert call(max_size=None)


def test_the_queue_counts_messages(net: Net) -> None:
    """A message in more frames than `max_queue` is one; the limit is one number."""
    for call in calls_of(net):
        with pytest.raises(ValueError, match="max_queue"):
            call(max_queue=None)
        with pytest.raises(ValueError, match="max_queue"):
            call(max_queue=(16, 4))
    pair = connected(ServerOptions(limits=Limits(max_queue=4)))
    for _ in range(3):
        for number in range(100):
            pair.client.send("x", pair.now, final=number == 99)
        pair.flush()
        assert pair.server.wants_read
    pair.client.send("x", pair.now)
    pair.flush()
    assert not pair.server.wants_read


async def test_loggers(net: Net) -> None:
    """The loggers are ours; connections have that of their server, or of `connect`."""
    assert net.serve(echo, port=0).logger is logging.getLogger("hubbub.server")
    assert net.connect("ws://example.com").logger is logging.getLogger("hubbub.client")
    own = logging.getLogger("own")

    async def handler(connection: Connection) -> None:
        await connection.send(connection.logger.name)

    async with (
        net.serve(handler, "127.0.0.1", 0, logger=own) as server,
        connecting(net, server, logger=own) as connection,
    ):
        assert await connection.recv() == "own"
        assert connection.logger is own


async def test_a_subclass_of_our_connections(net: Net) -> None:
    """Either side can have a class of its own, whose constructor is not that of `websockets`."""

    class Server(net.ServerConnection):  # type: ignore[misc]
        async def shout(self, text: str) -> None:
            await self.send(text.upper())

    class Client(net.ClientConnection):  # type: ignore[misc]
        async def heard(self) -> str:
            return str(await self.recv())

    async def handler(connection: Any) -> None:
        await connection.shout("hello")

    async with (
        net.serve(handler, "127.0.0.1", 0, create_connection=Server) as server,
        connecting(net, server, create_connection=Client) as connection,
    ):
        assert await connection.heard() == "HELLO"
    assert "protocol" not in inspect.signature(Server).parameters


def test_a_client_does_not_write_the_handshake_itself(net: Net) -> None:
    """Headers that are written for it are refused."""
    for name in ("Host", "Upgrade", "Sec-WebSocket-Key"):
        with pytest.raises(LocalProtocolError, match="leave"):
            net.connect("ws://example.com", additional_headers={name: "x"})


async def test_proxies(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOCKS is not spoken; what can't be used is an `InvalidURI` too, and told where it is from."""
    assert net.connect("ws://example.com", proxy="http://example.com:3128")
    assert issubclass(InvalidProxy, net.InvalidURI)
    with pytest.raises(InvalidProxy, match=r"http:// or https://$"):
        net.connect("ws://example.com", proxy="socks5://example.com")
    for name in ("no_proxy", "NO_PROXY", "ws_proxy", "WS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ws_proxy", "socks5://example.com")
    with pytest.raises(InvalidProxy, match="from the environment"):
        async with net.connect("ws://example.com"):
            pass


def test_what_is_tried_again(net: Net) -> None:
    """Not a certificate that is not trusted; a proxy that could not be understood."""
    judge = inspect.signature(net.connect).parameters["process_exception"].default
    final = [
        ssl.SSLCertVerificationError(),
        InvalidStatus(Response(404)),
        InvalidProxyStatus(Response(407)),
        InvalidHandshake(),
    ]
    transient = [OSError(), TimeoutError(), InvalidMessage(), ProxyError()]
    transient += [InvalidStatus(Response(status)) for status in (500, 502, 503, 504)]
    assert [judge(error) for error in final] == final
    assert [judge(error) for error in transient] == [None] * len(transient)


async def test_delays(net: Net) -> None:
    """The delays that hold if none are given have ceilings of 5, 10, 20, 40 and 60 seconds."""
    nearly_one = net.connect("ws://example.com", entropy=lambda count: b"\xff" * count)
    delays = iter(nearly_one.delays())
    assert [round(next(delays), 6) for _ in range(6)] == [5, 10, 20, 40, 60, 60]
    nothing = net.connect("ws://example.com", entropy=bytes)
    assert next(iter(nothing.delays())) == 0


async def test_tls_takes_a_context(net: Net) -> None:
    """`None` and `True` mean the system's certificates; what is no context is refused at once."""
    for name in ("ssl", "proxy_ssl"):
        assert net.connect("wss://example.com", **{name: ssl.create_default_context()})
        for wrong in (False, "cert.pem"):
            with pytest.raises(TypeError, match=rf"^{name}="):
                net.connect("wss://example.com", **{name: wrong})
    with pytest.raises(TypeError, match=r"^ssl="):
        net.serve(echo, port=0, ssl=True)
    async with serving(net, echo) as server:
        host, port = server.sockets[0].getsockname()
        for given in (None, True):
            # The server speaks no TLS, which the client finds out by speaking it.
            with pytest.raises(ssl.SSLError):
                async with net.connect(f"wss://{host}:{port}", ssl=given, proxy=None):
                    pass


# broadcast.


async def test_broadcast_returns_whom_it_skipped(net: Net) -> None:
    """Who does not keep up is skipped and returned."""
    slow: list[Connection] = []

    async def handler(connection: Connection) -> None:
        if connection.request.path == "/slow":
            while not slow:
                slow.extend(net.broadcast([connection], bytes(2**16)))
        else:
            assert net.broadcast([connection], "hello") == []

    async with net.serve(handler, "127.0.0.1", 0) as server:
        async with connecting(net, server) as connection:
            assert await connection.recv() == "hello"
        async with connecting(net, server, "/slow", max_queue=1) as connection:
            with anyio.fail_after(10):
                while not slow:  # noqa: ASYNC110 - nothing tells of it
                    await anyio.sleep(0.01)
            assert {each.request.path for each in slow} == {"/slow"}


async def test_broadcast_is_for_servers(net: Net) -> None:
    """A client's frames are masked one by one, so none can be shared."""
    async with serving(net, echo) as server, connecting(net, server) as connection:
        assert net.broadcast([connection], "hello") == [connection]
        await connection.send("mine")
        assert await connection.recv() == "mine"


# Connections.


async def test_binary_data_that_is_no_text(net: Net) -> None:
    """Whoever asks for text gets an exception, and the connection stays."""
    async with serving(net, echo) as server, connecting(net, server) as connection:
        await connection.send(b"\xff")
        with pytest.raises(UnicodeDecodeError):
            await connection.recv(decode=True)
        await connection.send("still here")
        assert await connection.recv() == "still here"


async def test_fragments_are_given_where_they_are_asked_for(net: Net) -> None:
    """Without `fragments=True` a message comes in one piece."""

    async def handler(connection: Connection) -> None:
        parts = [part async for part in connection.recv_streaming()]
        await connection.send(f"{len(parts)} {sum(map(len, parts))}")

    for options, answer in ((ServerOptions(), "1 6"), (ServerOptions(fragments=True), "3 6")):
        async with (
            net.serve(handler, "127.0.0.1", 0, options=options) as server,
            connecting(net, server) as connection,
        ):
            await connection.send(["ab", "cd", "ef"])
            assert await connection.recv() == answer


async def test_fragments_of_two_types(net: Net) -> None:
    """They are the caller's mistake, which closes the connection with 1011."""
    async with serving(net, echo) as server, connecting(net, server) as connection:
        with pytest.raises(LocalProtocolError):
            await connection.send(["text", b"bytes"])
        await connection.wait_closed()
        assert connection.closed.sent == Close(1011, "message not finished")


async def test_a_payload_that_waits_for_its_pong(net: Net) -> None:
    """It can't be sent again, and no more than 64 pings wait."""
    async with serving(net, echo) as server, connecting(net, server) as connection:
        first = await connection.ping("x")
        with pytest.raises(LocalProtocolError, match="waits for its pong"):
            await connection.ping("x")
        for _ in range(63):
            await connection.ping()
        with pytest.raises(LocalProtocolError, match="max_pending_pings"):
            await connection.ping()
        assert 0 < await first < 10


async def test_latency_is_of_keepalive(net: Net) -> None:
    """A ping of the application gives its own."""
    async with serving(net, echo) as server, connecting(net, server) as connection:
        assert await (await connection.ping()) > 0
        assert connection.latency == 0.0


@pytest.mark.slow
async def test_a_handler_that_runs_on_is_cancelled(net: Net) -> None:
    """A second after its connection was closed."""
    ended: list[str] = []

    async def handler(_: Connection) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    async with serving(net, handler) as server, connecting(net, server):
        while not server.connections:  # noqa: ASYNC110 - nothing tells of it
            await anyio.sleep(0.01)
        server.close()
        with anyio.fail_after(5):
            await server.wait_closed()
    assert ended == ["cancelled"]


async def test_lost_at_once_means_waiting(net: Net) -> None:
    """Connecting again waits after a connection that was lost, not after one that was closed."""
    delays: list[float] = []

    def some() -> Iterator[float]:
        for delay in repeat(0.01):
            delays.append(delay)
            yield delay

    async def handler(connection: Connection) -> None:
        await connection.recv()
        await connection.close(1011 if connection.request.path == "/lost" else 1000)

    async with serving(net, handler) as server:
        for path, waits in (("/closed", 0), ("/lost", 2)):
            count = 0
            async for connection in connecting(net, server, path, reconnect_delays=some):
                count += 1
                await connection.send("x")
                await connection.wait_closed()
                if count == 3:
                    break
            assert len(delays) == waits


# Exceptions.


async def test_what_is_no_http(net: Net) -> None:
    """`InvalidMessage` tells that the stream ended; another protocol is an `InvalidHandshake`."""

    async def answer(data: bytes) -> Exception:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)

        async def other(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                await stream.receive()
                await stream.send(data)

        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, other)
            with pytest.raises(InvalidHandshake) as told:
                async with net.connect(f"ws://127.0.0.1:{port}", proxy=None):
                    pass
            tasks.cancel_scope.cancel()
        return told.value

    assert isinstance(await answer(b""), InvalidMessage)
    assert type(await answer(b"SSH-2.0 \r\n\r\n")) is InvalidHandshake


def test_how_a_connection_ended(net: Net) -> None:
    """`code` and `reason` warn of nothing; a Close frame without a code has none."""
    ended = Closed(
        code=1005,
        reason="",
        sent=Close(None),
        received=Close(None),
        received_first=True,
        cause="",
        discarded=0,
    )
    error = net.ConnectionClosedOK(ended)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (error.code, error.reason) == (1005, "")
    assert error.rcvd.code is error.sent.code is None


# HTTP.


def test_a_path_without_its_query() -> None:
    """`path` is what routes are made of; the query stands apart."""
    ours, theirs = Request("GET", "/a?b=c", Headers()), TheirRequest("/a?b=c", TheirHeaders())
    assert (ours.path, ours.query, ours.target) == ("/a", "b=c", "/a?b=c")
    assert theirs.path == ours.target


def test_headers_on_several_lines() -> None:
    """Their values are joined, as RFC 9110, 5.3 allows."""
    lines = [("Via", "a"), ("via", "b")]
    for headers in (
        Request("GET", "/", Headers(lines)).headers,
        Response(200, Headers(lines)).headers,
    ):
        assert headers["VIA"] == "a, b"
        assert headers.get_all("Via") == ["a", "b"]
        assert list(headers.lines) == lines
    with pytest.raises(LookupError):
        TheirHeaders(lines)["Via"]
