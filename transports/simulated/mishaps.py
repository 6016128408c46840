"""What goes wrong in a storm of its own accord: to connections, to clocks, and by operators."""

from collections.abc import Callable
from math import inf
from random import Random
from typing import Final

from msgspec.structs import replace

from ...core.frames import Opcode
from .client import Connection, SimulatedClient
from .faults import Fault
from .hostile import HOSTILE
from .hub import SimulatedHub
from .network import Network
from .plan import PATTERNS, TOPICS
from .script import Script

__all__ = ["Mishaps", "wake"]

_BROKEN: Final = (
    b"\x83\x80\x00\x00\x00\x00",  # a reserved opcode
    b"\x91\x81\x00\x00\x00\x00x",  # a reserved bit
    b"\x81\x01x",  # not masked
    b"\x09\x80\x00\x00\x00\x00",  # a ping in fragments
    b"\x80\x80\x00\x00\x00\x00",  # a continuation of nothing
)
_MUTES: Final = 6
"""Sockets of one run that are opened without a word."""


class Mishaps:
    """Has things go wrong.

    Args:
        hub: where.
        random: decides how.
        script: what is said in a flood.
        connect: has a client connect again.
    """

    def __init__(
        self,
        hub: SimulatedHub,
        random: Random,
        script: Script,
        connect: Callable[[SimulatedClient], None],
    ) -> None:
        self._hub = hub
        self._random = random
        self._script = script
        self._connect = connect
        self._mutes = 0

    def happen(self, fault: Fault, client: SimulatedClient) -> bool:
        """Have something go wrong; False if it can't now."""
        random, hub, connection = self._random, self._hub, client.connection
        match fault:
            case Fault.CLOCK_FORWARD:
                hub.set_wall_clock(hub.wall + random.choice((1.0, 20.0, 4000.0)))
            case Fault.CLOCK_BACK:
                hub.set_wall_clock(hub.wall - random.choice((1.0, 20.0, 4000.0)))
            case Fault.KICK:
                return hub.disconnect(self._somebody()) > 0
            case Fault.REVOKE:
                return self._revoke()
            case Fault.MUTE:
                if self._mutes >= _MUTES:
                    return False
                self._mutes += 1
                hub.client(network=Network(silent_from=hub.now), address="10.0.9.9").connect()
            case _ if connection is None or connection.is_over:
                return False
            case Fault.CUT:
                connection.link.cut()
            case Fault.SILENCE:
                self._silence(client, connection)
            case Fault.STALL:
                return self._stall(connection)
            case _:
                return client.is_open and self._misbehave(fault, client, connection)
        return True

    def _revoke(self) -> bool:
        """Take something away; best from somebody for whom something waits."""
        peers = self._hub.model.inside()
        peers = [peer for peer in peers if any(peer.queues.values())] or peers
        if not peers:
            return False
        peer = self._random.choice(peers)
        known = [topic for topic in TOPICS if peer.reads(topic)]
        if not known or self._random.random() < 0.3:
            return self._hub.revoke(peer.user, self._random.choice((*PATTERNS, *TOPICS))) > 0
        topic = self._random.choice(known)
        for _ in range(self._random.randint(0, 2)):  # what waits at the end of the turn is too late
            self._hub.publish(topic, self._script.message())
        return self._hub.revoke(peer.user, topic) > 0

    def _somebody(self) -> str:
        users = [peer.user for peer in self._hub.model.inside()]
        return self._random.choice(users) if users else "nobody"

    def _silence(self, client: SimulatedClient, connection: Connection) -> None:
        """A cable is pulled; after a while the client tries again on another one."""
        hub = self._hub
        connection.link.network = replace(connection.link.network, silent_from=hub.now)

        def again() -> None:
            if client.connection is connection:
                self._connect(client)

        hub.agenda.at(hub.now + self._random.uniform(1.0, 6.0), again)

    def _stall(self, connection: Connection) -> bool:
        if connection.client_end.stalled:
            return False
        connection.client_end.stalled = True
        connection.hindered_at = inf
        until = self._hub.now + self._random.uniform(1.0, 12.0)
        self._hub.agenda.at(until, lambda: wake(connection, self._hub.now))
        return True

    def _misbehave(self, fault: Fault, client: SimulatedClient, connection: Connection) -> bool:
        """A client breaks the protocol, or strains it."""
        random, limits = self._random, self._hub.config.limits
        match fault:
            case Fault.FLOOD:
                for _ in range(limits.request_burst + random.randint(5, 20)):
                    client.send(self._script.request(client))
            case Fault.PING_FLOOD:
                for _ in range(limits.control_burst + 10):
                    client.ping()
            case Fault.OVERSIZED:
                size = (limits.max_size or 0) + 1
                client.send_frame(Opcode.TEXT, b"x" * size, misdeed=1009)
            case Fault.HOSTILE:
                client.send_text(random.choice(tuple(HOSTILE)))
            case Fault.BINARY:
                client.send_binary(b"\x00\x01")
            case Fault.BAD_FRAME:
                client.send_raw(random.choice(_BROKEN), 1002)
            case Fault.BAD_TEXT:
                client.send_frame(Opcode.TEXT, b'{"a":"\xff"}', misdeed=1007)
            case _:
                if connection.ws.wants_write:
                    return False  # what waits would come into the middle
                client.send_frame(Opcode.TEXT, b'{"action":', final=False)
                connection.unfinished_at = self._hub.now
        return True


def wake(connection: Connection, now: float) -> None:
    """A client that stood still goes on."""
    if connection.client_end.stalled:
        connection.client_end.stalled = False
        connection.hindered_at = now
    connection.link.serve(connection.client_end)
