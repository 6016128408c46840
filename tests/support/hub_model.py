"""What a hub must do, as plainly as possible: dictionaries, loops, and patterns compared token by token.

Nothing here knows of bytes, queues or loops. Each command returns the answer that the peer must get, and
appends to each session what it must be told. Compare both with what came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from hubbub.core.grants import Grant

__all__ = ["HubModel", "ModelSession"]

Told = dict[str, Any]


def matches(pattern: str, topic: str) -> bool:
    """Whether a pattern matches a topic."""
    return contains(pattern, topic)


def contains(pattern: str, other: str) -> bool:
    """Whether all that another pattern matches is matched by this one."""
    return _contains(pattern.split("."), other.split("."))


def _contains(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    if not ours or not theirs:
        return not ours and not theirs
    if ours[0] == ">":
        return True
    if theirs[0] == ">":
        return False
    return ours[0] in ("*", theirs[0]) and _contains(ours[1:], theirs[1:])


def overlaps(one: str, other: str) -> bool:
    """Whether some topic is matched by both."""
    return _overlaps(one.split("."), other.split("."))


def _overlaps(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    if not ours or not theirs:
        return not ours and not theirs
    if ">" in (ours[0], theirs[0]):
        return True
    same = ours[0] == theirs[0] or "*" in (ours[0], theirs[0])
    return same and _overlaps(ours[1:], theirs[1:])


def is_pattern(name: str) -> bool:
    """Whether a name has wildcards."""
    return "*" in name or ">" in name


@dataclass
class ModelSession:
    """One session, and what it must have been told since somebody last looked."""

    grant: Grant
    subscriptions: dict[str, bool] = field(default_factory=dict)
    """Each with whether changes of presence are told."""
    answers: list[Told] = field(default_factory=list)
    """What answers its requests, in order."""
    pushes: list[Told] = field(default_factory=list)
    """Everything else, in order."""
    code: int | None = None
    """With which the hub has closed it."""

    @property
    def user(self) -> str:
        """Its user's name."""
        return self.grant.user

    def may_read(self, pattern: str) -> bool:
        """Whether its grant allows all that a pattern matches."""
        return _allowed(self.grant.read, self.grant.revoked, pattern)

    def may_write(self, topic: str) -> bool:
        """Whether its grant allows to publish on a topic."""
        return _allowed(self.grant.write, self.grant.revoked, topic)

    def reached(self, topic: str) -> bool:
        """Whether one of its subscriptions matches a topic."""
        return any(matches(pattern, topic) for pattern in self.subscriptions)


def _allowed(granted: Iterable[str], revoked: Iterable[str], pattern: str) -> bool:
    if any(overlaps(one, pattern) for one in revoked):
        return False
    return any(contains(one, pattern) for one in granted)


