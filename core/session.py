"""One peer of a hub, from its first byte to its last.

A `Session` is a `Link`: it owns a `WebSocket`, takes its events, and hands what they mean to its hub. What
the hub has for the peer waits in the session's outbox, and goes to the WebSocket only when the socket
takes bytes. So until then it can be dropped, counted, or taken back.

Its hub keeps its timeouts: `next_timeout` of a session is always None.
"""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, Final, Protocol

from .account import Account
from .cursors import Cursor
from .errors import LocalProtocolError
from .events import BinaryMessage, Closed, HttpRequested, Refused, Requested, TextMessage
from .forwarded import PeerAddress
from .frames import CloseCode, Opcode, encode_frame
from .grants import Grant
from .http import Response
from .hub_limits import HubLimits
from .limits import TokenBucket
from .link import End
from .outbox import Outbox, Publication, SharedQueue
from .outgoing import PreparedMessage
from .session_states import SESSION, SessionState, SessionStep
from .websocket import WebSocket

__all__ = ["Moment", "Reserved", "Session", "SessionHub"]


_MISTAKES: Final = 8
"""Requests of one session that fail before others have their turn. It is 0.1 ms of work."""


class Moment(IntEnum):
    """What a session may wait for beside its WebSocket's own timers."""

    IDENTIFY = 0
    """Credentials are due."""
    EXPIRE = 1
    """Its grant ends."""
    RESUME = 2
    """Its rate limit lets it go on."""
    LEAVE = 3
    """What waits had its time to leave."""
    REDELIVER = 4
    """What a consumer did not acknowledge is sent again."""
    FEED = 5
    """There is room for more of what it missed."""


class Reserved:
    """A place in the order of answers, and the answer once it is there; or what is to be done then."""

    __slots__ = ("frame", "then")

    def __init__(self, frame: bytes | None, then: Callable[[float], None] | None = None) -> None:
        self.frame = frame
        self.then = then


class SessionHub(Protocol):
    """What a session needs of its hub."""

    limits: HubLimits
    account: Account

    def mark(self, session: "Session") -> None:
        """The session's adapter has something to do."""
        ...

    def reschedule(self, session: "Session", at: float | None) -> None:
        """When the session wants to be called."""
        ...

    def requested(self, session: "Session", event: Requested, now: float) -> None:
        """A request to open a WebSocket came: accept or reject it."""
        ...

    def http_requested(self, session: "Session", event: HttpRequested, now: float) -> None:
        """An ordinary HTTP request came: answer it now or later."""
        ...

    def refused(self, session: "Session", event: Refused, now: float) -> None:
        """The opening request was answered by the WebSocket itself."""
        ...

    def text_received(self, session: "Session", text: str, now: float) -> None:
        """A message came from a session that is not waiting."""
        ...

    def binary_received(self, session: "Session", now: float) -> None:
        """A binary message came."""
        ...

    def moment_came(self, session: "Session", moment: Moment, now: float) -> None:
        """Credentials are late, a grant ended, or history is to be sent."""
        ...

    def ended(self, session: "Session", code: int, cause: str, unsent: int, now: float) -> None:
        """The session has no part in the hub any more; `unsent` publications waited for it."""
        ...

    def gone(self, session: "Session") -> None:
        """Its socket is closed or to be closed; nothing follows."""
        ...


