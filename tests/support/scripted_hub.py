"""A hub that says what a test tells it to, and a client's machine that talks to it, on virtual time.

Bytes move when `settle` is called, which most methods do. The server's side is a bare `WebSocket`: what the
client asks for stands in `requests`, as it was written, until the test answers it.
"""

from __future__ import annotations

import json
from typing import Any

from hubbub.core import ClientOptions, End, Limits, Requested, ServerOptions, TextMessage, WebSocket
from hubbub.core.client import HubClient
from hubbub.core.client_events import FetchToken, StateChange, StreamEvent
from hubbub.core.client_options import HubClientOptions
from hubbub.core.client_states import ClientState
from hubbub.core.client_streams import Stream
from hubbub.core.messages import Answer
from hubbub.transports.simulated import seeded_entropy

__all__ = ["Message", "ScriptedHub", "note"]

Message = dict[str, Any]

_PATIENT = Limits(ping_interval=None, open_timeout=None)


class _Line:
    """One connection: both machines, and the socket between them."""

    def __init__(self, now: float, seed: int, limits: Limits) -> None:
        options = ClientOptions(host="example.com", limits=limits)
        self.client = WebSocket(options, now=now, entropy=seeded_entropy(seed))
        served = ServerOptions(limits=_PATIENT)
        self.server = WebSocket(served, now=now, entropy=seeded_entropy(seed + 1))
        self.unread = b""
        """What the client has not read, because it does not want to."""
        self.over = False

    def move(self, now: float) -> bool:
        """Move bytes, and do what the machines want done to the socket; whether anything happened."""
        if self.over:
            return False
        up = b"".join(self.client.data_to_send(now))
        if up:
            self.server.receive_data(up, now)
        down = self.unread + b"".join(self.server.data_to_send(now))
        moved = bool(up) or len(down) > len(self.unread)
        self.unread = down
        if self.unread and self.client.wants_read:
            self.unread = b""
            self.client.receive_data(down, now)
            moved = True
        if not self.unread:
            moved |= self._end(self.server, self.client, now)
            moved |= self._end(self.client, self.server, now)
        return moved

    def _end(self, one: WebSocket, other: WebSocket, now: float) -> bool:
        if one.end is None or one.wants_write or self.over:
            return False
        if one.end is End.CLOSE:
            self.over = True
            other.receive_eof(now)
            other.connection_lost(now)
            return True
        wanted = other.end
        other.receive_eof(now)
        return other.end is not wanted

    def cut(self, now: float) -> None:
        """Lose the connection, for both sides at once."""
        self.over = True
        self.unread = b""
        self.client.connection_lost(now)
        self.server.connection_lost(now)


