"""Users' functions that are asked: which, in what order, and what their answers do."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.core import LocalProtocolError
from hubbub.core.effects import Denied, Done, Failed, HookKind, Outcome, RunHook, Who
from hubbub.core.hub import Hub
from hubbub.core.hub_events import RequestFailed
from hubbub.core.rules import Rule
from hubbub.core.session_states import SessionState
from support.hub_pair import HubPair, Peer, config, everything, tokens


def asked(pair: HubPair) -> RunHook:
    """What is asked now."""
    (effect,) = pair.effects
    assert isinstance(effect, RunHook)
    return effect


def hooked(kind: HookKind, *patterns: str) -> tuple[HubPair, Peer]:
    """A hub with hooks of one kind, and a peer that follows everything."""
    pair = HubPair(config(auth=tokens("alice")), hooks={kind: patterns})
    alice = pair.peer("/?token=t-alice")
    if pair.effects:
        pair.complete(Done())
    alice.take()
    return pair, alice


ALICE = Who(1, "alice", "192.0.2.1", False, False)


def test_a_publication_is_asked_about() -> None:
    """By the first function whose pattern matches; until it has answered nothing else is read."""
    pair, alice = hooked(HookKind.PUBLISH, "a", "a.*", "a.>", "*.b")
    alice.subscribe("a.b")
    alice.send(action="publish", topic="a.b", message={"x": 1}, id=1)
    alice.send(action="ping", id=2)
    effect = asked(pair)
    assert effect == RunHook(effect.id, HookKind.PUBLISH, 1, ALICE, "a.b", {"x": 1})
    assert alice.session.state is SessionState.WAITING
    assert not alice.session.wants_read
    assert alice.take() == []
    pair.complete(Done())
    assert [message["type"] for message in alice.take()] == ["published", "notification", "pong"]
    assert alice.session.wants_read
    alice.publish("b.c")
    assert not pair.effects


@pytest.mark.parametrize("changed", [{"y": 2}, None, "", 0, [1], False])
def test_a_hook_may_change_the_message(changed: Any) -> None:
    """To whatever JSON can say; None is a message too."""
    pair, alice = hooked(HookKind.PUBLISH, ">")
    alice.subscribe("a")
    alice.send(action="publish", topic="a", message="old", id=1)
    pair.complete(Done(changed))
    assert alice.answer(1)["recipients"] == 1
    assert alice.messages() == [changed]


@pytest.mark.parametrize(
    ("changed", "limit"),
    [("x" * 39, "max_message of the topic's rule, 40"), ("x" * 99, "max_size, 100")],
)
def test_a_message_that_a_hook_made_too_large_is_its_mistake(changed: str, limit: str) -> None:
    """`max_message` and `max_size` hold for what is sent; the publisher did nothing wrong."""
    topic = "small" if "rule" in limit else "large"
    pair = HubPair(
        config(rules=[Rule(pattern="small", max_message=40)], max_size=100),
        hooks={HookKind.PUBLISH: (">",)},
    )
    ann = pair.named("ann")
    ann.subscribe(topic)
    pair.take_events()
    ann.send(action="publish", topic=topic, message=1, id=1)
    pair.complete(Done(changed))
    assert ann.answer(1)["code"] == "internal"
    assert ann.take() == []
    size = len(changed) + 2
    told = (
        f"it gave a message of {size} bytes, more than {limit}: "
        "return a shorter one, or raise the limit"
    )
    assert pair.take_events() == [RequestFailed(1, "on_publish", told)]
    assert (pair.hub.counters.hook_failures, pair.hub.counters.publications) == (1, 0)
    ann.send(action="publish", topic=topic, message=1, id=2)
    pair.complete(Done(changed[1:]))
    assert ann.answer(2)["type"] == "published"


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        (HookKind.PUBLISH, {"action": "publish", "topic": "a", "message": 1}),
        (HookKind.SUBSCRIBE, {"action": "subscribe", "topics": ["a"]}),
        (HookKind.CALL, {"action": "call", "name": "a"}),
    ],
)
@pytest.mark.parametrize(
    ("outcome", "code", "text", "failed"),
    [
        (Denied("rude", "be kind"), "rude", "be kind", False),
        (Failed("it raised"), "internal", "the server failed with this request", True),
        (Done(object()), "internal", "the server failed with this request", True),
        (Done("\ud800"), "internal", "the server failed with this request", True),
        (Denied("x", "\ud800"), "internal", "the server failed with this request", True),
        (Denied("\ud800", "x"), "internal", "the server failed with this request", True),
    ],
)
def test_a_request_may_be_refused_or_fail(
    kind: HookKind,
    request_: dict[str, Any],
    outcome: Outcome,
    code: str,
    text: str,
    failed: bool,
) -> None:
    """With the function's own words, or with `internal`; that harms nobody else, and changes nothing."""
    pair, alice = hooked(kind, ">")
    pair.take_events()
    alice.send(**request_, id=1)
    alice.send(action="ping", id=2)
    pair.complete(outcome)
    assert alice.answer(1) == {"type": "error", "code": code, "message": text}
    assert alice.answer(2) == {"type": "pong"}
    assert list(pair.hub.topics()) == []
    assert pair.hub.counters.publications == 0
    assert pair.hub.counters.hook_failures == failed
    assert [type(event) for event in pair.take_events()] == [RequestFailed] * failed


