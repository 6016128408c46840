"""From what a hub pushes to the subscriptions that it belongs to."""

from collections.abc import Iterable

from .client_streams import Stream, StreamPush
from .messages import Direct, ErrorAnswer, Unsubscribed

__all__ = ["Delivery"]


class Delivery:
    """All subscriptions of a client.

    A hub sends once what several subscriptions of one session match; here each of them gets it.
    """

    __slots__ = ("_full", "_ready", "streams")

    def __init__(self) -> None:
        self.streams: dict[Stream, None] = {}
        """Those that have not ended, in order of coming."""
        self._full: set[Stream] = set()
        self._ready: dict[Stream, None] = {}

    @property
    def full(self) -> bool:
        """Whether one of them waits for the application, and nothing more should be read."""
        return bool(self._full)

    def next_ready(self) -> Stream | None:
        """Take a subscription that has something new: an event, its beginning or its end."""
        if not self._ready:
            return None
        stream = next(iter(self._ready))
        del self._ready[stream]
        return stream

    def add(self, stream: Stream) -> None:
        """Another one."""
        self.streams[stream] = None

    def clash(self, topics: Iterable[str]) -> str | None:
        """A topic or pattern among these that is subscribed to."""
        known = {topic for stream in self.streams for topic in stream.topics}
        return next((topic for topic in topics if topic in known), None)

    def ordered(self) -> list[Stream]:
        """In the order in which they are to be asked for: patterns last.

        What a topic missed is sent again to all that match it. Were a pattern there before, it would see
        what is new first.
        """
        return sorted(self.streams, key=lambda stream: stream.has_pattern)

    def end(self, stream: Stream, failure: ErrorAnswer | None = None) -> None:
        """One ends."""
        stream.end(failure)
        self.streams.pop(stream, None)
        self._full.discard(stream)
        self._ready[stream] = None

    def end_all(self, failure: ErrorAnswer | None = None) -> None:
        """All end."""
        for stream in tuple(self.streams):
            self.end(stream, failure)

    def note(self, stream: Stream) -> None:
        """One has something new, or room."""
        self._ready[stream] = None
        self.look(stream)

    def look(self, stream: Stream) -> None:
        """How much waits in one has changed."""
        if stream.queue.full and not stream.ended:
            self._full.add(stream)
        else:
            self._full.discard(stream)

    def lost(self) -> None:
        """The connection is gone."""
        for stream in self.streams:
            stream.lost()

    def push(self, event: StreamPush, size: int) -> None:
        """A push came, of so many characters."""
        if isinstance(event, Direct):
            for stream in self.streams:
                if not stream.topics:
                    stream.push(event, "", "", size)
                    self.note(stream)
            return
        topic = event.topic
        for stream in self.streams:
            if topic is None:
                # A room did not say which it is.
                matched = stream.topics[0] if stream.topics else None
            else:
                matched = stream.match(topic)
            if matched is not None:
                stream.push(event, topic if topic is not None else matched, matched, size)
                self.note(stream)

    def taken_away(self, push: Unsubscribed) -> None:
        """The hub ended subscriptions."""
        for stream in tuple(self.streams):
            stream.taken_away(push.topics, push.reason or "ended")
            if stream.ended:
                self.end(stream, stream.failure)
            self.note(stream)
