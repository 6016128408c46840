"""Reads both directions of one connection at the hub, and says what must not be on it."""

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..naive import matches
from ..violation import Violation
from ..wire import Frame
from .consumption import Key
from .ledger import is_durable, name_in

if TYPE_CHECKING:
    from .world import World

__all__ = ["Tap"]

_LAST: Final = 30
"""Things that a connection remembers for a report."""

_SLACK: Final = 1e-6

_FOR_NOW: Final = "unavailable"


class _Follow:
    """What one session must be sent of one topic.

    Args:
        next: the offset that comes next; None where nobody knows.
        consumer: which one this is, if it is one.
    """

    __slots__ = ("consumer", "floor", "next", "sent_at")

    def __init__(self, next: int | None, consumer: Key | None = None) -> None:  # noqa: A002 - what it is
        self.next = next
        self.consumer = consumer
        self.floor = 0
        """Nothing up to here is kept any more, as it was told."""
        self.sent_at: dict[int, float] = {}


class Tap:
    """Judges what a session asks and is sent.

    Args:
        world: where.
        number: of the connection.
        user: whose it is.
        prompt: whether its socket takes at once what the hub gives out.
    """

    def __init__(self, world: "World", number: int, user: str, *, prompt: bool) -> None:
        self.prompt = prompt
        """Whether what is given out left the hub's logs just before."""
        self.last: deque[tuple[float, str, str]] = deque(maxlen=_LAST)
        """What happened last: when, what, and the text."""
        self._world = world
        self._number = number
        self._user = user
        self._pending: deque[dict[str, Any]] = deque()
        self._acks: set[int] = set()
        self._ack: tuple[str, int] | None = None
        self._follows: dict[str, _Follow] = {}
        self._patterns: dict[str, None] = {}
        self._closed = False

    @property
    def unanswered(self) -> int:
        """Requests that wait."""
        return len(self._pending)

    def _fail(self, invariant: str, text: str) -> Violation:
        return Violation(invariant, text, self._number)

    # What it asks.

    def asks(self, text: str, now: float) -> None:
        """The hub is about to be asked something."""
        self.last.append((now, "asks", text))
        request: dict[str, Any] = msgspec.json.decode(text)
        action = request.get("action")
        if action == "ack":
            self._ack = request["topic"], request["offset"]
            self._acks.add(request["id"])
            return
        self._pending.append(request)
        if action == "publish":
            handled = self._world.handled
            handled[request["topic"]] = handled.get(request["topic"], 0) + 1
        elif action == "subscribe" and request.get("ack"):
            coming = self._world.consumption.coming
            for topic in request["topics"]:
                key = (self._user, request.get("name") or "", topic)
                coming[key] = coming.get(key, 0) + 1

    def asked(self, refused: bool, now: float) -> None:
        """The hub was asked, and may have refused."""
        ack, self._ack = self._ack, None
        if ack is None:
            return
        world = self._world
        if refused:
            world.occurred["acknowledgement refused"] += 1
            return
        topic, offset = ack
        follow = self._follows.get(topic)
        if follow is None or follow.consumer is None:
            raise self._fail("only consumers acknowledge", f"{topic} {offset} was taken")
        world.occurred["acknowledgement"] += 1
        world.check_handled(follow.consumer, offset)
        world.consumption.acknowledges(follow.consumer, offset, now)

    # What it is sent.

    def taken(self, frame: Frame, now: float) -> None:
        """The hub puts a frame on the wire."""
        self.last.append((now, f"is sent {frame.kind}", frame.text or str(frame.code)))
        if self._closed:
            raise self._fail("nothing follows a Close frame", frame.text)
        if frame.kind == "close":
            self._closed = True
            self._world.occurred[f"close {frame.code}"] += 1
        if frame.kind != "text":
            return
        match frame.type:
            case "notification":
                self._publication(frame.message, now)
            case "gap":
                self._gap(frame.message, now)
            case "unsubscribed" if frame.message.get("id") is None:
                for topic in frame.message["topics"]:
                    self._follows.pop(topic, None)
                self._world.occurred[f"unsubscribed, {frame.message.get('reason')}"] += 1
            case _:
                self._answer(frame, now)

    def _answer(self, frame: Frame, now: float) -> None:
        told = frame.message
        number = told.get("id")
        if told["type"] == "error" and number in self._acks:
            self._acks.discard(number)
            return
        if not self._pending or self._pending[0]["id"] != number:
            text = f"{frame.text[:300]}; waiting: {[one['id'] for one in self._pending]}"
            raise self._fail("each request is answered once, in order", text)
        request = self._pending.popleft()
        self._world.occurred[f"answer {told['type']}"] += 1
        match told["type"]:
            case "published":
                self._published(request, told)
            case "subscribed":
                for topic in request["topics"]:
                    self._begin(topic, request, told, now)
            case "unsubscribed":
                for topic in request["topics"]:
                    self._follows.pop(topic, None)
                    self._patterns.pop(topic, None)
            case "auth" if told["status"] == "ok":
                pass
            case "error" if told["code"] == _FOR_NOW and request.get("action") == "publish":
                if not is_durable(request["topic"]):
                    raise self._fail("memory never fails", frame.text)
            case _:
                raise self._fail("what is allowed is done", f"{request}: {frame.text[:300]}")

    def _published(self, request: dict[str, Any], told: dict[str, Any]) -> None:
        topic = request["topic"]
        duplicate = told.get("duplicate", False)
        if told["topic"] != topic:
            raise self._fail("answers are right", f"{request}: {told}")
        self._world.occurred["publication repeated"] += duplicate
        position = (told["offset"], told["epoch"])
        self._world.ledger.answer(topic, name_in(request["message"]), position, duplicate)

    def _begin(self, topic: str, request: dict[str, Any], told: dict[str, Any], now: float) -> None:
        """A subscription is granted."""
        world = self._world
        positions: dict[str, dict[str, Any]] = told.get("positions") or {}
        position = positions.get(topic)
        if position is None:
            self._patterns[topic] = None
            return
        offset, epoch = position["offset"], position["epoch"]
        if not is_durable(topic):
            world.ledger.check_life(topic, epoch)
        asked: dict[str, dict[str, Any]] = request.get("since") or {}
        since = asked.get(topic)
        if since is not None:
            self._check_since(topic, since, position, request)
        if request.get("ack"):
            key = (self._user, request.get("name") or "", topic)
            world.consumption.coming[key] -= 1
            world.consumption.begins(key, offset, now)
            self._follows[topic] = _Follow(offset + 1, key)
        else:
            self._follows[topic] = _Follow(offset + 1)

    def _check_since(
        self,
        topic: str,
        since: dict[str, Any],
        position: dict[str, Any],
        request: dict[str, Any],
    ) -> None:
        """Somebody goes on behind what it has."""
        world, recovered = self._world, position["recovered"]
        at = since["offset"], since["epoch"]
        world.occurred["resumed" if recovered else "not resumed"] += 1
        if recovered and not world.ledger.may_resume(topic, *at):
            raise self._fail("only what is there is recovered", f"{topic} {since}: {position}")
        if recovered and not request.get("ack") and position["offset"] != at[0]:
            raise self._fail("who resumes goes on where it was", f"{topic} {since}: {position}")
        if not recovered and world.must_resume(topic, *at):
            raise self._fail("what is there is recovered", f"{topic} {since}: {position}")

    # Publications.

    def _follow(self, topic: str) -> _Follow:
        follow = self._follows.get(topic)
        if follow is None:
            if not any(matches(pattern, topic) for pattern in self._patterns):
                raise self._fail("nothing comes unasked", topic)
            follow = self._follows[topic] = _Follow(None)
        return follow

    def _publication(self, told: dict[str, Any], now: float) -> None:
        topic, offset = told["topic"], told["offset"]
        follow = self._follow(topic)
        self._world.ledger.see(topic, offset, told["epoch"], name_in(told["message"]))
        if follow.consumer is not None:
            self._consumed(follow, follow.consumer, told, now)
        elif follow.next not in (None, offset):
            text = f"{topic} {offset} comes where {follow.next} should"
            raise self._fail("order holds, and every hole is told", text)
        elif told.get("redelivered"):
            raise self._fail("only consumers get something again", f"{topic} {offset}")
        follow.next = offset + 1

    def _consumed(self, follow: _Follow, key: Key, told: dict[str, Any], now: float) -> None:
        """A consumer is sent a publication."""
        world, offset = self._world, told["offset"]
        consumption = world.consumption
        acked = max(consumption.known[key], follow.floor)
        least = self._least(follow, key, now)
        if follow.next not in (None, offset):
            if offset > max(follow.next or 0, acked + 1):
                text = f"{key}: {offset} comes where {follow.next} should"
                raise self._fail("nothing is skipped", text)
            if offset > acked + 1:
                text = f"{key}: {offset} comes again, and {acked} is acknowledged"
                raise self._fail("what is not acknowledged comes again, and nothing else", text)
            if offset < (follow.next or 0):
                self._check_time(follow, key, least, offset, now)
                world.occurred["redelivery"] += 1
        if offset <= least:
            text = f"{key}: {offset} comes, and {acked} is acknowledged"
            raise self._fail("what is not acknowledged comes again, and nothing else", text)
        if offset - acked > world.plan.config.limits.max_unacknowledged:
            raise self._fail("max_unacknowledged is a bound", f"{key}: {offset}, {acked}")
        again, sent = told.get("redelivered", False), consumption.sent.get(key, 0)
        if offset <= sent and not again:
            raise self._fail("what comes again is marked", f"{key}: {offset}, {sent} was sent")
        world.occurred["redelivered"] += again
        consumption.sends(key, offset)
        follow.sent_at[offset] = now

    def _least(self, follow: _Follow, key: Key, now: float) -> int:
        """What was acknowledged, at least, when the newest frames left the log."""
        consumption, world = self._world.consumption, self._world
        moved_at, before = consumption.moved[key]
        acked = consumption.known[key]
        if not self.prompt or now - moved_at <= world.plan.turn + _SLACK:
            acked = min(before, acked)
        return max(acked, follow.floor)

    def _starts_again(self, follow: _Follow, behind: int, now: float) -> bool:
        """Whether a consumer is sent again what is behind an offset."""
        key = follow.consumer
        if key is None:
            return False
        acked = max(self._world.consumption.known[key], follow.floor)
        return self._least(follow, key, now) <= behind <= acked

    def _check_time(self, follow: _Follow, key: Key, least: int, offset: int, now: float) -> None:
        if not self.prompt:
            return
        # The time is that of the oldest that is out, and one that was acknowledged just now was.
        out = (follow.sent_at.get(one, now) for one in range(least + 1, offset + 1))
        waited = now - min(out, default=now)
        limit = self._world.plan.config.limits.ack_timeout - self._world.plan.turn - _SLACK
        # A store is slow to give what was to come again, and more may be acknowledged meanwhile.
        if waited < (_SLACK if is_durable(key[2]) else limit):
            text = f"{key}: {offset} comes again after {waited:.3f} s"
            raise self._fail("a consumer has its time to acknowledge", text)

    def _gap(self, told: dict[str, Any], now: float) -> None:
        world, topic, missed = self._world, told["topic"], told["missed"]
        follow = self._follow(topic)
        offset = told.get("offset")
        world.occurred["gap"] += 1
        if offset is None:
            if not world.ledger.damaged.get(topic) and topic not in world.ledger.shortened:
                raise self._fail("a gap is told where something is lost", f"{told}")
            follow.next = None
            return
        goes_on = follow.next is None or missed == offset + 1 - follow.next
        # What was to be sent again may be gone by now.
        if not goes_on and not self._starts_again(follow, offset - missed, now):
            text = f"{told}, where {follow.next} comes next"
            raise self._fail("a gap counts what is lost", text)
        if world.keeps(topic, offset):
            raise self._fail("a gap is told where something is lost", f"{told}")
        follow.next = offset + 1
        follow.floor = offset
