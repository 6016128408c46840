"""One subscription of a client: what it asks for, and what of that reaches the application.

A stream outlives connections. It knows how far it has come in each topic with history, so it can go on
there, and drops what comes again: the application gets each publication once, and is told where some are
missing.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from .client_acks import Acks
from .client_events import Resumed, StreamEvent
from .client_options import ClientLimits
from .client_places import SEEN, Place, Places
from .client_queue import EventQueue
from .messages import (
    Chat,
    Direct,
    ErrorAnswer,
    Gap,
    Notification,
    Position,
    PresenceChange,
    Subscribe,
    Subscribed,
    System,
    Unsubscribed,
)
from .topics import is_pattern, matches

__all__ = ["Stream", "StreamPush", "StreamState"]

StreamPush = Chat | Notification | System | Direct | PresenceChange | Gap
"""What a hub pushes that belongs to subscriptions."""


class StreamState(Enum):
    """Where a subscription stands on the connection that there is."""

    WANTED = "wanted"
    """It is to be asked for."""
    ASKED = "asked"
    """Its answer is awaited; what comes before it is not ours."""
    LIVE = "live"
    """What comes is ours."""
    ENDED = "ended"
    """It will not be asked for again."""


class Stream:
    """One subscription. Made by `HubClient.subscribe`.

    Args:
        topics: topics and patterns; none: the direct messages.
        limits: of the client.
        since: positions behind which to begin, by topic.
        last: so many of the newest publications come first.
        ack: whether publications are acknowledged.
        manual: whether the application says which; else each that it took, when it takes the next.
        name: with `ack`, which of the user's consumers this is.
        presence: whether coming and going is told.
    """

    __slots__ = (
        "_auto",
        "_before",
        "_lagging",
        "_last",
        "_places",
        "_request",
        "_since",
        "_taken",
        "_topics",
        "_waiting",
        "acks",
        "began",
        "carrier",
        "failure",
        "name",
        "presence",
        "queue",
        "state",
    )

    def __init__(
        self,
        topics: tuple[str, ...],
        limits: ClientLimits,
        *,
        since: Mapping[str, Position] | None = None,
        last: int | None = None,
        ack: bool = False,
        manual: bool = False,
        name: str | None = None,
        presence: bool = False,
    ) -> None:
        self._topics = dict.fromkeys(topics)
        self._since = {
            topic: Position(position.offset, position.epoch)
            for topic, position in (since or {}).items()
        }
        self._last = last
        self.acks = Acks() if ack else None
        """What was acknowledged; None where nothing is."""
        self._auto = not manual
        self.name = name
        self.presence = presence
        self.state = StreamState.WANTED if topics else StreamState.LIVE
        self.began = False
        """Whether it was ever live."""
        self.failure: ErrorAnswer | None = None
        """Why it ended, where the application did not end it."""
        self.carrier: Any = None  # whatever the adapter keeps: who waits for the next event
        self.queue = EventQueue(limits)
        places = max(limits.max_places, len(topics))
        self._places = Places(places)
        self._taken = Places(places)
        self._lagging: set[str] = set()
        self._waiting: set[str] = set()
        self._before: tuple[str, Position] | None = None
        self._request: Subscribe | None = None

    def __repr__(self) -> str:
        return f"<Stream {', '.join(self._topics) or 'direct'} {self.state.value}>"

    # What the application sees.

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics and patterns that it is subscribed to."""
        return tuple(self._topics)

    @property
    def has_pattern(self) -> bool:
        """Whether it is subscribed to a pattern."""
        return any(is_pattern(topic) for topic in self._topics)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes; what waits may still be taken."""
        return self.state is StreamState.ENDED

    def position(self, topic: str) -> Position | None:
        """That of the last publication of a topic that the application took; where it keeps history."""
        place = self._taken.get(topic)
        return None if place is None else place.position

    def take(self) -> StreamEvent | None:
        """Take the next event; the one before it counts as handled."""
        self.finish()
        event = self.queue.take()
        if isinstance(event, (Chat, Notification, Gap, Resumed)) and event.offset is not None:
            position = Position(event.offset, event.epoch or "")
            self._taken.go(event.topic, position.offset, position.epoch)
            if self._auto and not isinstance(event, Resumed):
                self._before = (event.topic, position)
        return event

    def finish(self) -> None:
        """The application is done with what it took last."""
        if self._before is not None:
            (topic, position), self._before = self._before, None
            self.handle(topic, position)

    def handle(self, topic: str, position: Position) -> None:
        """The application handled everything of a topic up to a position."""
        if self.acks is not None and topic in self._topics:
            self.acks.handle(topic, position)

    def end(self, failure: ErrorAnswer | None = None) -> None:
        """Nothing more comes. What waits may still be taken."""
        if not self.ended:
            self.state = StreamState.ENDED
            self.failure = failure

    # Asking for it.

    def request(self, number: int) -> Subscribe | None:
        """What to ask for now, if anything: all of it, or what was left out for want of room."""
        if self.state is StreamState.WANTED:
            self.state = StreamState.ASKED
            topics = self.topics
            since = self._goes_on(topics) if self.began else self._since
            last = None if self.began else self._last
        elif self.lags:
            topics = tuple(self._lagging)
            self._waiting = self._lagging
            self._lagging = set()
            since = self._goes_on(topics)
            last = None
        else:
            return None
        self._request = Subscribe(
            topics,
            since=dict(since) or None,
            last=last,
            ack=self.acks is not None,
            name=self.name,
            presence=self.presence,
            id=number,
        )
        return self._request

    @property
    def lags(self) -> bool:
        """Whether it is time to ask for what was left out. A consumer gets that unasked."""
        return (
            bool(self._lagging)
            and not self._waiting
            and self.acks is None
            and self.state is StreamState.LIVE
            and self.queue.has_room
        )

    def _goes_on(self, topics: Iterable[str]) -> dict[str, Position]:
        """Where topics go on: behind what was received, though a consumer may not have handled all of it."""
        found: dict[str, Position] = {}
        for topic in topics:
            place = self._places.get(topic)
            if place is not None and not is_pattern(topic):
                found[topic] = place.position
        return found

    def lost(self) -> None:
        """The connection is gone: ask again on the next one."""
        if not self.ended and self._topics:
            self.ask_again()
        if self.acks is not None:
            self.acks.lost()

    def ask_again(self) -> None:
        """It is to be asked for, all of it."""
        self.state = StreamState.WANTED
        self._request = None
        self._lagging.clear()
        self._waiting.clear()

    def ask_anew(self) -> None:
        """The hub keeps no history of this any more: ask for what comes from now on."""
        for topic in self._topics:
            self._places.forget(topic)
        self._since.clear()
        self._last = None
        self.ask_again()

    def subscribed(self, answer: Subscribed) -> None:
        """What was asked for is granted: the stream goes on."""
        request, self._request = self._request, None
        positions = answer.positions or {}
        again = self.state is StreamState.LIVE
        for topic in request.topics if request is not None else ():
            if topic in self._topics:
                self._begin(topic, positions.get(topic), again)
        self._waiting.clear()
        if self.state is StreamState.ASKED:
            self.state = StreamState.LIVE
            self.began = True

    def _begin(self, topic: str, position: Position | None, again: bool) -> None:
        place = self._places.get(topic)
        if position is None:
            if not is_pattern(topic):
                self._places.forget(topic)
            if self.began:
                self.queue.put(Resumed(topic, False))
            return
        offset, epoch = position.offset, position.epoch
        keep, whole = self._judge(place, position)
        if self.acks is not None:
            ended = place.epochs if place is not None and not keep else ()
            self.acks.begin(topic, offset, (one for one in ended if one != epoch))
        if (
            not keep or place is None or place.offset == 0
        ):  # the beginning is the same in every epoch
            self._places.go(topic, offset, epoch)
        if self._taken.get(topic) is None:
            self._taken.go(topic, offset, epoch)
        if place is None and not self.began:
            # Here it begins. Only where the application said where, there is more to say.
            if position.recovered is not None:
                self.queue.put(Resumed(topic, position.recovered, offset, epoch))
        elif whole and place is not None:
            place.unsure = False
            if not again:
                self.queue.put(Resumed(topic, True, place.offset, place.epoch))
        else:
            self.queue.put(Resumed(topic, False, offset, epoch))

    def _judge(self, place: Place | None, position: Position) -> tuple[bool, bool]:
        """Whether our place still counts where the hub begins at a position, and whether all follows."""
        if place is None:
            return False, False
        recovered = bool(position.recovered)
        if self.acks is None:
            goes_on = recovered and position.offset == place.offset
            return goes_on, goes_on
        # A consumer begins where it last acknowledged: it is sent again some that we have.
        before = position.offset <= place.offset
        return before and (recovered or position.epoch in place.epochs), before and recovered

    def taken_away(self, gone: Iterable[str], reason: str) -> None:
        """The hub ended the subscription to some of its topics."""
        topics = tuple(topic for topic in gone if topic in self._topics)
        for topic in topics:
            del self._topics[topic]
            self._places.forget(topic)
            self._lagging.discard(topic)
            if self.acks is not None:
                self.acks.forget(topic)
        if topics and self._topics:
            self.queue.put(Unsubscribed(topics, reason))
        elif topics:
            text = f"the hub ended the subscription to {', '.join(topics)}"
            self.end(ErrorAnswer(reason, text, "topics"))

    # What the hub sends.

    def match(self, topic: str) -> str | None:
        """The name by which it is subscribed to a topic."""
        if topic in self._topics:
            return topic
        return next((name for name in self._topics if matches(name, topic)), None)

    def push(self, event: StreamPush, topic: str, matched: str, size: int) -> None:
        """A push came. What was seen before is passed over.

        Args:
            event: what came.
            topic: what it is about.
            matched: the name by which this is subscribed to that.
            size: how many characters it had.
        """
        if self.state is not StreamState.LIVE or topic in self._waiting:
            return
        missed: int | None = 0
        position = _position_of(event)
        if position is not None:
            missed = self._places.missed(topic, position.offset, position.epoch)
            if missed == SEEN:
                self._places.follow(topic, position.offset, position.epoch)
                if self.acks is not None:
                    self.acks.receive_again(topic, position.offset, position.epoch)
                return
        told = isinstance(event, Gap)
        if topic in self._lagging:
            makes_up = self.acks is not None and position is not None and (told or missed == 0)
            if not makes_up or self.queue.overfull:
                return
            self._lagging.discard(topic)
        elif self.queue.overfull:
            self._leave_out(event, topic, matched, position)
            return
        if position is not None:
            if missed != 0 and not told:
                self.queue.put(Gap(topic, missed, position.offset - 1, position.epoch))
            if self.acks is not None:
                before = self._places.epochs_before(topic, position.epoch)
                self.acks.receive(topic, position.offset, position.epoch, before)
            if isinstance(event, Gap) and event.missed is not None and self.acks is not None:
                event = self._unseen(event, event.missed, topic, position)
            self._places.go(topic, position.offset, position.epoch)
        elif told:
            self._places.doubt(topic)
        self.queue.put(event, size)

    def _unseen(self, gap: Gap, missed: int, topic: str, position: Position) -> Gap:
        """A gap as it is for the application: a consumer may have got some of what was to be sent again."""
        place = self._places.get(topic)
        if place is None or place.unsure or position.offset - missed >= place.offset:
            return gap
        known = position.offset - place.offset if position.epoch == place.epoch else None
        return Gap(topic, known, position.offset, position.epoch)

    def _leave_out(
        self, event: StreamPush, topic: str, matched: str, position: Position | None
    ) -> None:
        """There is no room. Where the topic keeps history it is got later, else it is told.

        A consumer is sent again what it did not acknowledge; who is none asks for it again. Who came or
        left meanwhile is not part of the history.
        """
        if position is not None and topic == matched:
            self._lagging.add(topic)
            return
        if position is not None:
            self._places.go(topic, position.offset, position.epoch)
        elif self._places.get(topic) is not None and not isinstance(event, Gap):
            return
        self.queue.drop(matched, (event.missed or 1) if isinstance(event, Gap) else 1)


def _position_of(event: StreamPush) -> Position | None:
    """The place of a publication in its topic's log, where it has one."""
    if isinstance(event, (Chat, Notification, Gap)) and event.offset is not None:
        return Position(event.offset, event.epoch or "")
    return None