def test_a_hook_that_is_late_has_failed() -> None:
    """After `hook_timeout` the request is answered; what comes then is ignored."""
    pair, alice = hooked(HookKind.PUBLISH, ">")
    alice.subscribe("a")
    alice.send(action="publish", topic="a", message=1, id=1)
    effect = asked(pair)
    pair.advance(4.9)
    assert alice.take() == []
    pair.advance(0.2)
    assert alice.answer(1)["code"] == "internal"
    pair.complete(Done(), effect)
    assert alice.take() == []
    alice.send(action="publish", topic="a", message=2, id=2)
    pair.hub.complete(effect.id, Done("never"), pair.now)
    pair.complete(Done())
    assert alice.answer(2)["recipients"] == 1
    assert alice.messages() == [2]


def test_an_effect_that_nobody_took_in_time_is_not_handed_out() -> None:
    """A driver that was busy for long is not asked to do what was given up."""
    pair, alice = hooked(HookKind.PUBLISH, ">")
    alice.ws.send('{"action":"publish","topic":"a","message":1}', pair.now)
    for data in alice.ws.data_to_send(pair.now):
        alice.session.receive_data(data, pair.now)
    pair.hub.handle_timeout(pair.now + 5.0)
    assert pair.hub.next_effect() is None
    pair.settle()
    assert alice.take()[0]["code"] == "internal"


def test_a_grant_that_was_taken_away_while_the_hook_was_asked_is_gone() -> None:
    """The right to publish or to subscribe is looked at again."""
    for kind in (HookKind.PUBLISH, HookKind.SUBSCRIBE):
        pair, alice = hooked(kind, ">")
        if kind is HookKind.PUBLISH:
            alice.send(action="publish", topic="a", message=1, id=1)
        else:
            alice.send(action="subscribe", topics=["a"], id=1)
        pair.hub.revoke("alice", "a", pair.now)
        pair.complete(Done())
        assert alice.answer(1)["code"] == "forbidden"
        assert list(pair.hub.topics()) == []


def test_each_topic_of_a_subscription_is_asked_about() -> None:
    """One after the other; about a pattern all functions that reach a part of it; and then all or none."""
    pair, alice = hooked(HookKind.SUBSCRIBE, "a.b", "a.*", "c")
    alice.send(action="subscribe", topics=["x", "a.b", "a.>", "c", "a.b"], id=1)
    seen = []
    while pair.effects:
        effect = asked(pair)
        seen.append((effect.topic, effect.hook))
        assert list(pair.hub.topics()) == []
        pair.complete(Done())
    assert seen == [("a.b", 0), ("a.>", 0), ("a.>", 1), ("c", 2)]
    assert alice.answer(1)["topics"] == ["x", "a.b", "a.>", "c", "a.b"]
    assert len(list(pair.hub.topics())) == 4
    alice.send(action="subscribe", topics=["y", "c"], id=2)
    pair.complete(Denied("no", "no"))
    assert alice.answer(2)["code"] == "no"
    assert len(list(pair.hub.topics())) == 4


