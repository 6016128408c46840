"""Readers and consumers of a hub with logs, who come and go, and check all that they are sent."""

from __future__ import annotations

from typing import Any, Protocol

from support.hub_pair import Message, Peer
from support.logged_hub import Follower, LoggedHub

__all__ = ["Consumer", "Reader", "Visitor", "World"]


class World(Protocol):
    """Where they are."""

    hub: LoggedHub

    def sees(self, message: Message) -> None:
        """A publication came to somebody."""
        ...

    def end_of(self, topic: str, epoch: str) -> int:
        """The last offset of a log in memory that began anew since."""
        ...


class Visitor:
    """Somebody who may be there or not."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.peer: Peer | None = None

    def connect(self) -> None:
        """Come, or come back."""
        raise NotImplementedError

    def take(self) -> None:
        """Take what came. Who does not read for long is closed, since no pong comes."""
        if self.peer is not None:
            self.receive(self.peer.take())
            if self.peer.ended:
                self.peer = None

    def receive(self, messages: list[Message]) -> None:
        """These came."""
        raise NotImplementedError

    def cut(self) -> None:
        """Lose the connection."""
        self.take()
        if self.peer is not None:
            self.peer.cut_off()
            self.peer = None

    def stall(self) -> None:
        """Read nothing for a while."""
        self.take()
        if self.peer is not None:
            self.peer.stall()


class Reader(Visitor):
    """A subscriber that goes on where it was.

    Args:
        world: where.
        topics: that it subscribes to by name.
        patterns: that it subscribes to besides.
    """

    def __init__(
        self, world: World, topics: tuple[str, ...] = (), patterns: tuple[str, ...] = ()
    ) -> None:
        super().__init__(world)
        self.follower = Follower(world.sees, world.end_of)
        self.topics = topics
        self.patterns = patterns

    def connect(self) -> None:
        """Come, or come back, and go on."""
        self.cut()
        for topic in tuple(self.follower.at):
            if topic not in self.topics:
                del self.follower.at[topic]  # a pattern goes on wherever the topic is then
        self.peer = self.world.hub.user("carol")
        if self.topics:
            self.follower.subscribe(self.peer, *self.topics)
        if self.patterns:
            self.follower.subscribe(self.peer, *self.patterns)

    def receive(self, messages: list[Message]) -> None:
        """These came."""
        self.follower.take(messages)

    def read_on(self) -> None:
        """Read what waited while it did not read."""
        if self.peer is not None and not self.peer.reads:
            self.peer.read_on()
            self.take()

    def subscribe_again(self, topic: str, last: int | None) -> None:
        """Ask for a topic that is subscribed to already, by name or by a pattern."""
        peer = self.peer
        if peer is None or not peer.reads:
            return
        self.take()
        fields = {} if last is None else {"last": last}
        answer = peer.ask(action="subscribe", topics=[topic], **fields)
        begin = answer["positions"][topic]
        at = self.follower.at.get(topic)
        # What it was sent may come again, where it asks for that. Nothing else does, and nothing is skipped.
        if at is not None and at[1] != begin["epoch"] and begin["offset"] == 0:
            assert at[0] == self.world.end_of(topic, at[1])
        elif at is not None:
            assert begin["offset"] <= at[0]
            assert begin["offset"] == at[0] or (last is not None and topic not in self.topics)
        self.follower.at[topic] = (begin["offset"], begin["epoch"])
        self.topics += (topic,) * (topic not in self.topics)
        self.take()


class Consumer(Visitor):
    """A consumer of one topic: it acknowledges, now and then, what it has handled."""

    topic = "d.a"

    def __init__(self, world: World, name: str, window: int) -> None:
        super().__init__(world)
        self.name = name
        self._window = window
        self.handled: dict[int, Any] = {}
        """What it has got at least once, by offset."""
        self.sent: set[int] = set()
        """Offsets that this process of the hub has sent to this name."""
        self.next = 0
        self.acked = 0
        """The last acknowledgement on any connection."""

    def connect(self) -> None:
        """Come with another connection, which takes over."""
        older, self.peer = self.peer, None
        if older is not None:
            self.receive(older.take())
        peer = self.world.hub.user("carol")
        answer = peer.ask(action="subscribe", topics=[self.topic], ack=True, name=self.name)
        begin = answer["positions"][self.topic]["offset"]
        assert begin <= self.acked or not self.acked
        self.acked = begin
        self.next = begin + 1
        if older is not None and older.reads:
            told = [one for one in older.take() if one["type"] == "unsubscribed"]
            assert [one["reason"] for one in told] == ["replaced"]
        if older is not None:
            older.cut_off()
        self.peer = peer
        self.take()

    def receive(self, messages: list[Message]) -> None:
        """Handle what came."""
        for message in messages:
            assert message["type"] in ("notification", "unsubscribed"), message
            if message["type"] == "notification":
                self.world.sees(message)
                self._handle(message)

    def _handle(self, message: Message) -> None:
        offset = message["offset"]
        again = message.get("redelivered", False)
        if offset != self.next:
            assert again
            assert offset == self.acked + 1, (self.next, message)
        assert again or offset not in self.sent, message
        assert offset - self.acked <= self._window
        self.sent.add(offset)
        self.next = offset + 1
        if offset not in self.handled:
            assert not self.handled or offset == max(self.handled) + 1
            self.handled[offset] = message["message"]

    def acknowledge(self, count: int) -> None:
        """Acknowledge some of what was handled on this connection."""
        self.take()
        if self.peer is not None and self.next > self.acked + 1:
            self.acked = min(self.acked + count, self.next - 1)
            self.peer.send(action="ack", topic=self.topic, offset=self.acked, id="ack")
            self.take()
