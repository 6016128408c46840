"""Plays a plan: clients that do things, faults that happen to them, then calm, and the end of all."""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Final

from msgspec.structs import replace

from .client import Connection, SimulatedClient
from .faults import OF_ACTIONS, Fault
from .hostile import BAD_NAMES
from .hub import SimulatedHub
from .mishaps import Mishaps, wake
from .network import PERFECT, Network
from .peers import Standing
from .plan import NAMES, TOPICS, USERS, Plan
from .script import Script
from .violation import Violation

__all__ = ["Storm"]

_PATIENCE: Final = 90
"""Seconds after which, in calm, all must be quiet."""

_KINDS: Final = 3
"""Kinds of fault that occur in each run, at least."""

_REMEMBERED: Final = 100
"""Messages that a client keeps."""


class Storm:
    """One run.

    Args:
        plan: what is played.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.hub = hub = SimulatedHub(
            plan.config,
            plan.seed,
            faults=plan.faults,
            tokens=plan.tokens,
            hooks=plan.hooks,
            turn=plan.turn,
            lag=plan.lag,
        )
        self.done = 0
        """Actions so far."""
        self._random = random = Random(plan.seed ^ 0x5EED)
        self._script = Script(random)
        self._mishaps = Mishaps(hub, random, self._script, self._connect)
        self._rest: dict[SimulatedClient, float] = {}
        """When those that were connected lately may connect again."""
        self._greetings: dict[SimulatedClient, deque[dict[str, Any]]] = {}
        self._faults = [fault for fault in OF_ACTIONS if fault in plan.faults]
        self._weights = [plan.faults[fault] for fault in self._faults]
        for _ in range(plan.clients):
            compressed = plan.deflate is not None and random.random() < 0.5
            client = hub.client(
                deflate=plan.deflate if compressed else None,
                address=f"10.0.0.{random.randint(1, 4)}",
            )
            client.keeps = _REMEMBERED
            self._greetings[client] = deque()
        self._people = tuple(hub.clients)
        hub.on_opened = self._greet

    def play(self) -> None:
        """All of it.

        Raises:
            Violation: something does not hold.
        """
        self._rage()
        if self.plan.end in ("drain under fire", "stop under fire"):
            self.hub.drain()
            self._rage(0.1)
            if self.plan.end == "stop under fire":
                self.hub.stop()
            self._calm_down()
        else:
            self._calm_down()
            self._catch_up()
            self._end()
        self._leave_behind()

    # The storm.

    def _rage(self, share: float = 1.0) -> None:
        """Actions at random moments, some of them at once."""
        count = int(self.plan.actions * share)
        wanted = self.done + count
        pause = self.plan.seconds * share / count
        while self.done < wanted:
            self._act()
            if self._random.random() < 0.7:
                self.hub.run(self._random.expovariate(0.7 / pause))
        self._make_sure()

    def _make_sure(self) -> None:
        """Some kinds need what a plan may not have, such as an authenticator to be slow. Three there are."""
        occurred = self.hub.occurred
        for fault in (Fault.CLOCK_FORWARD, Fault.CLOCK_BACK, Fault.MUTE):
            if sum(f"fault {kind}" in occurred for kind in Fault) < _KINDS:
                self._mishaps.happen(fault, self._people[0])
                occurred[f"fault {fault}"] += 1

    def _act(self) -> None:
        """One action of somebody."""
        random = self._random
        client = random.choice(self._people)
        self.done += 1
        if self._faults and random.random() < 0.2:
            (fault,) = random.choices(self._faults, self._weights)
            if self._mishaps.happen(fault, client):
                self.hub.occurred[f"fault {fault}"] += 1
                return
        if not client.is_open:
            able = [one for one in self._people if one.is_open]
            if not able or self._may_connect(client):
                self._rest[client] = self.hub.now + random.uniform(2.0, 14.0)
                self._connect(client)
                return
            client = random.choice(able)
        if random.random() < 0.06:
            self._command()
        elif random.random() < 0.02:
            client.close(random.choice((1000, 1000, 1001, 3007)))
        else:
            client.send(self._script.request(client))

    def _may_connect(self, client: SimulatedClient) -> bool:
        connection = client.connection
        gone = connection is None or connection.is_over or self._random.random() < 0.05
        return gone and self._rest.get(client, 0.0) <= self.hub.now

    def _command(self) -> None:
        """The server itself says something."""
        random, script = self._random, self._script
        if random.random() < 0.2:
            self.hub.send_to(random.choice(USERS), script.message())
            return
        for _ in range(random.choice((1, 1, 1, 15))):
            topic = random.choice(TOPICS)
            key = random.choice("abc") if random.random() < 0.5 else None
            sender = random.choice((None, "server"))
            self.hub.publish(topic, script.message(), sender=sender, key=key)

    # Connecting.

    def _network(self) -> Network:
        random, faults = self._random, self.plan.faults
        fields: dict[str, Any] = {}
        for fault, field, values in (
            (Fault.LATENCY, "latency", ((0.01, 0.01), (0.0, 0.3), (0.1, 0.5))),
            (Fault.PIECES, "chunk", ((1, 100), (20, 400), (100, 1500))),
            (Fault.NARROW, "window", (200, 1000, 3000)),
        ):
            if random.random() < faults.get(fault, 0.0):
                fields[field] = random.choice(values)
                self.hub.occurred[f"fault {fault}"] += 1
        return Network(**fields)

    def _connect(self, client: SimulatedClient, *, calm: bool = False) -> None:
        """Open a connection, by one of the ways of saying who one is."""
        random, config, script = self._random, self.plan.config, self._script
        greetings = self._greetings[client]
        greetings.clear()
        client.network = PERFECT if calm else self._network()
        way = random.choice(("header", "query", "message", "message"))
        if config.auth is not None and (calm or config.anonymous is None or random.random() < 0.6):
            token = script.token(good=calm)
            if way == "message":
                client.connect()
                greetings.append(script.numbered({"token": token}))
            else:
                client.connect(token=token, header=way == "header")
        elif random.random() < 0.3 or config.anonymous is None:
            client.connect()
        elif way == "message":
            client.connect()
            greetings.append(script.numbered({"name": random.choice(NAMES)}))
        else:
            bad = not calm and random.random() < 0.1
            client.connect(name=random.choice(BAD_NAMES if bad else NAMES))

    def _greet(self, client: SimulatedClient) -> None:
        """Its connection is open: say what was to be said first."""
        greetings = self._greetings.get(client)
        while greetings and client.is_open:
            client.send(greetings.popleft())

    # Calm.

    def _calm_down(self) -> None:
        """Nothing goes wrong any more: what is under way comes to an end."""
        hub = self.hub
        self._faults = []
        hub.outside.faults = {}
        for connection in hub.connections:
            if connection.is_over:
                continue
            if connection.link.network.silent_from is None:
                connection.link.network = PERFECT
                wake(connection, hub.now)
            elif self._random.random() < 0.5:  # the others the hub must find out about by itself
                connection.link.cut()
        began = hub.now
        while busy := self._busy():
            hub.run(2.0)
            if hub.now > began + _PATIENCE:
                raise Violation("all comes to rest", f"not after {_PATIENCE} s", *busy)

    def _busy(self) -> list[int]:
        """Connections on which something is to come yet."""
        return [
            peer.number
            for peer in self.hub.model.peers.values()
            if peer.standing is not Standing.GONE
            and (
                peer.pending is not None
                or peer.owed()
                or (peer.connection.sent and peer.connection.is_open)
                or peer.connection.link.network.silent_from is not None
                or peer.connection.unfinished_at is not None
            )
        ]

    def _catch_up(self) -> None:
        """Everybody comes back, says something, and gets all of it."""
        hub, random = self.hub, self._random
        for client in self._people:
            if client.connection is None or client.connection.is_over:
                self._connect(client, calm=True)
                hub.run(0.05)
        hub.run(2.0 + self.plan.turn)
        able = [client for client in hub.clients if client.is_open]
        for client in able:
            subscribe = {"action": "subscribe", "topics": [random.choice(TOPICS)]}
            if client.is_open:
                client.send(self._script.numbered(subscribe))
            hub.run(0.3)
        for client in able:
            if client.is_open:
                client.send(self._script.request(client))
        for topic in TOPICS:
            hub.publish(topic, self._script.message())
        hub.run(10.0)
        hub.check_caught_up()

    # The end.

    def _end(self) -> None:
        hub = self.hub
        if self.plan.end == "drain":
            hub.drain()
            return
        ways: dict[str, Callable[[Connection], None]] = {
            "close": _close,
            "cut": lambda one: one.link.cut(),
            "silence": self._cut_off,
        }
        for connection in hub.connections:
            if not connection.is_over:
                ways[self.plan.end](connection)

    def _cut_off(self, connection: Connection) -> None:
        connection.link.network = replace(connection.link.network, silent_from=self.hub.now)

    def _leave_behind(self) -> None:
        """After the longest of all timeouts nobody is left, and nothing of them."""
        limits = self.plan.config.limits
        self.hub.run(
            (limits.open_timeout or 0)
            + (limits.ping_interval or 0)
            + (limits.ping_timeout or 0)
            + (limits.write_timeout or 0)
            + (limits.message_timeout or 0)
            + 2 * limits.close_timeout
            + limits.hook_timeout
            + limits.drain_timeout
            + 10.0
        )
        self.hub.check_empty()


def _close(connection: Connection) -> None:
    if connection.is_open and connection.client.connection is connection:
        connection.client.close()
    else:
        connection.link.cut()
