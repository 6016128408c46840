"""What a hub must do, as plainly as possible: dictionaries, loops, and patterns compared token by token.

Nothing here knows of bytes, queues or loops. Each command appends to each session what it must be told.
Compare that with what came.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from ..auth import name_key
from ..grants import Grant
from ..rules import DEFAULT_RULES, Rule
from .naive_patterns import allowed, contains, is_pattern

__all__ = ["Book", "BookSession", "Told"]

Told = dict[str, Any]  # any JSON object


class BookSession(msgspec.Struct, eq=False):
    """One session, and what it must have been told since somebody last looked."""

    grant: Grant
    subscriptions: dict[str, bool] = {}
    """Each with whether changes of presence are told."""
    answers: list[Told] = []
    """What answers its requests, in order."""
    pushes: list[Told] = []
    """Everything else, in order."""
    code: int | None = None
    """With which the hub has closed it."""

    @property
    def user(self) -> str:
        """Its user's name."""
        return self.grant.user

    def may_read(self, pattern: str) -> bool:
        """Whether its grant allows all that a pattern matches."""
        return allowed(self.grant.read, self.grant.revoked, pattern)

    def may_write(self, topic: str) -> bool:
        """Whether its grant allows to publish on a topic."""
        return allowed(self.grant.write, self.grant.revoked, topic)

    def reached(self, topic: str) -> bool:
        """Whether one of its subscriptions matches a topic."""
        return any(contains(pattern, topic) for pattern in self.subscriptions)


class Book:
    """A hub whose sessions always keep up. Timestamps and epochs are left out; keys name sessions.

    Args:
        wall: the time of day, in seconds since 1970.
        rules: what topics do; the first that matches counts.
    """

    def __init__(self, wall: float, rules: Sequence[Rule] = DEFAULT_RULES) -> None:
        self.wall = wall
        self.sessions: dict[int, BookSession] = {}
        """Those that were let in and have not ended, in order of coming."""
        self.ended: dict[int, BookSession] = {}
        """Those that have."""
        self.logs: dict[str, list[Told]] = {}
        """All that was ever published on topics that keep history."""
        self._rules = rules
        self._plain = Rule(pattern=">")

    # What rules say.

    def rule(self, topic: str) -> Rule:
        """The rule of a topic."""
        rules = (rule for rule in self._rules if contains(rule.pattern, topic))
        return next(rules, self._plain)

    def presence(self, name: str) -> bool:
        """Whether who is subscribed to this is present there. By a pattern nobody is."""
        return not is_pattern(name) and self.rule(name).presence

    # Who is there.

    def receivers(self, topic: str) -> list[BookSession]:
        """Sessions that get what is published on a topic."""
        return [one for one in self.sessions.values() if one.reached(topic)]

    def watchers(self, topic: str) -> list[BookSession]:
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

    def names(self) -> dict[str, int]:
        """Topics and patterns, with how many sessions subscribe to each."""
        found: dict[str, int] = {}
        for one in self.sessions.values():
            for name in one.subscriptions:
                found[name] = found.get(name, 0) + 1
        return found

    # Coming and going.

    def taken(self, name: str) -> bool:
        """Whether an anonymous peer can't have a name."""
        return any(name_key(one.user) == name_key(name) for one in self.sessions.values())

    def join(self, key: int, grant: Grant) -> None:
        """A peer is let in; who proves a name takes it away from others."""
        if not grant.anonymous:
            for other, one in tuple(self.sessions.items()):
                if one.grant.anonymous and name_key(one.user) == name_key(grant.user):
                    self.fail(other, 4003)
        answer: Told = {"type": "auth", "status": "ok", "username": grant.user}
        self.sessions[key] = BookSession(grant, answers=[answer])

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

    def refuse(self, key: int, code: str) -> None:
        """A request is answered with an error."""
        self.sessions[key].answers.append({"type": "error", "code": code})

    def subscribe(self, key: int, topics: Sequence[str], watch: bool = False) -> None:
        """Subscribe to all of these or to none."""
        one = self.sessions[key]
        fault = self.why_not_subscribe(one, topics, watch)
        if fault is not None:
            self.refuse(key, fault)
            return
        for topic in dict.fromkeys(topics):
            known = topic in one.subscriptions
            if not known and self.presence(topic):
                here = self.members(topic)
                if one.user not in here:
                    self._announce(topic, one.user, "join", len(here) + 1)
            one.subscriptions[topic] = watch
        answer: Told = {"type": "subscribed", "topics": list(topics)}
        logged = [name for name in topics if not is_pattern(name) and self.rule(name).logged]
        if logged:
            at = {name: {"offset": len(self.logs.get(name, ()))} for name in logged}
            answer["positions"] = at
        one.answers.append(answer)

    def why_not_subscribe(self, one: BookSession, topics: Sequence[str], watch: bool) -> str | None:
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
        """Publish on a topic, if that is allowed."""
        fault = self.why_not_publish(self.sessions[key], topic, message)
        if fault is not None:
            self.refuse(key, fault)
        else:
            self.publishes(key, topic, message)

    def publishes(self, key: int, topic: str, message: Any) -> None:
        """Publish on a topic, which was allowed."""
        one = self.sessions[key]
        one.answers.append(self._push(topic, message, one.user))

    def why_not_publish(self, one: BookSession, topic: str, message: Any) -> str | None:
        """The code of the error, if a publication is refused."""
        if not one.may_write(topic):
            return "forbidden"
        most = self.rule(topic).max_message
        if most is not None and len(msgspec.json.encode(message)) > most:
            return "message_too_large"
        return None

    def push(self, topic: str, message: Any, sender: str | None = None) -> int:
        """A publication of the server itself; how many get it."""
        count: int = self._push(topic, message, sender)["recipients"]
        return count

    def _push(self, topic: str, message: Any, sender: str | None) -> Told:
        rule = self.rule(topic)
        told: Told = {"type": "notification", "topic": topic, "message": message}
        if rule.announce and sender is not None:
            told = {**told, "type": "chat", "sender": sender}
        receivers = self.receivers(topic)
        answer: Told = {"type": "published", "topic": topic, "recipients": len(receivers)}
        if rule.logged:
            log = self.logs.setdefault(topic, [])
            told["offset"] = answer["offset"] = len(log) + 1
            log.append(told)
        for other in receivers:
            other.pushes.append(told)
        return answer

    def direct(self, key: int, user: str, message: Any) -> None:
        """Send a message to all sessions of a user."""
        one = self.sessions[key]
        if one.grant.anonymous:
            self.refuse(key, "forbidden")
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
            self.refuse(key, "forbidden")
        elif not self.presence(topic):
            self.refuse(key, "no_presence")
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
            self.refuse(key, "forbidden")
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

    def _drop_forbidden(self, one: BookSession) -> None:
        gone = [topic for topic in one.subscriptions if not one.may_read(topic)]
        if gone:
            self._end_subscriptions(one, gone)
            told: Told = {"type": "unsubscribed", "topics": gone, "reason": "revoked"}
            one.answers.append(told)

    def _end_subscriptions(self, one: BookSession, topics: Sequence[str]) -> None:
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
        rule = self.rule(topic)
        if rule.announce and count <= rule.announce_max:
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
