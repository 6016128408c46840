"""How a client comes to a hub for the first time, and what is told where it does not."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import anyio
import pytest

from hubbub.core.backoff import Backoff
from hubbub.core.client_options import ClientLimits
from hubbub.core.hub_limits import HubLimits
from hubbub.transports.asyncio import ClientState, HubClosed, InvalidStatus, InvalidURI, Published
from support.answering import Answerer, answering, silent_port
from support.certificates import Certificate
from support.hub_peers import hub, hub_config, token_auth
from support.loops import until
from support.net import Connection, Net, address, serving, url
from support.tasks import Task

QUICK = Backoff(first=0.02, cap=0.02)


async def test_over_tls(net: Net, certificate: Certificate) -> None:
    """The keywords of `connect` are those of `connect_hub` too: a context of TLS, headers, an origin."""
    config = hub_config(auth=token_auth("ann"), anonymous=False)
    async with (
        hub(net, config, ssl=certificate.server_context()) as server,
        net.connect_hub(
            f"wss://localhost:{address(server)[1]}/",
            ssl=certificate.client_context(),
            token="token-ann",
            compression="deflate",
        ) as ann,
    ):
        assert ann.username == "ann"


async def test_a_request_that_says_who_we_are(net: Net) -> None:
    """A header or the query may carry the token, where a hub has to see it before the WebSocket."""
    config = hub_config(auth=token_auth("ann"), anonymous=False)
    headers = {"Authorization": "Bearer token-ann"}
    async with (
        hub(net, config) as server,
        net.connect_hub(url(server), additional_headers=headers) as first,
        net.connect_hub(url(server, "/?token=token-ann")) as second,
    ):
        assert (first.username, second.username) == ("ann", "ann")
        assert (await second.send_to("ann", 1)).recipients == 2


async def test_over_a_unix_socket(net: Net, tmp_path: Path) -> None:
    """`path` leads there."""
    path = tmp_path / "hub.sock"
    async with (
        net.serve_hub(hub_config(), path=path),
        net.connect_hub("ws://localhost/", path=path) as ann,
    ):
        assert (await ann.publish("alerts", 1)).recipients == 0


async def test_nobody_listens(net: Net) -> None:
    """The block raises what `connect` would, at once."""
    with pytest.raises(ConnectionRefusedError):
        async with net.connect_hub(f"ws://127.0.0.1:{silent_port()}/"):
            raise AssertionError


async def test_no_hub_is_there(net: Net) -> None:
    """A server that says no to the handshake is an `InvalidStatus`."""

    async def refuse(answerer: Answerer) -> None:
        await answerer.read_head()
        await answerer.send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

    async with answering(refuse) as port:
        with pytest.raises(InvalidStatus, match="403"):
            async with net.connect_hub(f"ws://127.0.0.1:{port}/"):
                raise AssertionError


async def test_a_server_that_is_no_hub(net: Net) -> None:
    """What never says whether we are let in is given up after `identify_timeout`."""

    async def mute(connection: Connection) -> None:
        await connection.wait_closed()

    limits = ClientLimits(identify_timeout=0.05)
    async with serving(net, mute) as server:
        with pytest.raises(HubClosed, match="no answer"):
            async with net.connect_hub(url(server), limits=limits):
                raise AssertionError


async def test_a_patient_client(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """With `patient` the first connection, too, is tried again until the hub is there."""
    port = silent_port()
    made = net.connect_hub(f"ws://127.0.0.1:{port}/", patient=True, backoff=QUICK)

    async def use() -> int:
        async with made as ann:
            published: Published = await ann.publish("alerts", 1)
            return published.recipients

    with caplog.at_level(logging.INFO, logger="hubbub.client"):
        async with anyio.create_task_group() as tasks:
            used: Task[int] = Task(tasks, use)
            await until(lambda: "connecting again in" in caplog.text)
            async with net.serve_hub(hub_config(), "127.0.0.1", port):
                assert await used.wait() == 0


async def test_not_let_in(net: Net) -> None:
    """A wrong token, a name that is taken or impossible, and no name where a token is needed."""
    config = hub_config(auth=token_auth("ann"))
    strict = hub_config(auth=token_auth("ann"), anonymous=False)
    async with hub(net, config) as server, hub(net, strict) as other:
        for uri, who, code, words in (
            (url(server), {"token": "token-eve"}, "unauthenticated", "Invalid token"),
            (url(server), {"name": "ann"}, "name_taken", "another name"),
            (url(server), {"name": "x" * 65}, "too_large", "64"),
            (url(other), {"name": "bob"}, "anonymous_off", "token"),
            (url(other), {}, "unauthenticated", "token"),
        ):
            with pytest.raises(HubClosed, match=words) as closed:
                async with net.connect_hub(uri, **who):
                    raise AssertionError
            assert closed.value.code == code


async def test_a_full_hub(net: Net) -> None:
    """The first connection is refused with the hub's close code; a patient client waits for room."""
    async with (
        hub(net, hub_config(HubLimits(max_connections=1))) as server,
        anyio.create_task_group() as tasks,
    ):
        patient = net.connect_hub(url(server), patient=True, backoff=QUICK)

        async def use() -> int:
            async with patient as ann:
                published: Published = await ann.publish("alerts", 1)
            return published.recipients

        async with net.connect_hub(url(server)):
            with pytest.raises(HubClosed, match="1013") as closed:
                async with net.connect_hub(url(server)):
                    raise AssertionError
            assert closed.value.close_code == 1013
            using: Task[int] = Task(tasks, use)
            await until(lambda: patient.state is ClientState.WAITING)
        assert await using.wait() == 0


