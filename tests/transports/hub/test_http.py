"""Ordinary HTTP requests to a hub, which a user's function answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from hubbub.core.forwarded import TrustedProxies
from hubbub.core.http import Headers, Request, Response, text_response
from hubbub.core.hub_limits import HubLimits
from support.hub_peers import HubServer, hub, hub_config, peer, until_left
from support.net import Net
from support.peers import raw_peer
from support.wire import head


async def _ask(
    server: HubServer, method: str, target: str, body: bytes = b"", **lines: str
) -> bytes:
    fields = [("Host", "example.com"), *((k.replace("_", "-"), v) for k, v in lines.items())]
    if body:
        fields.append(("Content-Length", str(len(body))))
    async with raw_peer(server) as client:
        await client.send(head(f"{method} {target} HTTP/1.1", fields) + body)
        return await client.read_rest()


async def test_publishing_over_http(net: Net) -> None:
    """The function gets the request, its body and the client's address; it may be async and publish."""
    seen: list[Any] = []

    async def answer(request: Request, body: bytes, address: str | None) -> Response:
        seen.append((request.method, request.path, request.query, body, address))
        published = await server.publish("alerts", body.decode())
        return text_response(200, f"{published.recipients} got it")

    async with hub(net, http=answer) as server, peer(server) as ann:
        await ann.subscribe("alerts")
        got = await _ask(server, "POST", "/publish?now=1", b"fire")
        assert got.startswith(b"HTTP/1.1 200 ")
        assert got.endswith(b"1 got it\n")
        assert (await ann.recv())["message"] == "fire"
    assert seen == [("POST", "/publish", "now=1", b"fire", "127.0.0.1")]


async def test_a_plain_function(net: Net) -> None:
    """It may be plain; routes are answered before it, and WebSockets go on."""
    async with hub(net, http=lambda request, body, address: text_response(404, "no")) as server:
        assert (await _ask(server, "GET", "/x")).startswith(b"HTTP/1.1 404 ")
        assert (await _ask(server, "GET", "/healthz")).startswith(b"HTTP/1.1 200 ")
        async with peer(server) as ann:
            await ann.subscribe("alerts")


async def test_no_function(net: Net) -> None:
    """Without one, ordinary requests are told what this is."""
    async with hub(net) as server:
        assert (await _ask(server, "GET", "/")).startswith(b"HTTP/1.1 426 ")


async def test_behind_a_proxy(net: Net) -> None:
    """The address is that of the client behind a trusted proxy."""
    config = hub_config(trusted_proxies=TrustedProxies(["127.0.0.1"]))
    async with hub(
        net, config, http=lambda request, body, address: text_response(200, str(address))
    ) as server:
        got = await _ask(server, "GET", "/", X_Forwarded_For="192.0.2.7")
        assert got.endswith(b"192.0.2.7\n")


def _raise(request: Request, body: bytes, address: str | None) -> Response:
    raise KeyError("a mistake")


async def _raise_later(request: Request, body: bytes, address: str | None) -> Response:
    await anyio.lowlevel.checkpoint()
    raise KeyError("a mistake")


def _return_text(request: Request, body: bytes, address: str | None) -> Response:
    return "text"  # type: ignore[return-value]


def _return_what_cannot_be_sent(request: Request, body: bytes, address: str | None) -> Response:
    return Response(200, Headers({"X": "a\r\nb"}))


@pytest.mark.parametrize(
    "function", [_raise, _raise_later, _return_text, _return_what_cannot_be_sent]
)
async def test_a_function_that_fails(
    net: Net, caplog: pytest.LogCaptureFixture, function: Callable[..., Any]
) -> None:
    """The client gets 500, the log says why, and no secret of the query stands in it."""
    async with hub(net, http=function) as server, peer(server) as ann:
        got = await _ask(server, "GET", "/?token=secret")
        assert got.startswith(b"HTTP/1.1 500 ")
        await ann.subscribe("alerts")
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(records) == 1
    assert "secret" not in caplog.text


async def test_a_function_that_takes_too_long(net: Net) -> None:
    """After `hook_timeout` the client gets 500."""

    async def wait(request: Request, body: bytes, address: str | None) -> Response:
        await anyio.sleep_forever()
        raise AssertionError

    config = hub_config(HubLimits(hook_timeout=0.05))
    async with hub(net, config, http=wait) as server:
        assert (await _ask(server, "GET", "/")).startswith(b"HTTP/1.1 500 ")


async def test_a_client_that_leaves(net: Net) -> None:
    """The answer to a client that is gone harms nobody."""
    asked, known = anyio.Event(), anyio.Event()

    async def wait(request: Request, body: bytes, address: str | None) -> Response:
        asked.set()
        await known.wait()
        return text_response(200, "late")

    async with hub(net, http=wait) as server:
        async with raw_peer(server) as client:
            await client.send(head("GET / HTTP/1.1", [("Host", "example.com")]))
            await asked.wait()
            client.reset()
        known.set()
        await until_left(server)
