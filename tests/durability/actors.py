"""Publishers, subscribers and consumers, which come back whenever they lose the server, and check all."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from .account import Account
from .server import token_of
from .wire import Message, Wire, connect

__all__ = ["Actor", "Consumer", "Publisher", "Subscriber", "World"]

Position = tuple[int, str]


class World:
    """What all actors share.

    Args:
        port: where the server listens.
        rng: decides everything that is random.
        account: what is counted.
        pause: seconds between two attempts to connect.
    """

    def __init__(self, port: int, rng: random.Random, account: Account, pause: float = 0.1) -> None:
        self.port = port
        self.rng = rng
        self.account = account
        self.pause = pause
        self.calm = False
        """Whether nobody gives up connections any more, and nothing new is published."""
        self.acknowledged: dict[str, tuple[str, int, str]] = {}
        """By what was said: topic, offset and epoch that its publisher was told."""
        self.names: dict[tuple[str, int, str], str] = {}
        """By topic, offset and epoch: what was ever got under that name."""

    def sees(self, topic: str, offset: int, epoch: str, said: str) -> None:
        """Somebody got a publication, or was told where it is."""
        known = self.names.setdefault((topic, offset, epoch), said)
        if known != said:
            text = f"{topic} {offset} {epoch} was {known!r} and is {said!r}"
            self.account.fault("others", text)


class Actor(ABC):
    """Somebody with a connection.

    Args:
        world: where.
        user: as whom.
    """

    def __init__(self, world: World, user: str) -> None:
        self.world = world
        self.user = user
        self.wire: Wire | None = None
        self.ended = False

    async def run(self) -> None:
        """Come, and come back, until all is done."""
        while not self.ended:
            self.wire = await connect(self.world.port, token_of(self.user), self.receive)
            if self.wire is None:
                await asyncio.sleep(self.world.pause * (0.5 + self.world.rng.random()))
                continue
            self.begin(self.wire)
            await self.stay(self.wire)
            self.wire.abort()

    async def stay(self, wire: Wire) -> None:
        """Until the connection ends."""
        await wire.lost

    @abstractmethod
    def begin(self, wire: Wire) -> None:
        """The connection is open."""

    @abstractmethod
    def receive(self, message: Message) -> None:
        """A message came."""

    def end(self) -> None:
        """Leave for ever."""
        self.ended = True
        if self.wire is not None:
            self.wire.abort()


class Publisher(Actor):
    """Publishes as fast as it is answered, and repeats, with its key, what was not answered.

    Args:
        world: where.
        user: as whom.
        topics: where to; each publication goes to one of them.
        window: how many may wait for their answer.
        most: how many it publishes, if there is an end to it.
    """

    def __init__(
        self, world: World, user: str, topics: list[str], window: int, most: int | None = None
    ) -> None:
        super().__init__(world, user)
        self.unanswered: dict[str, str] = {}
        """What was said, and where, in order."""
        self.count = 0
        self._topics = topics
        self._window = window
        self._most = most

    @property
    def done(self) -> bool:
        """Whether it has nothing more to say."""
        over = self.world.calm or (self._most is not None and self.count >= self._most)
        return over and not self.unanswered

    def begin(self, wire: Wire) -> None:
        for said, topic in self.unanswered.items():
            self._say(wire, said, topic)
        self._go_on(wire)

    def _go_on(self, wire: Wire) -> None:
        while (
            len(self.unanswered) < self._window
            and not self.world.calm
            and (self._most is None or self.count < self._most)
        ):
            self.count += 1
            said = f"{self.user}:{self.count}:" + "." * self.world.rng.choice((0, 40, 400))
            self.unanswered[said] = topic = self.world.rng.choice(self._topics)
            self._say(wire, said, topic)

    def _say(self, wire: Wire, said: str, topic: str) -> None:
        key = said[:40]
        wire.send(action="publish", topic=topic, message=said, id=key, idempotency_key=key)

    def receive(self, message: Message) -> None:
        if message["type"] == "auth":
            return
        account = self.world.account
        said = next((one for one in self.unanswered if one[:40] == message.get("id")), None)
        if message["type"] != "published" or said is None:
            account.fault("others", f"{self.user} is answered {message}")
            return
        first = next(iter(self.unanswered))
        if said != first:
            account.fault("disordered", f"{said} is answered before {first}")
        topic = self.unanswered.pop(said)
        account.published += 1
        account.repeats += message.get("duplicate", False)
        self.world.acknowledged[said] = (topic, message["offset"], message["epoch"])
        self.world.sees(topic, message["offset"], message["epoch"], said)
        if self.wire is not None:
            self._go_on(self.wire)


class Subscriber(Actor):
    """Reads topics, goes on where it was, and knows what is missing.

    Args:
        world: where.
        user: as whom.
        topics: with history.
        stays: seconds after which it gives up its connection, on average; None never does.
        away: seconds that it is away then, on average.
        lossy: topics of which something may be missing, if that is told.
    """

    def __init__(
        self,
        world: World,
        user: str,
        topics: list[str],
        *,
        stays: float | None = None,
        away: float = 0.2,
        lossy: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(world, user)
        self.at: dict[str, Position | None] = {}
        """By topic, what it got last; None where that is not known."""
        self._topics = topics
        self._stays = stays
        self._away = away
        self._lossy = lossy
        self._since: dict[str, Position] = {}
        self._lasts: dict[tuple[str, str], int] = {}
        self._is_subscribed = False

    def has_all(self, ends: Mapping[str, int]) -> bool:
        """Whether it has got everything."""
        places = {topic: self.at.get(topic) for topic in self._topics if topic in ends}
        return all(at is not None and at[0] == ends[topic] for topic, at in places.items())

    async def stay(self, wire: Wire) -> None:
        rng = self.world.rng
        if self._stays is None or self.world.calm:
            await wire.lost
            return
        await asyncio.wait({wire.lost}, timeout=rng.expovariate(1 / self._stays))
        if not wire.is_open or self.world.calm:
            await wire.lost
            return
        self.world.account.drops += 1
        how = rng.randrange(4)
        if how == 0:  # it reads nothing for a while, and goes on, or not
            wire.pause()
            await asyncio.wait({wire.lost}, timeout=rng.expovariate(1 / self._away))
            wire.resume()
        elif how == 1:
            wire.reset()
        else:
            wire.abort()
        if how:
            await asyncio.sleep(rng.expovariate(1 / self._away))
        elif wire.is_open:
            await self.stay(wire)

    def begin(self, wire: Wire) -> None:
        self._is_subscribed = False
        self._since = {topic: at for topic, at in self.at.items() if at is not None}
        since = {topic: {"offset": at, "epoch": in_} for topic, (at, in_) in self._since.items()}
        fields: dict[str, Any] = {"since": since} if since else {}
        wire.send(action="subscribe", topics=self._topics, id=1, **fields)

    def receive(self, message: Message) -> None:
        kind = message["type"]
        if kind == "notification":
            self._get(message)
        elif kind == "subscribed":
            self._begin_at(message["positions"])
        elif kind == "gap":
            self._miss(message)
        elif kind != "auth":
            self.world.account.fault("others", f"{self.user} is told {message}")

    def _begin_at(self, positions: dict[str, Message]) -> None:
        self._is_subscribed = True
        for topic, found in positions.items():
            since = self._since.get(topic)
            self.world.account.resumes += since is not None
            if since is not None and found["recovered"]:
                if found["offset"] != since[0]:
                    self.world.account.fault("untold", f"{self.user} {topic}: {since} to {found}")
                continue
            if since is not None:
                self._lose(topic, f"{since} is not recovered: {found}")
                self.world.account.not_recovered += 1
            self.at[topic] = (found["offset"], found["epoch"])

    def _lose(self, topic: str, text: str) -> None:
        if topic not in self._lossy:
            self.world.account.fault("lost", f"{self.user} {topic}: {text}")

    def _miss(self, message: Message) -> None:
        account, topic = self.world.account, message["topic"]
        account.gaps_told += 1
        self._lose(topic, f"a gap: {message}")
        at = self.at[topic]
        if at is not None and message["offset"] != at[0] + message["missed"]:
            account.fault("untold", f"{self.user} {topic}: {at} to {message}")
        self.at[topic] = (message["offset"], message["epoch"])

    def _get(self, message: Message) -> None:
        account, topic = self.world.account, message["topic"]
        offset, epoch, said = message["offset"], message["epoch"], message["message"]
        account.deliveries += 1
        at = self.at.get(topic)
        if not self._is_subscribed:
            account.fault("others", f"{self.user} gets {topic} {offset} before its answer")
        elif at is not None and offset != at[0] + 1:
            kind = "doubled" if offset <= at[0] else "untold"
            account.fault(kind, f"{self.user} {topic}: {at} to {offset} {epoch}")
        self.at[topic] = (offset, epoch)
        self.world.sees(topic, offset, epoch, said)
        publisher, number, _ = said.split(":", 2)
        last = self._lasts.get((topic, publisher), 0)
        if int(number) == last:
            account.fault("doubled", f"{self.user} {topic}: {said}")
        elif int(number) < last:
            account.fault("disordered", f"{self.user} {topic}: {said} behind {last}")
        self._lasts[topic, publisher] = int(number)


class Consumer(Actor):
    """Handles a topic under a name, and acknowledges it: everything at least once, in order.

    Args:
        world: where.
        user: as whom.
        topic: a durable one.
        name: which of the user's consumers.
    """

    def __init__(self, world: World, user: str, topic: str, name: str) -> None:
        super().__init__(world, user)
        self.handled = 0
        """The offset up to which all were handled."""
        self.acked = 0
        self._topic = topic
        self.name = name
        self._next: int | None = None

    def has_all(self, ends: Mapping[str, int]) -> bool:
        """Whether it has handled everything, and said so."""
        return self.acked == ends.get(self._topic, 0)

    def begin(self, wire: Wire) -> None:
        self._next = None
        wire.send(
            action="subscribe",
            topics=[self._topic],
            ack=True,
            name=self.name,
            id=1,
            last=0 if self.acked else 10**9,
        )

    def receive(self, message: Message) -> None:
        account = self.world.account
        match message["type"]:
            case "auth":
                pass
            case "subscribed":
                begin = message["positions"][self._topic]["offset"]
                if begin > self.acked:
                    account.fault("lost", f"{self.name} begins at {begin}, not {self.acked}")
                self.acked = begin
                self._next = begin + 1
            case "notification":
                self._handle(message)
            case _:
                account.fault("others", f"{self.name} is told {message}")

    def _handle(self, message: Message) -> None:
        account, offset = self.world.account, message["offset"]
        account.deliveries += 1
        account.redelivered += offset <= self.handled
        self.world.sees(self._topic, offset, message["epoch"], message["message"])
        if offset != self._next:
            account.fault("untold", f"{self.name} gets {offset} and not {self._next}")
        if offset > self.handled + 1:
            account.fault("lost", f"{self.name} gets {offset} behind {self.handled}")
        if offset - self.acked > 64:
            account.fault("others", f"{self.name} has {offset - self.acked} out")
        self.handled = max(self.handled, offset)
        self._next = offset + 1
        soon = self.world.calm or offset - self.acked >= 32
        if self.wire is not None and (soon or self.world.rng.random() < 0.1):
            self.acked = offset
            self.wire.send(action="ack", topic=self._topic, offset=offset)
