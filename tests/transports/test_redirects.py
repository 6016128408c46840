"""Redirects: where `connect` goes, how often, and what it tells to whom."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from hubbub.apps.echo import echo
from hubbub.core import ClientOptions, Headers, Request, Response
from support.certificates import Certificate
from support.loops import descriptors, until
from support.net import Connection, Net, Server, address, url

SECRETS = {"Authorization": "Bearer x", "Cookie": "a=b", "Proxy-Authorization": "Basic eDp5"}


class Place:
    """A server that answers each request with the redirect for its target, if there is one."""

    def __init__(self) -> None:
        self.redirects: dict[str, str] = {}
        self.status = 302
        self.asked: list[Request] = []

    def serve(self, net: Net, **keywords: Any) -> AbstractAsyncContextManager[Server]:
        """Serve it."""
        server: AbstractAsyncContextManager[Server] = net.serve(
            echo, "127.0.0.1", 0, process_request=self._answer, origins=None, **keywords
        )
        return server

    def _answer(self, _: Connection, request: Request) -> Response | None:
        self.asked.append(request)
        location = self.redirects.get(request.target)
        if location is None:
            return None
        return Response(self.status, Headers([("Location", location)]))

    def targets(self) -> list[str]:
        """What was asked for."""
        return [request.target for request in self.asked]

    def told(self) -> set[str]:
        """Which of the secrets the last request had."""
        return {name for name in SECRETS if name in self.asked[-1].headers}


async def _goes(net: Net, uri: str, **keywords: Any) -> Any:
    """Connect and say something; the connection, closed."""
    async with net.connect(uri, proxy=None, **keywords) as connection:
        await connection.send("x")
        assert await connection.recv() == "x"
    return connection


LOCATIONS: Iterable[tuple[str, Callable[[str], str], str]] = [
    ("/there?a=b", str, "/there?a=b"),
    ("there", str, "/far/there"),
    ("?a=b", str, "/far/away?a=b"),
    ("/there#part", str, "/there"),
    ("absolute", lambda place: f"ws://{place}/there", "/there"),
    ("http", lambda place: f"http://{place}/there", "/there"),
    ("no scheme", lambda place: f"//{place}/there", "/there"),
]


@pytest.mark.parametrize(("given", "location", "target"), LOCATIONS, ids=[e[0] for e in LOCATIONS])
async def test_inside_one_origin(
    net: Net, given: str, location: Callable[[str], str], target: str
) -> None:
    """A redirect is followed, whatever its form, and everything is told to the same origin."""
    place = Place()
    async with place.serve(net) as server:
        where = "{}:{}".format(*address(server))
        place.redirects["/far/away"] = location(given if location is str else where)
        connection = await _goes(net, f"ws://{where}/far/away", additional_headers=SECRETS)
        assert connection.request.target == target
    assert place.targets() == ["/far/away", target]
    assert place.told() == SECRETS.keys()


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_each_status(net: Net, status: int) -> None:
    """Every status that may carry a Location is followed."""
    place = Place()
    place.status = status
    place.redirects["/"] = "/there"
    async with place.serve(net) as server:
        await _goes(net, url(server))
    assert place.targets() == ["/", "/there"]


@pytest.mark.parametrize("status", [304, 305, 399, 200, 404])
async def test_other_statuses(net: Net, status: int) -> None:
    """Others are not, whatever their Location says."""
    place = Place()
    place.status = status
    place.redirects["/"] = "/there"
    async with place.serve(net) as server:
        with pytest.raises(net.InvalidStatus, match=str(status)):
            await _goes(net, url(server))
    assert place.targets() == ["/"]


@pytest.mark.parametrize("where", ["headers", "options", "URI"])
async def test_another_origin_learns_no_secret(net: Net, where: str) -> None:
    """Another port is another origin: credentials stay behind, the rest goes along."""
    one, two = Place(), Place()
    rest = {"X-Hello": "there"}
    keywords: dict[str, Any] = {"additional_headers": SECRETS | rest}
    if where == "options":
        headers = tuple((SECRETS | rest).items())
        keywords = {"options": ClientOptions(host="x", headers=headers)}
    elif where == "URI":
        keywords = {"additional_headers": rest}
    async with one.serve(net) as first, two.serve(net) as second:
        one.redirects["/"] = url(second, "/there")
        uri = url(first)
        await _goes(net, uri.replace("//", "//a:b@") if where == "URI" else uri, **keywords)
    assert one.told() == ({"Authorization"} if where == "URI" else SECRETS.keys())
    assert two.targets() == ["/there"]
    assert two.asked[0].headers["X-Hello"] == "there"
    assert two.told() == set()


async def test_there_and_back_again(net: Net) -> None:
    """What another origin sent us to learns no secret, not even where it is the first again."""
    one, two = Place(), Place()
    async with one.serve(net) as first, two.serve(net) as second:
        one.redirects["/"] = url(second)
        two.redirects["/"] = url(first, "/there")
        await _goes(net, url(first).replace("//", "//a:b@"), additional_headers=SECRETS)
    assert one.targets() == ["/", "/there"]
    assert one.told() == set()


async def test_from_ws_to_wss(net: Net, certificate: Certificate, tmp_path: Path) -> None:
    """A redirect may lead to TLS, never back: what was said under it is not said in the clear."""
    plain, secure = Place(), Place()
    context = certificate.client_context()
    async with (
        plain.serve(net) as one,
        secure.serve(net, ssl=certificate.server_context()) as two,
    ):
        port = address(two)[1]
        plain.redirects["/"] = f"wss://localhost:{port}/"
        secure.redirects["/back"] = url(one)
        await _goes(net, f"wss://localhost:{port}/", ssl=context)
        before = descriptors()
        with pytest.raises(net.exceptions.SecurityError, match="from wss:// to ws://"):
            await _goes(net, f"wss://localhost:{port}/back", ssl=context)
        await until(lambda: descriptors() <= before)
        assert plain.asked == []
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(certificate.certificate))
            connection = await _goes(net, url(one))
        assert connection.request.headers["Host"] == f"localhost:{port}"


async def test_too_many(net: Net) -> None:
    """After ten redirects it gives up, and leaves no socket."""
    place = Place()
    place.redirects["/"] = "/"
    async with place.serve(net) as server:
        before = descriptors()
        with pytest.raises(net.exceptions.SecurityError, match="10"):
            await _goes(net, url(server))
        await until(lambda: descriptors() <= before)
    assert place.targets() == ["/"] * 11


async def test_ten_requests_may_be_made(net: Net) -> None:
    """The last of these may be the one that succeeds."""
    place = Place()
    place.redirects = {f"/{number}": f"/{number + 1}" for number in range(9)}
    async with place.serve(net) as server:
        await _goes(net, url(server, "/0"))
    assert place.targets() == [f"/{number}" for number in range(10)]


@pytest.mark.parametrize(
    "location", ["", "#x", "ftp://example.com/", "ws://a:b:c/", "ws://", "/a b"]
)
async def test_a_location_that_cannot_be_followed(net: Net, location: str) -> None:
    """It raises SecurityError, caused by the response."""
    place = Place()
    place.redirects["/"] = location
    async with place.serve(net) as server:
        with pytest.raises(net.exceptions.SecurityError) as caught:
            await _goes(net, url(server))
        assert isinstance(caught.value.__cause__, net.InvalidStatus)
    assert place.targets() == ["/"]


async def test_where_the_place_is_given(net: Net, tmp_path: Path) -> None:
    """With `host`, `port` or a path a redirect is followed inside the origin, with `sock` never."""
    place = Place()
    path = tmp_path / "socket"
    place.redirects = {"/": "/there", "/away": "ws://example.com/there"}
    async with (
        place.serve(net) as server,
        net.unix_serve(echo, path, process_request=place._answer),
    ):
        host, port = address(server)
        await _goes(net, "ws://localhost/", host=host, port=port)
        await _goes(net, "ws://localhost/", path=path)
        assert place.targets() == ["/", "/there"] * 2
        for given in ({"host": host, "port": port}, {"path": path}):
            with pytest.raises(net.exceptions.SecurityError, match="another origin"):
                await _goes(net, "ws://localhost/away", **given)
        sock = socket.create_connection((host, port))
        with pytest.raises(net.exceptions.SecurityError, match="existing socket"):
            await _goes(net, "ws://localhost/", sock=sock)
        assert sock.fileno() == -1
    assert place.targets().count("/there") == 2


async def test_connecting_again(net: Net) -> None:
    """Whoever is connected again goes where the redirect led."""
    place = Place()
    place.redirects["/"] = "/there"
    async with place.serve(net) as server:
        rounds = 0
        async for connection in net.connect(url(server), proxy=None):
            rounds += 1
            await connection.close()
            if rounds == 2:
                break
    assert place.targets() == ["/", "/there", "/there"]
