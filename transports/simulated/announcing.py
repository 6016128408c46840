"""Who is present where, and what is told of coming and going.

One thing the model cannot know. While a session gives up several rooms, or subscribes to them, telling of
the one may close others who are too slow, and what is told of these comes before, between or behind the
rest; so do the counts. Such announcements are expected perhaps: in any order, or not at all.
"""

from typing import TYPE_CHECKING, Any

from .naive import is_plain
from .peers import Peer
from .violation import Violation

if TYPE_CHECKING:
    from .model import Model

__all__ = ["Announcing"]

Push = tuple[Any, ...]


class Announcing:
    """Presence, as a model has it.

    Args:
        model: whose it is.
    """

    def __init__(self, model: "Model") -> None:
        self._model = model
        self.there: dict[str, dict[str, int]] = {}
        """By topic, who is present, with how many sessions."""
        self.busy = False
        """Whether a session gives up topics in this step, or subscribes to some."""
        self.ends = 0
        """Sessions whose end is under way, one because of another."""
        self._step: list[tuple[Peer, str, Push]] = []
        """What was told in this step, or would have been with fewer members."""

    def settle(self) -> None:
        """The step is over."""
        self.busy = False
        self._step.clear()

    def join(self, user: str, topic: str, now: float) -> None:
        """One session more of a user on a topic that tells who is there."""
        members = self.there.setdefault(topic, {})
        members[user] = members.get(user, 0) + 1
        if members[user] == 1:
            self._announce(topic, user, True, now)

    def leave(self, user: str, topic: str, now: float) -> None:
        """One session less of a user on a topic or pattern."""
        members = self.there.get(topic)
        if members is None or not is_plain(topic):
            return
        if user not in members:
            raise Violation("the model itself", f"{user} was never on {topic}")
        members[user] -= 1
        if not members[user]:
            del members[user]
            if not members:
                del self.there[topic]
            self._announce(topic, user, False, now)

    def present(self) -> dict[str, dict[str, int]]:
        """Who must be present where: counted anew from the subscriptions."""
        found: dict[str, dict[str, int]] = {}
        for peer in self._model.inside():
            for topic in peer.subscriptions:
                if is_plain(topic) and self._model.rule(topic).presence:
                    members = found.setdefault(topic, {})
                    members[peer.user] = members.get(peer.user, 0) + 1
        return found

    # Telling.

    def _announce(self, topic: str, user: str, came: bool, now: float) -> None:
        model = self._model
        rule = model.rule(topic)
        count = len(self.there.get(topic, ()))
        push: Push
        if rule.announce:
            text = f"{user} {'joined' if came else 'left'} the chat"
            for peer in model.readers(topic):
                push = ("system", topic, text, model.stamp(now))
                self._tell(peer, topic, push, count <= rule.announce_max)
        for peer in model.inside():
            if peer.subscriptions.get(topic):
                push = ("presence", topic, "join" if came else "leave", user, count)
                self._tell(peer, topic, push, True)

    def _tell(self, peer: Peer, topic: str, push: Push, surely: bool) -> None:
        if self.ends and (self.busy or self.ends > 1):
            # Neither this one nor what was told before it in this step has its place.
            for one, its_topic, before in self._step:
                if its_topic == topic:
                    one.make_unsure(topic, before)
            peer.make_unsure(topic, push)
            return
        self._step.append((peer, topic, push))
        if surely:
            peer.expect(topic, push)
