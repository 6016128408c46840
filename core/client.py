"""A client of a hub: one machine for all its connections, one after the other.

It has at most one client's `WebSocket` at a time, and everything that outlives connections: who we are,
what we subscribe to and how far that has come, requests without an answer, the delays between attempts.
It says who we are, subscribes again, goes on where it was, repeats what may be repeated, and obeys the
hub's close codes (`hubbub.core.frames.COME_BACK`).

An adapter drives the socket of the WebSocket as `hubbub.core.link` says, and beside that:

.. code-block:: text

    of the link       client.work(now), after each call of it
    timer             client.handle_timeout(now)
    after any call    while effect := client.next_effect(): open a connection, or fetch a token;
                          then call connected, fetched or failed
                      while stream := client.next_ready(): wake who waits for its events
                      while answer := client.next_answer(): give it to who asked
                      while change := client.next_event(): log it
                      have the bytes of client.connection written; set a timer to client.next_timeout()

Where the application does not take events, nothing is read on, and the hub holds them back.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .client_events import StreamEvent
from .client_life import ClientLife
from .client_moments import Moment
from .client_requests import Asked, Repeat
from .client_states import ClientState
from .client_streams import Stream
from .codecs import native
from .errors import LocalProtocolError
from .messages import Call, Ping, Position, Publish, QueryHistory, QueryPresence, Request
from .topics import check_topic

__all__ = ["HubClient"]

_KEY_SIZE: Final = 16
"""Bytes of entropy in an idempotency key."""


class HubClient(ClientLife):
    """A client of one hub.

    Args:
        options: who we are, and the bounds of everything.
        entropy: where idempotency keys and jitter come from.
    """

    # For the user: subscriptions.

    def subscribe(
        self,
        topics: Sequence[str],
        now: float,
        *,
        since: Mapping[str, Position] | None = None,
        last: int | None = None,
        ack: bool = False,
        manual: bool = False,
        name: str | None = None,
        presence: bool = False,
    ) -> Stream:
        """Subscribe, now and on each connection to come.

        Args:
            topics: topics and patterns; none: the direct messages.
            now: the time.
            since: positions behind which to begin, by topic.
            last: so many of the newest publications come first.
            ack: whether publications are acknowledged.
            manual: whether that is by `acknowledge`; else what was taken is, when the next is taken.
            name: with `ack`, which of the user's consumers this is.
            presence: whether coming and going is told.

        Raises:
            LocalProtocolError: a topic that cannot be, or is subscribed to already; options that contradict
                each other; too many subscriptions; the client is over.
        """
        self._check_open()
        stream = self._subscribing.make(
            tuple(dict.fromkeys(topics)),
            since=since,
            last=last,
            ack=ack,
            manual=manual,
            name=name,
            presence=presence,
        )
        self._pump(now)
        return stream

    def unsubscribe(self, stream: Stream, now: float) -> None:
        """The application wants no more of it; what waits is thrown away."""
        self._subscribing.unsubscribe(stream, now)
        self.work(now)

    def take(self, stream: Stream, now: float) -> StreamEvent | None:
        """Take the next event of a subscription; None if there is none now.

        What was taken before counts as handled, and is acknowledged if the subscription does that.
        """
        event = stream.take()
        self._delivery.look(stream)
        self._subscribing.acknowledge(stream, now)
        if stream.lags:
            self._subscribing.ask_for(stream)
        ws = self._ws
        if ws is not None and (ws.has_event or self._requests.waits):
            self.work(now)
        return event

    def acknowledge(self, stream: Stream, topic: str, position: Position, now: float) -> None:
        """The application handled everything of a topic up to a position.

        Raises:
            LocalProtocolError: the subscription acknowledges nothing.
        """
        if stream.acks is None:
            text = "this subscription acknowledges nothing: pass ack to subscribe()"
            raise LocalProtocolError(text)
        stream.handle(topic, position)
        self._subscribing.acknowledge(stream, now)
        self._pump(now)

    def finish(self, stream: Stream, now: float) -> None:
        """The application is done with what it took last, though it may take no more."""
        stream.finish()
        self._subscribing.acknowledge(stream, now, at_once=True)
        self._pump(now)

    # For the user: requests. Each returns a number, with which `next_answer` gives the answer.

    @property
    def full(self) -> bool:
        """Whether as many requests wait as may. One more is refused."""
        return self._requests.full

    def publish(
        self,
        topic: str,
        message: Any,
        now: float,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
    ) -> int:
        """Publish on a topic. It is sent again on the next connection, until it is answered.

        Args:
            topic: where.
            message: anything that JSON has a form for.
            now: the time.
            key: what it is about, for topics that keep the latest of each key.
            idempotency_key: a name for it, so that it may be published again; if left out it gets one.

        Raises:
            LocalProtocolError: no hub would take it; too many requests wait; the client is over.
        """
        _check(topic)
        number = next(self._ids)
        name = idempotency_key
        if name is None:
            name = self._entropy(_KEY_SIZE).hex()
        request = Publish(topic=topic, message=message, key=key, idempotency_key=name, id=number)
        # A nameless client is somebody else on the next connection, where its keys mean nothing.
        repeat = Repeat.NEVER if self._identity.nameless else Repeat.KEYED
        return self._ask(number, request, repeat, now)

    def send_to(self, user: str, message: Any, now: float) -> int:
        """Send a message to a user. Hubs don't know repeats of these, so there are none.

        Raises:
            LocalProtocolError: as `publish`.
        """
        number = next(self._ids)
        return self._ask(number, Publish(to=user, message=message, id=number), Repeat.NEVER, now)

    def presence(self, topic: str, now: float) -> int:
        """Ask who is there.

        Raises:
            LocalProtocolError: as `publish`.
        """
        _check(topic)
        number = next(self._ids)
        return self._ask(number, QueryPresence(topic, id=number), Repeat.ALWAYS, now)

    def history(
        self, topic: str, now: float, *, before: int | None = None, limit: int | None = None
    ) -> int:
        """Ask for what was published before an offset, or before the end.

        Raises:
            LocalProtocolError: as `publish`.
        """
        _check(topic)
        number = next(self._ids)
        return self._ask(number, QueryHistory(topic, before, limit, number), Repeat.ALWAYS, now)

    def call(self, name: str, data: Any, now: float) -> int:
        """Ask a function of the hub's. Nobody knows what it does twice, so it is not sent again.

        Raises:
            LocalProtocolError: as `publish`.
        """
        number = next(self._ids)
        return self._ask(number, Call(name, data, id=number), Repeat.NEVER, now)

    def ping(self, now: float) -> int:
        """Ask for an answer.

        Raises:
            LocalProtocolError: as `publish`.
        """
        number = next(self._ids)
        return self._ask(number, Ping(id=number), Repeat.ALWAYS, now)

    def refresh(self, now: float, token: str | None = None) -> int:
        """Say a newer token on the connection that there is; or on the next one.

        Args:
            now: the time.
            token: the newer one; if left out, it is fetched.

        Raises:
            LocalProtocolError: there is neither a token nor a way to get one; the client is over.
        """
        self._check_open()
        if token is None and not self.options.fetches:
            raise LocalProtocolError(
                "refresh: give the newer token, since nothing fetches one here"
            )
        if token is not None and self._identity.nameless:
            raise LocalProtocolError("refresh: this client came without a token")
        number = next(self._ids)
        self._refreshing.ask(number)
        if token is not None:
            self._identity.token = token
            self._send_refresh()
        else:
            self._fetch_newer()
        self._pump(now)
        return number

    def withdraw(self, number: int, now: float) -> None:
        """Nobody waits for this answer any more. What was not sent yet is not; else it is done or not."""
        self._requests.withdraw(number)
        self._refreshing.withdraw(number)
        self._leave_if_done(now)
        self.work(now)

    # For the user: the end.

    def close(self, now: float) -> None:
        """End: subscriptions at once, requests when they are answered or after `leave_timeout`."""
        if self.closing:
            return
        self._subscribing.acknowledge_all(now, at_once=True)
        self._pump(now)
        self._closing = True
        self._delivery.end_all()
        if self._requests.pending:
            self._alarms.arm(Moment.LEAVE, now + self.limits.leave_timeout)
            self.work(now)
        else:
            self._leave(now)

    def abort(self, now: float) -> None:
        """End at once: what waits for an answer fails."""
        if self.state is not ClientState.OVER:
            self._closing = True
            self._delivery.end_all()
            self._leave(now)

    # Inside.

    def _check_open(self) -> None:
        if self.closing:
            raise LocalProtocolError("the client is closed: make another one")

    def _ask(self, number: int, request: Request, repeat: Repeat, now: float) -> int:
        self._check_open()
        if self._requests.full:
            raise LocalProtocolError("too many requests wait: go on when one is answered")
        text = native.encode_request(request).decode()
        self._requests.add(Asked(number, text, repeat))
        self.work(now)
        return number


def _check(topic: str) -> None:
    try:
        check_topic(topic)
    except ValueError as error:
        raise LocalProtocolError(str(error)) from None
