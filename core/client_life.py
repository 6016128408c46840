"""Connects a client of a hub again and again: attempts, who we are, newer tokens, the end of connections."""

from collections import deque
from itertools import count
from typing import Any, Final

from .client_attempts import Attempts
from .client_delivery import Delivery
from .client_events import CLOSED, ClientEffect, Connect, Ending, FetchToken, StateChange
from .client_identity import Identity, Verdict
from .client_moments import Alarms, Moment
from .client_options import HubClientOptions
from .client_refreshing import Refreshing
from .client_requests import Asked, Repeat, Requests
from .client_states import (
    CLIENT,
    TRANSIENT,
    ClientState,
    ClientStep,
    come_back_after,
    words_of,
)
from .client_streams import Stream
from .client_subscribing import ClientSubscribing
from .codecs import native
from .errors import LocalProtocolError
from .events import Accepted, Closed, Refused, TextMessage
from .frames import ComeBack
from .messages import (
    Answer,
    AuthResult,
    Chat,
    Direct,
    ErrorAnswer,
    ErrorCode,
    Gap,
    Malformed,
    Notification,
    PresenceChange,
    Reconnect,
    Refresh,
    System,
    Unknown,
    Unsubscribed,
)
from .sender import Entropy
from .states import State
from .websocket import WebSocket

__all__ = ["ClientLife"]

_CHANGES: Final = 1000
"""Changes of state that wait to be taken; beyond it the oldest are dropped."""

_UNKNOWN: Final = ErrorAnswer(
    ErrorCode.UNAVAILABLE, "the connection was lost before the answer: it may or may not be done"
)


