"""A hub on virtual time with its users' own functions, for tests of those."""

from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final

import msgspec

from ...core.auth import External
from ...core.effects import Authenticate, Effect, Failed, Outcome, RunHook
from ...core.handshake import ClientOptions
from ...core.hub import Hub
from ...core.hub_config import HubConfig
from ...core.hub_events import HubEvent, RequestFailed
from ...core.messages import Published
from ...core.scripts import Close, Connect, Cut, Send, Stall, Step
from ...core.session import Session
from ...core.websocket import WebSocket
from ..hooks import Hooks
from .agenda import Agenda
from .link import Endpoint, SimulatedLink, seeded_entropy
from .loopless import HookFunctions, token_outcome, without_loop
from .network import PERFECT, Network
from .visitor import Line, Visitor

__all__ = ["HubUnderTest"]

WALL: Final = 1_800_000_000.0
"""Seconds since 1970 at the start."""

_LOOK: Final = 0.01
"""Seconds of virtual time between two looks at what is waited for."""

_EVENTS: Final = 10_000
_LINES: Final = 200


class HubUnderTest:
    """A real hub, real clients' machines, and a simulated network between them.

    Nothing takes time but what the network and `hook_delay` say, and `advance`. The same seed and the same
    calls give the same bytes.

    Args:
        config: of the hub. Topics that are durable are kept in memory.
        hooks: functions that are asked. Async ones may await each other, and no event loop.
        authenticate: whose token it is, where `config` does not know the tokens.
        network: what lies between the hub and clients that name no other.
        hook_delay: least and most seconds until a function's answer arrives. It is called at once.
        seed: decides cuts, delays, and everything unpredictable.

    Raises:
        ValueError: `config` counts on a function that is not given, or on no `authenticate`.
        LoopNeeded: by any call: one of the functions waits for an event loop.
    """

    def __init__(
        self,
        config: HubConfig | None = None,
        *,
        hooks: Hooks | None = None,
        authenticate: Callable[[str], object] | None = None,
        network: Network = PERFECT,
        hook_delay: tuple[float, float] = (0.0, 0.0),
        seed: int = 0,
    ) -> None:
        config = _checked(config if config is not None else HubConfig(), authenticate)
        self.seed = seed
        """What everything follows from."""
        self.network = network
        """What lies between the hub and clients that name no other, from their next connection on."""
        self.events: deque[HubEvent] = deque(maxlen=_EVENTS)
        """What the hub has told its operator; the newest 10,000."""
        self.trace: deque[str] = deque(maxlen=_LINES)
        """What happened, a line each; the newest 200."""
        self.clients: dict[str, Visitor] = {}
        """All that were made, by their labels."""
        self._hooks: HookFunctions = {} if hooks is None else without_loop(hooks)
        self._authenticate = authenticate
        self._hook_delay = hook_delay
        self._random = Random(seed)
        self._agenda = Agenda()
        self._settling = False
        self._alarm: float | None = None
        self.hub = Hub(
            config,
            now=0.0,
            entropy=seeded_entropy(seed),
            hooks={kind: tuple(functions) for kind, functions in self._hooks.items()},
        )
        """The machine itself. After calling it, call `advance`."""
        self.set_wall_clock(WALL)

    # Time.

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self._agenda.now

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due. 0 is what takes no time.

        Raises:
            Stuck: no time passes any more.
        """
        self._note_change(self.now)
        self._agenda.run(self.now + seconds)

    def wait_for(self, done: Callable[[], bool], within: float) -> bool:
        """Let time pass until something is so; whether it is, after `within` seconds at most."""
        end = self.now + within
        self.advance(0.0)
        while not done():
            if self.now >= end:
                return False
            self.advance(min(_LOOK, end - self.now))
        return True

    def set_wall_clock(self, wall: float) -> None:
        """The clock on the hub's wall is set to so many seconds since 1970."""
        self.hub.set_wall_clock(wall - self.now, self.now)
        self._note_change(self.now)

    # Clients.

    def client(
        self,
        *,
        token: str | None = None,
        name: str | None = None,
        label: str | None = None,
        address: str = "192.0.2.1",
        network: Network | None = None,
    ) -> Visitor:
        """A client that connects, and is let in or refused.

        Args:
            token: what it brings.
            name: a name instead, where that is enough. With neither it says nothing of who it is.
            label: what a report calls it.
            address: where the hub sees it come from.
            network: what lies between.
        """
        visitor = self._new(label, token, name, address, network)
        visitor.connect()
        return visitor

    def _new(
        self,
        label: str | None,
        token: str | None,
        name: str | None,
        address: str,
        network: Network | None,
    ) -> Visitor:
        wanted = label if label is not None else name if name is not None else "client"
        label = wanted
        number = 1
        while label in self.clients:
            number += 1
            label = f"{wanted}-{number}"
        visitor = self.clients[label] = Visitor(
            self,
            label,
            token=token,
            name=name,
            address=address,
            network=network if network is not None else self.network,
        )
        return visitor

    def cut(self, client: Visitor) -> None:
        """A client's connection is lost: see `Visitor.cut`."""
        client.cut()

    def play(self, script: Iterable[Step]) -> None:
        """Do what a script says, each step at its moment from now on.

        Clients are those of `clients`; who is new is made. Time ends at the last step.
        """
        began = self.now
        for step in script:
            self.advance(max(0.0, began + step.at - self.now))
            self._act(step)
        self.advance(0.0)

    def _act(self, step: Step) -> None:
        visitor = self.clients.get(step.who)
        if visitor is None:
            visitor = self._new(step.who, None, None, "192.0.2.1", None)
        match step.action:
            case Connect(token, name):
                visitor.token, visitor.name = token, name
                visitor.connect(wait=False)
            case Send(request):
                text = request if isinstance(request, str) else msgspec.json.encode(request)
                visitor.say(text if isinstance(text, str) else text.decode())
            case Cut() if visitor.is_open or visitor.is_opening:
                visitor.cut()
            case Close(code) if visitor.is_open:
                visitor.close(code)
            case Stall(seconds) if visitor.is_open:
                visitor.stall()
                self._agenda.at(self.now + seconds, visitor.read_on)
            case _:
                pass  # it is not connected

    # Commands of the server's own.

    def publish(
        self, topic: str, message: Any, *, sender: str | None = None, key: str | None = None
    ) -> Published:
        """Publish as the server itself."""
        self.note(f"the server publishes on {topic}: {message!r}")
        published = self.hub.publish(topic, message, self.now, sender=sender, key=key)
        assert isinstance(published, Published)  # nothing waits for a store: there is none
        self.advance(0.0)
        return published

    def send_to(self, user: str, message: Any, *, sender: str = "server") -> int:
        """Send to all sessions of a user; how many they are."""
        self.note(f"the server sends to {user}: {message!r}")
        count = self.hub.send_to(user, message, self.now, sender=sender)
        self.advance(0.0)
        return count

    def disconnect(self, user: str, reason: str = "") -> int:
        """Close all sessions of a user; how many they were."""
        self.note(f"the operator disconnects {user}")
        count = self.hub.disconnect(user, self.now, reason)
        self.advance(0.0)
        return count

    def revoke(self, user: str, pattern: str) -> int:
        """Take topics away from a user; how many sessions it has."""
        self.note(f"the operator revokes {pattern} of {user}")
        count = self.hub.revoke(user, pattern, self.now)
        self.advance(0.0)
        return count

    def drain(self) -> None:
        """Take nobody any more, and close everybody, some at a time: `advance` to see it."""
        self.note("the server drains")
        self.hub.drain(self.now)
        self.advance(0.0)

    # Reports.

    @property
    def failures(self) -> list[RequestFailed]:
        """Times that one of the functions raised what it should not, or returned nonsense."""
        return [event for event in self.events if isinstance(event, RequestFailed)]

    def note(self, text: str) -> None:
        """Something happened."""
        self.trace.append(f"{self.now:.3f} {text}")

    def report(self, lines: int = 40) -> str:
        """What happened last, as text."""
        return "\n".join(list(self.trace)[-lines:])

    # For visitors.

    def open(self, visitor: Visitor, options: ClientOptions) -> Line:
        """Connect: see `Visitor.connect`."""
        now = self.now
        ws = WebSocket(options, now=now, entropy=seeded_entropy(self._random.getrandbits(32)))
        session = self.hub.connect((visitor.address, 50_000), now)
        connection = Line(session, ws)
        connection.hub_end = Endpoint(session, self._note_change, deferred=True)
        connection.client_end = Endpoint(ws, lambda _: visitor.changed(connection))
        connection.link = SimulatedLink(
            connection.hub_end,
            connection.client_end,
            seed=self._random.getrandbits(32),
            network=visitor.network,
            agenda=self._agenda,
        )
        session.carrier = connection
        self._note_change(now)
        return connection

    # Inside: the loop of a server.

    def _note_change(self, now: float) -> None:
        """The hub was given something: a turn of its loop follows."""
        if not self._settling:
            self._settling = True
            self._agenda.at(now, self._settle)

    def _settle(self) -> None:
        """What an adapter does at the end of a turn."""
        hub = self.hub
        try:
            while True:
                while (session := hub.next_dirty()) is not None:
                    self._serve(session)
                effect = hub.next_effect()
                if effect is None:
                    break
                self._answer(effect)
            while (event := hub.next_event()) is not None:
                self.note(f"the hub tells {event!r}")
                self.events.append(event)
        finally:
            self._settling = False  # a function of the user's may have raised
        self._set_alarm()

    def _serve(self, session: Session) -> None:
        connection: Line | None = session.carrier
        if connection is not None:
            connection.link.serve(connection.hub_end)

    def _answer(self, effect: Effect) -> None:
        outcome = self._outcome(effect)
        self.note(f"{_asked(effect)}: {outcome!r}")
        delay = self._random.uniform(*self._hook_delay)
        if not delay:
            self.hub.complete(effect.id, outcome, self.now)
            return

        def complete() -> None:
            self.hub.complete(effect.id, outcome, self.now)
            self._note_change(self.now)

        self._agenda.at(self.now + delay, complete)

    def _outcome(self, effect: Effect) -> Outcome:
        match effect:
            case RunHook(kind=kind, hook=hook):
                return list(self._hooks[kind].values())[hook](effect)
            case Authenticate(token=token) if self._authenticate is not None:
                return token_outcome(self._authenticate, token)
            case _:
                return Failed("the simulation has none of this")

    def _set_alarm(self) -> None:
        at = self.hub.next_timeout()
        if at is None or (self._alarm is not None and self._alarm <= at):
            return
        self._alarm = at

        def ring() -> None:
            if self._alarm != at:
                return  # an earlier one was set
            self._alarm = None
            due = self.hub.next_timeout()
            if due is not None and due <= self.now:
                self.hub.handle_timeout(self.now)
                self._note_change(self.now)
            else:
                self._set_alarm()

        self._agenda.at(max(at, self.now), ring)


def _asked(effect: Effect) -> str:
    match effect:
        case RunHook(kind=kind, who=who):
            return f"on_{kind.value} of {who.user} answers"
        case _:
            return f"{type(effect).__name__} is answered"


def _checked(config: HubConfig, authenticate: Callable[[str], object] | None) -> HubConfig:
    """The configuration, where the machine knows whom it may ask; as a server has it."""
    external = isinstance(config.auth, External)
    if authenticate is not None and config.auth is None:
        return msgspec.structs.replace(config, auth=External())
    if authenticate is None and external:
        raise ValueError("config.auth is External(): give authenticate=, which is then asked")
    if authenticate is not None and not external:
        raise ValueError("authenticate: config.auth knows the tokens already; give one of the two")
    return config
