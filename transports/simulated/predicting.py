"""What the model says of requests and of the outside's outcomes: the answers, and what changes by them."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from ...core.effects import (
    Authenticate,
    Denied,
    Done,
    Effect,
    Failed,
    HookKind,
    Outcome,
    RunHook,
)
from .entrance import Entrance, note_error
from .hostile import HOSTILE
from .model import Model
from .naive import is_name, is_plain
from .peers import Peer, Pending, Standing
from .violation import Violation

__all__ = ["Predictor"]

Request = dict[str, Any]


class Predictor:
    """Follows what every session asks for.

    Args:
        model: what is known, and changes.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.entrance = Entrance(model, self._refuse)
        self._waiting: dict[int, Peer] = {}
        """Who waits for an effect that was handed out."""
        self._due: float | None = None

    # Requests.

    def received(self, peer: Peer, text: str, now: float) -> None:
        """The hub takes a message of a session."""
        self._begin(peer, now)
        sent = peer.connection.sent
        if not sent or sent.popleft() != text:
            raise Violation("what was sent arrives", f"the hub got {text[:200]!r}", peer.number)
        hostile = HOSTILE.get(text)
        if hostile is not None:
            if peer.standing is not Standing.GONE:
                peer.answers.append(hostile)
                note_error(self._model, peer, now)
            return
        request: Request = msgspec.json.decode(text)
        if peer.standing is Standing.IN:
            self._handle(peer, request, now)
        else:
            self._identify(peer, request, now)

    def received_binary(self, peer: Peer, now: float) -> None:
        """The hub takes a binary message of a session."""
        self._begin(peer, now)
        self._refuse(peer, "unsupported", None, now)

    def _begin(self, peer: Peer, now: float) -> None:
        self._expire(peer)
        if peer.pending is not None:
            text = "a request is handled while one before it waits"
            raise Violation("requests are answered in order", text, peer.number)
        if peer.standing in (Standing.OPENING, Standing.GONE):
            text = f"a request is handled of a session that is {peer.standing.value}"
            raise Violation("requests are of sessions", text, peer.number)
        limits = self._model.limits
        if not peer.handled:
            peer.handled_from = now
        peer.handled += 1
        self._model.counted["requests"] += 1
        allowed = limits.request_burst + limits.request_rate * (now - peer.handled_from) + 1
        # What is there when the connection ends is handled at once; its queue has a bound of its own.
        ends = peer.connection.close_codes or peer.connection.hub_end.closed_at is not None
        if peer.handled > allowed and not ends:
            text = f"{peer.handled} requests, {allowed:.1f} allowed"
            raise Violation("request_rate is a bound", text, peer.number)

    def _identify(self, peer: Peer, request: Request, now: float) -> None:
        anonymous = self._model.config.anonymous is not None
        request_id = request.get("id")
        if "action" not in request and "token" in request:
            self.entrance.token(peer, request["token"], request_id, now)
        elif "action" not in request:
            if anonymous:
                self.entrance.name(peer, request["name"], request_id, now)
            else:
                self._refuse(peer, "anonymous_off", request_id, now)
        elif anonymous:
            self.entrance.guest(peer, request_id, now, lambda at: self._handle(peer, request, at))
        else:
            self._refuse(peer, "unauthenticated", request_id, now)

    def _handle(self, peer: Peer, request: Request, now: float) -> None:
        request_id = request.get("id")
        match request.get("action"):
            case "ping":
                peer.answers.append({"type": "pong", "id": request_id})
            case "publish":
                self._publish(peer, request, now)
            case "subscribe":
                self._subscribe(peer, request, now)
            case "unsubscribe":
                self._model.unsubscribe(peer, request["topics"], now)
                peer.answers.append(
                    {"type": "unsubscribed", "topics": request["topics"], "id": request_id}
                )
            case "presence":
                self._presence(peer, request, now)
            case "call":
                self._call(peer, request, now)
            case "refresh":
                self.entrance.refresh(peer, request["token"], request_id, now)
            case "history":
                self._refuse(
                    peer,
                    self._asks_wrongly(peer, request["topic"]) or "no_history",
                    request_id,
                    now,
                )
            case "ack":
                self._refuse(peer, "not_subscribed", request_id, now)
            case _:
                self._refuse(peer, "already_authenticated", request_id, now)

    def _refuse(self, peer: Peer, code: str, request_id: object, now: float) -> None:
        peer.answers.append({"type": "error", "code": code, "id": request_id})
        note_error(self._model, peer, now)

    # Publishing.

    def _publish(self, peer: Peer, request: Request, now: float) -> None:
        request_id, message = request.get("id"), request["message"]
        user = request.get("to")
        if user is not None:
            assert peer.grant is not None
            if peer.grant.anonymous:
                self._refuse(peer, "forbidden", request_id, now)
            else:
                count = self._model.direct(user, message, now, peer.user)
                peer.answers.append(
                    {"type": "published", "to": user, "recipients": count, "id": request_id}
                )
            return
        topic = request["topic"]
        most = self._model.rule(topic).max_message
        fault = self._publishes_wrongly(peer, topic)
        if fault is not None:
            self._refuse(peer, fault, request_id, now)
        elif most is not None and len(msgspec.json.encode(message)) > most:
            self._refuse(peer, "message_too_large", request_id, now)
        elif self._model.asks(HookKind.PUBLISH, topic):

            def answered(outcome: Outcome, at: float) -> None:
                if self._denied(peer, request_id, outcome, at):
                    return
                fault = self._publishes_wrongly(peer, topic)
                if fault is not None:
                    self._refuse(peer, fault, request_id, at)
                    return
                assert isinstance(outcome, Done)
                changed = message if outcome.value is UNSET else outcome.value
                self._place(peer, request, changed, at)

            self._wait(peer, HookKind.PUBLISH, topic, answered, now)
        else:
            self._place(peer, request, message, now)

    def _publishes_wrongly(self, peer: Peer, topic: str) -> str | None:
        if not is_name(topic) or not is_plain(topic):
            return "bad_topic"
        return None if peer.may_write(topic) else "forbidden"

    def _place(self, peer: Peer, request: Request, message: object, now: float) -> None:
        model, topic, name = self._model, request["topic"], request.get("idempotency_key")
        answer = {"type": "published", "topic": topic, "id": request.get("id")}
        repeated = None if name is None else model.repeated(topic, peer.user, name, now)
        if repeated is not None:
            peer.answers.append({**answer, "recipients": repeated, "duplicate": True})
            return
        count = model.publish(topic, message, now, peer.user)
        if name is not None:
            model.remember(topic, peer.user, name, count, now)
        peer.answers.append({**answer, "recipients": count, "duplicate": None})

    # Subscribing.

    def _subscribe(self, peer: Peer, request: Request, now: float) -> None:
        topics = tuple(dict.fromkeys(request["topics"]))
        fault = self._subscribes_wrongly(peer, topics, request)
        if fault is not None:
            self._refuse(peer, fault, request.get("id"), now)
            return
        asked = tuple(
            topic for topic in topics for _ in range(self._model.asks(HookKind.SUBSCRIBE, topic))
        )
        self._ask_about(peer, request, topics, asked, now)

    def _ask_about(
        self,
        peer: Peer,
        request: Request,
        topics: tuple[str, ...],
        left: tuple[str, ...],
        now: float,
    ) -> None:
        request_id = request.get("id")
        if left:

            def answered(outcome: Outcome, at: float) -> None:
                if not self._denied(peer, request_id, outcome, at):
                    self._ask_about(peer, request, topics, left[1:], at)

            self._wait(peer, HookKind.SUBSCRIBE, left[0], answered, now)
            return
        fault = self._subscribes_wrongly(peer, topics, request)
        if fault is not None:
            self._refuse(peer, fault, request_id, now)
            return
        for topic in topics:
            self._model.subscribe(peer, topic, request.get("presence", False), now)
        peer.answers.append({"type": "subscribed", "topics": request["topics"], "id": request_id})

    def _subscribes_wrongly(
        self, peer: Peer, topics: tuple[str, ...], request: Request
    ) -> str | None:
        limits = self._model.limits
        for topic in topics:
            if not is_name(topic):
                return "bad_topic"
            if not peer.may_read(topic):
                return "forbidden"
            if request.get("presence"):
                if not is_plain(topic):
                    return "bad_topic"
                if not self._model.rule(topic).presence:
                    return "no_presence"
        if request.get("ack") and peer.grant is not None and peer.grant.anonymous:
            return "forbidden"
        if request.get("ack") or request.get("last") is not None:
            return "no_history" if is_plain(topics[0]) else "bad_topic"
        new = [topic for topic in topics if topic not in peer.subscriptions]
        if len(peer.subscriptions) + len(new) > limits.max_subscriptions:
            return "too_many_subscriptions"
        names = self._model.names()
        if len({*names, *new}) > limits.max_topics and new:
            return "full"
        return None

    # Asking.

    def _asks_wrongly(self, peer: Peer, topic: str) -> str | None:
        if not is_name(topic) or not is_plain(topic):
            return "bad_topic"
        return None if peer.may_read(topic) else "forbidden"

    def _presence(self, peer: Peer, request: Request, now: float) -> None:
        topic, request_id = request["topic"], request.get("id")
        fault = self._asks_wrongly(peer, topic)
        if fault is None and not self._model.rule(topic).presence:
            fault = "no_presence"
        if fault is not None:
            self._refuse(peer, fault, request_id, now)
            return
        there = self._model.announcing.there.get(topic, {})
        members = [{"user": user, "connections": count} for user, count in there.items()]
        told = members[: self._model.limits.max_members_told]
        answer = {"type": "presence", "topic": topic, "members": told, "count": len(members)}
        peer.answers.append({**answer, "id": request_id})

    def _call(self, peer: Peer, request: Request, now: float) -> None:
        name, request_id = request["name"], request.get("id")
        if not (is_name(name) and is_plain(name) and self._model.asks(HookKind.CALL, name)):
            self._refuse(peer, "unknown_call", request_id, now)
            return

        def answered(outcome: Outcome, at: float) -> None:
            if not self._denied(peer, request_id, outcome, at):
                assert isinstance(outcome, Done)
                data = None if outcome.value is UNSET else outcome.value
                answer = {"type": "result", "name": name, "data": data, "id": request_id}
                peer.answers.append(answer)

        self._wait(peer, HookKind.CALL, name, answered, now)

    # The outside.

    def _wait(
        self,
        peer: Peer,
        kind: HookKind,
        about: str,
        then: Callable[[Outcome, float], None],
        now: float,
    ) -> None:
        deadline = now + self._model.limits.hook_timeout
        peer.pending = Pending(kind.value, about, deadline, then)

    def _denied(self, peer: Peer, request_id: object, outcome: Outcome, now: float) -> bool:
        match outcome:
            case Denied(code, _):
                self._refuse(peer, code, request_id, now)
            case Failed():
                self._refuse(peer, "internal", request_id, now)
            case _:
                return False
        return True

    def asked(self, effect: Effect) -> None:
        """The hub asks the outside for something."""
        about: str | None
        if isinstance(effect, Authenticate):
            number, kind, about = effect.session, "authenticate", effect.token
        elif isinstance(effect, RunHook):
            number, kind = effect.who.session, effect.kind.value
            about = effect.name if effect.kind is HookKind.CALL else effect.topic
        else:
            raise Violation("only what is needed is asked", f"the hub asks for {effect!r}")
        if kind == HookKind.DISCONNECT.value:
            if self._model.farewells.get(number, True):
                text = f"the hook of leaving is told of session {number}"
                raise Violation("who left is told once", text, number)
            self._model.farewells[number] = True
            return
        peer = self._model.peers.get(number)
        pending = None if peer is None else peer.pending
        if peer is None or pending is None:
            if peer is None or peer.standing is not Standing.GONE:
                text = f"{kind} is asked, and nobody waits for it"
                raise Violation("only what is needed is asked", text, number)
            return  # it left before the effect was taken
        if (pending.kind, pending.about) != (kind, about) or pending.effect is not None:
            text = f"{kind} about {about!r} is asked, not {pending.kind} about {pending.about!r}"
            raise Violation("only what is needed is asked", text, number)
        pending.effect = effect.id
        self._waiting[effect.id] = peer

    def completed(self, effect_id: int, outcome: Outcome, now: float) -> None:
        """The outside answers, in time or not."""
        peer = self._waiting.pop(effect_id, None)
        if peer is None or peer.pending is None or peer.pending.effect != effect_id:
            return  # too late, again, or for somebody who has left
        self._go_on(peer, outcome, now)

    def begin_timeouts(self, now: float) -> None:
        """The hub is about to do what is due."""
        self._due = now

    def end_timeouts(self) -> None:
        """It has done so."""
        for peer in tuple(self._model.peers.values()):
            self._expire(peer)
        self._due = None

    def given_up(self, peer: Peer) -> None:
        """The hub waits for the outside no more."""
        assert self._due is not None
        self._go_on(peer, Failed("it took too long"), self._due)

    def _expire(self, peer: Peer) -> None:
        """What the outside did not do in time has failed, once the hub looked at the clock."""
        pending = peer.pending
        if self._due is not None and pending is not None and pending.deadline <= self._due:
            self.given_up(peer)

    def _go_on(self, peer: Peer, outcome: Outcome, now: float) -> None:
        pending, peer.pending = peer.pending, None
        assert pending is not None
        peer.notes = pending.notes
        pending.then(outcome, now)
