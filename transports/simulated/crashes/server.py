"""The process that crashes: one hub after another on the same disk, with the loop that an adapter has."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from ....core.effects import Append, Effect, Outcome, Read, Reopen, Trim
from ....core.handshake import ClientOptions
from ....core.hub import Hub
from ....core.hub_events import StoreFailed, StoreReopened
from ....core.limits import Limits
from ....core.session import Session
from ....core.websocket import WebSocket
from ...stores.protocol import StoreUnavailable
from ..agenda import Agenda
from ..link import Endpoint, SimulatedLink
from ..network import Network
from ..violation import Violation
from .disk import StoreEffect
from .faults import CrashFault
from .tap import Tap

if TYPE_CHECKING:
    from .world import World

__all__ = ["Connection", "Server"]

_CLIENT: Final = ClientOptions(
    host="hub.example", limits=Limits(max_size=2**20, ping_interval=None, write_timeout=None)
)

_AGAIN: Final = 0.3
"""Seconds after which a process is started again that could not open its store."""


class Connection:
    """One connection, from both sides.

    Args:
        number: that of all processes' connections.
        session: the hub's side.
        ws: the client's side.
        tap: who reads what goes over it.
    """

    __slots__ = ("client_end", "hub_end", "last", "link", "number", "session", "tap", "ws")

    def __init__(self, number: int, session: Session, ws: WebSocket, tap: Tap) -> None:
        self.number = number
        self.session = session
        self.ws = ws
        self.tap = tap
        self.last = tap.last
        """What happened last: when, what, and the text."""
        self.link: SimulatedLink
        self.hub_end: Endpoint
        self.client_end: Endpoint

    @property
    def is_over(self) -> bool:
        """Whether the hub's socket is closed."""
        return self.hub_end.closed_at is not None


class TappedHub(Hub):
    """The hub that is simulated: somebody listens to what it is asked."""

    def text_received(self, session: Session, text: str, now: float) -> None:
        """See `SessionHub`."""
        connection: Connection = session.carrier
        errors = self.account.counters.errors
        connection.tap.asks(text, now)
        super().text_received(session, text, now)
        connection.tap.asked(self.account.counters.errors > errors, now)


