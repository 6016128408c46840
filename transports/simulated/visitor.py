"""A client that a test speaks through: a real client's machine on a simulated network."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from ...core.events import Accepted, Closed, Refused, TextMessage
from ...core.handshake import ClientOptions
from ...core.limits import Limits
from ...core.session import Session
from ...core.states import State
from ...core.websocket import WebSocket
from .link import Endpoint, SimulatedLink
from .network import Network

if TYPE_CHECKING:
    from .under_test import HubUnderTest

__all__ = ["Line", "Message", "Visitor"]

Message = dict[str, Any]  # any JSON object

PATIENCE: Final = 5.0
"""Seconds, of virtual time, that are waited for a message."""

_OPENING: Final = 30.0
"""Seconds likewise until somebody is let in: a slow network takes its time."""

# A client answers pings, and leaves timeouts to the hub.
_LIMITS: Final = Limits(max_size=None, ping_interval=None, open_timeout=None, write_timeout=None)


class Line:
    """One connection of a visitor, from both sides. The hub sets the last three."""

    link: SimulatedLink
    hub_end: Endpoint
    client_end: Endpoint

    def __init__(self, session: Session, ws: WebSocket) -> None:
        self.session = session
        self.ws = ws
        self.opened = False
        self.closed: Closed | Refused | None = None
        self.greetings: deque[str] = deque()
        """What is to be said once it is open."""


class Visitor:
    """Somebody who uses a hub. Made by `HubUnderTest.client`.

    Args:
        hub: which.
        label: what a report calls it.
        token: what it brings, or None.
        name: likewise.
        address: where the hub sees it come from.
        network: what lies between.
    """

    def __init__(
        self,
        hub: "HubUnderTest",
        label: str,
        *,
        token: str | None,
        name: str | None,
        address: str,
        network: Network,
    ) -> None:
        self._hub = hub
        self.label = label
        self.token = token
        """What its next connection brings."""
        self.name = name
        """Likewise."""
        self.address = address
        self.network = network
        """What lies between it and the hub from its next connection on."""
        self.received: list[Message] = []
        """Messages that came, on all its connections, without those that were taken out."""
        self._connection: Line | None = None
        self._last_id = 0

    def __repr__(self) -> str:
        return f"<Visitor {self.label}>"

    # Its connection.

    def connect(self, *, wait: bool = True) -> None:
        """Connect, anew if it is connected. That it was let in is taken out of what was received.

        Args:
            wait: until it is let in or refused.

        Raises:
            AssertionError: neither came in 30 s.
        """
        if self.is_opening:
            self.cut()
        elif self.is_open:
            self.close()
            if wait:  # until the hub has let it go, or its name would be taken
                self._hub.wait_for(lambda: self.closed is not None, _OPENING)
        target = "/"
        if self.token is not None:
            target = f"/?token={quote(self.token, safe='')}"
        elif self.name is not None:
            target = f"/?name={quote(self.name, safe='')}"
        self._note(f"connects to {target}")
        options = ClientOptions(host="hub.example", target=target, limits=_LIMITS)
        self._connection = None
        connection = self._connection = self._hub.open(self, options)
        if not wait:
            return
        if target == "/":
            self._hub.wait_for(lambda: connection.opened or connection.closed is not None, _OPENING)
            return
        before = len(self.received)
        self._hub.wait_for(
            lambda: len(self.received) > before or connection.closed is not None, _OPENING
        )
        if self.received[before:] and self.received[before].get("status") == "ok":
            del self.received[before]
        elif len(self.received) == before and connection.closed is None:
            raise AssertionError(f"{self.label} was neither let in nor refused in {_OPENING} s")

    @property
    def is_open(self) -> bool:
        """Whether it may send."""
        connection = self._connection
        return (
            connection is not None
            and connection.opened
            and connection.closed is None
            and connection.ws.state is State.OPEN
        )

    @property
    def is_opening(self) -> bool:
        """Whether its newest connection is neither open nor closed yet."""
        connection = self._connection
        return connection is not None and not connection.opened and connection.closed is None

    @property
    def closed(self) -> Closed | Refused | None:
        """How its newest connection ended; None while it has not."""
        return None if self._connection is None else self._connection.closed

    @property
    def code(self) -> int | None:
        """The hub's close code; None while it has not closed the connection."""
        closed = self.closed
        if not isinstance(closed, Closed) or closed.received is None:
            return None
        return closed.received.code

    @property
    def session(self) -> Session:
        """The hub's side of its newest connection.

        Raises:
            ValueError: there was none.
        """
        return self._newest().session

    @property
    def user(self) -> str | None:
        """What the hub calls it; None while it is nobody."""
        if self._connection is None or self._connection.session.grant is None:
            return None
        return self._connection.session.user

    def close(self, code: int = 1000) -> None:
        """Close the connection in order."""
        connection = self._open()
        self._note(f"closes with {code}")
        connection.ws.close(self._hub.now, code)
        connection.link.serve(connection.client_end)
        self._hub.advance(0.0)

    def cut(self) -> None:
        """Lose the connection: both sides learn it, and what is under way is gone."""
        self._note("is cut")
        self._newest().link.cut()
        self._hub.advance(0.0)

    def stall(self) -> None:
        """Read and write nothing from now on, as a frozen process does."""
        self._note("stalls")
        self._newest().client_end.stalled = True

    def read_on(self) -> None:
        """Read again, beginning with all that waits."""
        self._note("reads on")
        connection = self._newest()
        connection.client_end.stalled = False
        connection.link.serve(connection.client_end)
        self._hub.advance(0.0)

    # What it says.

    def send(self, request: Mapping[str, Any] | str) -> None:
        """Send a request, or any text, and let everything happen that takes no time.

        Raises:
            ValueError: it is not connected.
        """
        self._open()
        self.say(_text(request))
        self._hub.advance(0.0)

    def say(self, text: str) -> bool:
        """Send a text as soon as the connection is open, and let nothing happen; False if there is none."""
        connection = self._connection
        if connection is None or connection.closed is not None:
            return False
        if not connection.opened:
            connection.greetings.append(text)
            return True
        if not connection.ws.can_send:
            return False
        self._note(f"sends {text}")
        connection.ws.send(text, self._hub.now)
        connection.link.serve(connection.client_end)
        return True

    def ask(self, request: Mapping[str, Any], *, within: float = PATIENCE) -> Message:
        """Send a request, and wait for its answer, which may be an error; it comes without its `id`.

        Args:
            request: without an `id`.
            within: seconds of virtual time.

        Raises:
            AssertionError: no answer came.
        """
        self._last_id += 1
        number = self._last_id
        self.send({**request, "id": number})
        answer = self._take(lambda message: message.get("id") == number, within)
        if answer is None:
            raise AssertionError(f"{self.label} got no answer to {dict(request)}{self._state()}")
        del answer["id"]
        return answer

    def subscribe(self, *topics: str, **fields: Any) -> Message:
        """Subscribe to topics or patterns, which must succeed.

        Args:
            topics: which.
            fields: more of the request, such as `last=10`.

        Raises:
            AssertionError: it did not.
        """
        answer = self.ask({"action": "subscribe", "topics": topics, **fields})
        if answer["type"] != "subscribed":
            raise AssertionError(f"{self.label} may not subscribe to {topics}: {answer}")
        return answer

    def publish(self, topic: str, message: Any, **fields: Any) -> Message:  # any JSON value
        """Publish; the answer, which may be an error.

        Args:
            topic: where.
            message: what.
            fields: more of the request, such as `key="door"`.
        """
        return self.ask({"action": "publish", "topic": topic, "message": message, **fields})

    def call(self, name: str, data: Any = None) -> Message:  # any JSON value
        """Call a function of the server's; the answer, which may be an error."""
        return self.ask({"action": "call", "name": name, "data": data})

    # What it is told.

    def expect(self, type: str, /, *, within: float = PATIENCE, **fields: Any) -> Message:  # noqa: A002
        """Wait for a message, and take it out of those that were received: the first that fits.

        Args:
            type: of the message, such as `chat`.
            within: seconds of virtual time; 0 waits for nothing.
            fields: what the message must say; it may say more.

        Raises:
            AssertionError: none came.
        """
        wanted = {"type": type, **fields}
        found = self._take(
            lambda message: all(message.get(name) == value for name, value in wanted.items()),
            within,
        )
        if found is None:
            raise AssertionError(f"{self.label} got no {wanted}{self._state()}")
        return found

    def take(self) -> list[Message]:
        """Take out all that was received."""
        found, self.received = self.received, []
        return found

    def _take(self, fits: Callable[[Message], bool], within: float) -> Message | None:
        def first() -> Message | None:
            return next(filter(fits, self.received), None)

        self._hub.wait_for(lambda: first() is not None, within)
        found = first()
        if found is not None:
            self.received.remove(found)
        return found

    def _state(self) -> str:
        closed = "" if self.closed is None else f"; its connection has ended: {self.closed}"
        return f"; what it got: {self.received}{closed}"

    # For the hub.

    def changed(self, connection: Line) -> None:
        """Its machine was given something."""
        while (event := connection.ws.next_event()) is not None:
            match event:
                case TextMessage(data):
                    self._note(f"is told {data}")
                    self.received.append(msgspec.json.decode(data))
                case Accepted():
                    connection.opened = True
                    while connection.greetings:
                        self.say(connection.greetings.popleft())
                case Closed():
                    connection.closed = event
                    self._note(f"is closed: {event.code} {event.reason} ({event.cause})")
                case Refused():
                    connection.closed = event
                    self._note(f"is refused with {event.response.status}")
                case _:
                    pass

    def _newest(self) -> Line:
        if self._connection is None:
            raise ValueError(f"{self.label} was never connected: call connect() first")
        return self._connection

    def _open(self) -> Line:
        connection = self._connection
        if connection is None or not self.is_open:
            raise ValueError(f"{self.label} has no open connection: call connect() first")
        return connection

    def _note(self, text: str) -> None:
        self._hub.note(f"{self.label} {text}")


def _text(request: Mapping[str, Any] | str) -> str:
    return request if isinstance(request, str) else msgspec.json.encode(request).decode()
