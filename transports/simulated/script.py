"""What the clients of a storm say, sensible or not."""

from itertools import accumulate
from random import Random
from typing import Any, Final

from .client import SimulatedClient
from .hostile import BAD_TOPICS
from .plan import NAMES, PATTERNS, TOPICS, USERS

__all__ = ["Script"]

_WATCHED: Final = ("room.lobby", "room.den", "where.office")
_KINDS: Final = {
    "publish": 40,
    "subscribe": 22,
    "unsubscribe": 7,
    "direct": 6,
    "presence": 4,
    "call": 4,
    "ping": 4,
    "refresh": 5,
    "other": 2,
}
"""How often each is said, among all."""

_NAMES: Final = tuple(_KINDS)
_WEIGHTS: Final = tuple(accumulate(_KINDS.values()))


class Script:
    """Makes requests up.

    Args:
        random: decides.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._number = 0

    def numbered(self, request: dict[str, Any]) -> dict[str, Any]:
        """The same with an id, usually."""
        self._number += 1
        if self._random.random() < 0.9:
            request["id"] = self._number if self._random.random() < 0.8 else f"n{self._number}"
        return request

    def message(self) -> object:
        """Something to publish, unlike anything that was published before."""
        self._number += 1
        size = self._random.choice((0, 5, 50, 300, 300, 900))
        return {"n": self._number, "pad": "x" * size} if size else self._number

    def token(self, *, good: bool = False) -> str:
        """Some user's token; a good one is for everything and for ever."""
        if not good and self._random.random() < 0.05:
            return "nobody-9"
        number = 0 if good else self._random.randint(0, 3)
        return f"{self._random.choice(USERS)}-{number}"

    def request(self, client: SimulatedClient) -> dict[str, Any]:
        """Any request of a client that was let in, or was not."""
        random = self._random
        (kind,) = random.choices(_NAMES, cum_weights=_WEIGHTS)
        match kind:
            case "publish":
                request = self._publish()
            case "subscribe":
                request = self._subscribe()
            case "unsubscribe":
                request = self._unsubscribe(client)
            case "direct":
                user = random.choice((*USERS, *NAMES, "nobody"))
                request = {"action": "publish", "to": user, "message": self.message()}
            case "presence":
                request = {
                    "action": "presence",
                    "topic": random.choice((*_WATCHED, "plain", "room.*")),
                }
            case "call":
                name = random.choice(("sum", "echo.a", "none", "a..b"))
                request = {"action": "call", "name": name, "data": [1, self.message()]}
            case "refresh":
                request = {"action": "refresh", "token": self._newer_token(client)}
            case "ping":
                request = {"action": "ping"}
            case _:
                request = self._other()
        return self.numbered(request)

    def _publish(self) -> dict[str, Any]:
        random = self._random
        topic = random.choice(TOPICS)
        if random.random() < 0.02:
            topic = random.choice((*BAD_TOPICS, *PATTERNS))
        request: dict[str, Any] = {"action": "publish", "topic": topic, "message": self.message()}
        if topic.startswith("ticker") and random.random() < 0.8:
            request["key"] = random.choice("abc")
        if random.random() < 0.15:
            request["idempotency_key"] = random.choice("xyz")
        return request

    def _subscribe(self) -> dict[str, Any]:
        random = self._random
        pool: tuple[str, ...] = PATTERNS if random.random() < 0.4 else TOPICS
        topics: list[str] = random.sample(pool, random.choice((1, 1, 2, 3)))
        if random.random() < 0.1:
            topics.append(topics[0])
        if random.random() < 0.03:
            topics.append(random.choice(BAD_TOPICS))
        request: dict[str, Any] = {"action": "subscribe", "topics": topics}
        if random.random() < 0.25:
            request["presence"] = True
            if random.random() < 0.8:
                request["topics"] = [random.choice(_WATCHED)]
        elif random.random() < 0.03:
            request |= random.choice(({"last": 1}, {"ack": True}))
        return request

    def _unsubscribe(self, client: SimulatedClient) -> dict[str, Any]:
        random = self._random
        known = list(client.subscriptions)
        topics = [random.choice(known)] if known else [random.choice(TOPICS)]
        if random.random() < 0.3:
            topics += random.sample((*TOPICS, *PATTERNS), 2)
        return {"action": "unsubscribe", "topics": topics}

    def _newer_token(self, client: SimulatedClient) -> str:
        if client.user in USERS and self._random.random() < 0.8:
            return f"{client.user}-{self._random.randint(0, 3)}"
        return self.token()

    def _other(self) -> dict[str, Any]:
        """What is right at another time, or on another topic."""
        return dict(
            self._random.choice(
                (
                    {"token": "alice-0"},
                    {"name": "ann"},
                    {"action": "history", "topic": "news.a"},
                    {"action": "ack", "topic": "news.a", "offset": 1},
                )
            )
        )
