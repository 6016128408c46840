"""The keywords of `serve`, most of which are those of `connect` too."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable
from typing import Any, cast, get_type_hints

import msgspec
import pytest

from hubbub.apps.echo import echo
from hubbub.core import Limits, LocalProtocolError, ServerOptions
from hubbub.core.extensions import Deflate
from hubbub.transports.asyncio import ServerConnection
from hubbub.transports.options import LimitKeywords
from support.clients import client
from support.net import Connection, Net, serving, url


async def _opened(net: Net, server: Any, **keywords: Any) -> Any:
    return await net.connect(url(server), proxy=None, **keywords).__aenter__()


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
                with pytest.raises(net.InvalidStatus, match="403"):
                    await _opened(net, server, origin=sent)


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
    name: (None if "None" in str(kind) else 7.5 if kind is float else 70_001)
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
    made = net.connect("ws://localhost/", **keywords)
    assert made._options.limits == msgspec.structs.replace(Limits(), **keywords)


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
    ({"max_queue": (16, 4)}, ValueError),
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
    words = next(iter(keywords)).removesuffix("s").replace("_", ".")
    with pytest.raises(error, match=re.compile(words.removesuffix(".header"), re.IGNORECASE)):
        net.serve(echo, port=0, **keywords)


async def test_what_may_be_a_handler(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is called like a coroutine function is; what gives nothing to await is told in the log."""

    class Object:
        async def __call__(self, connection: Connection) -> None:
            await connection.send("hello")

    def called(connection: Connection) -> Awaitable[None]:
        return Object()(connection)

    for right in (Object(), called):
        async with serving(net, right) as server, net.connect(url(server)) as connection:
            assert await connection.recv() == "hello"
    wrong: Any = lambda connection: None  # noqa: E731
    async with serving(net, wrong) as server, net.connect(url(server)) as connection:
        await connection.wait_closed()
        assert connection.close_code == 1011
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.exc_info is not None
    assert "async def" in str(record.exc_info[1])
    with pytest.raises(TypeError, match="coroutine function"):
        net.serve(cast("Any", None), port=0)


async def test_where_is_logged(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """`logger` may be a logger or an adapter; connections have it too."""

    async def handler(connection: ServerConnection) -> None:
        connection.logger.info("handled")

    logger = logging.getLogger("mine")
    adapter: Any = logging.LoggerAdapter(logger, {})
    with caplog.at_level(logging.INFO):
        for chosen in (logger, adapter):
            async with net.serve(handler, "127.0.0.1", 0, logger=chosen) as server:
                connection = await _opened(net, server)
                assert [message async for message in connection] == []
    logged = [r for r in caplog.records if r.levelno >= logging.INFO and r.name != "asyncio"]
    assert {record.name for record in logged} == {"mine"}
    assert [record.getMessage() for record in logged].count("handled") == 2
