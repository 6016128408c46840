"""What peers of a hub say to each other, and what the server says to them, over real sockets."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from hubbub.core.errors import LocalProtocolError
from hubbub.core.hub_limits import HubLimits
from support.hub_peers import HubPeer, hub, hub_config, named, peer, token_auth
from support.loops import until
from support.net import Net

WALL = 1_700_000_000.0
"""A moment that the servers here are told: 2023-11-14 at 22:13:20 UTC."""

AT = "2023-11-14T22:13:20.000+00:00"


class Clock:
    """A clock that stands still unless it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def _without_time(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "timestamp"}


async def test_a_notification(net: Net) -> None:
    """Who subscribes gets what is published, and its publisher learns how many that were."""
    async with hub(net) as server, peer(server) as ann, peer(server) as bob:
        await ann.subscribe("alerts")
        await bob.subscribe("alerts", "news.>")
        answer = await bob.publish("alerts", {"text": "fire", "grade": 3})
        assert answer == {"type": "published", "topic": "alerts", "recipients": 2}
        for each in (ann, bob):
            message = await each.wait_for("notification")
            assert message["topic"] == "alerts"
            assert message["message"] == {"text": "fire", "grade": 3}
        assert (await ann.publish("news.sport", "goal"))["recipients"] == 1
        assert (await bob.recv())["message"] == "goal"


async def test_a_room(net: Net) -> None:
    """A room tells who comes and goes, who said what, and who is there."""
    async with hub(net) as server, named(server, "ann") as ann:
        await ann.subscribe("room.lobby")
        async with named(server, "bob") as bob:
            await bob.subscribe("room.lobby")
            joined = await ann.recv()
            assert (joined["type"], joined["message"]) == ("system", "bob joined the chat")
            assert (await bob.publish("room.lobby", "hi"))["recipients"] == 2
            for each in (ann, bob):
                said = await each.wait_for("chat")
                assert (said["sender"], said["message"]) == ("bob", "hi")
            found = await ann.ask(action="presence", topic="room.lobby")
            assert found["members"] == [
                {"user": "ann", "connections": 1},
                {"user": "bob", "connections": 1},
            ]
        left = await ann.recv()
        assert (left["type"], left["message"]) == ("system", "bob left the chat")


async def test_coming_and_going_as_data(net: Net) -> None:
    """Who asks for presence is told of joins and leaves."""
    async with hub(net) as server, named(server, "ann") as ann:
        await ann.subscribe("room.lobby", presence=True)
        async with named(server, "bob") as bob:
            await bob.subscribe("room.lobby")
            while (change := await ann.wait_for("presence"))["user"] != "bob":
                pass
            assert (change["event"], change["count"]) == ("join", 2)
        change = await ann.wait_for("presence")
        assert (change["event"], change["user"], change["count"]) == ("leave", "bob", 1)


async def test_a_direct_message(net: Net) -> None:
    """It reaches every connection of its user, and nobody else."""
    config = hub_config(auth=token_auth("ann", "bob"))
    async with (
        hub(net, config) as server,
        peer(server, "/?token=token-ann") as one,
        peer(server, "/?token=token-ann") as two,
        peer(server, "/?token=token-bob") as bob,
    ):
        for each in (one, two, bob):
            assert (await each.recv())["status"] == "ok"
        answer = await bob.ask(action="publish", to="ann", message="psst")
        assert answer == {"type": "published", "to": "ann", "recipients": 2}
        for each in (one, two):
            message = await each.recv()
            assert (message["type"], message["sender"]) == ("direct", "bob")
            assert message["message"] == "psst"


async def test_what_the_server_says(net: Net) -> None:
    """It publishes, as itself or in somebody's name, and speaks to one user."""
    async with hub(net) as server, named(server, "ann") as ann:
        await ann.subscribe("room.lobby", "alerts")
        assert (await server.publish("alerts", [1, None])).recipients == 1
        assert (await server.publish("room.lobby", "hello", sender="the host")).recipients == 1
        assert (await server.publish("nowhere", 1)).recipients == 0
        assert await server.send_to("ann", "psst", sender="the host") == 1
        assert await server.send_to("nobody", 1) == 0
        assert _without_time(await ann.recv()) == {
            "type": "notification",
            "topic": "alerts",
            "message": [1, None],
        }
        said = await ann.recv()
        assert (said["type"], said["sender"], said["message"]) == ("chat", "the host", "hello")
        direct = await ann.recv()
        assert (direct["type"], direct["sender"], direct["message"]) == (
            "direct",
            "the host",
            "psst",
        )


async def test_a_publisher_in_another_task(net: Net) -> None:
    """Any task of the loop may publish, and each message leaves without waiting for another."""
    async with hub(net) as server, peer(server) as ann:
        await ann.subscribe("alerts")

        async def publish() -> None:
            for number in range(3):
                await server.publish("alerts", number)
                got.append((await ann.recv())["message"])

        got: list[int] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish)
        assert got == [0, 1, 2]


async def test_a_publisher_in_a_loop_lets_others_have_their_turn(net: Net) -> None:
    """It may publish more than any outbox holds; who reads loses nothing."""
    count = 500
    config = hub_config(HubLimits(outbox_size=65536))
    async with hub(net, config) as server, peer(server) as ann:
        await ann.subscribe("numbers")

        async def listen() -> None:
            for number in range(count):
                assert (await ann.recv())["message"] == [number, "x" * 200]

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            for number in range(count):
                await server.publish("numbers", [number, "x" * 200])


