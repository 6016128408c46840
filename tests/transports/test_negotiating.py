"""What a server's user may decide about a request, and what the keywords of `serve` do."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, get_type_hints

import anyio
import msgspec
import pytest

from hubbub.apps.echo import echo
from hubbub.core import Headers, Limits, LocalProtocolError, Request, Response, ServerOptions, State
from hubbub.core.extensions import Deflate
from hubbub.transports.asyncio import ServerConnection
from hubbub.transports.options import LimitKeywords
from support.clients import client
from support.loops import running, until
from support.net import Connection, Net, url

Decision = Callable[..., Any]


async def _opened(net: Net, server: Any, **keywords: Any) -> Any:
    return await net.connect(url(server), proxy=None, **keywords).__aenter__()


async def _echoes(net: Net, server: Any) -> None:
    connection = await _opened(net, server)
    await connection.send("x")
    assert await connection.recv() == "x"
    await connection.close()


async def _refused(net: Net, server: Any, **keywords: Any) -> Response:
    """The response that refuses a client."""
    with pytest.raises(net.InvalidStatus) as caught:
        await _opened(net, server, **keywords)
    response: Response = caught.value.response
    return response


def _later(decide: Decision) -> Decision:
    """The same as a coroutine function."""

    async def decide_later(*arguments: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return decide(*arguments)

    return decide_later


forms = pytest.mark.parametrize("form", [lambda decide: decide, _later], ids=["sync", "async"])
functions = pytest.mark.parametrize("function", ["process_request", "process_response"])

Form = Callable[[Decision], Decision]


def _errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


# Functions.


@forms
@functions
async def test_a_response_refuses(net: Net, function: str, form: Form) -> None:
    """What they return is sent, and no handler runs; None lets the client in."""
    responses: dict[str, Response | None] = {
        "/teapot": Response(418, Headers([("X-Why", "because")]), b"short and stout"),
        "/": None,
    }
    seen: list[tuple[State, str]] = []

    def decide(connection: ServerConnection, request: Request, *_: Response) -> Response | None:
        assert connection.request is request
        seen.append((connection.state, connection.remote_address[0]))
        return responses[request.path]

    handled = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal handled
        handled += 1
        await echo(connection)

    async with net.serve(handler, "127.0.0.1", 0, **{function: form(decide)}) as server:
        with pytest.raises(net.InvalidStatus, match="418") as caught:
            await net.connect(url(server, "/teapot"), proxy=None).__aenter__()
        response = caught.value.response
        assert (response.body, response.headers["x-why"]) == (b"short and stout", "because")
        assert handled == 0
        await _echoes(net, server)
    assert handled == 1
    assert seen == [(State.CONNECTING, "127.0.0.1")] * 2


async def test_a_plain_response(net: Net) -> None:
    """`connection.respond` makes one, of a status and a text."""

    def decide(connection: ServerConnection, _: Request) -> Response:
        return connection.respond(503, "come back later\n")

    async with net.serve(echo, "127.0.0.1", 0, process_request=decide) as server:
        response = await _refused(net, server)
    assert (response.status, response.body) == (503, b"come back later\n")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


@forms
@functions
async def test_what_raises(
    net: Net, function: str, form: Form, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets 500 and nothing of the error; the log has one line, with the traceback."""
    fails = True

    def decide(*_: Any) -> None:
        if fails:
            raise KeyError("S3CRET")

    async with net.serve(echo, "127.0.0.1", 0, **{function: form(decide)}) as server:
        response = await _refused(net, server)
        assert response.status == 500
        assert b"S3CRET" not in response.body
        fails = False
        await _echoes(net, server)
    assert len(_errors(caplog)) == 1
    assert [r.exc_info is not None for r in caplog.records if r.levelname == "ERROR"] == [True]


MISTAKES: list[object] = [
    "no",
    "nothing",
    (503, [], b"busy"),
    True,
    503,
    Response(101),
    Response(99),
    Response(200, Headers([("X", "a\r\nb")])),
    Response(200, Headers([("Content-Length", "5")])),
]


