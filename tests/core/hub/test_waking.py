"""An adapter that looks only when it is told misses nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubbub.core.effects import Append, Done, Effect, HookKind, RunHook
from hubbub.core.records import Heads
from hubbub.core.rules import Rule
from support.hub_pair import HubPair, config

RULES = (Rule(pattern="kept", history=10_000), Rule(pattern="stored", history=100, durable=True))
LIMITS: dict[str, Any] = {
    "answers_size": 600, "request_burst": 5, "request_rate": 20.0, "max_pending_publishes": 3,
    "outbox_size": 2000, "max_queue": 4, "hook_timeout": 60.0, "ping_interval": None,
}  # fmt: skip

steps = st.lists(
    st.one_of(
        st.tuples(st.just("ping"), st.integers(1, 30)),
        st.tuples(st.just("hook"), st.integers(1, 5)),
        st.tuples(st.just("store"), st.integers(1, 5)),
        st.tuples(st.just("kept"), st.integers(1, 40)),
        st.tuples(st.sampled_from(("stall", "read", "complete", "control")), st.just(1)),
        st.tuples(st.just("wait"), st.sampled_from((0.01, 0.3, 2.0))),
    ),
    max_size=25,
)


def asked(effect: Effect) -> bool:
    """Whether it is something that is answered in time."""
    return isinstance(effect, RunHook | Append)


@pytest.mark.slow
@settings(max_examples=100)
@given(steps, st.booleans(), st.sampled_from((500, 65536)))
@example([("stall", 1), ("ping", 30), ("wait", 2.0), ("ping", 30), ("read", 1)], True, 500)
@example([("stall", 1), ("kept", 40), ("wait", 2.0), ("read", 1)], True, 65536)
@example([("kept", 40), ("stall", 1), ("kept", 40), ("read", 1), ("wait", 0.01)], True, 65536)
@example([("kept", 40)], True, 65536)
@example([("store", 5), ("store", 5), ("ping", 5), ("complete", 1), ("stall", 1)], False, 500)
def test_everything_asked_is_answered_once_and_in_order(
    made: list[tuple[str, float]], strict: bool, at_once: int
) -> None:
    """Whatever held a session up, it goes on: all answers come, and all that was published with history."""
    pair = HubPair(
        config(rules=RULES, **LIMITS),
        hooks={HookKind.PUBLISH: ("hook",)},
        heads=Heads(),
        strict=strict,
    )
    pair.at_once = at_once
    peer = pair.named("ann")
    peer.subscribe("kept")
    peer.take()
    number = published = 0
    for step, count in made:
        match step:
            case "stall":
                peer.stall()
            case "read":
                peer.read_on()
            case "wait":
                pair.advance(count)
            case "control":
                peer.ws.ping(pair.now)
            case "complete":
                for effect in [one for one in pair.effects if asked(one)]:
                    pair.complete(Done(), effect)
            case "kept":
                for _ in range(int(count)):
                    pair.hub.publish("kept", published, pair.now)
                    published += 1
            case _:
                for _ in range(int(count)):
                    request = {"action": "publish", "topic": "hook", "message": number}
                    if step == "store":
                        request["topic"] = "stored"
                    if step == "ping":
                        request = {"action": "ping"}
                    peer.ws.send(json.dumps({**request, "id": number}), pair.now)
                    number += 1
        pair.settle()
    peer.read_on()
    for _ in range(number + 20):
        for effect in [one for one in pair.effects if asked(one)]:
            pair.complete(Done(), effect)
        pair.advance(1.0)
    pair.check()
    got = peer.take()
    assert [message["id"] for message in got if "id" in message] == list(range(number))
    kept = [message["message"] for message in got if message["type"] == "notification"]
    assert kept == list(range(published))
    assert not peer.unread
    assert peer.closed is None
