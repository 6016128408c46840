"""Clients that connect through an HTTP proxy."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from hubbub.apps.echo import echo
from support.certificates import Certificate
from support.http_proxy import HttpProxy, proxying
from support.loops import descriptors, until
from support.net import Net, address, serving, url
from support.wire import head

VARIABLES = ("ws", "wss", "http", "https", "all", "no", "socks")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No proxy is set but by the test."""
    for name in VARIABLES:
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)
    return monkeypatch


async def _said(net: Net, uri: str, **keywords: Any) -> Any:
    """Connect, say something and more, and close; the connection."""
    async with net.connect(uri, **keywords) as connection:
        for message in ("x", b"y" * 200_000):
            await connection.send(message)
            assert await connection.recv() == message
    return connection


@pytest.mark.parametrize("to_server", ["ws", "wss"])
@pytest.mark.parametrize("to_proxy", ["http", "https"])
async def test_a_tunnel(
    net: Net,
    certificate: Certificate,
    environment: pytest.MonkeyPatch,
    to_proxy: str,
    to_server: str,
) -> None:
    """With TLS or without, to the proxy and to the server, one tunnel is made, by the proxy's own lookup."""
    environment.setenv("SSL_CERT_FILE", str(certificate.certificate))
    inner = certificate.server_context() if to_server == "wss" else None
    outer = certificate.server_context() if to_proxy == "https" else None
    async with net.serve(echo, "127.0.0.1", 0, ssl=inner) as server:
        proxy = HttpProxy(where=address(server))
        async with proxying(proxy, outer):
            keywords = {} if inner is None else {"server_hostname": "localhost"}
            uri = f"{to_server}://nothing.invalid/"
            connection = await _said(net, uri, proxy=proxy.url(), **keywords)
            assert connection.remote_address == ("127.0.0.1", proxy.port)
    port = 443 if to_server == "wss" else 80
    ((first, *lines),) = proxy.requests
    assert first == f"CONNECT nothing.invalid:{port} HTTP/1.1"
    names = sorted(line.partition(":")[0] for line in lines)
    assert names == ["Host", "User-Agent"]


async def test_what_is_told_to_the_proxy(net: Net) -> None:
    """It learns the agent, if the server does, and none of the server's secrets."""
    headers = {"Authorization": "Bearer x", "Cookie": "a=b"}
    async with serving(net, echo) as server, proxying() as proxy:
        keywords = {"proxy": proxy.url(), "additional_headers": headers}
        await _said(net, url(server), user_agent_header=None, **keywords)
        await _said(net, url(server), user_agent_header="x/1", **keywords)
        place = "{}:{}".format(*address(server))
    host = f"Host: {place}"
    assert [lines[1:] for lines in proxy.requests] == [[host], [host, "User-Agent: x/1"]]


async def test_an_ipv6_server(net: Net) -> None:
    """Its address stands in brackets."""
    async with net.serve(echo, "::1", 0) as server, proxying() as proxy:
        port = server.sockets[0].getsockname()[1]
        await _said(net, f"ws://[::1]:{port}/", proxy=proxy.url())
    assert proxy.asked == [f"CONNECT [::1]:{port} HTTP/1.1"]


async def test_another_place_than_the_uris(net: Net) -> None:
    """`host` and `port` say where the tunnel leads, as they say where to connect without one."""
    async with serving(net, echo) as server, proxying() as proxy:
        host, port = address(server)
        await _said(net, "ws://nothing.invalid/", host=host, port=port, proxy=proxy.url())
    assert proxy.asked == [f"CONNECT {host}:{port} HTTP/1.1"]


