"""A client of a simulated hub: a real client's machine, what it said, and what it was told."""

from collections import deque
from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

import msgspec

from ...core.events import Accepted, BinaryMessage, Closed, Pong, Refused, TextMessage
from ...core.extensions import Deflate
from ...core.frames import Opcode, encode_frame
from ...core.handshake import ClientOptions
from ...core.limits import Limits
from ...core.session import Session
from ...core.session_states import SessionState
from ...core.states import State
from ...core.websocket import WebSocket
from .link import Endpoint, SimulatedLink
from .network import Network
from .violation import Violation
from .wire import Frame

if TYPE_CHECKING:
    from .hub import SimulatedHub

__all__ = ["Connection", "SimulatedClient"]

Credentials = tuple[Literal["token", "name", "none"], str]

_LAST: Final = 30
"""Things that a connection remembers for a report."""

_LIMITS: Final = Limits(max_size=2**20, ping_interval=None, write_timeout=None)
_NOBODY: Final[Credentials] = ("none", "")


class Connection:
    """One connection of a client to the hub, from both sides.

    Args:
        client: whose.
        number: that of its session.
        session: the hub's side.
        ws: the client's side.
        credentials: what its opening request carries.
        address: where the hub sees it come from.
    """

    def __init__(
        self,
        client: "SimulatedClient",
        number: int,
        session: Session,
        ws: WebSocket,
        credentials: Credentials,
        address: str,
    ) -> None:
        self.client = client
        self.number = number
        self.session = session
        self.ws = ws
        self.credentials = credentials
        self.address = address
        self.link: SimulatedLink
        self.hub_end: Endpoint
        self.client_end: Endpoint
        self.opened = False
        """Whether the client's WebSocket was opened."""
        self.closed: Closed | Refused | None = None
        """How it ended, as the client was told."""
        self.sent: deque[str] = deque()
        """Messages that the hub has not handled."""
        self.taken: deque[Frame] = deque()
        """Messages that were taken from the session's queue and were not given out."""
        self.frames: deque[Frame] = deque()
        """Messages that the hub gave out and the client has not got."""
        self.close_codes: set[int | None] = set()
        """Those of the client's own Close frames."""
        self.misdeeds: set[int] = set()
        """Close codes that the client has earned by breaking the protocol."""
        self.controls = 0
        """Pings that it sent."""
        self.unfinished_at: float | None = None
        """When it began a message that it does not end."""
        self.hindered_at = -inf
        """When it last was a slow reader, who writes slowly too."""
        self.heard_at = 0.0
        """When the hub last read something of it."""
        self.longest_silence = 0.0
        """Seconds, at most, between two such moments."""
        self.last: deque[tuple[float, str, str]] = deque(maxlen=_LAST)
        """What happened last: when, what, and the text."""

    @property
    def is_open(self) -> bool:
        """Whether the client may send messages."""
        return (
            self.opened
            and self.closed is None
            and self.unfinished_at is None
            and self.ws.state is State.OPEN
        )

    @property
    def is_inside(self) -> bool:
        """Whether the hub counts its session as let in."""
        return self.session.state in (SessionState.OPEN, SessionState.WAITING)

    @property
    def is_over(self) -> bool:
        """Whether both sockets are closed."""
        return self.hub_end.closed_at is not None and self.client_end.closed_at is not None


