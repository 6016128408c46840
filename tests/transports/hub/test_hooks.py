"""Users' functions that a hub asks: plain ones and async ones, good ones and bad ones."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from hubbub.core.effects import HookKind
from hubbub.core.hub_limits import HubLimits
from hubbub.transports.hooks import (
    Calling,
    Connecting,
    Hooks,
    Leaving,
    Publishing,
    Refuse,
    Subscribing,
)
from support.hub_peers import HubPeer, hub, hub_config, named, peer, until_left
from support.loops import until
from support.net import Net
from support.tasks import Mailbox

Function = Callable[[Any], object]


def _plain(function: Function) -> Function:
    return function


def _async(function: Function) -> Function:
    async def later(asked: Any) -> object:
        await anyio.lowlevel.checkpoint()
        return function(asked)

    return later


FORMS = pytest.mark.parametrize("form", [_plain, _async])


@FORMS
async def test_each_kind_is_asked(net: Net, form: Callable[[Function], Function]) -> None:
    """A hook of each kind sees who it is, and what it is about; None changes nothing."""
    hooks = Hooks()
    seen: list[Any] = []
    left = Mailbox[Leaving]()
    look = form(seen.append)
    hooks.on_connect(look)
    hooks.on_subscribe(look)
    hooks.on_publish("chat.*")(look)
    hooks.on_call("add")(form(lambda calling: sum(calling.data)))
    hooks.on_disconnect(form(left.put))
    async with hub(net, hooks=hooks) as server:
        async with named(server, "ann") as ann:
            await ann.subscribe("chat.a", "news")
            assert (await ann.publish("chat.a", {"x": [1]}))["recipients"] == 1
            assert (await ann.wait_for("notification"))["message"] == {"x": [1]}
            assert (await ann.publish("news", 2))["recipients"] == 1
            answer = await ann.ask(action="call", name="add", data=[1, 2])
            assert answer == {"type": "result", "name": "add", "data": 3}
            answer = await ann.ask(action="call", name="subtract", data=[1, 2])
            assert answer["code"] == "unknown_call"
        gone = await left.get()
    assert gone.user == "ann"
    who = gone.who
    assert (who.session, who.address, who.anonymous, who.admin) == (1, "127.0.0.1", True, False)
    assert seen == [
        Connecting(who),
        Subscribing(who, "chat.a"),
        Subscribing(who, "news"),
        Publishing(who, "chat.a", {"x": [1]}),
    ]


@FORMS
async def test_a_changed_message(net: Net, form: Callable[[Function], Function]) -> None:
    """What on_publish returns is published instead."""
    hooks = Hooks()
    hooks.on_publish(form(lambda publishing: {"by": publishing.user, "was": publishing.message}))
    async with hub(net, hooks=hooks) as server, named(server, "ann") as ann:
        await ann.subscribe("alerts")
        await ann.publish("alerts", "x")
        assert (await ann.recv())["message"] == {"by": "ann", "was": "x"}


def _refuse(asked: object) -> object:
    raise Refuse("too_loud", "Please don't shout")


@FORMS
async def test_refusing(net: Net, form: Callable[[Function], Function]) -> None:
    """The request gets the error that the hook names; nothing else happens."""
    hooks = Hooks()
    refuse = form(_refuse)
    hooks.on_subscribe("a")(refuse)
    hooks.on_publish("a")(refuse)
    hooks.on_call("a")(refuse)
    async with hub(net, hooks=hooks) as server, peer(server) as ann:
        for request in (
            {"action": "subscribe", "topics": ["b", "a"]},
            {"action": "publish", "topic": "a", "message": 1},
            {"action": "call", "name": "a"},
        ):
            answer = await ann.ask(**request)
            assert answer == {
                "type": "error",
                "code": "too_loud",
                "message": "Please don't shout",
            }
        assert (await server.publish("b", 1)).recipients == 0


@FORMS
async def test_refusing_a_peer(net: Net, form: Callable[[Function], Function]) -> None:
    """A peer that on_connect refuses is closed with 1008, and on_disconnect is not asked about it."""
    hooks = Hooks()
    left = Mailbox[Leaving]()

    def only_ann(connecting: Connecting) -> None:
        if connecting.user != "ann":
            _refuse(connecting)

    hooks.on_connect(form(only_ann))
    hooks.on_disconnect(left.put)
    async with hub(net, hooks=hooks) as server:
        async with peer(server, "/?name=bob") as bob:
            answer = await bob.recv()
            assert (answer["type"], answer["status"]) == ("auth", "error")
            assert answer["message"] == "Please don't shout"
            assert (await bob.closed())[0] == 1008
        async with named(server, "ann"):
            pass
        assert (await left.get()).user == "ann"


def _raise(asked: object) -> object:
    raise KeyError("a mistake")


def _return_false(asked: object) -> object:
    return False


def _return_an_object(asked: object) -> object:
    return object()


@FORMS
@pytest.mark.parametrize("bad", [_raise, _return_false, _return_an_object])
async def test_a_hook_that_fails(
    net: Net,
    caplog: pytest.LogCaptureFixture,
    form: Callable[[Function], Function],
    bad: Function,
) -> None:
    """Its request gets the error `internal`, the log its traceback, and the connection lives on."""
    hooks = Hooks()
    hooks.on_publish(form(bad))
    async with hub(net, hooks=hooks) as server, peer(server) as ann:
        await ann.subscribe("alerts")
        answer = await ann.publish("alerts", 1)
        assert (answer["type"], answer["code"]) == ("error", "internal")
        assert (await ann.ask(action="ping"))["type"] == "pong"
        assert server.hub.counters.hook_failures == 1
    (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert record.getMessage().startswith("the on_publish hook of session 1 raised ")
    assert record.exc_info is not None


@FORMS
async def test_a_call_whose_result_is_no_json(
    net: Net, form: Callable[[Function], Function]
) -> None:
    """It fails like one that raises."""
    hooks = Hooks()
    hooks.on_call("f")(form(_return_an_object))
    async with hub(net, hooks=hooks) as server, peer(server) as ann:
        assert (await ann.ask(action="call", name="f"))["code"] == "internal"
        assert (await ann.ask(action="call", name="f"))["code"] == "internal"


@FORMS
async def test_an_on_connect_that_fails(net: Net, form: Callable[[Function], Function]) -> None:
    """The peer gets 1011, and others are let in."""
    hooks = Hooks()

    def fail_for_bob(connecting: Connecting) -> None:
        if connecting.user == "bob":
            raise KeyError

    hooks.on_connect(form(fail_for_bob))
    async with hub(net, hooks=hooks) as server, named(server, "ann"):
        async with peer(server, "/?name=bob") as bob:
            assert (await bob.closed())[0] == 1011
        async with named(server, "eve"):
            pass


async def test_a_hook_that_takes_too_long(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """After `hook_timeout` its request gets `internal`, its task is cancelled, and others never waited."""
    hooks = Hooks()
    cancelled = anyio.Event()

    @hooks.on_publish("slow")
    async def wait(publishing: Publishing) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    config = hub_config(HubLimits(hook_timeout=0.1))
    async with hub(net, config, hooks=hooks) as server, peer(server) as ann, peer(server) as bob:
        await ann.send(action="publish", topic="slow", message=1, id=1)
        await ann.send(action="ping", id=2)
        assert (await bob.publish("quick", 1))["type"] == "published"
        assert not cancelled.is_set()
        answer = await ann.recv()
        assert (answer["code"], answer["id"]) == ("internal", 1)
        assert (await ann.recv())["id"] == 2
        await cancelled.wait()
    (line,) = (record.getMessage() for record in caplog.records if record.levelno > logging.INFO)
    assert line == "failed on_publish, session 1: it took too long"


async def test_an_answer_that_comes_too_late(net: Net) -> None:
    """A hook that resists being cancelled is ignored, and still runs alone."""
    hooks = Hooks()
    leave = anyio.Event()

    @hooks.on_publish
    async def resist(publishing: Publishing) -> object:
        with anyio.CancelScope(shield=True):
            await leave.wait()
        return "late"

    config = hub_config(HubLimits(hook_timeout=0.05))
    async with hub(net, config, hooks=hooks) as server, peer(server) as ann:
        await ann.subscribe("alerts")
        assert (await ann.publish("alerts", 1))["code"] == "internal"
        leave.set()
        await until(lambda: server._effects.running == 0)
        assert (await ann.ask(action="ping"))["type"] == "pong"


async def test_requests_wait_behind_their_own_hooks_only(net: Net) -> None:
    """One session's requests are answered in order; hooks of many sessions run at the same time."""
    hooks = Hooks()
    running = 0
    all_run = anyio.Event()

    @hooks.on_call("meet")
    async def meet(calling: Calling) -> object:
        nonlocal running
        running += 1
        if running == 5:
            all_run.set()
        await all_run.wait()
        return calling.data

    async def call(number: int) -> None:
        async with peer(server) as one:
            await one.send(action="call", name="meet", data=number, id=1)
            await one.send(action="ping", id=2)
            assert (await one.recv())["data"] == number
            assert (await one.recv())["id"] == 2

    async with hub(net, hooks=hooks) as server, anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(call, number)


