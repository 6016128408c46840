"""What a server's user may decide about a request."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from hubbub.apps.echo import echo
from hubbub.core import Headers, Request, Response, State
from hubbub.transports.asyncio import ServerConnection
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
    503,
    Response(99),
    Response(200, Headers([("X", "a\r\nb")])),
    Response(200, Headers([("Content-Length", "5")])),
]


@functions
@pytest.mark.parametrize("mistake", MISTAKES, ids=repr)
async def test_what_returns_nonsense(
    net: Net, function: str, mistake: object, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no response, or none that can be sent, is a mistake like any other, and hurts nobody else."""
    wrong = True

    def decide(*_: Any) -> object:
        return mistake if wrong else None

    async with net.serve(echo, "127.0.0.1", 0, **{function: decide}) as server:
        with anyio.fail_after(1):
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
