"""How peers say who they are, and what authenticators outside the machine may do."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import jwt
import pytest

from hubbub.core.grants import Grant
from hubbub.core.hub_limits import HubLimits
from hubbub.transports.authenticators.jwt import JWTAuthenticator
from support.hub_peers import HubPeer, hub, hub_config, peer, token_auth, until_left
from support.net import Net
from support.peers import raw_peer

OK = {"type": "auth", "status": "ok", "username": "ann"}
INVALID = {"type": "auth", "status": "error", "message": "Invalid token"}
FAILED = {"type": "auth", "status": "error", "message": "Authentication failed"}
ANN = Grant(user="ann", read=(">",), write=(">",))


async def _is_let_in(ann: HubPeer) -> None:
    assert await ann.recv() == OK
    await ann.subscribe("alerts")


async def test_a_token_may_come_in_three_ways(net: Net) -> None:
    """As the first message, in a header and in the query; the outcome is the same message."""
    config = hub_config(auth=token_auth("ann"), anonymous=False)
    async with hub(net, config) as server:
        async with peer(server) as ann:
            await ann.send(token="token-ann")
            await _is_let_in(ann)
        header = {"Authorization": "Bearer token-ann"}
        async with peer(server, additional_headers=header) as ann:
            await _is_let_in(ann)
        async with peer(server, "/?token=token-ann") as ann:
            await _is_let_in(ann)


async def test_a_wrong_token(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """It is answered, the connection is closed with 1008, and the log says so without the token."""
    config = hub_config(auth=token_auth("ann"), anonymous=False)
    async with hub(net, config) as server, peer(server, "/?token=token-eve") as eve:
        assert await eve.recv() == INVALID
        assert await eve.closed() == (1008, "Authentication failed")
    assert "not let in 127.0.0.1, session 1: unknown token" in caplog.text
    assert "token-eve" not in caplog.text


async def test_no_token_in_time(net: Net) -> None:
    """Who says nothing is told so after `auth_timeout`, and closed with 1008."""
    config = hub_config(HubLimits(auth_timeout=0.1), auth=token_auth("ann"), anonymous=False)
    async with hub(net, config) as server, peer(server) as silent:
        answer = await silent.recv()
        assert answer == {"type": "auth", "status": "error", "message": "Authentication timeout"}
        assert await silent.closed() == (1008, "Authentication failed")


async def test_a_newer_token(net: Net) -> None:
    """`refresh` asks the authenticator again, and the new grant counts."""
    grants = {
        "first": ANN,
        "second": Grant(user="ann", read=("alerts",)),
        "other": Grant(user="bob"),
    }
    async with (
        hub(net, authenticate=grants.get) as server,
        peer(server, "/?token=first") as ann,
    ):
        assert await ann.recv() == OK
        await ann.subscribe("alerts", "news")
        answer = await ann.ask(action="refresh", token="other")
        assert answer["code"] == "forbidden"
        assert await ann.ask(action="refresh", token="second") == OK
        assert (await server.publish("news", 1)).recipients == 0
        assert (await server.publish("alerts", 1)).recipients == 1


async def _known(token: str) -> Grant | None:
    await anyio.lowlevel.checkpoint()
    return ANN if token == "token-ann" else None


class Directory:
    """An object that is called, as a `JWTAuthenticator` is."""

    def __call__(self, token: str) -> Grant | None:
        return ANN if token == "token-ann" else None


AUTHENTICATORS: dict[str, Callable[[str], Grant | Awaitable[Grant | None] | None]] = {
    "plain": lambda token: ANN if token == "token-ann" else None,
    "async": _known,
    "object": Directory(),
}


@pytest.mark.parametrize("kind", AUTHENTICATORS)
async def test_authenticators_outside(net: Net, kind: str) -> None:
    """Plain functions, async ones and objects are asked whose a token is."""

    async with hub(net, authenticate=AUTHENTICATORS[kind]) as server:
        async with peer(server, "/?token=token-ann") as ann:
            await _is_let_in(ann)
        async with peer(server, "/?token=token-eve") as eve:
            assert await eve.recv() == INVALID
            assert await eve.closed() == (1008, "Authentication failed")


async def test_json_web_tokens(net: Net) -> None:
    """A `JWTAuthenticator` is an authenticator."""
    secret = "x" * 32
    authenticate = JWTAuthenticator(secret, algorithms=["HS256"])
    async with hub(net, authenticate=authenticate) as server:
        token = jwt.encode({"sub": "ann", "exp": 4e9}, secret, algorithm="HS256")
        async with peer(server, f"/?token={token}") as ann:
            assert await ann.recv() == OK
        async with peer(server, f"/?token={token}x") as eve:
            assert await eve.recv() == INVALID


def _raise(token: str) -> Grant | None:
    raise ConnectionError(f"cannot ask about {token}")


async def _raise_later(token: str) -> Grant | None:
    await anyio.lowlevel.checkpoint()
    return _raise(token)


def _give_nonsense(token: str) -> Grant | None:
    return "ann"  # type: ignore[return-value]


@pytest.mark.parametrize("function", [_raise, _raise_later, _give_nonsense])
async def test_an_authenticator_that_fails(
    net: Net,
    caplog: pytest.LogCaptureFixture,
    function: Callable[[str], Grant | Awaitable[Grant | None] | None],
) -> None:
    """The peer gets 1011, the log one line that says where but not the token, and others go on."""
    authenticate = {"token-ann": ANN}.get
    async with (
        hub(net, authenticate=lambda token: authenticate(token) or function(token)) as server,
        peer(server, "/?token=token-ann") as ann,
    ):
        await _is_let_in(ann)
        async with peer(server, "/?token=secret") as unlucky:
            assert await unlucky.recv() == FAILED
            assert (await unlucky.closed())[0] == 1011
        assert (await ann.ask(action="ping"))["type"] == "pong"
    (line,) = (record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR)
    error = "TypeError" if function is _give_nonsense else "ConnectionError"
    assert line.startswith(f"authenticate() for session 2 raised {error} in ")
    assert "secret" not in caplog.text


async def test_an_authenticator_that_takes_too_long(net: Net) -> None:
    """After `hook_timeout` the peer gets 1011, and the task does not live on."""
    cancelled = anyio.Event()

    async def authenticate(token: str) -> Grant | None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        return None

    config = hub_config(HubLimits(hook_timeout=0.05))
    async with (
        hub(net, config, authenticate=authenticate) as server,
        peer(server, "/?token=token-ann") as ann,
    ):
        assert await ann.recv() == FAILED
        assert (await ann.closed())[0] == 1011
        await cancelled.wait()
        assert (await server.publish("alerts", 1)).recipients == 0


async def test_who_reads_not_while_it_is_asked(net: Net) -> None:
    """What a peer sends behind its token is answered when it is known, in order."""
    asked, known = anyio.Event(), anyio.Event()

    async def authenticate(token: str) -> Grant | None:
        asked.set()
        await known.wait()
        return ANN

    async with hub(net, authenticate=authenticate) as server, peer(server) as ann:
        await ann.send(token="token-ann")
        await ann.send(action="ping", id=1)
        await asked.wait()
        await ann.send(action="ping", id=2)
        known.set()
        assert await ann.recv() == OK
        assert [(await ann.recv())["id"] for _ in range(2)] == [1, 2]


async def test_a_peer_that_vanishes_while_it_is_asked(net: Net) -> None:
    """The late answer is nobody's, and harms nobody."""
    asked, known = anyio.Event(), anyio.Event()

    async def authenticate(token: str) -> Grant | None:
        asked.set()
        await known.wait()
        return ANN

    async with hub(net, authenticate=authenticate) as server:
        async with raw_peer(server) as gone:
            await gone.upgrade(target="/?token=token-ann")
            await asked.wait()
            gone.reset()
        known.set()
        await until_left(server)
        assert await server.send_to("ann", 1) == 0
        async with peer(server, "/?token=token-ann") as ann:
            await _is_let_in(ann)
