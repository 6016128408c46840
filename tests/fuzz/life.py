"""One input: the short life of one connection, and what must hold all through it."""

from __future__ import annotations

import random
from contextlib import suppress
from itertools import pairwise

from hubbub.core import (
    Accepted,
    BinaryMessage,
    ClientOptions,
    Closed,
    End,
    Event,
    HttpRequested,
    LocalProtocolError,
    Pong,
    PreparedMessage,
    Refused,
    Requested,
    Response,
    TextMessage,
    WebSocket,
    text_response,
)
from hubbub.core.opening import ServerOpening
from support.machines import NONCE

from .inputs import Area

_STEPS = (0.0, 0.0, 0.0, 0.0, 0.01, 0.15, 0.6, 3.0, 25.0)
_LAST_STEPS = 60
"""So many steps must be enough to end a connection whose peer is gone."""

_FLOOD = 150_000
_READ = 16384
_EVENT = 512
"""What an event costs beyond its payload, as `Limits.worst_case_bytes` counts."""
_LONGEST_TAIL = 14 + 125
"""A header, and the payload of a control frame."""
_PREPARED = PreparedMessage("for all of them")
_REFUSAL = text_response(403, "no")
_REDIRECT = Response(302, text_response(200, "").headers, b"x")
_CODES = (1000, 1001, 1011, 3000, 4999, None, 1005, 70000)


class Violation(AssertionError):
    """Something that must always hold did not."""