@FORMS
async def test_hooks_see_the_variables_of_who_made_the_server(
    net: Net, form: Callable[[Function], Function]
) -> None:
    """Context variables have the values that they had when the server was started."""
    variable: ContextVar[str] = ContextVar("variable", default="none")
    hooks = Hooks()
    hooks.on_call("look")(form(lambda calling: variable.get()))
    variable.set("ours")
    async with hub(net, hooks=hooks) as server:
        variable.set("other")
        async with peer(server) as ann:
            assert (await ann.ask(action="call", name="look"))["data"] == "ours"


async def test_a_hook_may_use_the_server(net: Net) -> None:
    """It may publish, speak to users and disconnect them, its own peer too."""
    hooks = Hooks()

    @hooks.on_connect
    async def welcome(connecting: Connecting) -> None:
        await server.publish("doors", f"{connecting.user} comes")

    @hooks.on_call("leave")
    async def leave(calling: Calling) -> None:
        await server.disconnect(calling.user)

    @hooks.on_disconnect
    async def farewell(leaving: Leaving) -> None:
        await server.publish("doors", f"{leaving.user} leaves")

    async with hub(net, hooks=hooks) as server, named(server, "ann") as ann:
        await ann.subscribe("doors")
        async with named(server, "bob") as bob:
            await bob.send(action="call", name="leave")
            assert (await bob.closed())[0] == 4003
        assert [(await ann.recv())["message"] for _ in range(2)] == ["bob comes", "bob leaves"]