async def test_a_user(net: Net) -> None:
    """The user and password of the proxy's URL are sent, decoded; wrong ones raise InvalidProxyStatus."""
    async with (
        serving(net, echo) as server,
        proxying(HttpProxy(user="Aladdin:open sesame")) as proxy,
    ):
        await _said(net, url(server), proxy=proxy.url("Aladdin:open%20sesame@"))
        for user in ("", "Aladdin:sesame@", "Aladdin@"):
            with pytest.raises(net.exceptions.InvalidProxyStatus, match="407") as caught:
                await _said(net, url(server), proxy=proxy.url(user))
            assert "sesame" not in str(caught.value)
            response = caught.value.response
            assert (response.status, response.body) == (407, b"who?")
            assert response.headers["Proxy-Authenticate"] == "Basic"


@pytest.mark.parametrize("status", [301, 403, 407, 502, 503])
async def test_a_refusal(net: Net, status: int) -> None:
    """Any status but 2xx raises InvalidProxyStatus; a redirect of the proxy's is not followed."""
    lines = [("Location", "ws://127.0.0.1:1/"), ("Content-Length", "2")]
    proxy = HttpProxy(answer=head(f"HTTP/1.1 {status} No", lines) + b"no")
    async with proxying(proxy):
        for _ in range(2):
            before = descriptors()
            with pytest.raises(net.exceptions.InvalidProxyStatus, match=str(status)) as caught:
                await _said(net, "ws://nothing.invalid/", proxy=proxy.url())
            assert caught.value.response.body == b"no"
        await until(lambda: descriptors() <= before)
    assert len(proxy.asked) == 2


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 Conn", b"SSH-2.0-OpenSSH_9\r\n\r\n", b"\x16\x03\x01" * 9],
    ids=["nothing", "half", "no HTTP", "TLS"],
)
async def test_an_answer_that_is_none(net: Net, answer: bytes, secure: bool) -> None:
    """No HTTP, or no whole response, raises ProxyError, which may be tried again."""
    proxy = HttpProxy(answer=answer)
    async with proxying(proxy):
        connect = net.connect(f"ws{'s' * secure}://nothing.invalid/", proxy=proxy.url())
        with pytest.raises(net.exceptions.ProxyError) as caught:
            await connect.__aenter__()
        assert type(caught.value) is net.exceptions.ProxyError
        assert connect.judge(caught.value) is None


async def test_a_silent_proxy(net: Net) -> None:
    """`open_timeout` bounds the proxy's answer."""
    proxy = HttpProxy(silent=True)
    async with proxying(proxy):
        for _ in range(2):
            before = descriptors()
            with pytest.raises(TimeoutError):
                await _said(net, "ws://nothing.invalid/", proxy=proxy.url(), open_timeout=0.1)
        await until(lambda: descriptors() <= before)


@pytest.mark.parametrize(
    ("scheme", "after"), [("ws", 0), ("ws", 1), ("ws", 60), ("wss", 0), ("wss", 9), ("wss", 600)]
)
async def test_a_proxy_that_dies_while_the_connection_opens(
    net: Net, certificate: Certificate, scheme: str, after: int
) -> None:
    """Whatever it has passed on, the failure is one that may be tried again, and nothing is left."""
    tls = scheme == "wss"
    context = certificate.server_context() if tls else None
    async with net.serve(echo, "127.0.0.1", 0, ssl=context) as server:
        proxy = HttpProxy(where=address(server), dies_after=after)
        async with proxying(proxy):
            for _ in range(2):
                before = descriptors()
                connect = net.connect(
                    f"{scheme}://localhost/",
                    proxy=proxy.url(),
                    ssl=certificate.client_context() if tls else None,
                )
                with pytest.raises((OSError, net.exceptions.InvalidMessage)) as caught:
                    await connect.__aenter__()
                assert connect.judge(caught.value) is None
            await until(lambda: descriptors() <= before)


async def test_a_proxy_that_dies_in_the_middle(net: Net) -> None:
    """An open connection is lost with it."""
    async with serving(net, echo) as server:
        proxy = HttpProxy(where=address(server), dies_after=10_000)
        async with proxying(proxy):
            with pytest.raises(net.ConnectionClosedError):
                await _said(net, "ws://localhost/", proxy=proxy.url())
        await until(lambda: not server.connections)