class Session:
    """One peer. Made by `Hub.connect`.

    Args:
        hub: whose it is.
        number: which no other session of the hub has.
        ws: a server's side.
        peer: the socket's address.
        now: the time.
    """

    __slots__ = (
        "_account",
        "_answers_hold",
        "_at",
        "_close",
        "_detached",
        "_errors",
        "_gone",
        "_hub",
        "_limits",
        "_mistakes",
        "_moments",
        "_outbox",
        "_requests",
        "_reserved",
        "_working",
        "address",
        "behind",
        "carrier",
        "grant",
        "hungry",
        "number",
        "peer",
        "plain",
        "shared",
        "since",
        "slow_told",
        "stalled",
        "state",
        "subscriptions",
        "told",
        "waiting_for",
        "ws",
    )

    def __init__(
        self, hub: SessionHub, number: int, ws: WebSocket, peer: PeerAddress, now: float
    ) -> None:
        self._hub = hub
        self._account = hub.account
        self._limits = hub.limits
        self.number = number
        self.ws = ws
        self.peer = peer
        """The socket's own address."""
        self.address: str | None = None
        """The client's, once its request told it."""
        self.since = now
        """When it connected."""
        self.carrier: Any = None  # whatever the adapter keeps: its socket
        self.state = SessionState.OPENING
        self.grant: Grant | None = None
        """Who it is, once that is known."""
        self.subscriptions: dict[str, bool] = {}
        """Topics and patterns, each with whether coming and going there are told."""
        self.behind: dict[str, Cursor] | None = None
        """Topics whose publications it gets from their logs, not as they come."""
        self.hungry = False
        """Whether it is to be fed once its outbox has room."""
        self.shared: SharedQueue | None = None
        """What waits for it and for many others; then nothing else does. See `Crowd`."""
        self._outbox = Outbox(hub.limits.outbox_size)
        self.waiting_for: int | None = None
        """The effect whose outcome it waits for."""
        self.stalled = 0
        """What waited when the adapter looked last, and its socket had no room for it."""
        self.slow_told = False
        """Whether it was told of that it does not keep up, since it last did."""
        self.plain = False
        """Whether frames leave as they are, without compression, and without TLS; see `Crowd.take`."""
        self.told = True
        """Whether the adapter knows from the hub that it has something to do. While it does not, its
        outbox is empty."""
        self._close: tuple[int, str] | None = None
        self._moments: dict[Moment, float] | None = None
        self._at: float | None = None
        self._requests: TokenBucket | None = None
        self._errors: TokenBucket | None = None
        self._mistakes = 0
        self._answers_hold = False
        self._reserved: list[Reserved] | None = None
        self._working = False
        self._detached = False
        self._gone = False
        self._note_time()

    def __repr__(self) -> str:
        return f"<Session {self.number} {self.state.value}>"  # no names: they are the peer's

    # Link: bytes and time in.

    def receive_data(self, data: bytes, now: float) -> None:
        """Bytes arrived (see `Link`)."""
        self._account.counters.bytes_in += len(data)
        # These bytes may end the connection. How they were cut decides nothing: what came before is answered.
        self.ws.answers_wait = (
            self._outbox.answers is not None
            or self.waiting_for is not None
            or self._reserved is not None
        )
        self.ws.receive_data(data, now)
        self.work(now)

    def receive_eof(self, now: float) -> None:
        """The peer ended its stream (see `Link`)."""
        self.ws.receive_eof(now)
        self.work(now)

    def connection_lost(self, now: float) -> None:
        """The socket is gone (see `Link`)."""
        self.ws.connection_lost(now)
        self.work(now)

    def write_blocked(self, now: float) -> None:
        """The socket took only a part (see `Link`)."""
        self.ws.write_blocked(now)
        self._note_stalled()
        self._note_time()

    def next_timeout(self) -> float | None:
        """Always None: `Hub.next_timeout` is for all sessions."""
        return None

    def handle_timeout(self, now: float) -> None:
        """Do what is due (see `Link`)."""
        if self.told:  # else nobody has looked whether its socket takes what waits
            self._note_stalled()
        self.ws.handle_timeout(now)
        for moment in sorted(self._moments or ()):
            at = None if self._moments is None else self._moments.get(moment)
            if at is not None and at <= now:
                self.arm(moment, None)
                self._expire(moment, now)
        self.work(now)

    # Link: bytes out, and what to do with the socket.

    def data_to_send(self, now: float, max_bytes: int = 65536) -> list[bytes]:
        """Take bytes to write (see `Link`)."""
        if self.shared is not None:
            self._share_no_more()
        ws, outbox = self.ws, self._outbox
        size = outbox.size
        if (
            not ws.dirty
            and self._close is None
            and size <= max_bytes
            and outbox.answers is None
            and not self.hungry
        ):
            # Nothing but publications, and all may leave: what a fan-out does to most sessions.
            self.told = False
            if not size:
                return []
            frames = outbox.take_all()
            self._account.waiting -= size
            counters = self._account.counters
            counters.messages_out += len(frames)
            counters.bytes_out += sum(map(len, frames))
            self.slow_told = False
            if self.stalled:
                self._note_stalled()
            return frames
        return self._data_to_send(now, max_bytes)

    def _data_to_send(self, now: float, max_bytes: int) -> list[bytes]:
        ws, outbox = self.ws, self._outbox
        if self._close is not None and not (outbox or self._reserved):
            self._close_now(now)
        taken = ws.data_to_send(now, max_bytes)
        room = max_bytes - sum(map(len, taken))
        if outbox and room > 0 and ws.can_send:
            before = outbox.size
            frames = outbox.take(room, at_least_one=not taken)
            self._account.waiting -= before - outbox.size
            self._account.counters.messages_out += len(frames)
            taken += frames
        self._account.counters.bytes_out += sum(map(len, taken))
        self._note_stalled()
        if not outbox.size:
            self.slow_told = False
        if self._answers_hold and outbox.answers_size <= self._limits.answers_size // 4:
            self._answers_hold = False
            self._hold(now)
            self.work(now)
        else:
            self._note_time()
        if self.hungry and outbox.size <= self._limits.outbox_size // 4:
            # Not here: others come first, and the socket may take a resume of any length at once.
            self.hungry = False
            self.arm(Moment.FEED, now)
        if ws.end is End.CLOSE:
            self._go()
        # Who gets nothing does not come again by itself, and must be told of what comes next.
        self.told = bool(taken) and self.wants_write
        return taken

    @property
    def dirty(self) -> bool:
        """Whether the adapter has something to do (see `Link`)."""
        return self.told or self.shared is not None

    @property
    def unchanged(self) -> bool:
        """Whether nothing but bytes changed (see `Link`)."""
        # Taking answers may let it read on, and taking others moves the hub's next moment.
        busy = self._close or self._gone or self._answers_hold or self.hungry
        return self.ws.unchanged and not busy

    @property
    def wants_read(self) -> bool:
        """Whether to read on (see `Link`)."""
        return self.ws.wants_read

    @property
    def wants_write(self) -> bool:
        """Whether `data_to_send` has something (see `Link`)."""
        queued = self.shared is not None or bool(self._outbox)
        closing = self._close is not None and not self._reserved
        return queued or self.ws.wants_write or closing

    @property
    def end(self) -> End | None:
        """What to do to the socket (see `Link`)."""
        return None if self._close is not None else self.ws.end

    # For the hub.

    @property
    def outbox(self) -> Outbox:
        """What waits for it alone. Who asks for it may queue: then it shares nothing any more."""
        if self.shared is not None:
            self._share_no_more()
            self.mark()
        return self._outbox

    @outbox.setter
    def outbox(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def _share_no_more(self) -> None:
        """Queue for this session alone what it shared with others."""
        queue, self.shared = self.shared, None
        assert queue is not None
        self._outbox.put(queue.publications())

    @property
    def user(self) -> str:
        """Its user's name; empty while nobody."""
        return "" if self.grant is None else self.grant.user

    def step(self, step: SessionStep) -> None:
        """Move on."""
        self.state = SESSION[self.state, step]

    def arm(self, moment: Moment, at: float | None) -> None:
        """Have something happen at a moment; None forgets it."""
        if self._moments is None:
            if at is None:
                return
            self._moments = {}
        if at is None:
            self._moments.pop(moment, None)
        else:
            self._moments[moment] = at
        self._note_time()

    def forget_time(self) -> None:
        """The hub calls now, and has nothing noted any more."""
        self._at = None

    def accept(self, now: float) -> None:
        """Open the WebSocket that was asked for."""
        # The request itself may be answered, and a Close frame lie behind it.
        self.ws.answers_wait = True
        self.ws.accept(now)
        if self.ws.compressed:
            self._outbox.compress = self.ws.frame_of
            self.plain = False
        self.step(SessionStep.OPENED)

    def answer(self, payload: bytes, now: float) -> None:
        """Queue an answer, which goes before all publications that wait."""
        if self.state in (SessionState.LEAVING, SessionState.OVER):
            return
        frame = self._frame(payload)
        if self._reserved:
            self._reserved.append(Reserved(frame))
            self._hold(now)
            return
        self._queue_answer(frame, now)

    def reserve(self, now: float) -> "Reserved":
        """Keep a place for an answer that comes later. Answers behind it wait, so that order holds.

        No request is taken while `max_pending_publishes` places are kept, or `answers_size` bytes of answers
        wait behind them.
        """
        if self._reserved is None:
            self._reserved = []
        place = Reserved(None)
        self._reserved.append(place)
        self._hold(now)
        return place

    def fill(self, place: "Reserved", payload: bytes, now: float) -> None:
        """The answer for which a place was kept."""
        if self._reserved is None:
            return  # it has ended meanwhile
        place.frame = self._frame(payload)
        waiting, self._reserved = self._reserved, None
        then: Callable[[float], None] | None = None
        for at, one in enumerate(waiting):
            if one.frame is not None:
                self._queue_answer(one.frame, now)
            elif one.then is not None:
                then = one.then  # behind it are only things that were said unasked
            else:
                self._reserved = waiting[at:]
                break
        if then is not None:
            then(now)
        self._hold(now)
        self.work(now)

    def after_answers(self, then: Callable[[float], None], now: float) -> None:
        """Do something once all answers that are owed are there. No request is taken before."""
        if not self._reserved:
            then(now)
            return
        self._reserved.append(Reserved(None, then))
        self._hold(now)

    def _frame(self, payload: bytes) -> bytes:
        if self.ws.compressed:
            return self.ws.frame_of(PreparedMessage.of_text(payload))
        return encode_frame(Opcode.TEXT, payload)

    def _queue_answer(self, frame: bytes, now: float) -> None:
        self.outbox.answer(frame)
        if self.outbox.answers_size > self._limits.answers_size:
            self._answers_hold = True
            self._hold(now)
        self.mark()

    def push(self, publication: Publication) -> bool:
        """Queue a publication; False if it does not fit."""
        if not self.outbox.push(publication):
            return False
        self._account.waiting += publication.cost
        self.mark()
        return True

    def put(self, publications: Sequence[Publication]) -> None:
        """Queue publications of one topic that were read from history, when there was room for them."""
        self._account.waiting += self.outbox.put(publications)
        self.mark()

    def discard(self, gone: Callable[[str], bool]) -> int:
        """Take back what waits of the topics for which `gone` is true; how many publications it was."""
        before = self.outbox.size
        count = self.outbox.discard(gone)
        self._account.waiting -= before - self.outbox.size
        if self.stalled:
            self._note_stalled()
        return count

    def mark(self) -> None:
        """Have the adapter look."""
        if not self.told:
            self.told = True
            self._hub.mark(self)

    def ask_http(self, effect: int) -> None:
        """Wait for the response to the HTTP request that it carries."""
        self.waiting_for = effect

    def ask(self, effect: int, now: float) -> None:
        """Wait for the outcome of an effect; read nothing meanwhile."""
        self.step(SessionStep.ASK)
        self.waiting_for = effect
        self._hold(now)

    def answered(self, now: float) -> None:
        """The outcome came. What it means is done first, then `work` goes on."""
        self.waiting_for = None
        self.step(SessionStep.ANSWERED)
        self._hold(now)
        self._insist()

    def allow_error(self, now: float) -> bool:
        """One more request failed; False if they are too many."""
        self._mistakes += 1
        if self._errors is None:
            self._errors = TokenBucket(self._limits.error_rate, self._limits.error_burst, now)
        return self._errors.take(now)

    def leave(self, code: int, reason: str, now: float) -> None:
        """Close behind what waits, and behind answers that are owed: they have `close_timeout` to leave.

        Nothing new is queued.
        """
        if self.state in (SessionState.LEAVING, SessionState.OVER):
            return
        self.step(SessionStep.LEAVE)
        self._close = (code, reason)
        if self._reserved is not None:  # what was to be done behind them is not done
            self._reserved = [place for place in self._reserved if place.then is None]
        self._detach(code, reason, 0, now)
        self.arm(Moment.LEAVE, now + self._limits.close_timeout)
        self._hold(now)
        self.mark()

    def fail(self, code: int, reason: str, now: float) -> None:
        """Close before what waits, which is lost."""
        if self.state is SessionState.OVER:
            return
        self._close = None
        self.step(SessionStep.END)
        self._detach(code, reason, self._throw_away(), now)
        try:
            self._close_socket(code, reason, now)
        except LocalProtocolError:
            self.ws.connection_lost(now)  # the handshake is not done: there is no frame to send
        self._hold(now)
        self.work(now)
        self.mark()

    def respond(self, response: Response, now: float) -> None:
        """Answer the HTTP request that it carries."""
        self.waiting_for = None
        if self.ws.respond(response, now):
            self.ws.next_event()  # which tells what was answered
        self.work(now)
        self.mark()

    def work(self, now: float) -> None:
        """Take the events that may be taken, and act on them."""
        if self._working:
            return  # further up in the stack it goes on
        self._working = True
        try:
            self._take_events(now)
        finally:
            self._working = False
        ws = self.ws
        if ws.closed is not None or ws.end is End.CLOSE:
            self._end(now)
        if ws.end is End.CLOSE:
            self._go()
        if ws.dirty:
            self.mark()
        self._note_time()

    # Inside.

    def _take_events(self, now: float) -> None:
        ws = self.ws
        self._mistakes = 0
        while True:
            if self.waiting_for is not None and ws.closed is None:
                return
            if ws.close_due:  # answers go before it
                if self._reserved is not None:
                    return
                ws.send_frames(self._outbox.take_answers(), now)
            elif self._mistakes >= _MISTAKES and self._reads and ws.has_event:
                # Who sends nonsense by the read waits for the others after each few.
                self.arm(Moment.RESUME, now)
                self._hold(now)
                return
            elif self._answers_hold or self._full_of_pending or not self._within_rate(now):
                return
            event = ws.next_event()
            if event is None:
                return
            self._take(event, now)

    def _take(self, event: object, now: float) -> None:
        if isinstance(event, TextMessage):
            if self._reads:
                self._hub.text_received(self, event.data, now)
        elif isinstance(event, BinaryMessage):
            if self._reads:
                self._hub.binary_received(self, now)
        elif isinstance(event, Requested):
            self._hub.requested(self, event, now)
        elif isinstance(event, HttpRequested):
            self._hub.http_requested(self, event, now)
        elif isinstance(event, Refused):
            self._hub.refused(self, event, now)
        elif isinstance(event, Closed):
            self._end(now)

    @property
    def _reads(self) -> bool:
        return self.state is SessionState.OPEN or self.state is SessionState.IDENTIFYING

    def _within_rate(self, now: float) -> bool:
        """Whether one more message may be taken, and take its place. If not, nothing is read until it may."""
        if not self._reads or not self.ws.has_event or self.ws.closed is not None:
            return True
        if self._requests is None:
            limits = self._limits
            self._requests = TokenBucket(limits.request_rate, limits.request_burst, now)
        if self._requests.take(now):
            if self._moments is not None and Moment.RESUME in self._moments:
                self.arm(Moment.RESUME, None)
                self._hold(now)
            return True
        self.arm(Moment.RESUME, self._requests.available_at(now))
        self._hold(now)
        return False

    def _hold(self, now: float) -> None:
        """Tell the WebSocket whether we read on."""
        paused = self._moments is not None and Moment.RESUME in self._moments
        flooded = self._close is not None and self._close[0] == CloseCode.TOO_MANY
        asked = self.waiting_for is not None or flooded
        self.ws.hold(asked or self._answers_hold or self._full_of_pending or paused, now)

    @property
    def _full_of_pending(self) -> bool:
        """Whether as many answers are owed as may be."""
        places = self._reserved
        if places is None:
            return False
        limits = self._limits
        size = sum(len(place.frame) for place in places if place.frame is not None)
        if len(places) >= limits.max_pending_publishes or size > limits.answers_size:
            return True
        return any(place.then is not None for place in places)

    def _expire(self, moment: Moment, now: float) -> None:
        if moment is Moment.RESUME:
            self._hold(now)
            self._insist()
        elif moment is Moment.LEAVE:
            assert self._close is not None
            self.fail(*self._close, now)
        else:
            self._hub.moment_came(self, moment, now)

    def _close_now(self, now: float) -> None:
        """What waited has left: the Close frame follows."""
        assert self._close is not None
        (code, reason), self._close = self._close, None
        self.arm(Moment.LEAVE, None)
        self._close_socket(code, reason, now)
        self.work(now)

    def _close_socket(self, code: int, reason: str, now: float) -> None:
        if code == CloseCode.TOO_MANY:
            self.ws.fail(now, code, reason)  # what it goes on to send is worth no look
        else:
            self.ws.close(now, code, reason)

    def _end(self, now: float) -> None:
        """The WebSocket ended by itself: the peer closed, broke the protocol, or is gone."""
        if self.state is SessionState.OVER:
            return
        self._close = None
        self.step(SessionStep.END)
        closed = self.ws.closed
        if closed is None:
            code, cause = int(CloseCode.ABNORMAL_CLOSURE), "the opening handshake did not succeed"
        else:
            code, cause = closed.code, closed.cause
        self._detach(code, cause, self._throw_away(), now)
        self.mark()

    def _detach(self, code: int, cause: str, unsent: int, now: float) -> None:
        """Leave the hub, once; last bytes may still leave."""
        self.waiting_for = None
        self._moments = None
        if not self._detached:
            self._detached = True
            self._hub.ended(self, code, cause, unsent, now)

    def _throw_away(self) -> int:
        self._account.waiting -= self.outbox.size
        count = self.outbox.clear()
        self._reserved = None
        self._note_stalled()
        return count

    def _note_stalled(self) -> None:
        """The adapter looks: what waits now is more than the socket takes."""
        self._account.stalled += self._outbox.size - self.stalled
        self.stalled = self._outbox.size

    def _go(self) -> None:
        if not self._gone and self.state is SessionState.OVER:
            self._gone = True
            self._at = None
            self._hub.gone(self)
            self._insist()

    def _insist(self) -> None:
        """Have the adapter look, though it may know already of bytes that its socket does not take."""
        self.told = True
        self._hub.mark(self)

    def _note_time(self) -> None:
        """Tell the hub when to call, if that moved."""
        at = self.ws.next_timeout()
        if self._moments:
            first = min(self._moments.values())
            at = first if at is None or first < at else at
        if at != self._at and not self._gone:
            self._at = at
            self._hub.reschedule(self, at)