async def test_a_plain_hook_may_use_the_machine(net: Net) -> None:
    """What it queues there leaves in the same turn."""
    hooks = Hooks()

    @hooks.on_publish("questions")
    def answer(publishing: Publishing) -> None:
        server.hub.publish("answers", 42, server._driver.now())  # type: ignore[union-attr]

    async with hub(net, hooks=hooks) as server, peer(server) as ann:
        await ann.subscribe("answers")
        await ann.publish("questions", "?")
        assert (await ann.wait_for("notification"))["message"] == 42


async def test_too_many_tasks(net: Net, caplog: pytest.LogCaptureFixture) -> None:
    """Sessions that come and go while their hooks hang cannot make tasks without end."""
    hooks = Hooks()
    leave = anyio.Event()

    @hooks.on_disconnect
    async def hang(leaving: Leaving) -> None:
        await leave.wait()

    config = hub_config(HubLimits(max_connections=2))
    async with hub(net, config, hooks=hooks) as server:
        for name in ("ann", "bob", "eve"):
            async with named(server, name):
                pass
            await until_left(server)
        assert server._effects.running == 2
        leave.set()
        await until(lambda: server._effects.running == 0)
    assert "the on_disconnect hook of session 3: too many run already (2)" in caplog.text


async def test_hooks_that_come_later_are_not_seen(net: Net) -> None:
    """A server has the hooks that there were when it was started."""
    hooks = Hooks()
    async with hub(net, hooks=hooks) as server, peer(server) as ann:
        hooks.on_publish(_refuse)
        assert (await ann.publish("alerts", 1))["type"] == "published"
        assert hooks.table()[HookKind.PUBLISH] == (">",)


async def _talk(ann: HubPeer) -> None:
    for number in range(50):
        assert (await ann.publish("alerts", number))["type"] == "published"


async def test_many_requests_with_hooks(net: Net) -> None:
    """Sessions that all ask at the same time get their answers in order, each its own."""
    hooks = Hooks()

    @hooks.on_publish
    async def later(publishing: Publishing) -> Awaitable[None] | None:
        await anyio.lowlevel.checkpoint()
        return None

    async def visit() -> None:
        async with peer(server) as one:
            await _talk(one)

    async with hub(net, hooks=hooks) as server, anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(visit)
