"""A hub under test: users' functions are asked, time passes when it is told, and the same seed repeats."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.core import (
    AnonymousAccess,
    Grant,
    HubConfig,
    HubLimits,
    Refused,
    Rule,
    ServerOptions,
    TokenAuth,
)
from hubbub.core.auth import External
from hubbub.core.hub_events import Joined, Left
from hubbub.core.scripts import Close, Connect, Cut, Script, Send, Stall, Step
from hubbub.core.strategies import networks, schedules
from hubbub.transports.hooks import Calling, Connecting, Hooks, Leaving, Publishing, Refuse
from hubbub.transports.simulated import (
    PERFECT,
    HubUnderTest,
    LoopNeeded,
    Network,
    Visitor,
    without_loop,
)

SLOW = Network(latency=(0.05, 0.2), chunk=(1, 40))
NETWORKS = pytest.mark.parametrize("network", [PERFECT, SLOW], ids=["perfect", "slow"])


# Talking.


@NETWORKS
def test_people_talk(network: Network) -> None:
    """Who subscribes gets what others publish, whatever lies between."""
    hub = HubUnderTest(network=network)
    ann, bob = hub.client(name="ann"), hub.client(name="bob")
    assert (ann.user, ann.received, ann.closed, ann.is_open) == ("ann", [], None, True)
    assert ann.subscribe("room.lobby") == {"type": "subscribed", "topics": ["room.lobby"]}
    answer = bob.publish("room.lobby", "hi")
    assert answer == {"type": "published", "topic": "room.lobby", "recipients": 1}
    assert ann.expect("chat", sender="bob")["message"] == "hi"
    assert ann.take() == []
    assert (hub.now == 0) == (network is PERFECT)
    assert hub.clients == {"ann": ann, "bob": bob}


def test_what_a_server_says() -> None:
    """The server publishes, sends, disconnects, revokes and drains."""
    hub = HubUnderTest(HubConfig(auth=TokenAuth.of_plain({"t": Grant(user="ann", read=(">",))})))
    ann, bob = hub.client(token="t"), hub.client(name="bob")
    ann.subscribe("news", "alerts")
    bob.subscribe("news")
    assert hub.publish("news", 1, sender="me").recipients == 2
    assert hub.send_to("ann", 2) == 1
    ann.expect("notification", message=1, within=0)
    ann.expect("direct", sender="server", message=2, within=0)
    assert hub.revoke("ann", "news") == 1
    ann.expect("unsubscribed", topics=["news"], reason="revoked")
    assert hub.disconnect("ann", "enough") == 1
    assert ann.code == 4003
    hub.drain()
    hub.advance(60)
    assert (bob.code, hub.hub.idle) == (1001, True)
    assert [type(event) for event in hub.events] == [Joined, Joined, Left, Left]


def test_who_is_not_let_in() -> None:
    """A refused client is told why, and stays closed until it connects again."""
    auth = TokenAuth.of_plain({"t": Grant(user="ann")})
    hub = HubUnderTest(HubConfig(auth=auth, anonymous=None))
    stranger = hub.client(token="x", label="stranger")
    assert stranger.expect("auth", within=0)["status"] == "error"
    assert (stranger.code, stranger.user, repr(stranger)) == (1008, None, "<Visitor stranger>")
    with pytest.raises(ValueError, match="stranger has no open connection: call connect"):
        stranger.send({"action": "ping"})
    stranger.token = "t"
    stranger.connect()
    assert (stranger.user, stranger.received) == ("ann", [])
    silent = hub.client()
    assert silent.user is None
    hub.advance(6)
    assert (silent.code, silent.label) == (1008, "client")


def test_a_request_that_opens_nothing() -> None:
    """A hub that is full refuses in HTTP or closes, and a visitor says which."""
    limits = HubLimits(max_connections=1, max_opening=1)
    hub = HubUnderTest(HubConfig(options=ServerOptions(limits=limits)))
    hub.client(name="ann")
    bob = hub.client(name="bob")
    assert bob.code == 1013 or isinstance(bob.closed, Refused)
    hub.drain()
    late = hub.client(name="late")
    assert not late.is_open
    long = HubUnderTest().client(name="x" * 20_000)
    assert isinstance(long.closed, Refused)
    assert long.code is None


def test_what_does_not_come() -> None:
    """What is waited for in vain, or refused, fails with all that came instead."""
    anonymous = AnonymousAccess(read=("room.*",))
    ann = HubUnderTest(HubConfig(anonymous=anonymous)).client(name="ann")
    with pytest.raises(AssertionError, match=r"ann may not subscribe to .*forbidden"):
        ann.subscribe("secret")
    ann.send({"action": "ping", "id": "p"})
    with pytest.raises(AssertionError, match=r"ann got no .*'hi'.*; what it got: .*'pong'"):
        ann.expect("chat", message="hi")
    ann.stall()
    with pytest.raises(AssertionError, match="ann got no answer to"):
        ann.ask({"action": "ping"})
    ann.read_on()
    ann.cut()
    with pytest.raises(AssertionError, match="its connection has ended: Closed"):
        ann.expect("pong", id="q")


def test_labels_are_ones_own() -> None:
    """Two clients of one name are told apart."""
    hub = HubUnderTest()
    assert [hub.client(name="ann").label for _ in range(2)] == ["ann", "ann-2"]
    assert hub.clients["ann-2"].expect("error")["code"] == "name_taken"


# Time and the network.


def test_time_passes() -> None:
    """A minute passes at once; grants end by the clock on the wall."""
    grant = Grant(user="ann", read=(">",), until=1_800_000_030.0)
    hub = HubUnderTest(authenticate=lambda token: grant if token == "t" else None)
    ann = hub.client(token="t")
    hub.advance(29.0)
    assert ann.is_open
    hub.advance(2.0)
    assert (ann.code, hub.now) == (4001, 31.0)
    hub.set_wall_clock(1_800_000_000.0)
    ann.connect()
    assert ann.is_open


@NETWORKS
def test_lost_connections(network: Network) -> None:
    """Who is cut has left, and may come back; who closes too."""
    hub = HubUnderTest(network=network)
    ann, bob = hub.client(name="ann"), hub.client(name="bob")
    ann.subscribe("room.lobby")
    bob.subscribe("room.lobby")
    ann.expect("system", message="bob joined the chat")
    hub.cut(bob)
    ann.expect("system", message="bob left the chat")
    bob.connect()
    bob.close(1001)
    hub.advance(5.0)
    assert not bob.is_open
    assert bob.closed is not None
    bob.connect()
    bob.connect()
    assert (bob.user, bob.session.user) == ("bob", "bob")


def test_a_visitor_that_was_never_connected() -> None:
    """There is nothing to cut or to look at before it connects."""
    hub = HubUnderTest()
    visitor = Visitor(hub, "ann", token=None, name="ann", address="::1", network=PERFECT)
    assert (visitor.closed, visitor.code, visitor.user) == (None, None, None)
    with pytest.raises(ValueError, match="ann was never connected: call connect"):
        visitor.cut()


def test_who_can_never_come() -> None:
    """A network on which nothing arrives is told as such."""
    hub = HubUnderTest(HubConfig(options=ServerOptions(limits=HubLimits(open_timeout=None))))
    with pytest.raises(AssertionError, match="neither let in nor refused in 30"):
        hub.client(name="ann", network=Network(silent_from=0.0))


# Functions.


def some_hooks() -> Hooks:
    """Functions of every kind, plain and async."""
    hooks = Hooks()
    gone: list[str] = []

    @hooks.on_connect
    async def door(connecting: Connecting) -> None:
        if connecting.user == "mallory":
            raise Refuse("forbidden", "Go away")

    @hooks.on_publish("room.*")
    async def calm(publishing: Publishing) -> object:
        async def quiet(text: str) -> str:
            return text.lower()

        if publishing.message == "!":
            raise Refuse("shouting", "Please don't")
        return await quiet(publishing.message)

    @hooks.on_call("gone")
    def who_has_gone(_: Calling) -> object:
        return gone

    @hooks.on_call("fail")
    def fail(_: Calling) -> object:
        raise KeyError("nothing")

    @hooks.on_call("nonsense")
    def nonsense(_: Calling) -> object:
        return {1j}

    @hooks.on_disconnect
    def note(leaving: Leaving) -> None:
        gone.append(leaving.user)

    return hooks


@pytest.mark.parametrize("delay", [(0.0, 0.0), (0.1, 0.4)])
def test_functions_are_asked(delay: tuple[float, float], caplog: pytest.LogCaptureFixture) -> None:
    """What functions say comes about: changes, refusals, results; and failures are told and logged."""
    hub = HubUnderTest(hooks=some_hooks(), hook_delay=delay)
    ann, bob = hub.client(name="ann"), hub.client(name="bob")
    mallory = hub.client(name="mallory")
    assert mallory.code == 1008
    ann.subscribe("room.lobby")
    bob.publish("room.lobby", "HI")
    ann.expect("chat", message="hi")
    assert bob.publish("room.lobby", "!")["code"] == "shouting"
    bob.close()
    hub.advance(1.0)
    assert ann.call("gone") == {"type": "result", "name": "gone", "data": ["bob"]}
    assert hub.failures == []
    with caplog.at_level(logging.ERROR):
        assert ann.call("fail")["code"] == "internal"
        assert ann.call("nonsense")["code"] == "internal"
    assert [failure.what for failure in hub.failures] == ["on_call", "on_call"]
    assert "KeyError" in caplog.text
    assert (hub.now == 1.0) == (delay == (0.0, 0.0))


async def _asyncio_sleeps(*_: Any) -> None:
    await asyncio.sleep(0.1)


async def _trio_sleeps(*_: Any) -> None:
    await trio.sleep(0.1)


async def _anyio_sleeps(*_: Any) -> None:
    await anyio.sleep(0.1)


async def _gives_way(*_: Any) -> None:
    await asyncio.sleep(0)


LOOPS = pytest.mark.parametrize("waits", [_asyncio_sleeps, _trio_sleeps, _anyio_sleeps, _gives_way])


@LOOPS
def test_a_function_that_needs_a_loop(waits: Callable[..., Any]) -> None:
    """A function that waits for an event loop ends the test, and the error says what to do."""
    hooks = Hooks()
    hooks.on_publish("room.*")(waits)
    ann = HubUnderTest(hooks=hooks).client(name="ann")
    with pytest.raises(LoopNeeded, match=r"on_publish hook _\w+ waits .* replace what it waits"):
        ann.publish("room.lobby", "hi")
    with pytest.raises(LoopNeeded, match="authenticate"):
        HubUnderTest(authenticate=waits).client(token="t")


@pytest.mark.parametrize("waits", [_asyncio_sleeps, _gives_way])
async def test_a_function_that_needs_a_loop_where_one_runs(
    backend: str, waits: Callable[..., Any]
) -> None:
    """The loop of the test itself is not used: the rest of its run is as ever."""
    hooks = Hooks()
    hooks.on_publish("room.*")(waits)
    ann = HubUnderTest(hooks=hooks).client(name="ann")
    with pytest.raises(LoopNeeded):
        ann.publish("room.lobby", "hi")
    await anyio.lowlevel.checkpoint()


def test_an_awaitable_that_is_no_coroutine() -> None:
    """A function may give whatever can be awaited."""

    class Later:
        def __await__(self) -> Any:
            return iter(())

    hooks = Hooks()
    hooks.on_publish("room.*")(lambda _: Later())
    ann = HubUnderTest(hooks=hooks).client(name="ann")
    assert ann.publish("room.lobby", "hi")["type"] == "published"


def test_an_authenticator_of_ones_own() -> None:
    """It is asked where the configuration knows no tokens, plain or async, and must give a Grant."""

    async def known(token: str) -> Any:
        if token == "refused":
            raise Refuse("forbidden", "no")
        return {"ann": Grant(user="ann"), "odd": "ann"}.get(token)

    hub = HubUnderTest(HubConfig(auth=External()), authenticate=known)
    assert hub.client(token="ann").user == "ann"
    assert hub.client(token="nobody").code == 1008
    assert hub.client(token="refused").code == 1008
    assert hub.client(token="odd").code == 1011
    (failure,) = hub.failures
    assert "return a Grant" in failure.reason


def test_who_is_asked_must_be_there() -> None:
    """A configuration that counts on a function needs it, and one that does not takes none."""
    with pytest.raises(ValueError, match="give authenticate="):
        HubUnderTest(HubConfig(auth=External()))
    with pytest.raises(ValueError, match="knows the tokens already"):
        HubUnderTest(HubConfig(auth=TokenAuth()), authenticate=lambda _: None)


def test_without_loop_gives_a_function_for_each_pattern() -> None:
    """The table of the functions is that of the hooks."""
    hooks = some_hooks()
    table = {kind: tuple(functions) for kind, functions in without_loop(hooks).items()}
    assert table == hooks.table()


# Scripts, and seeds.


def step(at: float, action: Any, who: str = "ann") -> Step:
    """One step of a script."""
    return Step(at, who, action)


def test_a_script_is_played() -> None:
    """Each step is taken at its moment, and what can't be done is passed over."""
    hub = HubUnderTest()
    bob = hub.client(name="bob")
    bob.subscribe("room.lobby")
    say = {"action": "publish", "topic": "room.lobby"}
    hub.play(
        (
            step(0.0, Send({**say, "message": 0})),
            step(0.0, Cut()),
            step(1.0, Connect(name="ann")),
            step(1.0, Send({**say, "message": 1})),
            step(2.0, Stall(5.0)),
            step(2.5, Send('{"action":"ping"}')),
            step(3.0, Connect(name="Bob"), "robert"),
            step(9.0, Cut()),
            step(9.0, Send({**say, "message": 9})),
            step(9.5, Connect()),
            step(10.0, Send({**say, "message": 10})),
            step(11.0, Close(1001)),
            step(11.0, Close()),
        )
    )
    assert hub.now == 11.0
    said = [(one["sender"], one["message"]) for one in bob.take() if one["type"] == "chat"]
    assert said == [("ann", 1), ("User-1", 10)]
    ann, robert = hub.clients["ann"], hub.clients["robert"]
    assert [one["type"] for one in ann.take()] == ["auth", "published", "pong", "published"]
    assert robert.expect("error", within=0)["code"] == "name_taken"
    assert "11.000 ann closes with 1001" in hub.report()