def test_a_subscription_that_is_forbidden_is_not_asked_about() -> None:
    """Functions see only what the grant allows."""
    pair = HubPair(
        config(auth=tokens(everything("alice", read=("a",)))), hooks={HookKind.SUBSCRIBE: (">",)}
    )
    alice = pair.user("alice")
    assert alice.ask(action="subscribe", topics=["b"])["code"] == "forbidden"
    assert not pair.effects


@pytest.mark.parametrize(
    ("outcome", "data"), [(Done({"sum": 3}), {"sum": 3}), (Done(), None), (Done(None), None)]
)
def test_a_call_is_answered_with_what_the_function_gives(outcome: Outcome, data: Any) -> None:
    """It gets the name and the data; patterns are compared with the name."""
    pair, alice = hooked(HookKind.CALL, "math.*", "other")
    alice.send(action="call", name="math.add", data=[1, 2], id="x")
    effect = asked(pair)
    assert effect == RunHook(effect.id, HookKind.CALL, 0, ALICE, None, None, "math.add", [1, 2])
    pair.complete(outcome)
    assert alice.answer("x") == {"type": "result", "name": "math.add", "data": data}
    assert alice.ask(action="call", name="math")["code"] == "unknown_call"
    assert alice.ask(action="call", name="math.*")["code"] == "unknown_call"


def test_a_hook_is_told_who_has_left() -> None:
    """Nothing waits for its answer; a failure is counted."""
    pair, alice = hooked(HookKind.DISCONNECT, ">")
    alice.close()
    effect = asked(pair)
    assert effect == RunHook(effect.id, HookKind.DISCONNECT, 0, ALICE)
    assert pair.hub.links == 0
    assert not pair.hub.idle
    pair.complete(Failed("it raised"))
    assert pair.hub.idle
    assert RequestFailed(1, "on_disconnect", "it raised") in pair.take_events()
    pair.peer().cut_off()  # nobody yet
    assert not pair.effects
    pair.user("alice").close()
    pair.complete(Done())
    pair.user("alice").cut_off()
    pair.advance(5.0)
    assert pair.hub.counters.hook_failures == 2


def test_a_first_request_of_a_guest_waits_for_the_hook() -> None:
    """The request that made it a guest is done when the hook has let it in."""
    pair = HubPair(hooks={HookKind.CONNECT: (">",)})
    guest = pair.peer()
    guest.send(action="publish", topic="a", message=1, id=1)
    assert asked(pair).who.user == "User-1"
    assert guest.take() == []
    pair.complete(Done())
    assert guest.answer(1)["type"] == "published"


def test_who_leaves_while_a_hook_is_asked_does_nothing_more() -> None:
    """The publication is not made, and the answer goes nowhere."""
    pair, alice = hooked(HookKind.PUBLISH, ">")
    other = pair.named("bob")
    other.subscribe("a")
    alice.send(action="publish", topic="a", message=1)
    alice.cut_off()
    pair.complete(Done())
    assert other.take() == []
    assert pair.hub.idle is False
    assert pair.hub.counters.publications == 0


@pytest.mark.parametrize("outcome", [None, "yes", True, Done])
def test_an_outcome_that_is_none_is_told_at_once(outcome: Any) -> None:
    """And the effect can still be answered."""
    pair, alice = hooked(HookKind.PUBLISH, ">")
    alice.send(action="publish", topic="a", message=1, id=1)
    with pytest.raises(LocalProtocolError, match=r"must be Done\(\)"):
        pair.hub.complete(pair.effects[0].id, outcome, pair.now)
    pair.complete(Done())
    assert alice.answer(1)["type"] == "published"


def test_a_hooks_pattern_is_checked() -> None:
    """When the hub is made."""
    with pytest.raises(ValueError, match="empty token"):
        Hub(now=0.0, entropy=bytes, hooks={HookKind.PUBLISH: ("a", "b..c")})