class SimulatedClient:
    """Somebody who uses a hub. Made by `SimulatedHub.client`.

    Args:
        hub: which.
        number: tells it from others.
        address: where the hub sees it come from.
        network: what lies between.
        deflate: whether it offers compression.
    """

    def __init__(
        self,
        hub: "SimulatedHub",
        number: int,
        *,
        address: str,
        network: Network,
        deflate: Deflate | None,
    ) -> None:
        self._hub = hub
        self.number = number
        self.address = address
        self.network = network
        """What lies between it and the hub from its next connection on."""
        self.deflate = deflate
        self.connection: Connection | None = None
        """The newest."""
        self.told: list[dict[str, Any]] = []
        """Every message that it got, on all its connections."""
        self.user: str | None = None
        """What the hub calls it, once it said so."""
        self.subscriptions: dict[str, None] = {}
        """What it is subscribed to, as far as it was told."""
        self.keeps = 0
        """How many messages of `told` are kept; 0 is all."""

    # What it does.

    def connect(
        self,
        *,
        token: str | None = None,
        name: str | None = None,
        header: bool = False,
    ) -> Connection:
        """Open a connection. Credentials go with the opening request.

        Args:
            token: a token.
            name: a name, where that is enough.
            header: whether the token goes into a header, and not into the query.
        """
        credentials: Credentials = _NOBODY
        target = "/"
        headers: tuple[tuple[str, str], ...] = ()
        if token is not None:
            credentials = ("token", token)
            if header:
                headers = (("Authorization", f"Bearer {token}"),)
            else:
                target = f"/?token={token}"
        elif name is not None:
            credentials = ("name", name)
            target = f"/?name={quote(name, safe='')}"
        options = ClientOptions(
            host="hub.example",
            target=target,
            headers=headers,
            limits=_LIMITS,
            deflate=self.deflate,
        )
        self.user = None
        self.subscriptions.clear()
        self.connection = self._hub.open(self, options, credentials)
        return self.connection

    @property
    def is_open(self) -> bool:
        """Whether it may send."""
        return self.connection is not None and self.connection.is_open

    def send(self, request: Mapping[str, Any]) -> None:
        """Send a request."""
        self.send_text(msgspec.json.encode(request).decode())

    def send_text(self, text: str) -> None:
        """Send any text message."""
        connection = self._open_connection()
        connection.ws.send(text, self._hub.now)
        connection.sent.append(text)
        self._note(connection, "sends", text)
        connection.link.serve(connection.client_end)

    def send_binary(self, data: bytes) -> None:
        """Send a binary message, for which the protocol has no use."""
        connection = self._open_connection()
        connection.ws.send(data, self._hub.now)
        self._note(connection, "sends binary", data.hex())
        connection.link.serve(connection.client_end)

    def send_raw(self, data: bytes, misdeed: int | None = None) -> None:
        """Put bytes on the wire behind the machine's back.

        Args:
            data: what.
            misdeed: the close code that it earns.
        """
        connection = self._open_connection()
        if misdeed is not None:
            connection.misdeeds.add(misdeed)
        self._note(connection, "sends bytes", data[:80].hex())
        connection.client_end.outbound += data
        connection.link.serve(connection.client_end)

    def send_frame(
        self, opcode: Opcode, payload: bytes, *, final: bool = True, misdeed: int | None = None
    ) -> None:
        """Put a frame on the wire behind the machine's back; see `send_raw`."""
        self.send_raw(encode_frame(opcode, payload, final=final, key=bytes(4)), misdeed)

    def ping(self) -> None:
        """Send a ping of the WebSocket protocol."""
        connection = self._open_connection()
        connection.controls += 1
        connection.client_end.outbound += encode_frame(Opcode.PING, b"here", key=bytes(4))
        connection.link.serve(connection.client_end)

    def close(self, code: int = 1000) -> None:
        """Close the connection in order."""
        connection = self._open_connection()
        connection.close_codes.add(code)
        self._note(connection, "closes", str(code))
        connection.ws.close(self._hub.now, code)
        connection.link.serve(connection.client_end)

    def _open_connection(self) -> Connection:
        if self.connection is None or not self.connection.is_open:
            raise ValueError(
                f"client {self.number} has no open connection: call connect() and run()"
            )
        return self.connection

    # What it is told.

    def changed(self, connection: Connection) -> None:
        """Its machine was given something."""
        while (event := connection.ws.next_event()) is not None:
            match event:
                case TextMessage(data):
                    self._received(connection, data)
                case Accepted():
                    connection.opened = True
                    self._note(connection, "is open", "")
                    if self._hub.on_opened is not None:
                        self._hub.on_opened(self)
                case Closed() | Refused():
                    self._ended(connection, event)
                case BinaryMessage() | Pong():
                    pass
                case _:
                    pass

    def _received(self, connection: Connection, text: str) -> None:
        frame = connection.frames.popleft() if connection.frames else None
        if frame is None or frame.text != text:
            given = None if frame is None else frame.text[:200]
            raise Violation(
                "what was given out arrives", f"{text[:200]!r}, not {given!r}", connection.number
            )
        message = frame.message
        self.told.append(message)
        if self.keeps and len(self.told) > 2 * self.keeps:
            del self.told[: -self.keeps]
        self._note(connection, "is told", text)
        match frame.type:
            case "auth":
                self.user = message.get("username")
            case "subscribed":
                self.subscriptions.update(dict.fromkeys(message["topics"]))
            case "unsubscribed":
                for topic in message["topics"]:
                    self.subscriptions.pop(topic, None)
            case _:
                pass

    def _ended(self, connection: Connection, event: Closed | Refused) -> None:
        connection.closed = event
        if isinstance(event, Closed):
            self._note(connection, "is closed", f"{event.code} {event.reason}")
        else:
            self._note(connection, "is refused", str(event.response.status))

    def _note(self, connection: Connection, what: str, text: str) -> None:
        self._hub.record.note(connection, what, text)
