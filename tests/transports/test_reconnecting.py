"""`async for connection in connect(uri)`: when it tries again, after how long, and what it leaves."""

from __future__ import annotations

import gc
import ssl
import time
from collections.abc import Callable, Iterator
from itertools import islice, repeat
from typing import Any

import anyio
import pytest

from hubbub.apps.echo import echo
from hubbub.core import Headers, Response, State
from hubbub.transports import exceptions
from hubbub.transports.reconnecting import process_exception
from support.answering import silent_port
from support.loops import descriptors, running, until
from support.net import Connection, Net, serving, url


class Delays:
    """Delays that are hardly any, and what was asked of them."""

    def __init__(self) -> None:
        self.made = 0
        """How often delays began anew."""
        self.drawn: list[int] = []
        """The place of each delay since then."""

    def __call__(self) -> Iterator[float]:
        """Delays from the start."""
        self.made += 1
        for number in range(1000):
            self.drawn.append(number)
            yield 0.0005


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        """The time."""
        return time.monotonic() + self._ahead

    def forward(self, seconds: float) -> None:
        """Let so much pass at once."""
        self._ahead += seconds


def _again(net: Net, uri: str, **keywords: Any) -> Any:
    """Connections without proxies and keepalive."""
    return net.connect(uri, proxy=None, ping_interval=None, **keywords)


def test_delays_grow(net: Net) -> None:
    """Unless told otherwise each delay is drawn from a range that doubles, up to a minute."""
    highest = net.connect("ws://localhost/", entropy=lambda size: b"\xff" * size)
    assert [round(delay, 6) for delay in islice(highest.delays(), 7)] == [5, 10, 20, 40, 60, 60, 60]
    lowest = net.connect("ws://localhost/", entropy=bytes)
    assert list(islice(lowest.delays(), 7)) == [0] * 7


async def test_until_there_is_a_server(net: Net) -> None:
    """It tries again, each time after the next delay, until somebody listens."""
    port = silent_port()
    delays = Delays()
    failures: list[Exception] = []
    served = anyio.Event()

    async def serve() -> None:
        async with net.serve(echo, "127.0.0.1", port):
            await served.wait()

    def judge(error: Exception) -> None:
        failures.append(error)
        if len(failures) == 5:
            tasks.start_soon(serve)

    async with anyio.create_task_group() as tasks:
        before = descriptors()
        async for connection in _again(
            net,
            f"ws://127.0.0.1:{port}/",
            clock=Clock(),
            reconnect_delays=delays,
            process_exception=judge,
        ):
            await connection.send("x")
            assert await connection.recv() == "x"
            await connection.close()
            break
        served.set()
    assert len(failures) >= 5
    assert all(isinstance(failure, ConnectionRefusedError) for failure in failures)
    assert delays.made == 1
    assert delays.drawn == list(range(len(failures)))
    await until(lambda: descriptors() <= before, 3)


async def test_connections_that_are_lost_at_once(net: Net) -> None:
    """Each that is lost within ten seconds waits longer than the one before; one that held begins anew."""
    clock, delays = Clock(), Delays()

    async def handler(connection: Connection) -> None:
        await connection.recv()
        await connection.close(1011)

    async with serving(net, handler) as server:
        rounds = 0
        async for connection in _again(net, url(server), clock=clock, reconnect_delays=delays):
            rounds += 1
            if rounds == 4:
                clock.forward(11)
            if rounds == 7:
                break
            await connection.send("enough")
            with pytest.raises(net.ConnectionClosedError):
                await connection.recv()
    # After the fourth, which held, there was no delay.
    assert delays.drawn == [0, 1, 2, 0, 1]
    assert delays.made == 2


async def test_connections_that_end_well(net: Net) -> None:
    """After a normal end, by either side, the next follows at once."""
    delays = Delays()

    async def handler(connection: Connection) -> None:
        if connection.request.path == "/theirs":
            await connection.close()
        await connection.wait_closed()

    async with serving(net, handler) as server:
        for path in ("/ours", "/theirs"):
            rounds = 0
            async for connection in _again(net, url(server, path), reconnect_delays=delays):
                rounds += 1
                if rounds == 4:
                    break
                if path == "/theirs":
                    assert [message async for message in connection] == []
                elif rounds % 2:
                    await connection.close()
    assert delays.drawn == []


async def test_one_connection_at_a_time(net: Net) -> None:
    """The last connection is closed before the next is opened."""
    opened: list[Any] = []
    async with serving(net, echo) as server:
        async for connection in _again(net, url(server)):
            assert [each.state for each in opened] == [State.CLOSED] * len(opened)
            opened.append(connection)
            assert len(server.connections) == 1
            if len(opened) == 3:
                break
    await opened[-1].wait_closed()