def test_who_is_still_opening_can_be_cut() -> None:
    """A connection that is not open yet is lost all the same, and gives way to another."""
    hub = HubUnderTest(network=Network(latency=(1.0, 1.0)))
    connect = Connect(name="ann")
    hub.play((step(0.0, connect), step(0.5, Cut()), step(0.6, connect), step(0.7, connect)))
    ann = hub.clients["ann"]
    assert ann.is_opening
    hub.advance(5.0)
    assert (ann.user, ann.is_opening) == ("ann", False)
    assert hub.hub.counters.connections == 3
    assert ann.expect("auth", within=0)["status"] == "ok"


@settings(max_examples=10)
@given(schedules(most=1), networks(Network), st.integers(0, 99))
def test_the_same_seed_repeats(script: Script, network: Network, seed: int) -> None:
    """What happens follows from the script, the network and the seed, and none of the hooks fails."""
    traces = []
    for _ in range(2):
        rules = (Rule(pattern="room.>", presence=True, announce=True), Rule(pattern=">", history=5))
        hub = HubUnderTest(HubConfig(rules=rules), hooks=some_hooks(), network=network, seed=seed)
        hub.play(script)
        hub.advance(100.0)
        assert hub.seed == seed
        traces.append(list(hub.trace))
    assert traces[0] == traces[1]
