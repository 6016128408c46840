"""Asks for subscriptions on the connection that there is, and acknowledges what came of them."""

from collections.abc import Callable, Iterator, Mapping

from .client_delivery import Delivery
from .client_identity import FOR_NOW
from .client_moments import Alarms, Moment
from .client_options import ClientLimits
from .client_requests import Asked, Repeat, Requests
from .client_streams import Stream, StreamState
from .codecs import native
from .errors import LocalProtocolError
from .messages import Ack, Answer, ErrorAnswer, ErrorCode, Position, Subscribed, Unsubscribe
from .topics import check_pattern, is_pattern

__all__ = ["ClientSubscribing"]


class ClientSubscribing:
    """Keeps the hub's subscriptions as the application wants them.

    Args:
        limits: of the client.
        delivery: the subscriptions.
        requests: where requests are queued.
        alarms: when something comes due.
        ids: numbers that no request had before.
        later: a delay after which a refusal may turn out otherwise.
    """

    def __init__(
        self,
        limits: ClientLimits,
        delivery: Delivery,
        requests: Requests,
        alarms: Alarms,
        ids: Iterator[int],
        later: Callable[[], float],
    ) -> None:
        self._limits = limits
        self._delivery = delivery
        self._requests = requests
        self._alarms = alarms
        self._ids = ids
        self._later = later
        self.ready = False
        """Whether the hub let us in."""

    # Subscribing.

    def make(
        self,
        topics: tuple[str, ...],
        *,
        since: Mapping[str, Position] | None,
        last: int | None,
        ack: bool,
        manual: bool,
        name: str | None,
        presence: bool,
    ) -> Stream:
        """A new subscription (see `HubClient.subscribe`)."""
        self._check(topics, since or {})
        if (since or last is not None or ack) and any(is_pattern(topic) for topic in topics):
            raise LocalProtocolError("since, last and ack take topics, not patterns")
        if (manual or name is not None) and not ack:
            raise LocalProtocolError("name: is for subscriptions that acknowledge; pass ack, too")

        def made() -> Stream:
            return Stream(
                topics,
                self._limits,
                since=since,
                last=last,
                ack=ack,
                manual=manual,
                name=name,
                presence=presence,
            )

        request = made().request(0)
        if request is not None:
            native.encode_request(request)
        stream = made()
        self._delivery.add(stream)
        self.ask_for(stream)
        return stream

    def _check(self, topics: tuple[str, ...], since: Mapping[str, Position]) -> None:
        for topic in topics:
            try:
                check_pattern(topic)
            except ValueError as error:
                raise LocalProtocolError(str(error)) from None
        clash = self._delivery.clash(topics)
        if clash is not None:
            text = f"{clash!r} is subscribed to already: share that subscription, or close it first"
            raise LocalProtocolError(text)
        if len(self._delivery.streams) >= self._limits.max_subscriptions:
            text = f"there are {self._limits.max_subscriptions} subscriptions: close one first"
            raise LocalProtocolError(text)
        for topic in since:
            if topic not in topics:
                raise LocalProtocolError(f"since: {topic!r} is not among the topics")

    def ask_for(self, stream: Stream) -> None:
        """Ask for what a subscription wants, if it wants something and there is somebody to ask."""
        if not self.ready:
            return
        number = next(self._ids)
        request = stream.request(number)
        if request is not None:
            text = native.encode_request(request).decode()
            self._requests.add(Asked(number, text, Repeat.DROPPED, stream=stream))

    def ask_for_all(self) -> None:
        """Ask for all that is wanted."""
        for stream in self._delivery.ordered():
            self.ask_for(stream)

    def answered(self, stream: Stream, answer: Answer, now: float) -> None:
        """The hub answered a request for a subscription."""
        if stream.ended:
            return
        if isinstance(answer, Subscribed):
            stream.subscribed(answer)
            self.ask_for(stream)
        elif isinstance(answer, ErrorAnswer):
            self._refused(stream, answer, now)
        self._delivery.note(stream)

    def _refused(self, stream: Stream, error: ErrorAnswer, now: float) -> None:
        if stream.began and error.code in FOR_NOW:
            stream.ask_again()
            self._alarms.hasten(Moment.SUBSCRIBE, now + self._later())
        elif stream.began and error.code == ErrorCode.NO_HISTORY and stream.acks is None:
            stream.ask_anew()
            self.ask_for(stream)
        else:
            self._delivery.end(stream, error)

    def unsubscribe(self, stream: Stream, now: float) -> None:
        """The application wants no more of it."""
        if not stream.ended:
            topics = stream.topics
            asked = stream.state is not StreamState.WANTED
            self.acknowledge(stream, now, at_once=True)
            self._delivery.end(stream)
            if asked and topics and self.ready:
                number = next(self._ids)
                text = native.encode_request(Unsubscribe(topics, id=number)).decode()
                self._requests.add(Asked(number, text, Repeat.DROPPED))
        stream.queue.clear()

    # Acknowledging.

    def acknowledge(self, stream: Stream, now: float, *, at_once: bool = False) -> None:
        """Acknowledge what was handled; many at once, unless it is quiet."""
        acks = stream.acks
        if acks is None or stream.state is not StreamState.LIVE or not self.ready:
            return
        due = acks.due()
        if not due:
            return
        at = acks.said_at + self._limits.ack_interval
        if at_once or now >= at or acks.count(due) >= self._limits.ack_batch:
            for topic, offset in due:
                number = next(self._ids)
                text = native.encode_request(Ack(topic, offset, id=number)).decode()
                self._requests.add(Asked(number, text, Repeat.DROPPED, answered=False))
            acks.say(due, now)
        else:
            self._alarms.hasten(Moment.ACK, at)

    def acknowledge_all(self, now: float, *, at_once: bool = False) -> None:
        """The same for all subscriptions."""
        for stream in self._delivery.streams:
            self.acknowledge(stream, now, at_once=at_once)