@pytest.mark.parametrize("failures", [0, 1], ids=["at once", "after a failure"])
async def test_leaving_the_loop(net: Net, failures: int) -> None:
    """`break` closes the connection; nothing is left of it, and no garbage need be collected."""
    left = failures

    def refuse(_: Connection, __: object) -> Response | None:
        nonlocal left
        left -= 1
        return Response(503) if left >= 0 else None

    gc.collect()
    gc.disable()
    try:
        async with net.serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
            connections = _again(net, url(server), reconnect_delays=lambda: repeat(0.0))
            async for connection in connections:
                await connection.send("x")
                assert await connection.recv() == "x"
                break
            with anyio.fail_after(3):
                await connection.wait_closed()
            assert connection.close_code == 1000
            await until(lambda: not server.connections)
    finally:
        gc.enable()


async def test_an_error_in_the_loop(net: Net) -> None:
    """What the loop's body raises leaves it, and the connection is closed."""
    async with serving(net, echo) as server:
        opened: list[Any] = []

        async def body() -> None:
            async for connection in _again(net, url(server)):
                opened.append(connection)
                raise KeyError

        with pytest.raises(KeyError):
            await body()
        with anyio.fail_after(3):
            await opened[0].wait_closed()


# What is tried again.

_RESPONSES = {status: Response(status) for status in (400, 401, 404, 500, 502, 503, 504)}

ERRORS: list[tuple[Exception, bool]] = [
    (ConnectionRefusedError(), True),
    (TimeoutError(), True),
    (OSError("anything of the network"), True),
    (ssl.SSLError(), True),
    (ssl.SSLCertVerificationError(), False),
    (exceptions.InvalidMessage("the peer ended the stream"), True),
    (exceptions.InvalidHandshake("no handshake"), False),
    (exceptions.SecurityError("a redirect"), False),
    (exceptions.NegotiationError("a subprotocol"), False),
    (exceptions.ProxyError("ended the stream"), True),
    (ValueError("a mistake"), False),
    *((exceptions.InvalidStatus(r), s >= 500) for s, r in _RESPONSES.items()),
    *((exceptions.InvalidProxyStatus(r), s >= 500) for s, r in _RESPONSES.items()),
    (exceptions.InvalidProxyStatus(Response(407)), False),
]


@pytest.mark.parametrize(("error", "again"), ERRORS, ids=[repr(error) for error, _ in ERRORS])
def test_what_is_tried_again(error: Exception, again: bool) -> None:
    """The network's failures and a server's passing ones are; what stays wrong is raised."""
    assert process_exception(error) is (None if again else error)


async def test_a_failure_that_stays(net: Net) -> None:
    """One that trying again can't mend is raised at once, and leaves nothing behind."""
    asked = 0

    def refuse(_: Connection, __: object) -> Response | None:
        nonlocal asked
        asked += 1
        return Response(503 if asked < 4 else 401, Headers([("X-Why", "because")]))

    delays = Delays()
    async with net.serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
        before = descriptors()
        connections = aiter(_again(net, url(server), reconnect_delays=delays))
        with pytest.raises(net.InvalidStatus, match="401"):
            await anext(connections)
        assert delays.drawn == [0, 1, 2]
        await until(lambda: descriptors() <= before)


async def test_delays_that_end(net: Net) -> None:
    """Where they end it gives up, and says what the last failure was."""
    failures: list[Exception] = []
    connect = _again(
        net,
        f"ws://127.0.0.1:{silent_port()}/",
        process_exception=failures.append,
        reconnect_delays=lambda: iter([0.0, 0.0]),
    )
    with pytest.raises(net.InvalidHandshake, match="no attempts are left: ConnectionRefusedError"):
        await anext(aiter(connect))
    assert len(failures) == 3


class _Mine(Exception):
    pass


def _returns_another(error: Exception) -> Exception:
    return _Mine(str(error))


def _raises(error: Exception) -> Exception:
    raise _Mine(str(error))


def _raises_it(error: Exception) -> Exception:
    raise error


@pytest.mark.parametrize(
    ("judge", "raised"),
    [
        (_returns_another, _Mine),
        (_raises, _Mine),
        (_raises_it, ConnectionRefusedError),
        (lambda error: error, ConnectionRefusedError),
    ],
    ids=["returns another", "raises another", "raises it", "returns it"],
)
async def test_a_judgement_of_ones_own(
    net: Net, judge: Callable[[Exception], Exception], raised: type[Exception]
) -> None:
    """What `process_exception` returns or raises ends the loop, and tells of its cause."""
    uri = f"ws://127.0.0.1:{silent_port()}/"
    with pytest.raises(raised) as caught:
        await anext(aiter(_again(net, uri, process_exception=judge)))
    if raised is _Mine:
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)


async def test_cancelled_while_it_waits(net: Net) -> None:
    """Whoever is cancelled between two attempts leaves nothing behind."""
    uri = f"ws://127.0.0.1:{silent_port()}/"
    before = descriptors(), len(running())
    with anyio.CancelScope() as scope:

        def delays() -> Iterator[float]:
            scope.cancel()
            yield 60.0

        await anext(aiter(_again(net, uri, reconnect_delays=delays)))
    assert scope.cancelled_caught
    await until(lambda: (descriptors(), len(running())) == before, 3)
