"""All peers of a server together: who they are, what they subscribe to, and what they are sent.

`Hub` is a machine without I/O, like its parts. An adapter makes a `Session` for each socket, moves bytes
and time as `hubbub.core.link` says, and after any batch of calls looks at the hub:

.. code-block:: text

    accepted          session = hub.connect(peer, now)
    after any batch   while session := hub.next_dirty(): write session.data_to_send(now), obey session.end
                      while effect := hub.next_effect(): do it, then hub.complete(effect.id, outcome, now)
                      while event := hub.next_event(): log it, count it
                      set one timer to hub.next_timeout()
    timer             hub.handle_timeout(now)
    each minute       hub.set_wall_clock(seconds since 1970 - now, now)

The calls may come in any order, and none of them calls back.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Final

from .account import Account, WallClock
from .admission import Admission
from .appending import Appending
from .asking import Asking
from .codecs import native
from .consumers import Acknowledgements
from .consuming import Consuming
from .crowd import Crowd
from .draining import Drain
from .effects import Done, Effect, Failed, HookKind, HttpRequest, Outcome
from .errors import LocalProtocolError
from .events import HttpRequested, Refused, Requested
from .feeding import Feeding
from .forwarded import PeerAddress, client_of
from .frames import CloseCode, close_payload
from .history import Log
from .http import Response, text_response
from .hub_config import HubConfig
from .hub_events import (
    Counters,
    HubEvent,
    Left,
    RequestFailed,
    StoreDamaged,
    StoreFailed,
    StoreReopened,
)
from .idempotency import KnownKeys
from .logs import Logs
from .messages import MAX_IDEMPOTENCY_KEY, ErrorCode, Published
from .outbox import Publication
from .pending import PendingEffects
from .placing import Placing
from .presence import PresenceBook
from .publish_requests import PublishRequests
from .publishing import Publishing
from .records import Heads
from .refusals import Refusals
from .registry import Registry, host_of
from .replies import Replies
from .requests import Requests
from .rules import Rules
from .sender import Entropy
from .session import Moment, Session
from .session_states import SessionState
from .subscribe_requests import SubscribeRequests
from .subscribing import Subscribing
from .subscriptions import SubscriptionTable
from .telling import HistoryTelling
from .timeouts import Deadlines
from .topics import check_pattern, check_topic, matches
from .trimming import Trimming
from .websocket import WebSocket

__all__ = ["Hub"]

_RETIRED: Final = "The server is shutting down: try again, or elsewhere"


class Hub:
    """The machine of a server that many peers talk through.

    Args:
        config: who may come in, what topics do, and the bounds of everything.
        now: the time, in seconds from any fixed origin.
        entropy: where unpredictable bytes come from.
        hooks: which functions of the user's there are: for each kind their patterns, in order.
        heads: what a store has, once it was opened. Without a store, None: then durable topics are kept
            in memory only, like others with history.

    Raises:
        ValueError: a hook's pattern is none.
    """

    def __init__(
        self,
        config: HubConfig | None = None,
        *,
        now: float,
        entropy: Entropy,
        hooks: Mapping[HookKind, tuple[str, ...]] | None = None,
        heads: Heads | None = None,
    ) -> None:
        hooks = hooks if hooks is not None else {}
        for patterns in hooks.values():
            for pattern in patterns:
                check_pattern(pattern)
        self.config = config = config if config is not None else HubConfig()
        self.limits = limits = config.limits
        self.account = Account(limits.max_events)
        self.draining = False
        """Whether it takes nobody any more."""
        self._ending = False
        self._entropy = entropy
        self._clock = WallClock()
        self._dirty: list[Session] = []
        self._taking: deque[Session] = deque()
        self._crowd = Crowd(self.account)
        self._deadlines: Deadlines[Session] = Deadlines()
        ids = count(1)
        self._pending = PendingEffects(limits.hook_timeout, ids)
        self._storing = PendingEffects(limits.store_timeout, ids)
        self._registry = Registry(limits)
        self._refusals = Refusals(self.account, now)
        self._table: SubscriptionTable[Session] = SubscriptionTable()
        self._presence: PresenceBook[Session] = PresenceBook()
        self._drain = Drain(limits, entropy)
        self._asking = Asking(hooks, self._pending, self.account)
        self._replies = Replies(self.account)
        rules = Rules(config.rules)
        self._publishing = Publishing(
            limits,
            rules,
            self._table,
            self._registry,
            self.account,
            self._clock,
            self._dirty,
            self._crowd,
        )
        self._logs = Logs(limits, rules, entropy, self._log_forgotten, stored=heads is not None)
        self._trimming = Trimming(self._logs, self._storing)
        self._keys = KnownKeys(limits.max_idempotency_keys)
        self._acknowledgements = Acknowledgements(limits.max_consumers)
        self._appending = Appending(
            self._storing, self._placed, self._store_reopened, self._store_failed
        )
        self._consuming = Consuming(
            limits, self._logs, self._acknowledgements, self._appending, self._clock
        )
        self._feeding = Feeding(
            limits,
            self._logs,
            self._trimming,
            self._acknowledgements,
            self._consuming,
            self._appending,
            self._storing,
            self._publishing,
            self.account,
        )
        self._placing = Placing(
            limits,
            self._logs,
            self._keys,
            self._appending,
            self._trimming,
            self._publishing,
            self.account,
            self._clock,
        )
        self._subscribing = Subscribing(
            limits,
            self._table,
            self._presence,
            self._publishing,
            self._feeding,
            self._consuming,
            self._replies,
            self._clock,
        )
        self._admission = Admission(
            config,
            self._registry,
            self.account,
            self._refusals,
            self._clock,
            self._asking,
            self._replies,
        )
        self._requests = Requests(
            limits,
            self.account,
            self._asking,
            self._replies,
            self._admission,
            rules,
            PublishRequests(
                limits, self._asking, self._replies, rules, self._placing, self._publishing
            ),
            SubscribeRequests(
                limits,
                self._asking,
                self._replies,
                rules,
                self._subscribing,
                self._logs,
                self._trimming,
                self._feeding,
                self._consuming,
            ),
            self._subscribing,
            HistoryTelling(limits, self._logs, self._trimming, self._asking, self._replies),
            self._presence,
        )
        self._admission.handle = self._requests.handle
        self._completions: deque[tuple[int, Published | None]] = deque()
        if heads is not None:
            self._load(heads)
        self._now = now

    # For the adapter.

    def connect(self, peer: PeerAddress, now: float) -> Session:
        """A socket was accepted: the link that drives it.

        One that is refused, because too many are opening, from its address or at all, or the hub drains,
        wants its socket closed.

        Args:
            peer: the socket's address; whatever is no tuple counts as a Unix socket.
            now: the time.
        """
        self._now = now
        ws = WebSocket(self.config.options, now=now, entropy=self._entropy)
        session = Session(self, self._registry.new_number(), ws, peer, now)
        session.address = host_of(peer)
        self._dirty.append(session)
        self.account.counters.connections += 1
        proxies = self.config.trusted_proxies
        limit = self._registry.add(session, shared=proxies is not None and proxies.trusts(peer))
        if limit is not None and not self._ending:
            self._refusals.turned_away(session.address, limit, now)
        if limit is not None or self._ending:
            session.fail(CloseCode.TRY_AGAIN_LATER, "full", now)
        return session

    def next_dirty(self, *, crowd: bool = True) -> Session | None:
        """Take a session whose adapter has something to do; None if there is none.

        There may be bytes to write, or `wants_read` or `end` changed. The caller may stop at any session
        and go on later. What it took is not told again before its `data_to_send` gave nothing.

        Args:
            crowd: False leaves those out that a fan-out to many has reached: see `take_crowd`.
        """
        if not self._taking:
            if not self._dirty:
                return self._crowd.next() if crowd else None
            self._taking.extend(self._dirty)
            self._dirty.clear()
        return self._taking.popleft()

    @property
    def has_dirty(self) -> bool:
        """Whether `next_dirty` has a session that is not one of a crowd."""
        return bool(self._taking or self._dirty)

    @property
    def crowded(self) -> bool:
        """Whether a fan-out to many has reached sessions that `take_crowd` has not come to."""
        return bool(self._crowd)

    def take_crowd(self, most: int) -> list[tuple[Any, bytes]]:
        """Take what waits for the next sessions that a fan-out to many has reached.

        For adapters that would rather not make some calls for each of thousands. Those who use it ask
        `next_dirty` for the others, and again after each call: sessions for which more is to be done
        than to write are told there. Only sessions with `plain` are taken here.

        Args:
            most: how many.

        Returns:
            The carrier of each, and its bytes, which are on the wire with that: write them, or what is
            left of them, before anything else. Empty if no session is left.
        """
        return self._crowd.take(most)

    def next_effect(self) -> Effect | None:
        """Take the next thing that the outside is asked to do; None if there is none."""
        return self._pending.next() or self._storing.next()

    def complete(self, effect_id: int, outcome: Outcome, now: float) -> None:
        """The outcome of an effect. One that comes late or twice changes nothing.

        Raises:
            LocalProtocolError: it is none.
        """
        if not isinstance(outcome, Outcome):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise LocalProtocolError(f"outcome={outcome!r}: must be Done(), Denied() or Failed()")
        self._now = now
        if not self._pending.complete(effect_id, outcome, now):
            self._storing.complete(effect_id, outcome, now)

    def next_event(self) -> HubEvent | None:
        """Take the next thing that happened; None if there is none."""
        return self.account.next_event()

    def next_timeout(self) -> float | None:
        """When to call `handle_timeout`, or None. Ask again after every batch of calls.

        It may be earlier than anything is due, and is never later: a session whose deadline was put off,
        as answers to pings do all the time, is looked at when the old moment comes, and not before. That
        is one call which does nothing, instead of a search through all sessions at each answer.
        """
        moments = (
            self._deadlines.next(),
            self._pending.next_timeout(),
            self._storing.next_timeout(),
            self._drain.at,
        )
        return min((at for at in moments if at is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what is due, for all sessions. Called late it does what is due; early, nothing."""
        self._now = now
        for session in self._deadlines.due(now):
            session.forget_time()
            session.handle_timeout(now)
        self._pending.expire(now)
        self._storing.expire(now)
        self._drain.act(now)

    def set_wall_clock(self, offset: float, now: float) -> None:
        """What is to be added to `now` for the seconds since 1970; it may change at any time.

        Timestamps, the ends of grants, and how long idempotency keys and consumers are remembered depend
        on it, and nothing else.

        Raises:
            LocalProtocolError: it is no time of a calendar.
        """
        self._now = now
        self._clock.set(offset, now)
        for session in self._registry.admitted:
            if session.grant is not None and session.grant.until is not None:
                self._admission.note_expiry(session, now)

    # Commands.

    def publish(
        self,
        topic: str,
        message: Any,
        now: float,
        *,
        sender: str | None = None,
        key: str | None = None,
        idempotency_key: str | None = None,
    ) -> Published | int:
        """Publish on a topic, as the server itself.

        Args:
            topic: where.
            message: anything that JSON has a form for.
            now: the time.
            sender: who says it, in a room; without one it is a notification there too.
            key: what it is about, for topics that keep the latest of each key.
            idempotency_key: a name for it, at most 64 bytes, that makes a repeat harmless.

        Returns:
            The answer; or, where it must be stored first, a number with which `next_completion` gives it.

        Raises:
            LocalProtocolError: the topic is none, the message has no form in JSON, or the key is too long.
        """
        self._now = now
        try:
            check_topic(topic)
        except ValueError as error:
            raise LocalProtocolError(f"topic: {error}") from None
        if idempotency_key is not None:
            _check_key(idempotency_key)
        if not self._publishing.receivers(topic):
            native.encode_value(message)  # else it is written anyway
        number: int | None = None
        answer: list[Published | None] = []

        def answered(published: Published | None, _: float) -> None:
            if number is None:
                answer.append(published)
            else:
                self._completions.append((number, published))

        self._placing.place(
            topic,
            message,
            now,
            answered,
            sender=sender,
            key=key,
            idempotency_key=idempotency_key,
        )
        if answer and answer[0] is not None:
            return answer[0]
        number = self._pending.new_id()
        if answer:
            self._completions.append((number, None))
        return number

    def next_completion(self) -> tuple[int, Published | None] | None:
        """Take the answer to a `publish` that gave a number; None if there is none.

        The answer itself is None where it may or may not have been stored: repeat it with the same
        `idempotency_key`.
        """
        return self._completions.popleft() if self._completions else None

    def send_to(self, user: str, message: Any, now: float, *, sender: str) -> int:
        """Send a direct message to all sessions of a user; how many they are.

        Raises:
            LocalProtocolError: the message has no form in JSON.
        """
        self._now = now
        native.encode_value([message, sender])
        return self._publishing.direct(user, message, now, sender=sender)

    def disconnect(self, user: str, now: float, reason: str = "") -> int:
        """Close all sessions of a user with 4003, at once; how many they were.

        Raises:
            LocalProtocolError: a reason that may not be sent.
        """
        self._now = now
        close_payload(CloseCode.DISCONNECTED, reason)
        self._admission.revocations.note(user, None)
        sessions = (*self._registry.of(user), *self._registry.leaving_of(user))
        for session in sessions:
            session.fail(CloseCode.DISCONNECTED, reason or "disconnected by the operator", now)
        return len(sessions)

    def revoke(self, user: str, pattern: str, now: float) -> int:
        """Take all topics that a pattern matches away from a user's sessions; how many they are.

        Subscriptions that reach any of them end, with what waits of them, in this step. It lasts until
        the authenticator is asked again, by a refresh or a new connection: tell it first. A session from
        which more than `max_revoked` patterns were taken away one by one is closed with 4003.

        Raises:
            LocalProtocolError: the pattern is none.
        """
        self._now = now
        try:
            check_pattern(pattern)
        except ValueError as error:
            raise LocalProtocolError(f"pattern: {error}") from None
        self._admission.revocations.note(user, pattern)
        leaving = self._registry.leaving_of(user)
        for session in leaving:
            session.discard(lambda topic: matches(pattern, topic))
        sessions = self._registry.of(user)
        for session in sessions:
            assert session.grant is not None
            left = self._admission.revocations.take_away(session.grant, pattern)
            if left is None:
                session.fail(CloseCode.DISCONNECTED, "more than max_revoked was taken away", now)
                continue
            session.grant = left
            self._subscribing.drop_forbidden(session, now)
        return len(sessions) + len(leaving)

    def retire(self, now: float) -> None:
        """Take nobody any more, and leave those alone who are in: a time to be seen before `drain`.

        Who asks to open a WebSocket gets 503, and so tries elsewhere; other requests are answered as ever.
        """
        self._now = now
        self.draining = True

    def drain(self, now: float) -> None:
        """Take nobody any more, and close everybody, some at a time. Again, it does nothing."""
        self._now = now
        if self._ending:
            return
        self.draining = self._ending = True
        for session in tuple(self._registry.links):
            if session.state is SessionState.OPENING and session.waiting_for is None:
                session.fail(CloseCode.GOING_AWAY, "the server is shutting down", now)
        self._drain.begin(self._registry.connected, now)
        self._drain.act(now)

    def close(self, now: float) -> None:
        """Close everybody with 1001 at once; what waits for them is lost."""
        self._now = now
        self.draining = self._ending = True
        for session in tuple(self._registry.links):
            session.fail(CloseCode.GOING_AWAY, "the server is shutting down", now)

    # What is there.

    @property
    def idle(self) -> bool:
        """Whether no socket is left, and no effect is out."""
        return not (self._registry.links or len(self._pending) or len(self._storing))

    @property
    def counters(self) -> Counters:
        """How often what happened."""
        return self.account.counters

    @property
    def outbox_bytes(self) -> int:
        """What waits for all sessions."""
        return self.account.waiting

    @property
    def links(self) -> int:
        """Sockets, those that open or close included."""
        return len(self._registry.links)

    @property
    def users(self) -> int:
        """Users that were let in."""
        return self._registry.users()

    def sessions(self) -> Iterator[Session]:
        """Those that were let in, in order of coming. Don't change the hub meanwhile."""
        return iter(self._registry.admitted)

    def topics(self) -> Iterator[tuple[str, int]]:
        """Topics and patterns with how many sessions subscribe to each."""
        return iter(self._table.names())

    def presence(self, topic: str) -> dict[str, int]:
        """Users on a topic that tells who is there, with how many connections each has."""
        return dict(self._presence.members(topic))

    # The store.

    def _load(self, heads: Heads) -> None:
        """Begin anew with what the store has."""
        self._logs.load(heads)
        for topic, head in heads.topics.items():
            self._keys.load(topic, head.keys)
        self._acknowledgements.load(heads.acknowledged)
        for damage in heads.damages:
            self.account.counters.store_damages += 1
            self.account.tell(StoreDamaged(damage))

    def _placed(self, publication: Publication, now: float) -> None:
        self._placing.placed(publication, now)

    def _store_failed(self, reason: str) -> None:
        self.account.counters.store_failures += 1
        self.account.tell(StoreFailed(reason))

    def _store_reopened(self, heads: Heads) -> None:
        """Go on where the store says that logs end; everybody gets what was stored after all."""
        before = {topic: log.last for topic, log in self._logs.topics() if log.durable}
        self._load(heads)
        for topic, last in before.items():
            log = self._logs.find(topic)
            if log is not None and log.last < last:
                log.tear()
            if log is None or log.last != last:
                self._log_replaced(topic, last, 0 if log is None else log.last)
        self.account.tell(StoreReopened(len(heads.topics)))

    def _log_forgotten(self, topic: str, log: Log) -> None:
        self._log_replaced(topic, log.last, 0)

    def _log_replaced(self, topic: str, before: int, last: int) -> None:
        self._acknowledgements.lost(topic, last)
        for session in tuple(self._table.receivers(topic)):
            self._feeding.replaced(session, topic, before, self._now)

    # For sessions (see `SessionHub`).

    def mark(self, session: Session) -> None:
        """See `SessionHub`."""
        self._dirty.append(session)

    def reschedule(self, session: Session, at: float | None) -> None:
        """See `SessionHub`."""
        self._deadlines.set(session, at)

    def requested(self, session: Session, event: Requested, now: float) -> None:
        """See `SessionHub`."""
        if self.draining:
            session.ws.reject(text_response(503, _RETIRED), now)
        else:
            self._admission.requested(session, event, now)

    def http_requested(self, session: Session, event: HttpRequested, now: float) -> None:
        """See `SessionHub`."""

        def answered(outcome: Outcome, at: float) -> None:
            if session.waiting_for != effect.id:
                return
            match outcome:
                case Done(Response() as response):
                    pass
                case _:
                    reason = outcome.reason if isinstance(outcome, Failed) else "no Response came"
                    self.account.tell(RequestFailed(session.number, "http", reason))
                    response = text_response(500, "The request failed; the server's log tells why")
            try:
                session.respond(response, at)
            except LocalProtocolError as error:
                self.account.tell(RequestFailed(session.number, "http", str(error)))
                session.respond(text_response(500, "The request failed"), at)

        address = client_of(self.config.trusted_proxies, session.peer, event.request.headers)
        effect = HttpRequest(
            self._asking.new_id(), event.request, event.body, host_of(address), session.peer
        )
        self._pending.ask(effect, answered, now)
        session.ask_http(effect.id)

    def refused(self, session: Session, event: Refused, now: float) -> None:
        """See `SessionHub`."""
        if event.response.status < 400:
            return  # a page that was asked for
        address = session.peer
        if event.request is not None:
            address = client_of(self.config.trusted_proxies, address, event.request.headers)
        self._refusals.refused(host_of(address), event.response, now)

    def text_received(self, session: Session, text: str, now: float) -> None:
        """See `SessionHub`."""
        self.account.counters.requests += 1
        request = native.decode(text, self.limits)
        if session.state is SessionState.OPEN:
            self._requests.handle(session, request, now)
        else:
            self._admission.identify(session, request, now)

    def binary_received(self, session: Session, now: float) -> None:
        """See `SessionHub`."""
        self.account.counters.requests += 1
        text = "messages are JSON in text, not binary"
        self._replies.refuse(session, None, ErrorCode.UNSUPPORTED, text, now)

    def moment_came(self, session: Session, moment: Moment, now: float) -> None:
        """See `SessionHub`."""
        if moment is Moment.FEED:
            self._feeding.feed(session, now)
        elif moment is Moment.REDELIVER:
            self._consuming.redeliver(session, now)
        elif moment is Moment.IDENTIFY:
            self._admission.too_late(session, now)
        else:
            assert moment is Moment.EXPIRE
            self._admission.expire(session, now)

    def ended(self, session: Session, code: int, cause: str, unsent: int, now: float) -> None:
        """See `SessionHub`."""
        self._registry.disconnect(session)
        self._admission.revocations.forget(session)
        if session not in self._registry.admitted:
            return
        if code != CloseCode.TOO_SLOW:
            self.account.counters.unsent += unsent
        self._subscribing.leave(session, now)
        self._registry.dismiss(session)
        self._asking.tell_hook(session, HookKind.DISCONNECT, now)
        self.account.tell(Left(session.number, session.user, session.address, code, cause, unsent))

    def gone(self, session: Session) -> None:
        """See `SessionHub`."""
        self._registry.remove(session)
        self._deadlines.set(session, None)


def _check_key(key: str) -> None:
    if len(key.encode(errors="surrogatepass")) > MAX_IDEMPOTENCY_KEY:
        raise LocalProtocolError(
            f"idempotency_key: has more than {MAX_IDEMPOTENCY_KEY} bytes; a random one of 16 will do"
        )
