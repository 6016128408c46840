"""Holds what a hub does against the model: each frame when it is taken for the wire, and each end."""

from collections import Counter, deque
from math import inf
from typing import Any, Final

from ...core.frames import CloseCode
from .faults import Fault
from .model import Model
from .naive import matches
from .peers import Peer, Standing
from .violation import Violation
from .wire import Frame

__all__ = ["BEHIND", "Checker"]

BEHIND: Final = frozenset(
    {
        CloseCode.GOING_AWAY,
        CloseCode.POLICY_VIOLATION,
        CloseCode.TRY_AGAIN_LATER,
        CloseCode.TOO_MANY,
    }
)
"""Codes of closes that go behind what waits, where the hub itself decides to close."""

_SLACK: Final = 1e-6

Push = tuple[Any, ...]


class Checker:
    """Judges frames and ends.

    Args:
        model: what should be.
        patience: seconds by which the simulated loop may be late.
    """

    def __init__(self, model: Model, patience: float) -> None:
        self._model = model
        self._patience = patience
        self.occurred: Counter[str] = Counter()
        """How often what happened."""

    # Frames.

    def taken(self, peer: Peer, frame: Frame, now: float) -> None:
        """A frame of a session was taken for the wire."""
        if peer.closed:
            text = f"a {frame.kind} frame: {frame.text[:200]}"
            raise Violation("nothing follows a Close frame", text, peer.number)
        if frame.kind == "text":
            if frame.push:
                self._pushed(peer, frame)
            else:
                self._answered(peer, frame)
        elif frame.kind == "close":
            self._closed(peer, frame.code, now)

    def _answered(self, peer: Peer, frame: Frame) -> None:
        if not peer.answers:
            raise Violation(
                "each request is answered once", f"not asked for: {frame.text}", peer.number
            )
        expected = peer.answers.popleft()
        peer.answered += 1
        told = frame.message
        for field, value in expected.items():
            if told.get(field) != value:
                text = f"the answer is {frame.text[:300]}, not {expected}"
                raise Violation("answers are right and in order", text, peer.number)
        self.occurred[f"answer {frame.type}"] += 1
        if told.get("duplicate"):
            self.occurred["publication repeated"] += 1

    def _pushed(self, peer: Peer, frame: Frame) -> None:
        kind, topic = frame.type, frame.topic
        if kind == "reconnect":
            if not self._model.draining or peer.hinted:
                raise Violation("a hint comes before a drain, once", frame.text, peer.number)
            peer.hinted = True
            return
        if peer.standing is Standing.IN and topic is not None:
            self._check_allowed(peer, topic, frame)
        if kind == "gap":
            self._gap(peer, frame)
            return
        push = _content(frame)
        if not self._take(peer, None if kind == "direct" else topic, push):
            self._complain(peer, None if kind == "direct" else topic, frame)
        self._count(peer, kind, topic)

    def _take(self, peer: Peer, topic: str | None, push: Push) -> bool:
        """Whether this is what comes next on a topic; what was told to be lost is passed over."""
        queue = peer.queues.get(topic, deque[Push]())
        excused = peer.excused.get(topic, 0)
        unsure = [] if topic is None else peer.perhaps.get(topic, [])
        latest = topic is not None and self._model.rule(topic).slow == "latest"
        # Of keys the newest is kept, so that others may come before it; else the oldest are lost.
        first = 0 if latest else max(0, excused - len(unsure))
        for at in range(first, min(excused + 1, len(queue))):
            if queue[at] == push:
                for _ in range(at + 1):
                    queue.popleft()
                if excused:
                    peer.excused[topic] = excused - at
                return True
        for one in unsure:
            if one[:4] == push[:4]:  # a count depends on the order
                unsure.remove(one)
                return True
        return False

    def _complain(self, peer: Peer, topic: str | None, frame: Frame) -> None:
        queue, lost = peer.queues.get(topic), peer.excused.get(topic, 0)
        if not queue:
            text = f"not expected: {frame.text[:300]}"
            raise Violation("each publication comes once, to who reads it", text, peer.number)
        told = f"{lost} told as lost" if lost else "none told as lost"
        text = f"{frame.text[:300]} comes where {queue[0]} should, {told}"
        raise Violation("order holds in each topic, and every loss is told", text, peer.number)

    def _count(self, peer: Peer, kind: str, topic: str | None) -> None:
        self.occurred[f"push {kind}"] += 1
        if topic is not None:
            self.occurred[f"priority {self._model.rule(topic).priority}"] += 1
        if peer.connection.ws.compressed:
            self.occurred["to a compressed connection"] += 1
        if topic is not None and kind in ("chat", "notification"):
            several = sum(pattern != topic for pattern in peer.subscriptions)
            if several and sum(matches(name, topic) for name in peer.subscriptions) > 1:
                self.occurred["by overlapping patterns"] += 1

    def _check_allowed(self, peer: Peer, topic: str, frame: Frame) -> None:
        if not peer.reads(topic):
            text = f"it does not subscribe to {topic}: {frame.text[:300]}"
            raise Violation("nothing follows an unsubscribe", text, peer.number)
        if not any(
            peer.may_read(pattern) for pattern in peer.subscriptions if matches(pattern, topic)
        ):
            text = f"it may not read {topic}: {frame.text[:300]}"
            raise Violation("nothing reaches who may not read it", text, peer.number)

    def _gap(self, peer: Peer, frame: Frame) -> None:
        topic, missed = frame.topic, frame.message["missed"]
        rule = self._model.rule(topic or "")
        waiting = len(peer.queues.get(topic, ())) + len(peer.perhaps.get(topic or "", ()))
        told = peer.excused.get(topic, 0)
        if rule.slow == "disconnect" or not isinstance(missed, int) or missed < 1:
            raise Violation("a gap is told by its topic's policy", frame.text, peer.number)
        if told + missed > waiting:
            text = f"{frame.text}, when {waiting} wait and {told} were told before"
            raise Violation("a gap counts what was lost", text, peer.number)
        peer.excused[topic] = told + missed
        self.occurred[f"policy {rule.slow}"] += 1
        self.occurred["lost and told"] += missed

    # Ends.

    def ended(self, peer: Peer, code: int, leaving: bool, now: float) -> None:
        """A session has no part in the hub any more.

        Args:
            peer: which.
            code: why.
            leaving: whether what waits may still leave.
            now: the time.
        """
        if leaving:
            peer.leaving = code
            late = self._model.config.anonymous is None and code == CloseCode.POLICY_VIOLATION
            if late and code not in peer.doom:
                allowed = self._model.limits.auth_timeout
                if peer.standing is Standing.NOBODY and now >= peer.opened_at + allowed - _SLACK:
                    peer.doom.add(code)
                    peer.answers.append(
                        {"type": "auth", "status": "error", "message": "Authentication timeout"}
                    )
                    self.occurred["no credentials in time"] += 1
            self._check_reason(peer, code, now)
        elif code in peer.connection.close_codes:
            pass
        elif code in BEHIND or code in _BEFORE:
            self._check_reason(peer, code, now)
            known = peer.standing in (Standing.NOBODY, Standing.IN)
            if known and code in BEHIND and not self._model.stopped:
                text = f"closed with {code} before {peer.owed() or 'anything'}"
                raise Violation("a close of the hub's goes behind the queue", text, peer.number)
            peer.failed = True
            if code == CloseCode.TOO_SLOW:
                self.occurred["policy disconnect"] += 1
            elif code == CloseCode.TOKEN_EXPIRED:
                self.occurred[f"fault {Fault.EXPIRY}"] += 1
        if peer.standing is not Standing.GONE:
            self._model.end(peer, now)
        if not leaving:
            peer.forget_queues()

    def _check_reason(self, peer: Peer, code: int, now: float) -> None:
        """Whether there is a reason for the hub to close with this code."""
        model, limits = self._model, self._model.limits
        done = peer.connection
        if code in peer.doom or code in done.misdeeds:
            return
        match code:
            case CloseCode.GOING_AWAY:
                reason = model.draining
            case CloseCode.TOO_MANY:
                reason = peer.errors > limits.error_burst or done.controls > limits.control_burst
            case CloseCode.TOO_SLOW:
                reason = any(peer.queues.values())
            case CloseCode.TOKEN_EXPIRED:
                until = None if peer.grant is None else peer.grant.until
                reason = until is not None and until <= model.wall(now)
            case CloseCode.INTERNAL_ERROR:
                silent = max(done.longest_silence, now - done.heard_at)
                reason = silent >= (limits.ping_timeout or 0.0) - _SLACK
            case CloseCode.POLICY_VIOLATION:
                timeout = limits.message_timeout or 0.0
                since = min(
                    done.heard_at, inf if done.unfinished_at is None else done.unfinished_at
                )
                late = now - since >= timeout - _SLACK or now - done.hindered_at <= timeout
                reason = late or done.link.network.silent_from is not None
            case _:
                reason = False
        if not reason:
            text = f"closed with {code}, and there is no reason for that"
            raise Violation("close codes are as the tables say", text, peer.number)
        peer.doom.add(code)

    def _closed(self, peer: Peer, code: int | None, now: float) -> None:
        """A Close frame is on the wire."""
        peer.closed = True
        self.occurred[f"close {code}"] += 1
        echoed = peer.connection.close_codes
        if code in echoed or code in peer.connection.misdeeds:
            waited = now - peer.connection.heard_at
            if (
                peer.answers
                and not peer.failed
                and waited < self._model.limits.answer_timeout - _SLACK
            ):
                text = f"closed with {code} before {len(peer.answers)} answers"
                raise Violation("answers go before the Close frame", text, peer.number)
        elif code is None:
            raise Violation(
                "close codes are as the tables say", "a close without a code", peer.number
            )
        else:
            self._check_reason(peer, code, now)
            flooded = peer.connection.controls > self._model.limits.control_burst
            hurried = self._model.stopped or (code == CloseCode.TOO_MANY and flooded)
            if peer.leaving == code and not hurried:
                owed = peer.owed()
                given = self._model.limits.close_timeout
                if owed and now < peer.since + given - _SLACK:
                    raise Violation(
                        "a close of the hub's goes behind the queue",
                        f"closed with {code} before {owed}",
                        peer.number,
                    )
        peer.forget_queues()
        peer.answers.clear()

    # At rest.

    def check_step(self) -> None:
        """After each call of the hub: who had to leave has left."""
        for peer in self._model.condemned:
            if peer.standing is not Standing.GONE or peer.connection.is_inside:
                codes = ", ".join(map(str, peer.doom))
                raise Violation("who is to leave leaves at once", f"not yet: {codes}", peer.number)
        self._model.condemned.clear()

    def check_time(self, now: float) -> None:
        """Now and then: nobody stays longer than the limits say."""
        model, limits = self._model, self._model.limits
        for peer in model.peers.values():
            if peer.standing is Standing.NOBODY and model.config.anonymous is None:
                if now > peer.opened_at + limits.auth_timeout + self._patience and not peer.pending:
                    text = f"nobody since {peer.opened_at}, at {now}"
                    raise Violation("auth_timeout is a bound", text, peer.number)
            elif peer.standing is Standing.IN and peer.grant is not None:
                until = peer.grant.until
                if until is None or until > model.wall(now):
                    peer.expired_at = None
                elif peer.expired_at is None:
                    peer.expired_at = now
                elif now > peer.expired_at + self._patience:
                    raise Violation("a grant ends", f"over since {peer.expired_at}", peer.number)

    def check_caught_up(self) -> None:
        """When all is quiet: everybody got everything, or was told what is lost."""
        for peer in self._model.peers.values():
            if peer.standing is Standing.GONE:
                continue
            owed = peer.owed()
            if owed:
                raise Violation("everybody catches up", f"still owed: {owed}", peer.number)
            if peer.pending is not None or peer.connection.sent:
                waiting = "a request waits for the outside" if peer.pending else "not all was read"
                raise Violation("each request is answered once", waiting, peer.number)


_BEFORE: Final = frozenset(
    {
        CloseCode.INTERNAL_ERROR,
        CloseCode.TOKEN_EXPIRED,
        CloseCode.DISCONNECTED,
        CloseCode.TOO_SLOW,
    }
)


def _content(frame: Frame) -> tuple[Any, ...]:
    """What the model says of the same push."""
    told = frame.message
    match frame.type:
        case "chat":
            return ("chat", told["topic"], told["sender"], told["message"], told["timestamp"])
        case "notification":
            return ("notification", told["topic"], told["message"], told["timestamp"])
        case "system":
            return ("system", told.get("topic"), told["message"], told["timestamp"])
        case "direct":
            return ("direct", told["sender"], told["message"], told["timestamp"])
        case _:
            return ("presence", told["topic"], told["event"], told["user"], told["count"])