@forms
@functions
@pytest.mark.parametrize("mistake", MISTAKES, ids=repr)
async def test_what_returns_nonsense(
    net: Net, function: str, form: Form, mistake: object, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no response, or none that can be sent, is a mistake like any other, and hurts nobody else."""
    if function == "process_response" and mistake == Response(101):
        pytest.skip("it changes nothing")
    wrong = True

    def decide(*_: Any) -> object:
        return mistake if wrong else None

    async with net.serve(echo, "127.0.0.1", 0, **{function: form(decide)}) as server:
        with anyio.fail_after(3):
            assert (await _refused(net, server)).status == 500
        wrong = False
        await _echoes(net, server)
        before = time.monotonic()
    assert time.monotonic() - before < 0.9
    assert len(_errors(caplog)) == 1


@functions
async def test_what_hangs(net: Net, function: str, caplog: pytest.LogCaptureFixture) -> None:
    """After `open_timeout` the client gets 503, and nothing is left of it."""
    cancelled = anyio.Event()

    async def decide(*_: Any) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    keywords = {function: decide, "open_timeout": 0.1}
    async with net.serve(echo, "127.0.0.1", 0, **keywords) as server:
        before = len(running())
        began = time.monotonic()
        assert (await _refused(net, server)).status == 503
        assert 0.09 < time.monotonic() - began < 5
        with anyio.fail_after(5):
            await cancelled.wait()
        await until(lambda: len(running()) <= before and not server.openings)
    assert _errors(caplog) == []


async def test_what_answers_in_time(net: Net) -> None:
    """A decision may take long, within `open_timeout`; others are not held up by it."""
    asked, decided = anyio.Event(), anyio.Event()

    async def decide(_: Connection, request: Request) -> None:
        if request.path == "/slow":
            asked.set()
            await decided.wait()

    async with (
        net.serve(echo, "127.0.0.1", 0, process_request=decide) as server,
        anyio.create_task_group() as tasks,
    ):

        async def wait() -> None:
            async with net.connect(url(server, "/slow"), proxy=None) as connection:
                await connection.send("x")
                assert await connection.recv() == "x"

        tasks.start_soon(wait)
        await asked.wait()
        assert server.connections == set()
        await _echoes(net, server)
        decided.set()


async def test_the_response_can_be_changed(net: Net) -> None:
    """`process_response` adds headers to the 101, and those of the handshake it can't touch."""
    added: list[tuple[str, str]] = [("X-Session", "1"), ("X-Session", "2")]

    def decide(_: Connection, __: Request, response: Response) -> Response:
        assert response.status == 101
        return Response(101, Headers([*response.headers.lines, *added]))

    async with net.serve(echo, "127.0.0.1", 0, process_response=decide) as server:
        connection = await _opened(net, server)
        assert connection.response.headers.get_all("X-Session") == ["1", "2"]
        await connection.close()
        for line in [("Sec-WebSocket-Accept", "x"), ("X", "a\r\nb"), ("Connection", "close")]:
            added = [line]
            assert (await _refused(net, server)).status == 500


async def test_who_is_asked_first(net: Net) -> None:
    """First `process_request`, then `select_subprotocol`, then `process_response`, of one connection."""
    asked: list[tuple[str, Any]] = []

    class Mine(ServerConnection):
        pass

    def noting(name: str) -> Decision:
        def note(connection: Any, *_: Any) -> None:
            asked.append((name, connection))
            connection.__dict__["noted"] = name

        return note

    async def handler(connection: Any) -> None:
        asked.append(("handler", connection))
        assert connection.noted == "process_response"

    names = ("process_request", "select_subprotocol", "process_response")
    keywords = {name: noting(name) for name in names}
    async with net.serve(handler, "127.0.0.1", 0, create_connection=Mine, **keywords) as server:
        connection = await _opened(net, server)
        assert [message async for message in connection] == []
    assert [name for name, _ in asked] == [*names, "handler"]
    assert len({each for _, each in asked}) == 1
    assert isinstance(asked[0][1], Mine)


async def test_a_subprotocol_is_selected(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """`select_subprotocol` sees what is offered, and picks one or none; another is a mistake."""
    picked: str | None = "b"
    seen: list[tuple[str, ...]] = []

    def select(_: Connection, offered: Any) -> str | None:
        seen.append(tuple(offered))
        return picked

    keywords = {"subprotocols": ["a"], "select_subprotocol": select}
    async with net.serve(echo, "127.0.0.1", 0, **keywords) as server:
        for picked in ("b", None):
            connection = await _opened(net, server, subprotocols=["a", "b"])
            assert connection.subprotocol == picked
            (other,) = server.connections
            assert other.subprotocol == picked
            await connection.close()
        assert _errors(caplog) == []
        picked = "c"
        assert (await _refused(net, server, subprotocols=["a", "b"])).status == 500
    assert seen == [("a", "b")] * 3
    assert len(_errors(caplog)) == 1


async def test_a_subprotocol_is_required(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """NegotiationError refuses with 400 and what it says."""

    def select(_: Connection, offered: Any) -> str | None:
        if "chat" in offered:
            return "chat"
        raise net.exceptions.NegotiationError("speak chat" if offered else "")

    async with net.serve(echo, "127.0.0.1", 0, select_subprotocol=select) as server:
        response = await _refused(net, server, subprotocols=["a"])
        assert (response.status, response.body) == (400, b"speak chat\n")
        assert (await _refused(net, server)).status == 400
        connection = await _opened(net, server, subprotocols=["a", "chat"])
        assert connection.subprotocol == "chat"
        await connection.close()
    assert _errors(caplog) == []


# Keywords.


async def test_what_we_call_ourselves(net: Net) -> None:
    """`server_header` stands in the 101, beside other headers; without it we say nothing."""
    options = ServerOptions(headers=(("X-Hello", "there"),))
    for name, expected in [(None, []), ("hubbub", ["hubbub"])]:
        async with net.serve(echo, "127.0.0.1", 0, server_header=name, options=options) as server:
            connection = await _opened(net, server)
            assert connection.response.headers.get_all("Server") == expected
            assert connection.response.headers["X-Hello"] == "there"
            await connection.close()


ORIGINS: list[tuple[dict[str, Any], set[str | None]]] = [
    ({}, {None, "same"}),
    ({"origins": "same-host"}, {None, "same"}),
    ({"origins": None}, {None, "same", "https://a.example", "https://b.example"}),
    ({"origins": ["https://a.example"]}, {None, "https://a.example"}),
    ({"origins": [None, "https://a.example"]}, {None, "https://a.example"}),
    ({"origins": []}, {None}),
]


@pytest.mark.parametrize(("keywords", "allowed"), ORIGINS, ids=[str(e[0]) for e in ORIGINS])
async def test_origins(net: Net, keywords: dict[str, Any], allowed: set[str | None]) -> None:
    """Pages of our own host may connect, or those listed, or all; who is no page always may."""
    async with net.serve(echo, "127.0.0.1", 0, **keywords) as server:
        own = url(server, "").replace("ws", "http")
        for origin in (None, "same", "https://a.example", "https://b.example"):
            sent = own if origin == "same" else origin
            if origin in allowed:
                await (await _opened(net, server, origin=sent)).close()
            else:
                assert (await _refused(net, server, origin=sent)).status == 403


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_compression(net: Net, compression: str | None) -> None:
    """It is agreed on where both sides want it, and only there."""
    async with net.serve(echo, "127.0.0.1", 0, compression=compression) as server:
        for offered in ("deflate", None):
            async with client(server, compression=offered) as peer:
                agreed = "Sec-WebSocket-Extensions" in peer.response.headers
                assert agreed is (compression is not None and offered is not None)
                await peer.send("x" * 10_000)
                assert await peer.recv() == "x" * 10_000
    options = ServerOptions(deflate=Deflate(threshold=1))
    assert net.serve(echo, options=options, port=0)._options.deflate == options.deflate
    assert net.serve(echo, options=options, port=0, compression=None)._options.deflate is None


VALUES = {
    name: (None if "None" in str(kind) else 7.5 if kind is float else 20_000_000)
    for name, kind in get_type_hints(LimitKeywords).items()
}


def test_the_keywords_are_the_limits() -> None:
    """Every field of `Limits` is a keyword, of the same type, and nothing else is."""
    fields = {field.name: field.type for field in msgspec.structs.fields(Limits)}
    assert get_type_hints(LimitKeywords) == fields
    assert LimitKeywords.__total__ is False


@pytest.mark.parametrize("name", VALUES)
def test_each_limit(net: Net, name: str) -> None:
    """`serve` and `connect` take each by name, and keep the others as the options have them."""
    limits = Limits(max_headers=99, max_write_buffer=2**26)
    keywords = {name: VALUES[name]}
    expected = msgspec.structs.replace(limits, **keywords)
    assert expected != limits
    made = net.serve(echo, port=0, options=ServerOptions(limits=limits), **keywords)
    assert made._options.limits == expected
    made = net.connect("ws://localhost/", options=None, **keywords)
    assert made._options.limits == msgspec.structs.replace(Limits(), **keywords) or name in (
        "write_limit",
    )


async def test_a_limit_holds(net: Net) -> None:
    """What is given so bounds the connection."""
    async with net.serve(echo, "127.0.0.1", 0, max_size=5) as server:
        connection = await _opened(net, server)
        await connection.send("123456")
        with pytest.raises(net.ConnectionClosedError, match="1009"):
            await connection.recv()
        await connection.close()


WRONG: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"max_siez": 5}, TypeError),
    ({"max_size": "5"}, ValueError),
    ({"max_size": 0}, ValueError),
    ({"max_queue": (16, 4)}, LocalProtocolError),
    ({"compression": "gzip"}, ValueError),
    ({"subprotocols": "chat"}, TypeError),
    ({"subprotocols": ["a b"]}, LocalProtocolError),
    ({"origins": "https://a.example"}, TypeError),
    ({"origins": ["a.example"]}, LocalProtocolError),
    ({"server_header": "a\r\nb"}, LocalProtocolError),
    ({"trusted_proxies": ["10.0.0.1/8"]}, ValueError),
    ({"trusted_proxies": "10.0.0.1"}, ValueError),
]


