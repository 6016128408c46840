"""The simulated link: what it does to two machines, and what must hold whatever it does."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from hubbub.core import (
    Accepted,
    BinaryMessage,
    ClientOptions,
    Closed,
    Deflate,
    Event,
    Limits,
    Refused,
    Requested,
    ServerOptions,
    State,
    TextMessage,
    WebSocket,
)
from hubbub.transports.simulated import Endpoint, Network, SimulatedLink, Stuck, seeded_entropy


@dataclass
class User:
    """Drives one machine: echoes on the server, sends what it was told to on the client."""

    ws: WebSocket
    to_send: list[str | bytes] = field(default_factory=list)
    echo: bool = False
    heard: list[str | bytes] = field(default_factory=list)
    last: list[Event] = field(default_factory=list)

    def __call__(self, now: float) -> None:
        """Take every event; answer messages; close when all was heard."""
        while not self.ws.write_paused and (event := self.ws.next_event()) is not None:
            match event:
                case Requested():
                    self.ws.accept(now)
                case Accepted():
                    pass
                case TextMessage(data) | BinaryMessage(data):
                    self.heard.append(data)
                    if self.echo and self.ws.can_send:
                        self.ws.send(data, now)
                case Closed() | Refused():
                    self.last.append(event)
        while self.to_send and self.ws.can_send and not self.ws.write_paused:
            self.ws.send(self.to_send.pop(0), now)


@dataclass
class World:
    """A server that echoes and a client that talks, joined by a simulated link."""

    server: User
    client: User
    ends: tuple[Endpoint, Endpoint]
    link: SimulatedLink


def world(
    seed: int,
    network: Network,
    messages: list[str | bytes],
    limits: Limits | None = None,
    deflate: Deflate | None = None,
) -> World:
    """Both machines, their users, and the link between them."""
    chosen = limits or Limits()
    server = WebSocket(
        ServerOptions(limits=chosen, deflate=deflate), now=0.0, entropy=seeded_entropy(seed)
    )
    client = WebSocket(
        ClientOptions(host="example.com", limits=chosen, deflate=deflate),
        now=0.0,
        entropy=seeded_entropy(seed + 1),
    )
    users = User(server, echo=True), User(client, to_send=list(messages))
    ends = Endpoint(server, users[0]), Endpoint(client, users[1])
    return World(*users, ends, SimulatedLink(*ends, seed=seed, network=network))


def some_messages(seed: int) -> list[str | bytes]:
    """Twenty messages of both types and of all sizes."""
    random = seeded_entropy(seed)
    sizes = [0, 1, 125, 126, 4000, 65535, 65536, 70000]
    return [random(sizes[i % len(sizes)]) if i % 2 else "é" * (i * 37) for i in range(20)]


NETWORKS = [
    Network(),
    Network(chunk=(1, 1), latency=(0.001, 0.01), window=1 << 20),
    Network(chunk=(1, 1500), latency=(0.0, 0.3)),
    Network(chunk=(1, 100_000), latency=(0.1, 0.5), window=20_000),
]


@pytest.mark.parametrize("deflate", [None, Deflate(threshold=0)], ids=["plain", "deflate"])
@pytest.mark.parametrize("network", NETWORKS, ids=["perfect", "bytewise", "ragged", "narrow"])
@pytest.mark.parametrize("seed", range(5))
def test_every_message_comes_back_in_order(
    seed: int, network: Network, deflate: Deflate | None
) -> None:
    """However the network cuts and delays, nothing is lost, doubled or reordered."""
    messages = some_messages(seed)
    if network.chunk == (1, 1):
        messages = [m[:2000] for m in messages]
    w = world(seed, network, messages, deflate=deflate)
    w.link.run(until=1000.0)
    assert w.server.heard == messages
    assert w.client.heard == messages
    assert w.client.ws.state is State.OPEN
    w.client.ws.close(w.link.now)
    w.link.poke(w.ends[1])
    w.link.run(until=2000.0)
    for user, end in zip((w.server, w.client), w.ends, strict=True):
        (closed,) = user.last
        assert isinstance(closed, Closed)
        assert closed.code == 1000
        assert end.closed_at is not None


@pytest.mark.parametrize("seed", range(30))
def test_a_connection_that_is_cut_ends_on_both_sides(seed: int) -> None:
    """Wherever the cut falls, each side gets a prefix of what was sent and one last event."""
    messages = some_messages(seed)
    network = Network(chunk=(1, 3000), latency=(0.0, 0.05), cut_at=seed / 60)
    w = world(seed, network, messages)
    w.link.run(until=100.0)
    assert w.server.heard == messages[: len(w.server.heard)]
    assert w.client.heard == messages[: len(w.client.heard)]
    for user in (w.server, w.client):
        (last,) = user.last
        assert isinstance(last, Closed)
        assert last.code == 1006
        assert user.ws.next_timeout() is None


@pytest.mark.parametrize("seed", range(10))
def test_a_pulled_cable_is_found_in_time(seed: int) -> None:
    """When everything vanishes, both sides end within the keepalive's and the drain's bounds."""
    network = Network(latency=(0.01, 0.05), silent_from=float(seed))
    w = world(seed, network, ["hello"])
    w.link.run(until=1000.0)
    for end in w.ends:
        assert end.closed_at is not None
        assert end.closed_at <= seed + 20.0 + 20.0 + 2.0 + 1.0


def test_a_frozen_process_is_found_and_a_short_freeze_is_forgiven() -> None:
    """A client that stands still for 30 s keeps its connection, one that stays frozen does not."""
    for thaw, expected in ((30.0, State.OPEN), (None, State.CLOSED)):
        w = world(1, Network(latency=(0.01, 0.01)), ["hello"])
        client = w.ends[1]

        def freeze(on: bool, end: Endpoint = client) -> None:
            end.stalled = on

        w.link.run(until=5.0)
        freeze(True)
        if thaw is not None:
            w.link.run(until=thaw)
            freeze(False)
            w.link.poke(client)
        w.link.run(until=50.0)
        assert w.server.ws.state is expected


def test_a_reader_that_never_reads_is_left_at_the_write_deadline() -> None:
    """The window and the socket fill, nothing is taken for 30 s, and the socket closes 2 s later."""
    limits = Limits(ping_interval=None, write_timeout=30.0)
    w = world(3, Network(window=1000), [], limits)
    w.link.run(until=1.0)
    w.ends[1].stalled = True
    for _ in range(3):
        w.server.ws.send(b"x" * 60_000, 1.0)
    w.link.poke(w.ends[0])
    w.link.run(until=30.9)
    assert w.server.ws.state is State.OPEN
    w.link.run(until=31.0)
    assert w.server.ws.state is State.CLOSED
    w.link.run(until=40.0)
    assert w.ends[0].closed_at == 33.0


def trace(seed: int) -> tuple[bytes, bytes, list[str | bytes]]:
    """Everything that went over the wire in both directions in one run."""
    network = Network(chunk=(1, 2000), latency=(0.0, 0.2), cut_at=40.0)
    w = world(seed, network, some_messages(seed), deflate=Deflate())
    w.link.run(until=100.0)
    return bytes(w.ends[0].received), bytes(w.ends[1].received), w.client.heard


@pytest.mark.parametrize("seed", range(10))
def test_a_seed_replays_byte_for_byte(seed: int) -> None:
    """The same seed gives the same bytes on the wire; another seed gives others."""
    assert trace(seed) == trace(seed)
    assert trace(seed) != trace(seed + 1)


def test_how_the_network_cuts_does_not_matter() -> None:
    """Without delays, the bytes that leave are the same whatever the cuts."""

    def received(chunk: tuple[int, int]) -> tuple[bytes, bytes]:
        w = world(7, Network(chunk=chunk), ["a", b"b" * 300, "c" * 7000])
        w.link.run(until=5.0)
        return bytes(w.ends[0].received), bytes(w.ends[1].received)

    assert received((1, 1)) == received((1, 700)) == received((1 << 20, 1 << 20))


def test_two_machines_that_never_rest_are_told() -> None:
    """A simulation in which time stands still ends with an error, not never."""
    w = world(1, Network(), [])

    def again() -> None:
        w.link.call_at(w.link.now, again)

    again()
    with pytest.raises(Stuck):
        w.link.run(until=1.0)


def test_a_stalled_side_runs_no_timers() -> None:
    """A frozen process does nothing at all, however much time the other side makes pass."""
    w = world(1, Network(), ["hello"])
    w.link.run(until=5.0)
    w.ends[1].stalled = True
    due = w.client.ws.next_timeout()
    w.link.run(until=39.0)
    assert w.client.ws.next_timeout() == due


@pytest.mark.parametrize(
    "fields", [{"chunk": (0, 0)}, {"chunk": (5, 1)}, {"latency": 0.1}, {"window": 0}], ids=str
)
def test_a_network_that_cannot_be_is_told(fields: dict[str, Any]) -> None:
    """The message names the field and says what can be."""
    with pytest.raises(ValueError, match=next(iter(fields))):
        Network(**fields)