class Life:
    """Draws one input from a seed and lives through it."""

    def __init__(self, area: Area, number: int) -> None:
        self.source = random.Random(number)
        draw = self.source.random
        index = int(draw() * len(area.options))
        self.options = area.options[index]
        self.now = 1000.0
        self.stream = area.stream(self.source)
        self.messages = 0
        self.fullest = 0
        self.answered = False
        self.outcome = "?"
        self.last: Closed | Refused | None = None
        self.client = isinstance(self.options, ClientOptions)
        limits = self.options.limits
        self.bound = limits.worst_case_bytes(1) if limits.max_size is not None else 2**40
        self.ws = WebSocket(self.options, now=self.now, entropy=self._entropy)
        if area.opened:
            # The handshake takes as long as all the rest, and has areas of its own.
            self.ws.data_to_send(self.now)
            self.ws._open(area.agreements[index])

    def _entropy(self, size: int) -> bytes:
        return NONCE if size == 16 else b"\0" * size

    def run(self) -> None:
        """Live.

        Raises:
            Exception: whatever the machine raised; `Violation` where it broke its contract.
        """
        draw = self.source.random
        ws = self.ws
        if draw() < 0.0005:
            self._flood()
        else:
            cuts = self._cuts()
            for start, stop in pairwise(cuts):
                self.now += _STEPS[int(draw() * len(_STEPS))]
                ws.receive_data(self.stream[start:stop], self.now)
                self._check()
                if draw() < 0.6:
                    self._act()
                if ws.end is End.CLOSE:
                    break
        self._end()

    def _cuts(self) -> list[int]:
        draw = self.source.random
        size = len(self.stream)
        kind = draw()
        if kind < 0.4:
            return [0, size]
        if kind < 0.5 and size < 200:
            return list(range(size + 1))
        cuts = sorted(int(draw() * size) for _ in range(1 + int(draw() * 4)))
        return [0, *cuts, size]

    def _flood(self) -> None:
        """The same bytes over and over, as fast as they are read, and nobody takes what arrives."""
        stream = self.stream or b"\0"
        data = stream * (_FLOOD // len(stream) + 1)
        for at in range(0, len(data), _READ):
            if not self.ws.wants_read:
                if self.source.random() < 0.3:
                    break
                self._take_events()
            self.ws.receive_data(data[at : at + _READ], self.now)
            self._check()
            self.now += 0.001

    # What is done beside receiving.

    def _act(self) -> None:
        draw = self.source.random
        ws = self.ws
        kind = draw()
        try:
            if kind < 0.45:
                self._take_events()
            elif kind < 0.60:
                self._take_output((1, 100, 65536)[int(draw() * 3)])
            elif kind < 0.70:
                ws.handle_timeout(self.now)
            elif kind < 0.80:
                due = ws.next_timeout()
                if due is not None:
                    self.now = max(self.now, due)
                    ws.handle_timeout(self.now)
            elif kind < 0.85:
                final = draw() < 0.8
                ws.send("text" if draw() < 0.5 else b"bytes" * 30, self.now, final=final)
            elif kind < 0.88:
                ws.send_prepared(_PREPARED, self.now)
            elif kind < 0.92:
                ws.ping(self.now, (None, b"", b"ping", b"x" * 126)[int(draw() * 4)])
            elif kind < 0.95:
                ws.close(self.now, _CODES[int(draw() * len(_CODES))], "bye" if draw() < 0.5 else "")
            elif kind < 0.97:
                ws.receive_eof(self.now)
            elif kind < 0.98:
                ws.connection_lost(self.now)
            elif draw() < 0.5:
                ws.accept(self.now)
                self.answered = True
            else:
                ws.reject(_REFUSAL, self.now)
                self.answered = True
        except LocalProtocolError:
            pass  # a command at the wrong time says so, and changes nothing
        self._check()

    def _take_output(self, max_bytes: int) -> None:
        taken = self.ws.data_to_send(self.now, max_bytes)
        if not all(taken) or (len(taken) > 1 and sum(map(len, taken)) > max_bytes):
            raise Violation(f"{[len(part) for part in taken]} bytes given where {max_bytes} fit")

    def _take_events(self) -> None:
        ws = self.ws
        while (event := ws.next_event()) is not None:
            self._take(event)

    def _take(self, event: Event) -> None:
        ws = self.ws
        if self.last is not None:
            raise Violation(f"{event!r} came after {self.last!r}")
        draw = self.source.random
        if isinstance(event, TextMessage | BinaryMessage):
            self.messages += 1
            if draw() < 0.3 and ws.can_send:
                self._try_to_send(event.data)
        elif isinstance(event, Requested):
            self.messages += 1
            self._decide(event)
        elif isinstance(event, HttpRequested):
            self.messages += 1
            self._respond(event)
        elif isinstance(event, Accepted | Pong):
            self.messages += 1
        else:
            self.last = event

    def _try_to_send(self, data: str | bytes) -> None:
        with suppress(
            LocalProtocolError
        ):  # a full buffer, or the fragments before had another type
            self.ws.send(data, self.now)

    def _decide(self, event: Requested) -> None:
        ws = self.ws
        kind = self.source.random()
        try:
            if kind < 0.75:
                ws.accept(self.now)
            elif kind < 0.85:
                ws.accept(self.now, subprotocol=None, headers={"X-Id": "1"})
            elif kind < 0.95:
                ws.reject(_REDIRECT, self.now)
        except LocalProtocolError:
            # Whatever the peer did while the event waited: only a second answer is a mistake.
            if not self.answered:
                raise

    def _respond(self, event: HttpRequested) -> None:
        _at_most("a body", len(event.body), self.options.limits.max_request_body)
        if self.source.random() < 0.8:
            try:
                self.ws.respond(_REFUSAL, self.now)
            except LocalProtocolError:
                if not self.answered:
                    raise

    # What must hold.

    def _check(self) -> None:
        ws = self.ws
        end = ws.end
        due = ws.next_timeout()
        if end is End.CLOSE and (due is not None and ws.state.value == "closed"):
            raise Violation(f"a closed connection waits for {due}")
        if end is End.CLOSE and ws.wants_read:
            raise Violation("a closed connection wants to read")
        if end is not None and ws.wants_write:
            raise Violation("an end is asked for while bytes wait")
        held = held_bytes(ws)
        self.fullest = max(self.fullest, held)
        if held > self.bound:
            raise Violation(f"{held} bytes are held, and the bound is {self.bound}")

    def _end(self) -> None:
        """The peer goes, in one of two ways; then everything must come to its end."""
        ws = self.ws
        kind = self.source.random()
        if kind < 0.3:
            ws.connection_lost(self.now)
        elif kind < 0.9:
            ws.receive_eof(self.now)
            self._come_to_an_end()
        else:
            self._fall_silent()
        ws.connection_lost(self.now)
        self._gone()
        self._take_events()
        # All this comes too late, and must do nothing.
        ws.receive_data(b"late", self.now)
        ws.receive_eof(self.now)
        ws.handle_timeout(self.now + 1e6)
        ws.connection_lost(self.now)
        self._gone()
        if ws.next_event() is not None:
            raise Violation("an event came after the end")
        if self.last is None:
            raise Violation("no last event came")
        self.outcome = _outcome(self.last)

    def _come_to_an_end(self) -> None:
        ws = self.ws
        for _ in range(_LAST_STEPS):
            self._take_events()
            while ws.wants_write:
                ws.data_to_send(self.now)
            ws.data_to_send(self.now)
            if ws.end is End.CLOSE:
                return
            due = ws.next_timeout()
            if due is not None:
                self.now = max(self.now, due)
                ws.handle_timeout(self.now)
            self._check()
        raise Violation("the stream ended, everything was taken, and the connection did not end")

    def _fall_silent(self) -> None:
        """Nobody does anything but wait. Where there are timeouts, some ends the connection."""
        ws = self.ws
        limits = self.options.limits
        for _ in range(_LAST_STEPS):
            ws.data_to_send(self.now)
            due = ws.next_timeout()
            if due is None:
                break
            self.now = max(self.now, due)
            ws.handle_timeout(self.now)
            self._check()
        silent_for_ever = limits.ping_interval is None or limits.open_timeout is None
        if ws.end is not End.CLOSE and not silent_for_ever and ws.wants_read:
            raise Violation("nothing was heard, and the connection did not end")

    def _gone(self) -> None:
        ws = self.ws
        if ws.next_timeout() is not None or ws.wants_write or ws.wants_read:
            raise Violation("the socket is gone, and something is still wanted")
        if ws.end is not End.CLOSE or ws.data_to_send(self.now):
            raise Violation("the socket is gone, and the machine has not noticed")


def held_bytes(ws: WebSocket) -> int:
    """Bytes that a machine holds, at all the places where they can be.

    Raises:
        Violation: one place holds more than its own limit.
    """
    limits = ws._options.limits
    held = ws.bytes_to_send + ws._inbox._unread + _EVENT * len(ws._inbox._events)
    splitter = None if ws._receiver is None else ws._receiver._splitter
    if splitter is not None:
        held += _at_most("half a frame", len(splitter._tail) + len(splitter._header), _LONGEST_TAIL)
        if splitter._parts is not None:
            held += _at_most("a message", len(splitter._parts), limits.max_size)
        if splitter._parser is not None:
            held += len(splitter._parser._proto._frame_decoder.buffer.buffer)
    opening = ws._opening
    if isinstance(opening, ServerOpening):
        held += _at_most("early bytes", len(opening._early), limits.max_handshake_size)
        held += _at_most("a request", len(opening._head._buffer), limits.max_handshake_size)
        if opening._body is not None:
            held += _at_most("a body", len(opening._body._body), limits.max_request_body)
            held += _at_most("a line", len(opening._body._line), limits.max_handshake_size)
            held += len(opening._body._parser.trailing_data[0])
    elif opening is not None:
        reader = opening._reader
        held += _at_most("a body", len(reader._body), limits.max_body)
        if reader._head is not None:
            held += _at_most("a response", len(reader._head._buffer), limits.max_handshake_size)
    return held


def _at_most(what: str, size: int, limit: int | None) -> int:
    if limit is not None and size > limit:
        raise Violation(f"{size} bytes of {what} are held, and the limit is {limit}")
    return size


def _outcome(last: Closed | Refused) -> str:
    if isinstance(last, Refused):
        return f"http {last.response.status}"
    if last.sent is None:
        return last.cause.partition(":")[0] if last.received is None else f"got {_kind(last.code)}"
    if last.received is None:
        return f"sent {last.sent.code}"
    code = _kind(last.code)
    return f"got {code}" if last.received_first else f"sent {last.sent.code}, got {code}"


def _kind(code: int) -> str:
    """A peer's close code; the private ones that damage makes up are all the same to us."""
    return str(code) if code < 3000 else "3000-4999"
