"""A simulated hub: what it does for those who write their own scenes, and what it notices."""

from typing import Any

import pytest

from hubbub.core import (
    AnonymousAccess,
    Deflate,
    External,
    Grant,
    HookKind,
    HubConfig,
    HubLimits,
    Rule,
    ServerOptions,
)
from hubbub.core.session import Session
from hubbub.transports.simulated import Fault, Network, SimulatedHub, Violation

TOKENS = {user: Grant(user=user, read=(">",), write=(">",)) for user in ("alice", "bob")}
SLOW = Network(window=400)
"""A network that takes little before it blocks."""


def config(*rules: Rule, **limits: Any) -> HubConfig:
    """A configuration with these rules and limits, where tokens are asked for outside."""
    return HubConfig(
        options=ServerOptions(limits=HubLimits(**limits), deflate=Deflate()),
        rules=rules,
        auth=External(),
        anonymous=AnonymousAccess(),
    )


def types(told: list[dict[str, Any]]) -> list[str]:
    """What kinds of message these are."""
    return [message["type"] for message in told]


def test_clients_talk_and_everything_is_checked() -> None:
    """Two users and a guest meet in a room; each is told what it should be, and nothing is left behind."""
    room = Rule(pattern="room.>", presence=True, announce=True)
    hub = SimulatedHub(config(room), 7, clients=3, tokens=TOKENS)
    alice, bob, guest = hub.clients
    alice.connect(token="alice", header=True)
    bob.connect(token="bob")
    guest.connect(name="ann")
    hub.run(1.0)
    assert [client.user for client in hub.clients] == ["alice", "bob", "ann"]
    for client in hub.clients:
        client.send({"action": "subscribe", "topics": ["room.lobby", "room.*"]})
        hub.run(1.0)
    bob.send({"action": "publish", "topic": "room.lobby", "message": "hi", "id": 1})
    hub.send_to("alice", "psst")
    hub.run(1.0)
    assert types(alice.told) == ["auth", "subscribed", "system", "system", "direct", "chat"]
    assert bob.told[-2:] == [
        {"type": "published", "topic": "room.lobby", "recipients": 3, "id": 1},
        guest.told[-1],
    ]
    hub.check_caught_up()
    assert hub.publish("room.lobby", "from the server") == 3
    assert hub.revoke("bob", "room.lobby") == 1
    assert hub.disconnect("ann") == 1
    hub.run(1.0)
    assert bob.told[-1]["reason"] == "revoked"
    assert guest.connection is not None
    assert guest.connection.closed is not None
    hub.drain()
    hub.run(60.0)
    hub.check_empty()
    assert hub.occurred["close 1001"] == 2


def test_a_seed_decides_everything() -> None:
    """The same seed gives the same digest, with faults and all; another seed another one."""

    def digest(seed: int) -> str:
        faults = {Fault.SLOW_AUTH: 0.5, Fault.DOUBLE_ANSWER: 0.5}
        network = Network(latency=(0.0, 0.2), chunk=(1, 50))
        hub = SimulatedHub(
            config(), seed, faults=faults, clients=2, tokens=TOKENS, network=network, turn=0.01
        )
        for client in hub.clients:
            client.connect(token="alice")
        hub.run(20.0)
        return hub.digest

    assert digest(1) == digest(1) != digest(2)


def test_who_does_not_read_is_told_what_it_missed() -> None:
    """A topic whose rule drops the oldest loses some for a reader that stands still, who is told how many."""
    hub = SimulatedHub(config(Rule(pattern="a", slow="drop-oldest"), outbox_size=2000), 3)
    client = hub.client(network=SLOW)
    connection = client.connect(name="ann")
    hub.run(1.0)
    client.send({"action": "subscribe", "topics": ["a"]})
    hub.run(1.0)
    connection.client_end.stalled = True
    for number in range(40):
        hub.publish("a", {"n": number, "pad": "x" * 100})
    hub.run(1.0)
    connection.client_end.stalled = False
    connection.link.serve(connection.client_end)
    hub.run(5.0)
    gaps = [message["missed"] for message in client.told if message["type"] == "gap"]
    got = types(client.told).count("notification")
    assert sum(gaps) + got == 40
    assert gaps
    assert hub.occurred["policy drop-oldest"] == len(gaps)
    hub.check_caught_up()


def test_hooks_and_authenticators_fail_as_often_as_was_said() -> None:
    """An authenticator that always fails lets nobody in, and the faults are counted."""
    hooks = {HookKind.CONNECT: (">",)}
    hub = SimulatedHub(
        config(), faults={Fault.FAILED_AUTH: 1.0}, clients=4, tokens=TOKENS, hooks=hooks
    )
    for client in hub.clients:
        client.connect(token="alice")
    hub.run(5.0)
    assert hub.occurred["fault failed authentication"] == hub.occurred["close 1011"] == 4
    assert all(client.user is None for client in hub.clients)


def test_a_broken_promise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """When queued publications survive an unsubscribe, the run ends there, and says where."""
    monkeypatch.setattr(Session, "discard", lambda self, gone: 0)
    hub = SimulatedHub(config(), 1)
    client = hub.client(network=Network(window=400, latency=(0.5, 0.5)))
    connection = client.connect(name="ann")
    hub.run(3.0)
    client.send({"action": "subscribe", "topics": ["a"]})
    hub.run(3.0)
    for _ in range(2):  # the first fills the socket, the second waits in the session
        hub.publish("a", "x" * 1000)
        hub.run(0.1)
    client.send({"action": "unsubscribe", "topics": ["a"]})
    with pytest.raises(Violation, match="nothing follows an unsubscribe") as found:
        hub.run(5.0)
    assert found.value.connections == (connection.number,)


def test_the_trace_says_what_happened() -> None:
    """Each line has the time, the connection or the hub, and what it did."""
    hub = SimulatedHub(config(), clients=1, tokens=TOKENS)
    lines: list[str] = []
    hub.record.lines = lines
    (client,) = hub.clients
    client.connect(token="bob")
    hub.run(1.0)
    client.close()
    hub.run(5.0)
    told = [line.split(" ", 2)[1:] for line in lines]
    assert ["1", "connects token bob"] in told
    assert ["1", "closes 1000"] in told
    assert any(who == "hub" and "Joined" in what for who, what in told)


def test_what_cannot_be_simulated_is_told() -> None:
    """Topics with history, and clients that speak before they are connected."""
    with pytest.raises(ValueError, match="history"):
        SimulatedHub(config(Rule(pattern="a", history=10)))
    hub = SimulatedHub(clients=1)
    with pytest.raises(ValueError, match="connect"):
        hub.clients[0].send({"action": "ping"})