async def test_mistakes_of_the_servers_own_code(net: Net) -> None:
    """They are told at once, and change nothing."""
    async with hub(net) as server, peer(server) as ann:
        await ann.subscribe("alerts")
        with pytest.raises(LocalProtocolError, match="topic"):
            await server.publish("alerts.*", 1)
        with pytest.raises(LocalProtocolError, match="JSON"):
            await server.publish("alerts", object())
        with pytest.raises(LocalProtocolError, match="JSON"):
            await server.send_to("User-1", object())
        with pytest.raises(LocalProtocolError, match="pattern"):
            await server.revoke("User-1", "a..b")
        await server.publish("alerts", "x")
        assert (await ann.recv())["message"] == "x"


async def test_disconnecting_a_user(net: Net) -> None:
    """All sessions of the user get 4003, and others go on."""
    config = hub_config(auth=token_auth("ann"))
    async with (
        hub(net, config) as server,
        peer(server, "/?token=token-ann") as one,
        peer(server, "/?token=token-ann") as two,
        named(server, "bob") as bob,
    ):
        for each in (one, two):
            assert (await each.recv())["status"] == "ok"
        assert await server.disconnect("ann") == 2
        for each in (one, two):
            assert await each.closed() == (4003, "disconnected by the operator")
        assert await server.disconnect("ann") == 0
        assert await server.disconnect("bob", "for repairs") == 1
        assert await bob.closed() == (4003, "for repairs")


async def test_revoking_a_topic(net: Net) -> None:
    """The subscription ends in that moment, and its owner is told."""
    async with hub(net) as server, named(server, "ann") as ann:
        await ann.subscribe("secret.plans", "alerts")
        assert await server.revoke("ann", "secret.>") == 1
        assert (await server.publish("secret.plans", 1)).recipients == 0
        assert await ann.recv() == {
            "type": "unsubscribed",
            "topics": ["secret.plans"],
            "reason": "revoked",
        }
        answer = await ann.ask(action="subscribe", topics=["secret.plans"])
        assert answer["code"] == "forbidden"
        assert (await server.publish("alerts", 1)).recipients == 1


async def test_the_time_of_day(net: Net) -> None:
    """Timestamps follow the clock on the wall, which is looked at each minute."""
    clock, wall = Clock(), Clock()
    wall.now = WALL
    async with hub(net, clock=clock, wall_clock=wall) as server, peer(server) as ann:
        await ann.subscribe("alerts")
        await server.publish("alerts", 1)
        assert (await ann.recv())["timestamp"] == AT
        wall.now += 3600  # somebody sets it
        await server.publish("alerts", 2)
        assert (await ann.recv())["timestamp"] == AT
        clock.now += 60
        server._pulse.on_timeout(clock.now)
        await server.publish("alerts", 3)
        assert (await ann.recv())["timestamp"] == "2023-11-14T23:13:20.000+00:00"


async def test_every_loop_gives_the_same_bytes(net: Net) -> None:
    """With the same clocks, the same requests one after the other give the same answers and pushes."""
    got: list[dict[str, Any]] = []

    async def act(one: HubPeer, **fields: Any) -> None:
        await one.send(**fields)
        got.append(await one.recv())

    async with (
        hub(net, clock=Clock(), wall_clock=lambda: WALL) as server,
        peer(server) as ann,
        peer(server) as bob,
    ):
        await act(ann, name="ann")
        await act(bob, action="subscribe", topics=["alerts", "room.*"], id=1)
        await act(ann, action="publish", topic="alerts", message={"a": [1.5, "é"]}, id="x")
        got.append(await bob.recv())
        await act(ann, action="publish", topic="room.lobby", message=None)
        got.append(await bob.recv())
        await act(bob, action="nonsense")
        await ann.connection.send("[")
        got.append(await ann.recv())
        server.close()
        await ann.wait_for("reconnect")
        assert await ann.closed() == (1001, "the server is shutting down")
    assert got == [
        {"type": "auth", "status": "ok", "username": "ann"},
        {"type": "subscribed", "topics": ["alerts", "room.*"], "id": 1},
        {"type": "published", "topic": "alerts", "recipients": 1, "id": "x"},
        {
            "type": "notification",
            "topic": "alerts",
            "message": {"a": [1.5, "é"]},
            "timestamp": AT,
        },
        {"type": "published", "topic": "room.lobby", "recipients": 1},
        {
            "type": "chat",
            "topic": "room.lobby",
            "sender": "ann",
            "message": None,
            "timestamp": AT,
        },
        *got[6:],
    ]
    assert [error["code"] for error in got[6:]] == ["unknown_action", "bad_json"]


async def test_a_connection_that_breaks_the_rules(net: Net) -> None:
    """It is closed, and others go on."""
    async with hub(net) as server, peer(server) as ann:
        await ann.subscribe("alerts")
        async with peer(server) as bob:
            await bob.connection.send("x" * 100_000)
            assert (await bob.closed())[0] == 1009
        await until(lambda: server.hub.links == 1)
        await server.publish("alerts", 1)
        assert (await ann.recv())["message"] == 1