class ClientLife:
    """A client of one hub, as its adapter sees it. `HubClient` adds what its user can ask for.

    Args:
        options: who we are, and the bounds of everything.
        entropy: where idempotency keys and jitter come from.
    """

    def __init__(self, options: HubClientOptions | None = None, *, entropy: Entropy) -> None:
        self.options = options = options if options is not None else HubClientOptions()
        self.limits = options.limits
        self._entropy = entropy
        self.state = ClientState.WAITING
        """Where it stands."""
        self.ending: Ending | None = None
        """Why it is over, once it is."""
        self._ids = count(1)
        self._ws: WebSocket | None = None
        self._alarms = Alarms()
        self._attempts = Attempts(options, entropy)
        self._identity = Identity(options)
        self._name_until: float | None = None
        self._refreshing = Refreshing()
        self._requests = Requests(options.limits)
        self._delivery = Delivery()
        self._subscribing = ClientSubscribing(
            options.limits,
            self._delivery,
            self._requests,
            self._alarms,
            self._ids,
            self._attempts.later,
        )
        self._effect: int | None = None
        self._effects: deque[ClientEffect] = deque()
        self._changes: deque[StateChange] = deque(maxlen=_CHANGES)
        self._answers: deque[tuple[int, Answer]] = deque()
        self._closing = False
        self._working = False
        self._begin()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state.value}>"

    @property
    def username(self) -> str | None:
        """Who we are, once the hub said so. It does not tell a name that it picked."""
        return self._identity.username

    @property
    def closing(self) -> bool:
        """Whether nothing may be asked for any more."""
        return self._closing or self.state is ClientState.OVER

    @property
    def connection(self) -> WebSocket | None:
        """The connection that there is, or that is being opened."""
        return self._ws

    # For the adapter: what to do.

    def next_effect(self) -> ClientEffect | None:
        """Take the next thing that the outside is asked to do; None if there is none."""
        while self._effects:
            effect = self._effects.popleft()
            if effect.id in (self._effect, self._refreshing.fetching):
                return effect
        return None

    def next_event(self) -> StateChange | None:
        """Take the next change of state; None if there is none."""
        return self._changes.popleft() if self._changes else None

    def next_answer(self) -> tuple[int, Answer] | None:
        """Take the next answer, with the number of its request; None if there is none.

        A request that fails without the hub's word is answered with an `ErrorAnswer`, too: `unavailable`
        if it may or may not have been done, `closed` if the client is over.
        """
        return self._answers.popleft() if self._answers else None

    def next_ready(self) -> Stream | None:
        """Take a subscription that has an event, has begun, or has ended; None if there is none."""
        return self._delivery.next_ready()

    def next_timeout(self) -> float | None:
        """When to call `handle_timeout`, or None. Ask again after every call."""
        return self._alarms.next()

    @property
    def wants_room(self) -> bool:
        """Whether requests wait for the connection to leave its bytes: then `work` sends them."""
        return self._requests.waits and self._ws is not None and self._ws.write_paused

    # For the adapter: what happened.

    def connected(self, effect_id: int, ws: WebSocket, now: float) -> bool:
        """There is a connection, open or still in its opening handshake.

        Args:
            effect_id: of the `Connect`.
            ws: a client's side, whose socket the adapter drives; its events are ours from now on.
            now: the time.

        Returns:
            Whether it is wanted. If not, it is closed.
        """
        if effect_id != self._effect or self.state is not ClientState.CONNECTING:
            ws.close(now)
            return False
        self._effect = None
        self._ws = ws
        if ws.state is State.OPEN:
            self._opened(now)
        self.work(now)
        return True

    def fetched(self, effect_id: int, token: str, now: float) -> None:
        """A `FetchToken` was answered. One that is not wanted any more is passed over.

        Raises:
            LocalProtocolError: it is no token.
        """
        if not token:
            raise LocalProtocolError("a token must not be empty")
        if effect_id == self._effect and self.state is ClientState.FETCHING:
            self._identity.token = token
            self._connect()
        elif effect_id == self._refreshing.fetching:
            self._refreshing.fetching = None
            self._identity.token = token
            self._send_refresh()
            self._pump(now)

    def failed(self, effect_id: int, reason: str, now: float, *, final: bool = False) -> None:
        """An effect could not be done.

        Args:
            effect_id: which.
            reason: why, in words.
            now: the time.
            final: whether another attempt would end in the same way.
        """
        if effect_id == self._effect:
            self._lost(ComeBack.NO if final else ComeBack.BACK_OFF, reason, None, now)
        elif effect_id == self._refreshing.fetching:
            self._refreshing.fetching = None
            error = ErrorAnswer(ErrorCode.UNAVAILABLE, f"no newer token: {reason}", "token")
            self._fail(self._refreshing.take_waiting(), error)
            self._arm_refresh(now, self._attempts.later())

    def work(self, now: float) -> None:
        """Take what the connection has, as far as the application keeps up, and send what waits."""
        if self._working:
            return
        self._working = True
        try:
            while self._ws is not None and not self._held:
                event = self._ws.next_event()
                if event is None:
                    break
                self._take(event, now)
        finally:
            self._working = False
        self._pump(now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due. Called late it does what is due; early, nothing."""
        for moment in self._alarms.due(now):
            match moment:
                case Moment.CONNECT:
                    self._begin()
                case Moment.IDENTIFY:
                    self._drop(now)
                    self._lost(ComeBack.BACK_OFF, "no answer to who we are", None, now)
                case Moment.NAME:
                    self._alarms.arm(Moment.IDENTIFY, now + self.limits.identify_timeout)
                    self._identify(now)
                case Moment.REFRESH:
                    self._fetch_newer()
                case Moment.SUBSCRIBE:
                    self._subscribing.ask_for_all()
                case Moment.ACK:
                    self._subscribing.acknowledge_all(now)
                case Moment.LEAVE:
                    self._leave(now)
        self._pump(now)

    # Inside: attempts.

    def _step(self, step: ClientStep, reason: str = "", **more: Any) -> None:
        self.state = CLIENT[self.state, step]
        self._subscribing.ready = self.state is ClientState.READY
        self._changes.append(StateChange(self.state, reason, **more))

    def _begin(self) -> None:
        """Try to connect."""
        self._attempts.begin()
        if self.options.fetches:
            self._step(ClientStep.FETCH)
            self._effect = next(self._ids)
            self._effects.append(FetchToken(self._effect))
        else:
            self._connect()

    def _connect(self) -> None:
        self._step(ClientStep.CONNECT)
        self._effect = next(self._ids)
        self._effects.append(Connect(self._effect, self._attempts.count))

    def _opened(self, now: float) -> None:
        """There is a connection: say who we are."""
        self._step(ClientStep.OPENED)
        self._attempts.opened()
        self._alarms.arm(Moment.IDENTIFY, now + self.limits.identify_timeout)
        self._identify(now)

    def _identify(self, now: float) -> None:
        request = self._identity.request(next(self._ids))
        if self._ws is not None and self._ws.can_send:
            self._ws.send(native.encode_request(request).decode(), now)

    def _judge(self, answer: Answer, now: float) -> None:
        """Something was answered before we were let in."""
        match self._identity.judge(answer):
            case Verdict.LET_IN:
                self._let_in(now)
            case Verdict.TAKEN if self._attempts.succeeded and self._may_wait_for_name(now):
                # By our own dead connection, until the hub finds it dead.
                self._alarms.disarm(Moment.IDENTIFY)
                self._alarms.arm(Moment.NAME, now + self._attempts.name_delay())
            case Verdict.LATER:
                assert isinstance(answer, ErrorAnswer)
                self._drop(now)
                self._lost(ComeBack.BACK_OFF, answer.message, None, now)
            case Verdict.TAKEN | Verdict.REFUSED:
                assert isinstance(answer, ErrorAnswer)
                self._drop(now)
                self._end(Ending(f"not let in: {answer.message}", error=answer.code))
            case Verdict.NOTHING:
                pass

    def _may_wait_for_name(self, now: float) -> bool:
        if self._name_until is None:
            self._name_until = now + self.limits.name_timeout
        return now < self._name_until

    def _let_in(self, now: float) -> None:
        self._alarms.disarm(Moment.IDENTIFY, Moment.NAME)
        self._name_until = None
        self._attempts.ready(now)
        self._step(ClientStep.LET_IN)
        self._fail(self._requests.resume(now, same_name=self._identity.same), _UNKNOWN)
        welcome = AuthResult("ok", username=self.username)
        self._answers.extend((number, welcome) for number in self._refreshing.take_waiting())
        self._subscribing.ask_for_all()
        self._arm_refresh(now)
        self._leave_if_done(now)

    # Inside: newer tokens.

    def _fetch_newer(self) -> None:
        """Fetch one, unless one is being fetched, or the next connection does it anyway."""
        if self.state is ClientState.READY and self._refreshing.fetching is None:
            self._refreshing.fetching = next(self._ids)
            self._effects.append(FetchToken(self._refreshing.fetching, refresh=True))

    def _send_refresh(self) -> None:
        token = self._identity.token
        if self.state is ClientState.READY and token is not None:
            number = next(self._ids)
            text = native.encode_request(Refresh(token, id=number)).decode()
            self._requests.add(Asked(number, text, Repeat.DROPPED))
            self._refreshing.send(number)

    def _arm_refresh(self, now: float, after: float = float("inf")) -> None:
        interval = self.options.refresh_interval
        if interval is not None:
            self._alarms.arm(Moment.REFRESH, now + min(interval, after))

    # Inside: the end of connections.

    def _closed(self, closed: Closed, now: float) -> None:
        come_back, reason = come_back_after(closed), words_of(closed)
        if self._identity.refusal is not None and self.state is ClientState.IDENTIFYING:
            reason = f"not let in: {self._identity.refusal}"
        if self.state is ClientState.CONNECTING:
            come_back = ComeBack.BACK_OFF  # it did not come to one: at once would be too soon
        if come_back is ComeBack.RENEWED and not self.options.fetches:
            come_back = ComeBack.NO
            reason += ": the token has ended, and nothing fetches a newer one"
        code = None if closed.received is None else closed.received.code
        self._lost(come_back, reason, code, now)

    def _drop(self, now: float) -> None:
        """Close the connection, and don't wait for how that ends."""
        if self._ws is not None:
            self._ws.close(now)
            self._ws = None

    def _lost(self, come_back: ComeBack, reason: str, code: int | None, now: float) -> None:
        """There is no connection any more, or it did not come to one."""
        refused = self.state is ClientState.IDENTIFYING and self._identity.refusal is not None
        self._ws = self._effect = None
        self._alarms.keep_only(Moment.LEAVE)
        self._refreshing.lost()
        self._delivery.lost()
        self._fail(self._requests.lost(), _UNKNOWN)
        if self.state is ClientState.LEAVING or (self._closing and not self._requests.pending):
            self._end(Ending(""))
            return
        delay = self._attempts.delay(come_back, now)
        if delay is None:
            error = ErrorCode.UNAUTHENTICATED.value if refused else None
            self._end(Ending(reason, code, error))
            return
        self._step(ClientStep.LOST, reason, delay=delay, code=code)
        if delay > 0:
            self._alarms.arm(Moment.CONNECT, now + delay)
        else:
            self._begin()

    def _leave_if_done(self, now: float) -> None:
        """The user wants no more, and nobody waits for an answer any more."""
        if self._closing and not self._requests.pending:
            self._leave(now)

    def _leave(self, now: float) -> None:
        """Say goodbye, if there is somebody to say it to. What was not answered is not waited for."""
        self._fail(self._requests.fail_all(), _closed_error("the client was closed"))
        ws = self._ws
        if self.state is ClientState.READY and ws is not None and ws.can_send:
            self._alarms.keep_only(Moment.LEAVE)
            self._alarms.disarm(Moment.LEAVE)
            self._step(ClientStep.LEAVE)
            ws.close(now)
            self.work(now)
        elif self.state is not ClientState.LEAVING:
            self._drop(now)
            self._end(Ending(""))

    def _end(self, ending: Ending) -> None:
        self.ending = ending
        self._ws = self._effect = None
        self._alarms.keep_only(Moment.LEAVE)
        self._alarms.disarm(Moment.LEAVE)
        self._refreshing.lost()
        self._step(ClientStep.END, ending.reason, code=ending.code)
        failure = _closed_error(ending.reason or "the client was closed")
        self._fail(self._requests.fail_all(), failure)
        self._fail(self._refreshing.take_waiting(), failure)
        self._delivery.end_all(failure if ending.reason else None)

    def _fail(self, numbers: list[int], failure: ErrorAnswer) -> None:
        self._answers.extend((number, failure) for number in numbers)

    # Inside: what comes.

    @property
    def _held(self) -> bool:
        """Whether nothing is read on. Answers come behind events: while one is awaited, reading goes on."""
        full = self._delivery.full and self.state is ClientState.READY
        return full and not self._requests.asking

    def _take(self, event: object, now: float) -> None:
        match event:
            case TextMessage(data=text):
                self._receive(text, now)
            case Accepted():
                self._opened(now)
            case Refused(response=response):
                again = ComeBack.BACK_OFF if response.status in TRANSIENT else ComeBack.NO
                self._lost(again, f"the server answered with HTTP {response.status}", None, now)
            case Closed():
                self._closed(event, now)
            case _:
                pass  # pongs; and binary messages, of which no hub sends any

    def _receive(self, text: str, now: float) -> None:
        message = native.decode_answer(text)
        match message:
            case Chat() | Notification() | System() | Direct() | PresenceChange() | Gap():
                self._delivery.push(message, len(text))
            case Reconnect(after=after):
                self._attempts.hint(after, now)
            case Unsubscribed(id=None):
                self._delivery.taken_away(message)
            case Malformed() | Unknown():
                pass  # a newer hub may say more than we know
            case _ if self.state is ClientState.IDENTIFYING:
                self._judge(message, now)
            case _:
                self._answered(message, now)

    def _answered(self, answer: Answer, now: float) -> None:
        """Somebody's request was answered, or one of our own."""
        asked = self._requests.answer(answer.id)
        if asked is None:
            return
        refreshed = self._refreshing.answered(answer.id, answer)
        if asked.stream is not None:
            self._subscribing.answered(asked.stream, answer, now)
        elif refreshed is not None:
            numbers, told = refreshed
            self._answers.extend((number, told) for number in numbers)
            self._arm_refresh(now)
        elif asked.own:
            self._answers.append((asked.number, answer))
        self._leave_if_done(now)

    # Inside: what leaves.

    def _pump(self, now: float) -> None:
        """Send what waits, as far as the connection takes it."""
        ws = self._ws
        if self.state is not ClientState.READY or ws is None:
            return
        while self._requests.waits and ws.can_send and not ws.write_paused:
            text = self._requests.send(now)
            assert text is not None
            ws.send(text, now)


def _closed_error(text: str) -> ErrorAnswer:
    return ErrorAnswer(CLOSED, text)