class Server:
    """Runs a hub, and starts another when that has crashed.

    Args:
        world: where.
        turn: seconds that the loop takes, at most: what comes meanwhile is handled in one turn.
    """

    def __init__(self, world: "World", turn: float) -> None:
        self.hub: Hub | None = None
        """The hub that there is."""
        self.connections: dict[Endpoint, Connection] = {}
        """Those of this process, by both ends."""
        self.crashes_at_append: Callable[[], object] | None = None
        """What to do while the next append is under way: crash."""
        self.last: dict[int, Connection] = {}
        """All that there were, by number."""
        self._world = world
        self._agenda: Agenda = world.agenda
        self._turn = turn
        self._settling = False
        self._alarm: float | None = None

    # Processes.

    def start(self) -> None:
        """Start a process, or try to: that needs the store."""
        world, now = self._world, self._agenda.now
        if self.hub is not None:
            return
        try:
            heads = world.disk.open(self._answered)
        except StoreUnavailable as error:
            world.record.note_hub("does not start", error.reason)
            self._agenda.at(now + _AGAIN, self.start)
            return
        world.ledger.restarted({topic: head.first for topic, head in heads.topics.items()})
        world.consumption.restarted()
        self._settling = False
        self._alarm = None
        self.hub = TappedHub(world.plan.config, now=now, entropy=world.entropy, heads=heads)
        self.hub.set_wall_clock(world.offset, now)
        world.record.note_hub("starts", f"{world.ledger.life}")
        self.changed(now)

    def crash(self, how: CrashFault, back_in: float) -> None:
        """End the process, as `kill -9` does, and start another one some time later."""
        self.hub = None
        self._world.record.note_hub("crashes", "")
        self._world.handled.clear()
        self.crashes_at_append = None
        self._world.disk.crash(how)
        for end, connection in tuple(self.connections.items()):
            if end is connection.hub_end and not connection.is_over:
                end.closed_at = self._agenda.now  # the dead are told nothing
                connection.link.cut()
        self.connections.clear()
        self._agenda.at(self._agenda.now + back_in, self.start)

    def connect(
        self, user: str, on_change: Callable[[float], None], network: Network
    ) -> Connection | None:
        """Somebody connects; None if nobody listens."""
        hub, world, now = self.hub, self._world, self._agenda.now
        if hub is None:
            return None
        number = len(self.last) + 1
        ws = WebSocket(_CLIENT, now=now, entropy=world.entropy)
        session = hub.connect(("10.0.0.1", 40_000 + number), now)
        tap = Tap(world, number, user, prompt=network.window >= 2**16)
        connection = self.last[number] = Connection(number, session, ws, tap)
        session.carrier = connection
        connection.hub_end = Endpoint(session, self.changed, deferred=True)
        connection.client_end = Endpoint(ws, on_change)
        self.connections[connection.hub_end] = self.connections[connection.client_end] = connection
        connection.link = SimulatedLink(
            connection.hub_end,
            connection.client_end,
            seed=world.random.getrandbits(32),
            network=network,
            agenda=self._agenda,
            observer=world,
        )
        self.changed(now)
        return connection

    # The loop.

    def changed(self, now: float) -> None:
        """The hub was given something: a turn follows."""
        if not self._settling and self.hub is not None:
            self._settling = True
            turn = self._world.random.uniform(0.0, self._turn) if self._turn else 0.0
            self._agenda.at(now + turn, partial(self._settle, self.hub))

    def _settle(self, hub: Hub) -> None:
        """The end of a turn."""
        if hub is not self.hub:
            return
        world = self._world
        while True:
            while (session := hub.next_dirty()) is not None:
                connection: Connection = session.carrier
                connection.link.serve(connection.hub_end)
            effect = hub.next_effect()
            if effect is not None:
                self._ask(effect)
                continue
            now, due = self._agenda.now, hub.next_timeout()
            if due is None or due > now:
                break
            hub.handle_timeout(now)
        while (event := hub.next_event()) is not None:
            if isinstance(event, StoreFailed | StoreReopened):
                world.occurred[type(event).__name__] += 1
            if world.record.lines is not None:
                world.record.note_hub("tells", repr(event))
        self._settling = False
        self._set_alarm(hub)

    def _ask(self, effect: Effect) -> None:
        if not isinstance(effect, Append | Read | Reopen | Trim):
            raise Violation("the hub asks the store, and nobody else", repr(effect))
        record = self._world.record
        what = repr(effect) if record.lines is not None else type(effect).__name__
        record.note_hub("asks", f"{effect.id} {what}")
        self._world.disk.ask(effect)
        if isinstance(effect, Append) and self.crashes_at_append is not None:
            self._agenda.at(self._agenda.now, self.crashes_at_append)
            self.crashes_at_append = None

    def _answered(self, effect: StoreEffect, outcome: Outcome) -> None:
        hub, now = self.hub, self._agenda.now
        assert hub is not None
        record = self._world.record
        what = repr(outcome) if record.lines is not None else type(outcome).__name__
        record.note_hub("is answered", f"{effect.id} {what}")
        hub.complete(effect.id, outcome, now)
        self.changed(now)

    def _set_alarm(self, hub: Hub) -> None:
        at = hub.next_timeout()
        if at is not None and (self._alarm is None or self._alarm > at):
            self._alarm = at
            self._agenda.at(at, partial(self._ring, hub, at))

    def _ring(self, hub: Hub, at: float) -> None:
        if hub is self.hub and self._alarm == at:
            self._alarm = None
            if not self._settling:
                self._settling = True
                self._settle(hub)
