"""What clients and operators do to a real hub, each time held against the model."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from ..codecs import native
from ..effects import Done, HookKind, Outcome
from ..messages import Published
from .hub_beside import HubBeside, refusal
from .model_clients import Message, ModelClient

__all__ = ["HubSteps"]


class HubSteps(HubBeside):
    """What may be done, as methods for rules. `HubModel` is this with rules.

    Where a connection ends instead, there is no answer, but None.
    """

    def publishes(self, client: ModelClient, topic: str, message: Any) -> Message | None:
        """A client publishes."""
        request = {"action": "publish", "topic": topic, "message": message}
        answer = self.ask(client, request)
        if answer is not None:
            fault = self.book.why_not_publish(self._seat(client), topic, message)
            outcome: Outcome | None = None
            for hook in self.hooks_for(HookKind.PUBLISH, topic) if fault is None else ():
                outcome = self._hook(client, HookKind.PUBLISH, topic, hook)
                fault = refusal(outcome)
            if fault is None:
                changed = isinstance(outcome, Done) and outcome.value is not UNSET
                self.book.publishes(client.number, topic, _given(outcome) if changed else message)
            else:
                self.book.refuse(client.number, fault)
            self._answered(client, answer)
        self._agree()
        return answer

    def sends_to(self, client: ModelClient, user: str, message: Any) -> Message | None:
        """A client sends to a user."""
        answer = self.ask(client, {"action": "publish", "to": user, "message": message})
        if answer is not None:
            self.book.direct(client.number, user, message)
            self._answered(client, answer)
        self._agree()
        return answer

    def subscribes(
        self, client: ModelClient, *patterns: str, presence: bool = False
    ) -> Message | None:
        """A client subscribes to topics or patterns."""
        request: Message = {"action": "subscribe", "topics": patterns}
        if presence:
            request["presence"] = True
        answer = self.ask(client, request)
        if answer is not None:
            fault = self._may_subscribe(client, patterns, presence)
            for name in dict.fromkeys(patterns):
                for hook in self.hooks_for(HookKind.SUBSCRIBE, name):
                    if fault is None:
                        fault = refusal(self._hook(client, HookKind.SUBSCRIBE, name, hook))
            if fault is None:
                self.book.subscribe(client.number, patterns, presence)
            else:
                self.book.refuse(client.number, fault)
            self._answered(client, answer)
        self._agree()
        return answer

    def _may_subscribe(
        self, client: ModelClient, patterns: Sequence[str], presence: bool
    ) -> str | None:
        seat, limits = self._seat(client), self.hub.limits
        fault = self.book.why_not_subscribe(seat, patterns, presence)
        if fault is not None:
            return fault
        if len({*seat.subscriptions, *patterns}) > limits.max_subscriptions:
            return "too_many_subscriptions"
        new = [name for name in patterns if name not in seat.subscriptions]
        if new and len({*self.book.names(), *new}) > limits.max_topics:
            return "full"
        return None

    def unsubscribes(self, client: ModelClient, *patterns: str) -> Message | None:
        """A client gives subscriptions up."""
        answer = self.ask(client, {"action": "unsubscribe", "topics": patterns})
        if answer is not None:
            self.book.unsubscribe(client.number, patterns)
            self._answered(client, answer)
        self._agree()
        return answer

    def calls(self, client: ModelClient, name: str, data: Any = None) -> Message | None:
        """A client calls one of the functions."""
        answer = self.ask(client, {"action": "call", "name": name, "data": data})
        if answer is not None:
            fault: str | None = "unknown_call"
            outcome: Outcome | None = None
            for hook in self.hooks_for(HookKind.CALL, name):
                outcome = self._hook(client, HookKind.CALL, name, hook)
                fault = refusal(outcome)
            expected: Message = {"type": "error", "code": fault}
            if fault is None:
                expected = {"type": "result", "name": name, "data": _given(outcome)}
            self._same(client, answer, expected)
        self._agree()
        return answer

    def refreshes(self, client: ModelClient, token: str) -> Message | None:
        """A client shows a newer token."""
        answer = self.ask(client, {"action": "refresh", "token": token})
        if answer is not None:
            self.book.refresh(client.number, self._grant_of(token))
            self._answered(client, answer)
        self._agree()
        return answer

    def asks_who_is_there(self, client: ModelClient, topic: str) -> Message | None:
        """A client asks who is present; they are fewer than `max_members_told`."""
        answer = self.ask(client, {"action": "presence", "topic": topic})
        if answer is not None:
            self.book.ask_presence(client.number, topic)
            self._answered(client, answer)
        self._agree()
        return answer

    def asks_what_was(self, client: ModelClient, topic: str, limit: int) -> Message | None:
        """A client asks for a topic's history."""
        answer = self.ask(client, {"action": "history", "topic": topic, "limit": limit})
        if answer is not None:
            if not self._seat(client).may_read(topic):
                self._same(client, answer, {"type": "error", "code": "forbidden"})
            elif not self.book.rule(topic).logged:
                self._same(client, answer, {"type": "error", "code": "no_history"})
            else:
                self._same(client, answer, {"type": "history", "topic": topic})
                found = [self._seen(push) for push in answer["publications"]]
                log = self.book.logs.get(topic, [])
                newest = log[len(log) - len(found) :]
                assert found == newest, f"{client} is told {found} of {topic}, not {newest}"
                assert len(found) <= limit, f"{client} asked for {limit}, and got {len(found)}"
        self._agree()
        return answer

    def says_nonsense(self, client: ModelClient, text: str, code: str) -> None:
        """A client says what is no request, and is told so with this code."""
        if client.is_open and client.seat is not None:
            self._say(client, text, lambda: bool(client.answers))
            if client.is_open:
                self.book.refuse(client.number, code)
                assert client.answers, f"{client} got no answer to {text!r}"
                self._answered(client, client.answers.pop())
        self._agree()

    def leaves(self, client: ModelClient, *, cut: bool = False) -> None:
        """A client closes its connection, or loses it."""
        if client.closed is None:
            if client.number in self.book.sessions:
                self.book.leave(client.number)
            (self._wires.cut if cut else self._wires.close)(client)
        self._agree()

    # What the server and its operator do.

    def server_publishes(self, topic: str, message: Any, sender: str | None = None) -> int:
        """The server itself publishes; how many get it."""
        published = self.hub.publish(topic, message, self.now, sender=sender)
        assert isinstance(published, Published)
        count = self.book.push(topic, message, sender)
        assert published.recipients == count, f"{published.recipients} get it, not {count}"
        self._wires.settle()
        self._agree()
        return count

    def disconnects(self, user: str) -> int:
        """The operator closes all connections of a user; how many they were."""
        found, expected = self.hub.disconnect(user, self.now), self.book.disconnect(user)
        assert found == expected, f"{found} connections of {user}, not {expected}"
        self._wires.settle()
        self._agree()
        return found

    def revokes(self, user: str, pattern: str) -> int:
        """The operator takes topics away from a user; how many connections that has."""
        found, expected = self.hub.revoke(user, pattern, self.now), self.book.revoke(user, pattern)
        assert found == expected, f"{found} connections of {user}, not {expected}"
        self._wires.settle()
        self._agree()
        return found


def _given(outcome: Outcome | None) -> Any:
    """What a client sees of the value that a function gave."""
    assert isinstance(outcome, Done)
    if outcome.value is UNSET:
        return None
    return msgspec.json.decode(native.encode_value(outcome.value))