async def test_a_proxy_that_is_not_there(net: Net) -> None:
    """It raises OSError, as a server that is not there."""
    async with proxying() as proxy:
        gone = proxy.url()
    with pytest.raises(ConnectionRefusedError):
        await _said(net, "ws://nothing.invalid/", proxy=gone)


async def test_a_proxy_that_is_not_trusted(net: Net, certificate: Certificate) -> None:
    """Its certificate is looked at before anything is said to it."""
    async with proxying(ssl=certificate.server_context()) as proxy:
        with pytest.raises(ssl.SSLCertVerificationError):
            await _said(net, "ws://nothing.invalid/", proxy=proxy.url("a:b@"))
    assert proxy.asked == []


# The environment.


@pytest.mark.parametrize(
    "name", ["http_proxy", "all_proxy", "ws_proxy", "HTTPS_PROXY", "wss_proxy"]
)
async def test_a_proxy_in_the_environment(
    net: Net, certificate: Certificate, environment: pytest.MonkeyPatch, name: str
) -> None:
    """ws goes through `http_proxy`, wss through `https_proxy`, unless there is one of their own."""
    secure = name in ("HTTPS_PROXY", "wss_proxy")
    tls = certificate.server_context() if secure else None
    async with net.serve(echo, "127.0.0.1", 0, ssl=tls) as server:
        proxy = HttpProxy(where=address(server))
        async with proxying(proxy):
            environment.setenv(name, proxy.url().removeprefix("http://"))
            uri = f"ws{'s' * secure}://localhost/"
            keywords = {"ssl": certificate.client_context()} if secure else {}
            await _said(net, uri, **keywords)
            await _said(net, uri, proxy=True, **keywords)
    assert len(proxy.asked) == 2


async def test_ones_own_goes_first(net: Net, environment: pytest.MonkeyPatch) -> None:
    """`ws_proxy` goes before `http_proxy`, and both before `all_proxy`; an empty one is none."""
    async with serving(net, echo) as server, proxying() as proxy:
        environment.setenv("all_proxy", "http://127.0.0.1:1")
        environment.setenv("http_proxy", "http://127.0.0.1:1")
        environment.setenv("ws_proxy", proxy.url())
        await _said(net, url(server))
        environment.setenv("http_proxy", proxy.url())
        environment.setenv("ws_proxy", "")
        await _said(net, url(server))
    assert len(proxy.asked) == 2


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "*", "example.com,127.0.0.1", "127.0.0.1:{}"])
async def test_places_without_a_proxy(
    net: Net, environment: pytest.MonkeyPatch, no_proxy: str
) -> None:
    """`no_proxy` names hosts that are reached straight."""
    async with serving(net, echo) as server, proxying() as proxy:
        environment.setenv("http_proxy", proxy.url())
        environment.setenv("no_proxy", "example.com,127.0.0.2,27.0.0.1")
        await _said(net, url(server))
        assert len(proxy.asked) == 1
        environment.setenv("no_proxy", no_proxy.format(address(server)[1]))
        await _said(net, url(server))
    assert len(proxy.asked) == 1


async def test_without_asking_the_environment(
    net: Net, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`proxy=None`, a proxy of one's own, and Unix sockets don't look at it."""
    environment.setenv("http_proxy", "http://127.0.0.1:1")
    async with (
        serving(net, echo) as server,
        net.unix_serve(echo, tmp_path / "socket"),
        proxying() as proxy,
    ):
        await _said(net, url(server), proxy=None)
        await _said(net, url(server), proxy=proxy.url())
        async with net.unix_connect(tmp_path / "socket") as connection:
            await connection.send("x")
            assert await connection.recv() == "x"
    assert len(proxy.asked) == 1
