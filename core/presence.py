"""Who is present on topics that tell it: users, however many connections each has."""

from collections.abc import Iterable
from typing import Generic, TypeVar

__all__ = ["PresenceBook"]

Watcher = TypeVar("Watcher")


class PresenceBook(Generic[Watcher]):
    """The users on each topic, in order of coming, and who wants to be told of changes.

    Nothing is kept of a topic on which nobody is. `Watcher` is any hashable object.
    """

    def __init__(self) -> None:
        self._members: dict[str, dict[str, int]] = {}
        self._watchers: dict[str, dict[Watcher, None]] = {}

    def join(self, topic: str, user: str) -> bool:
        """One more connection of a user is there; True if it is the user's first."""
        members = self._members.setdefault(topic, {})
        members[user] = members.get(user, 0) + 1
        return members[user] == 1

    def leave(self, topic: str, user: str) -> bool:
        """One connection less; True if it was the user's last."""
        members = self._members[topic]
        members[user] -= 1
        if members[user]:
            return False
        del members[user]
        if not members:
            del self._members[topic]
        return True

    def members(self, topic: str) -> Iterable[tuple[str, int]]:
        """Users and how many connections each has, in order of coming."""
        return self._members.get(topic, {}).items()

    def count(self, topic: str) -> int:
        """How many users are there."""
        return len(self._members.get(topic, ()))

    def topics(self) -> Iterable[str]:
        """Topics on which somebody is."""
        return self._members.keys()

    def watch(self, topic: str, watcher: Watcher) -> None:
        """Tell `watcher` of who comes and goes."""
        self._watchers.setdefault(topic, {})[watcher] = None

    def unwatch(self, topic: str, watcher: Watcher) -> None:
        """Tell it no more."""
        watchers = self._watchers.get(topic)
        if watchers is not None:
            watchers.pop(watcher, None)
            if not watchers:
                del self._watchers[topic]

    def watchers(self, topic: str) -> tuple[Watcher, ...]:
        """Who wants to be told."""
        return tuple(self._watchers.get(topic, ()))
