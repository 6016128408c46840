"""A client: its machine, and what an adapter does around it."""

from functools import partial
from typing import TYPE_CHECKING, Final

from ....core.backoff import Backoff
from ....core.client import HubClient
from ....core.client_events import Connect
from ....core.client_options import ClientLimits, HubClientOptions
from ....core.client_states import ClientState
from ....core.client_streams import Stream
from ....core.messages import Answer
from ..network import Network
from ..violation import Violation
from .faults import CrashFault
from .plan import GuestPlan

if TYPE_CHECKING:
    from .server import Connection
    from .world import World

__all__ = ["Guest"]

_LIMITS: Final = (
    ClientLimits(identify_timeout=3.0, settled_after=1.0, ack_interval=0.2),
    ClientLimits(identify_timeout=3.0, settled_after=1.0, max_events=4, ack_batch=2),
)

_BACKOFF: Final = Backoff(first=0.4, cap=1.0)

_TO_CONNECT: Final = 0.002
"""Seconds that it takes to learn whether anybody listens."""


class Guest:
    """Somebody who uses the hub, over as many connections as it takes.

    Args:
        world: where.
        number: tells it from others.
        plan: who it is.
    """

    def __init__(self, world: "World", number: int, plan: GuestPlan) -> None:
        self.world = world
        self.number = number
        self.plan = plan
        self.whose = f"{plan.role} {number}"
        """For reports."""
        self.machine: HubClient
        self.connection: Connection | None = None
        """The newest."""
        self.lazy = plan.lazy
        """Whether it takes, or acknowledges, only now and then."""
        self._options = HubClientOptions(
            token=f"t-{plan.user}",
            patient=True,
            backoff=_BACKOFF,
            limits=world.random.choice(_LIMITS),
        )
        self._alarm: float | None = None
        self._changing = False
        self._again = False

    # What it is. Each role says more.

    def begin(self) -> None:
        """Its machine is new: subscribe, or publish again."""

    def answered(self, number: int, answer: Answer) -> None:
        """A request was answered."""
        raise Violation("each request is answered once", f"{self.whose}: {number} {answer}")

    def ready(self, stream: Stream) -> None:
        """A subscription has something."""

    # Its life.

    def start(self) -> None:
        """Begin with a new machine."""
        self.machine = HubClient(self._options, entropy=self.world.entropy)
        self._alarm = None
        self.begin()
        self.changed()

    def crash(self) -> None:
        """End at once, and forget; begin anew some time later."""
        self.cut(told=False)
        self.world.note(self.whose, "crashes")
        self.start()

    def cut(self, *, told: bool = True) -> None:
        """Lose the connection.

        Args:
            told: whether the machine learns it, which else is gone.
        """
        connection, self.connection = self.connection, None
        if connection is not None:
            if not told:
                connection.client_end.closed_at = self.world.agenda.now
            connection.link.cut()

    @property
    def connected(self) -> bool:
        """Whether it has a connection that is not lost."""
        return self.connection is not None and self.connection.client_end.closed_at is None

    def stall(self, *, stalled: bool) -> None:
        """Read and write nothing from now on; or read on."""
        connection = self.connection
        if connection is not None:
            connection.tap.prompt = False
            connection.client_end.stalled = stalled
            if not stalled:
                connection.link.serve(connection.client_end)
                self._heard(self.machine, self.world.agenda.now)

    # Its adapter.

    def changed(self) -> None:
        """Its machine was given something: see to what it wants."""
        if self._changing:
            self._again = True
            return
        self._changing = True
        self._again = True
        while self._again:
            self._again = False
            self._see_to_it()
        self._changing = False

    def _see_to_it(self) -> None:
        machine, world = self.machine, self.world
        while (effect := machine.next_effect()) is not None:
            assert isinstance(effect, Connect)
            world.agenda.at(
                world.agenda.now + _TO_CONNECT, partial(self._connect, machine, effect.id)
            )
        while (change := machine.next_event()) is not None:
            world.note(self.whose, change.state.value)
            if change.state is ClientState.OVER and not world.leaving:
                raise Violation("a client comes back", f"{self.whose}: {change}")
        while (answer := machine.next_answer()) is not None:
            self.answered(*answer)
        while (stream := machine.next_ready()) is not None:
            self.ready(stream)
        connection = self.connection
        if connection is not None:
            end = connection.client_end
            if connection.ws.dirty or (end.inbound and not end.reading):
                connection.link.serve(end)
        self._set_alarm(machine)

    def _connect(self, machine: HubClient, effect: int) -> None:
        if machine is not self.machine:
            return
        now = self.world.agenda.now
        heard = partial(self._heard, machine)
        connection = self.world.server.connect(self.plan.user, heard, self._network())
        if connection is None:
            machine.failed(effect, "nobody listens", now)
        else:
            self.connection = connection
            machine.connected(effect, connection.ws, now)
        self.changed()

    def _heard(self, machine: HubClient, now: float) -> None:
        if machine is self.machine:
            machine.work(now)
            self.changed()

    def _network(self) -> Network:
        world = self.world
        latency, chunk, window = (0.0, 0.001), (1 << 30, 1 << 30), 65536
        if world.happens(CrashFault.LATENCY):
            latency = (0.0, 0.15)
        if world.happens(CrashFault.PIECES):
            chunk = (40, 400)
        if world.happens(CrashFault.NARROW):
            window = 600
        return Network(latency=latency, chunk=chunk, window=window)

    def _set_alarm(self, machine: HubClient) -> None:
        at = machine.next_timeout()
        if at is not None and (self._alarm is None or self._alarm > at):
            self._alarm = at
            self.world.agenda.at(at, partial(self._ring, machine, at))

    def _ring(self, machine: HubClient, at: float) -> None:
        if machine is not self.machine or self._alarm != at:
            return
        self._alarm = None
        now, due = self.world.agenda.now, machine.next_timeout()
        if due is not None and due <= now:
            machine.handle_timeout(now)
            self.changed()
        else:
            self._set_alarm(machine)