async def test_functions_that_fetch_tokens(net: Net) -> None:
    """What one raises comes out of the block, unless it is worth another attempt; so does nonsense."""
    config = hub_config(auth=token_auth("ann"), anonymous=False)

    async def broken() -> str:
        await anyio.lowlevel.checkpoint()
        raise ZeroDivisionError

    failures = iter([OSError("unreachable"), None])

    def flaky() -> str:
        failure = next(failures)
        if failure is not None:
            raise failure
        return "token-ann"

    async with hub(net, config) as server:
        with pytest.raises(ZeroDivisionError):
            async with net.connect_hub(url(server), token=broken):
                raise AssertionError
        with pytest.raises(TypeError, match="must return a string"):
            async with net.connect_hub(url(server), token=lambda: None):
                raise AssertionError
        async with net.connect_hub(url(server), token=flaky, patient=True, backoff=QUICK) as ann:
            assert ann.username == "ann"


@pytest.mark.parametrize(
    ("error", "words", "keywords"),
    [
        (InvalidURI, "ws://", {"uri": "http://example.com/"}),
        (TypeError, "token", {"token": 1}),
        (TypeError, "sock", {"sock": None}),
        (TypeError, "unexpected", {"nonsense": 1}),
        (ValueError, "name", {"token": "t", "name": "ann"}),
        (ValueError, "token", {"token": ""}),
        (ValueError, "refresh_interval", {"refresh_interval": 1.0}),
        (ValueError, "ssl", {"ssl": ssl.create_default_context()}),
        (ValueError, "max_size", {"max_size": -1}),
    ],
)
async def test_keywords_that_cannot_work(
    net: Net, error: type[Exception], words: str, keywords: dict[str, object]
) -> None:
    """They are told at once, by name, and before anything is sent."""
    with pytest.raises(error, match=words):
        net.connect_hub(**({"uri": "ws://example.com/"} | keywords))


async def test_outside_its_block(net: Net) -> None:
    """A client that is not entered, or is entered twice, says so; one that was left is closed."""
    async with hub(net) as server:
        made = net.connect_hub(url(server))
        with pytest.raises(RuntimeError, match="not started"):
            await made.publish("alerts", 1)
        with pytest.raises(RuntimeError, match="not started"):
            made.subscribe("alerts")
        assert repr(made) == "<RemoteHub waiting>"
        async with made as ann:
            with pytest.raises(RuntimeError, match="in use"):
                await made.__aenter__()
        assert [change.state async for change in ann.states()] == [ClientState.OVER]
        with pytest.raises(HubClosed):
            await ann.publish("alerts", 1)
        with pytest.raises(HubClosed):
            await anext(ann.subscribe("alerts"))