class ScriptedHub:
    """A client, and the hub that it talks to.

    Args:
        reachable: whether connections come about.
        line_limits: of the client's connections.
        options: of the client.
    """

    def __init__(
        self, *, reachable: bool = True, line_limits: Limits = _PATIENT, **options: Any
    ) -> None:
        self.now = 100.0
        self.reachable = reachable
        self.line_limits = line_limits
        self.client = HubClient(HubClientOptions(**options), entropy=seeded_entropy(1))
        self.requests: list[Message] = []
        """What the client asked for, and the test has not taken."""
        self.fetches: list[FetchToken] = []
        """Tokens that it waits for."""
        self.attempts: list[float] = []
        """When it tried to connect."""
        self.changes: list[StateChange] = []
        self.answers: dict[int, Answer] = {}
        self.lines: list[_Line] = []
        self.settle()

    # Time and bytes.

    def settle(self) -> None:
        """Let everything happen that can."""
        moved = True
        while moved:
            moved = self._run_effects()
            for line in self.lines:
                moved |= line.move(self.now)
                moved |= self._serve(line)
            self.client.work(self.now)
            while (change := self.client.next_event()) is not None:
                self.changes.append(change)
            while (answer := self.client.next_answer()) is not None:
                assert answer[0] not in self.answers, "answered twice"
                self.answers[answer[0]] = answer[1]

    def _run_effects(self) -> bool:
        effect = self.client.next_effect()
        if effect is None:
            return False
        if isinstance(effect, FetchToken):
            self.fetches.append(effect)
            return True
        self.attempts.append(self.now)
        if self.reachable:
            line = _Line(self.now, 10 * len(self.attempts), self.line_limits)
            self.lines.append(line)
            assert self.client.connected(effect.id, line.client, self.now)
        else:
            self.client.failed(effect.id, "nobody listens", self.now)
        return True

    def _serve(self, line: _Line) -> bool:
        served = False
        while (event := line.server.next_event()) is not None:
            served = True
            if isinstance(event, Requested):
                line.server.accept(self.now)
            elif isinstance(event, TextMessage):
                self.requests.append(json.loads(event.data))
        return served

    def advance(self, seconds: float) -> None:
        """Let time pass in the steps that the machines ask for."""
        until = self.now + seconds
        while (at := self._next()) is not None and at <= until:
            self.now = max(self.now, at)
            self.client.handle_timeout(self.now)
            for line in self.lines:
                line.client.handle_timeout(self.now)
                line.server.handle_timeout(self.now)
            self.settle()
        self.now = until

    def wait_for_request(self) -> None:
        """Let time pass until the client asks for something."""
        while not self.requests:
            at = self._next()
            assert at is not None, "it will never ask"
            self.advance(max(0.0, at - self.now))

    def _next(self) -> float | None:
        moments = [self.client.next_timeout()]
        for line in self.lines:
            if not line.over:
                moments += [line.client.next_timeout(), line.server.next_timeout()]
        return min((at for at in moments if at is not None), default=None)

    # What the hub does.

    @property
    def line(self) -> _Line:
        """The newest connection."""
        return self.lines[-1]

    def take(self, *actions: str) -> list[Message]:
        """Take all requests; these they must be, by action, or by what a first message is."""
        found, self.requests = self.requests, []
        assert [_kind(request) for request in found] == list(actions), found
        return found

    def say(self, *messages: Message) -> None:
        """Tell the client something."""
        for message in messages:
            self.line.server.send(json.dumps(message), self.now)
        self.settle()

    def answer(self, request: Message, **fields: Any) -> None:
        """Answer a request."""
        self.say({**fields, "id": request["id"]})

    def refuse(self, request: Message, code: str, message: str = "no") -> None:
        """Answer it with an error."""
        self.answer(request, type="error", code=code, message=message)

    def let_in(self, username: str = "ann") -> None:
        """Take who the client says it is, and let it in."""
        self.let_in_only(username)
        assert self.state is ClientState.READY

    def let_in_only(self, username: str = "ann") -> None:
        """The same, whatever the client does then."""
        first = self.requests.pop(0)
        if _kind(first) == "ping":
            self.answer(first, type="pong")
        else:
            self.answer(first, type="auth", status="ok", username=username)

    def grant(self, request: Message, **positions: Any) -> None:
        """Answer a subscription; a position is an offset, or offset, epoch and `recovered`."""
        fields: Message = {"type": "subscribed", "topics": request["topics"]}
        if positions:
            fields["positions"] = {
                topic.replace("_", "."): _position(*position)
                if isinstance(position, tuple)
                else _position(position)
                for topic, position in positions.items()
            }
        self.answer(request, **fields)

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection."""
        self.line.server.close(self.now, code, reason)
        self.settle()

    def cut(self) -> None:
        """Lose the connection."""
        self.line.cut(self.now)
        self.settle()

    # What the application does.

    @property
    def state(self) -> ClientState:
        """Where the client stands."""
        return self.client.state

    def subscribe(self, *topics: str, **options: Any) -> Stream:
        """Subscribe, and let that leave."""
        stream = self.client.subscribe(topics, self.now, **options)
        self.settle()
        return stream

    def subscribed(self, *topics: str, at: Any = None, **options: Any) -> Stream:
        """Subscribe, and have it granted; with history, at these positions."""
        stream = self.subscribe(*topics, **options)
        (request,) = self.take("subscribe")
        self.grant(request, **(at or {}))
        return stream

    def events(self, stream: Stream) -> list[StreamEvent]:
        """Take all that waits."""
        found: list[StreamEvent] = []
        while (event := self.client.take(stream, self.now)) is not None:
            found.append(event)
            self.settle()
        self.settle()
        return found

    def publish(self, topic: str, message: Any = "hi", **fields: Any) -> int:
        """Publish, and let that leave."""
        number = self.client.publish(topic, message, self.now, **fields)
        self.settle()
        return number


def note(topic: str, offset: int | None = None, epoch: str = "e1", **fields: Any) -> Message:
    """A notification; its message is its offset."""
    message: Message = {
        "type": "notification",
        "topic": topic,
        "message": offset,
        "timestamp": "2025-01-02T03:04:05.678Z",
        **fields,
    }
    if offset is not None:
        message |= {"offset": offset, "epoch": epoch}
    return message


def _kind(request: Message) -> str:
    action: str | None = request.get("action")
    return action if action is not None else "token" if "token" in request else "name"


def _position(offset: int, epoch: str = "e1", recovered: bool | None = None) -> Message:
    position: Message = {"offset": offset, "epoch": epoch}
    return position if recovered is None else {**position, "recovered": recovered}