class HubModel:
    """A hub whose sessions always keep up. Timestamps are left out; keys name sessions.

    Subclass it to model a hub with other rules or functions: `presence` and `announces` say what a topic's
    rule turns on, and each command is a method of its own.

    Args:
        wall: the time of day, in seconds since 1970.
    """

    def __init__(self, wall: float) -> None:
        self.wall = wall
        self.sessions: dict[int, ModelSession] = {}
        """Those that were let in and have not ended, in order of coming."""
        self.ended: dict[int, ModelSession] = {}
        """Those that have."""

    # What rules say.

    def presence(self, topic: str) -> bool:
        """Whether who is subscribed to a topic is present there."""
        return not is_pattern(topic) and topic.startswith("room.")

    def announces(self, topic: str) -> bool:
        """Whether coming and going are announced on a topic, and publications carry their sender."""
        return self.presence(topic)

    # Who is there.

    def receivers(self, topic: str) -> list[ModelSession]:
        """Sessions that get what is published on a topic."""
        return [one for one in self.sessions.values() if one.reached(topic)]

    def watchers(self, topic: str) -> list[ModelSession]:
        """Sessions that are told who comes and goes."""
        return [one for one in self.sessions.values() if one.subscriptions.get(topic)]

    def of(self, user: str) -> list[int]:
        """The keys of a user's sessions."""
        return [key for key, one in self.sessions.items() if one.user == user]

    def members(self, topic: str) -> dict[str, int]:
        """Users that are present on a topic, each with how many connections."""
        found: dict[str, int] = {}
        for one in self.sessions.values():
            if topic in one.subscriptions:
                found[one.user] = found.get(one.user, 0) + 1
        return found

    # Coming and going.

    def taken(self, name: str) -> bool:
        """Whether an anonymous peer can't have a name."""
        return any(one.user.casefold() == name.casefold() for one in self.sessions.values())

    def join(self, key: int, grant: Grant) -> None:
        """A peer is let in; who proves a name takes it away from others."""
        if not grant.anonymous:
            for other, one in tuple(self.sessions.items()):
                if one.grant.anonymous and one.user.casefold() == grant.user.casefold():
                    self.fail(other, 4003)
        answer: Told = {"type": "auth", "status": "ok", "username": grant.user}
        self.sessions[key] = ModelSession(grant, answers=[answer])

    def leave(self, key: int) -> None:
        """A session ends by itself."""
        one = self.sessions.pop(key)
        self.ended[key] = one
        gone = list(one.subscriptions)
        one.subscriptions.clear()
        self._announce_leaving(one.user, gone)

    def fail(self, key: int, code: int) -> None:
        """The hub closes a session, before what waits for it."""
        one = self.sessions[key]
        one.code = code
        one.answers.clear()
        one.pushes.clear()
        self.leave(key)

    def disconnect(self, user: str) -> int:
        """The operator closes all sessions of a user."""
        keys = self.of(user)
        for key in keys:
            self.fail(key, 4003)
        return len(keys)

    # Time.

    def ends(self) -> list[float]:
        """When grants end, as the clock on the wall goes now."""
        ends = (one.grant.until for one in self.sessions.values())
        return [until for until in ends if until is not None]

    def advance(self, seconds: float) -> None:
        """Time passes, at most until the next grant ends."""
        self.set_clock(self.wall + seconds)

    def set_clock(self, wall: float) -> None:
        """The clock is set; those whose grants are over by it end, in order of coming."""
        self.wall = wall
        for key, one in tuple(self.sessions.items()):
            if one.grant.until is not None and one.grant.until <= wall:
                self.fail(key, 4001)

    # Requests.

    def subscribe(self, key: int, topics: Sequence[str], watch: bool = False) -> None:
        """Subscribe to all of these or to none."""
        one = self.sessions[key]
        fault = self.why_not_subscribe(one, topics, watch)
        if fault is not None:
            one.answers.append({"type": "error", "code": fault})
            return
        for topic in dict.fromkeys(topics):
            known = topic in one.subscriptions
            if not known and self.presence(topic):
                here = self.members(topic)
                if one.user not in here:
                    self._announce(topic, one.user, "join", len(here) + 1)
            one.subscriptions[topic] = watch
        one.answers.append({"type": "subscribed", "topics": list(topics)})

    def why_not_subscribe(
        self, one: ModelSession, topics: Sequence[str], watch: bool
    ) -> str | None:
        """The code of the error, if a subscription is refused."""
        for topic in topics:
            if not one.may_read(topic):
                return "forbidden"
            if watch and is_pattern(topic):
                return "bad_topic"
            if watch and not self.presence(topic):
                return "no_presence"
        return None

    def unsubscribe(self, key: int, topics: Sequence[str]) -> None:
        """End subscriptions, and what waits of them."""
        one = self.sessions[key]
        self._end_subscriptions(one, topics)
        one.answers.append({"type": "unsubscribed", "topics": list(topics)})

    def publish(self, key: int, topic: str, message: Any) -> None:
        """Publish on a topic."""
        one = self.sessions[key]
        if not one.may_write(topic):
            one.answers.append({"type": "error", "code": "forbidden"})
            return
        count = self.push(topic, message, one.user)
        one.answers.append({"type": "published", "topic": topic, "recipients": count})

    def push(self, topic: str, message: Any, sender: str | None = None) -> int:
        """A publication of a peer, or of the server itself; how many get it."""
        told: Told = {"type": "notification", "topic": topic, "message": message}
        if self.announces(topic) and sender is not None:
            told = {**told, "type": "chat", "sender": sender}
        receivers = self.receivers(topic)
        for other in receivers:
            other.pushes.append(told)
        return len(receivers)

    def direct(self, key: int, user: str, message: Any) -> None:
        """Send a message to all sessions of a user."""
        one = self.sessions[key]
        if one.grant.anonymous:
            one.answers.append({"type": "error", "code": "forbidden"})
            return
        keys = self.of(user)
        for other in keys:
            told: Told = {"type": "direct", "sender": one.user, "message": message}
            self.sessions[other].pushes.append(told)
        one.answers.append({"type": "published", "to": user, "recipients": len(keys)})

    def ask_presence(self, key: int, topic: str) -> None:
        """Who is there."""
        one = self.sessions[key]
        if not one.may_read(topic):
            one.answers.append({"type": "error", "code": "forbidden"})
        elif not self.presence(topic):
            one.answers.append({"type": "error", "code": "no_presence"})
        else:
            members = self.members(topic)
            one.answers.append(
                {
                    "type": "presence",
                    "topic": topic,
                    "members": members,
                    "count": len(members),
                }
            )

    def refresh(self, key: int, grant: Grant | None) -> None:
        """Show another token, of which the authenticator says this."""
        one = self.sessions[key]
        if grant is None or (grant.until is not None and grant.until <= self.wall):
            one.answers.append({"type": "auth", "status": "error", "message": "Invalid token"})
        elif grant.user != one.user:
            one.answers.append({"type": "error", "code": "forbidden"})
        else:
            one.grant = grant
            self._drop_forbidden(one)
            one.answers.append({"type": "auth", "status": "ok", "username": grant.user})

    def revoke(self, user: str, pattern: str) -> int:
        """Take topics away from a user."""
        keys = self.of(user)
        for key in keys:
            one = self.sessions[key]
            one.grant = replace(one.grant, revoked=(*one.grant.revoked, pattern))
            self._drop_forbidden(one)
        return len(keys)

    # Inside.

    def _drop_forbidden(self, one: ModelSession) -> None:
        gone = [topic for topic in one.subscriptions if not one.may_read(topic)]
        if gone:
            self._end_subscriptions(one, gone)
            told: Told = {"type": "unsubscribed", "topics": gone, "reason": "revoked"}
            one.answers.append(told)

    def _end_subscriptions(self, one: ModelSession, topics: Sequence[str]) -> None:
        gone = [topic for topic in dict.fromkeys(topics) if topic in one.subscriptions]
        for topic in gone:
            del one.subscriptions[topic]
        self._announce_leaving(one.user, gone)
        if gone:
            one.pushes[:] = [
                told for told in one.pushes if "topic" not in told or one.reached(told["topic"])
            ]

    def _announce_leaving(self, user: str, topics: Sequence[str]) -> None:
        for topic in topics:
            if self.presence(topic):
                here = self.members(topic)
                if user not in here:
                    self._announce(topic, user, "leave", len(here))

    def _announce(self, topic: str, user: str, event: str, count: int) -> None:
        if self.announces(topic):
            word = "joined" if event == "join" else "left"
            said: Told = {"type": "system", "message": f"{user} {word} the chat", "topic": topic}
            for other in self.receivers(topic):
                other.pushes.append(said)
        change: Told = {
            "type": "presence",
            "topic": topic,
            "event": event,
            "user": user,
            "count": count,
        }
        for other in self.watchers(topic):
            other.pushes.append(change)
