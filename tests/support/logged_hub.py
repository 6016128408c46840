"""A hub with a store in memory that can be slow, fail, and outlive it; and clients that check what they get.

The `Shelf` keeps what a store must keep: all of an append or nothing, in order. `LoggedHub` answers the
hub's effects from it, at once or when the test says so, and can be killed and started again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hubbub.core.effects import Append, Done, Effect, Failed, Outcome, Read, Reopen, Trim
from hubbub.core.hub import Hub
from hubbub.core.hub_config import HubConfig
from hubbub.core.records import Record
from hubbub.transports.simulated import seeded_entropy
from hubbub.transports.stores.memory import Shelf
from hubbub.transports.stores.protocol import StoreUnavailable
from support.hub_pair import WALL, HubPair, Message, Peer

__all__ = ["Follower", "LoggedHub", "Position", "answer_from"]

Position = tuple[int, str]
"""An offset and an epoch."""


def answer_from(shelf: Shelf, effect: Effect) -> Outcome:
    """What a store on this shelf answers."""
    try:
        match effect:
            case Append(_, records, acknowledged):
                shelf.append(records, acknowledged)
                return Done()
            case Read(_, topic, after, max_bytes):
                return Done(shelf.read(topic, after, max_bytes))
            case Reopen():
                return Done(shelf.open())
            case Trim(_, topic, retention):
                return Done(shelf.trim(topic, retention)[0])
            case _:
                raise AssertionError(effect)
    except StoreUnavailable as error:
        return Failed(error.reason)


class LoggedHub(HubPair):
    """A hub whose store is a shelf.

    Args:
        config: of the hub.
        stored: False has no store.
    """

    def __init__(self, config: HubConfig, *, stored: bool = True) -> None:
        self.config = config
        self.held = False
        """Whether what the store is asked waits in `effects` until `answer` is called."""
        self.shelf = Shelf(clock=lambda: WALL + self.now)
        self._stored = stored
        self._starts = 0
        super().__init__(config, heads=self.shelf.open() if stored else None, outside=self._answer)

    def _answer(self, effect: Effect) -> Outcome | None:
        return None if self.held else answer_from(self.shelf, effect)

    def settle(self) -> None:
        """The same, with what is due now."""
        super().settle()
        while (at := self.hub.next_timeout()) is not None and at <= self.now:
            self.hub.handle_timeout(self.now)
            super().settle()

    def answer(self, number: int = 0) -> None:
        """Let the store answer one thing that it was asked."""
        effect = self.effects[number]
        self.complete(answer_from(self.shelf, effect), effect)

    def answer_all(self) -> None:
        """Let the store answer all that it was asked, and all that it is asked then."""
        while self.effects:
            self.answer()

    def kill(self) -> None:
        """End the process: what is not in the store is gone. A new one starts at once."""
        for peer in tuple(self.peers.values()):
            peer.cut = True
            peer.lost(self.now)
        self.peers.clear()
        self.effects.clear()
        self._starts += 1
        self.hub = Hub(
            self.config,
            now=self.now,
            entropy=seeded_entropy(1000 + self._starts),
            heads=self.shelf.open() if self._stored else None,
        )
        self.hub.set_wall_clock(WALL, self.now)

    def stored(self, topic: str) -> list[Record]:
        """What the shelf has of a topic."""
        return self.shelf.read(topic, 0, 2**62)


class Follower:
    """What a subscriber knows of topics, and a check of all that it is sent.

    A position goes on by one with each publication; where it does not, a gap or `recovered: false` must have
    said so before.

    Args:
        check: called with each publication, for whatever else must hold.
        end_of: says where a log in memory ended that began anew, which its new epoch tells.
    """

    def __init__(
        self,
        check: Callable[[Message], None] = lambda _: None,
        end_of: Callable[[str, str], int] = lambda _topic, _epoch: 0,
    ) -> None:
        self.at: dict[str, Position | None] = {}
        """By topic, the position of what was got last; None where it is not known."""
        self.got: dict[str, list[Any]] = {}
        self.gaps: list[Message] = []
        self._check = check
        self._end_of = end_of

    def begin(self, positions: dict[str, Message], since: dict[str, Position]) -> None:
        """A subscription was granted."""
        for topic, position in positions.items():
            if position.get("recovered"):
                assert position["offset"] == since[topic][0]
                self.at[topic] = since[topic]
            else:
                self.at[topic] = (position["offset"], position["epoch"])

    def take(self, messages: list[Message]) -> None:
        """Take what came."""
        for message in messages:
            match message["type"]:
                case "notification":
                    self._go_on(message)
                case "gap":
                    self._miss(message)

    def _go_on(self, message: Message) -> None:
        topic, offset, epoch = message["topic"], message["offset"], message["epoch"]
        at = self.at.get(topic)
        if at is not None and offset != at[0] + 1:
            assert offset == 1, (at, message)
            assert at[1] != epoch, (at, message)
            assert at[0] == self._end_of(topic, at[1]), (at, message)
        self.at[topic] = (offset, epoch)
        self.got.setdefault(topic, []).append(message["message"])
        self._check(message)

    def _miss(self, message: Message) -> None:
        self.gaps.append(message)
        topic = message["topic"]
        at = self.at.get(topic)
        if "offset" not in message:
            self.at[topic] = None
            return
        if at is not None:
            assert message["offset"] == at[0] + message["missed"], (at, message)
        self.at[topic] = (message["offset"], message["epoch"])

    def since(self, *topics: str) -> dict[str, Position]:
        """Where to go on."""
        return {topic: at for topic in topics if (at := self.at.get(topic)) is not None}

    def subscribe(self, peer: Peer, *topics: str, number: int | str = "s", **fields: Any) -> None:
        """Go on where it stood; the answer, and what follows it, is taken at once."""
        since = self.since(*topics)
        if since:
            fields["since"] = {
                topic: {"offset": offset, "epoch": epoch}
                for topic, (offset, epoch) in since.items()
            }
        peer.send(action="subscribe", topics=topics, id=number, **fields)
        self.take_answer(peer, since, number)

    def take_answer(self, peer: Peer, since: dict[str, Position], number: int | str = "s") -> None:
        """Take what came; nothing of the topics comes before the answer."""
        found = peer.take()
        ids = [message.get("id") for message in found]
        if number in ids:
            at = ids.index(number)
            self.take(found[:at])
            assert found[at]["type"] == "subscribed", found[at]
            self.begin(found[at].get("positions", {}), since)
            found = found[at + 1 :]
        self.take(found)