@pytest.mark.parametrize(("keywords", "error"), WRONG, ids=[str(keywords) for keywords, _ in WRONG])
def test_mistakes(net: Net, keywords: dict[str, Any], error: type[Exception]) -> None:
    """They are told when `serve` is called."""
    with pytest.raises(error, match=next(iter(keywords)).partition("_")[0]):
        net.serve(echo, port=0, **keywords)


def test_a_handler_that_is_no_coroutine_function(net: Net) -> None:
    """That is told at once, too; an object that is called like one is fine."""

    class Object:
        async def __call__(self, connection: Connection) -> None:
            pass

    net.serve(Object(), port=0)
    for wrong in (lambda connection: None, None, Object):
        with pytest.raises(TypeError, match="async def"):
            net.serve(wrong, port=0)


async def test_where_is_logged(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """`logger` may be a logger or an adapter; connections have it too."""

    async def handler(connection: ServerConnection) -> None:
        connection.logger.info("handled")

    logger = logging.getLogger("mine")
    adapter: Awaitable[None] | Any = logging.LoggerAdapter(logger, {})
    with caplog.at_level(logging.INFO):
        for chosen in (logger, adapter):
            async with net.serve(handler, "127.0.0.1", 0, logger=chosen) as server:
                connection = await _opened(net, server)
                assert [message async for message in connection] == []
    logged = [r for r in caplog.records if r.levelno >= logging.INFO and r.name != "asyncio"]
    assert {record.name for record in logged} == {"mine"}
    assert [record.getMessage() for record in logged].count("handled") == 2
