"""What an operator takes away is gone in the same step, wherever it is at that moment."""

from __future__ import annotations

import pytest

from hubbub.core import LocalProtocolError
from hubbub.core.auth import External
from hubbub.core.effects import Authenticate, Denied, Done, Effect, Failed, HookKind, Outcome
from hubbub.core.grants import Grant
from hubbub.core.hub_events import Left
from hubbub.core.hub_limits import HubLimits
from hubbub.core.revoking import Revocations
from hubbub.core.session_states import SessionState
from support.hub_pair import HubPair, config, everything, tokens


def test_a_revocation_acts_on_all_sessions_of_a_user_at_once() -> None:
    """Subscriptions that reach the topics end, and what waits of them is never sent."""
    pair = HubPair(config(auth=tokens("alice", "bob")))
    alice, other, bob = pair.user("alice"), pair.user("alice"), pair.user("bob")
    for peer in (alice, other, bob):
        peer.subscribe("secret.a", "secret.>", "open")
        peer.take()
        peer.stall()
    for topic in ("secret.a", "secret.b.c", "open"):
        pair.hub.publish(topic, topic, pair.now)
    assert pair.hub.revoke("alice", "secret.>", pair.now) == 2
    pair.hub.publish("secret.a", "more", pair.now)
    pair.settle()
    for peer in (alice, other, bob):
        peer.read_on()
    gone = {"type": "unsubscribed", "topics": ["secret.a", "secret.>"], "reason": "revoked"}
    for peer in (alice, other):
        first, *rest = peer.take()
        assert first == gone
        assert [message["message"] for message in rest][:1] == ["open"]
        answer = peer.ask(action="subscribe", topics=["secret.a"])
        assert answer["code"] == "forbidden"
        assert peer.publish("secret.a")["code"] == "forbidden"
        assert peer.publish("open")["recipients"] == 3
    assert bob.messages()[:4] == ["secret.a", "secret.b.c", "open", "more"]


def test_a_revocation_reaches_what_waits_for_a_session_that_leaves() -> None:
    """A session that is closed behind its queue gets nothing more of the topics either."""
    pair = HubPair(config(auth=tokens("alice")))
    alice = pair.user("alice")
    alice.subscribe("secret", "open")
    alice.stall()
    for topic in ("secret", "open", "secret"):
        pair.hub.publish(topic, topic, pair.now)
    pair.hub.drain(pair.now)
    pair.settle()
    assert alice.session.state is SessionState.LEAVING
    alice.take()
    assert pair.hub.revoke("alice", "secret", pair.now) == 1
    assert pair.hub.revoke("nobody", "secret", pair.now) == 0
    alice.read_on()
    assert alice.messages() == ["open"]
    assert alice.code == 1001
    assert pair.hub.outbox_bytes == 0
    pair.advance(30.0)
    assert pair.hub.revoke("alice", ">", pair.now) == 0
    assert pair.hub.idle


def test_a_disconnection_reaches_a_session_that_leaves() -> None:
    """It gets nothing more of what waited for it."""
    pair = HubPair(config(auth=tokens("alice")))
    alice = pair.user("alice")
    alice.subscribe("open")
    alice.stall()
    pair.hub.publish("open", 1, pair.now)
    pair.hub.drain(pair.now)
    pair.settle()
    alice.take()
    assert pair.hub.disconnect("alice", pair.now) == 1
    assert pair.hub.disconnect("alice", pair.now) == 0
    alice.read_on()
    assert alice.take() == []
    assert alice.code == 4003


def test_disconnecting_closes_all_sessions_of_a_user() -> None:
    """With 4003 and the reason, before what waits; nobody else is touched."""
    pair = HubPair(config(auth=tokens("alice", "bob")))
    peers = [pair.user("alice"), pair.user("alice"), pair.user("bob")]
    for peer in peers:
        peer.subscribe("a")
        peer.stall()
    pair.hub.publish("a", "never seen", pair.now)
    assert pair.hub.disconnect("alice", pair.now, "go away") == 2
    for peer in peers:
        peer.read_on()
    pair.settle()
    for peer in peers[:2]:
        assert peer.take() == []
        assert peer.closed is not None
        assert peer.closed.received is not None
        assert (peer.closed.received.code, peer.closed.received.reason) == (4003, "go away")
    assert peers[2].closed is None
    left = [event for event in pair.take_events() if isinstance(event, Left)]
    assert [(event.user, event.code, event.unsent) for event in left] == [("alice", 4003, 1)] * 2
    assert pair.hub.counters.unsent == 2


@pytest.mark.parametrize("reason", ["x" * 124, "\ud800"])
def test_a_reason_that_may_not_be_sent_is_told_at_once(reason: str) -> None:
    """And nobody is disconnected."""
    pair = HubPair(config(auth=tokens("alice")))
    alice = pair.user("alice")
    with pytest.raises(LocalProtocolError):
        pair.hub.disconnect("alice", pair.now, reason)
    assert alice.ask(action="ping") == {"type": "pong"}


def test_a_pattern_that_is_none_is_told_at_once() -> None:
    """And nothing is revoked."""
    pair = HubPair(config(auth=tokens("alice")))
    with pytest.raises(LocalProtocolError, match=r"pattern: .* empty"):
        pair.hub.revoke("alice", "", pair.now)


# While somebody outside is asked.


def asked_about(pair: HubPair, kind: str, user: str) -> None:
    """A peer about whom somebody outside is being asked."""
    peer = pair.peer(f"/?token=t-{user}")
    if kind == "refresh":
        pair.complete(Done(everything(user)))
        peer.subscribe("secret")
        peer.send(action="refresh", token="new")


EXTERNAL = {"auth": External(), "anonymous": False}
HOOK = {"auth": tokens("alice", "bob"), "anonymous": False}


@pytest.mark.parametrize("kind", ["token", "hook", "refresh"])
def test_a_revocation_outlives_an_answer_that_was_on_its_way(kind: str) -> None:
    """Who was asked before it may not know of it."""
    hooks = {HookKind.CONNECT: (">",)} if kind == "hook" else {}
    pair = HubPair(config(**(HOOK if kind == "hook" else EXTERNAL)), hooks=hooks)  # type: ignore[arg-type]
    pair.hub.revoke(
        "alice", "secret", pair.now
    )  # before anybody is asked: told to the authenticator
    asked_about(pair, kind, "alice")
    pair.hub.revoke("alice", "secret.*", pair.now)
    pair.hub.revoke("bob", ">", pair.now)
    (peer,) = pair.peers.values()
    pair.complete(Done() if kind == "hook" else Done(everything("alice")))
    (session,) = pair.hub.sessions()
    assert session.grant is not None
    assert session.grant.revoked == ("secret.*",)
    assert session.grant.may_read("secret")
    assert not session.grant.may_read("secret.a")
    assert peer.session is session


@pytest.mark.parametrize("kind", ["token", "hook"])
def test_a_disconnection_outlives_an_answer_that_was_on_its_way(kind: str) -> None:
    """The user that turns out to be meant is closed as the others were."""
    hooks = {HookKind.CONNECT: (">",)} if kind == "hook" else {}
    pair = HubPair(config(**(HOOK if kind == "hook" else EXTERNAL)), hooks=hooks)  # type: ignore[arg-type]
    alice, bob = pair.peer("/?token=t-alice"), pair.peer("/?token=t-bob")
    assert pair.hub.disconnect("alice", pair.now) == 0
    for user in ("alice", "bob"):
        pair.complete(Done() if kind == "hook" else Done(everything(user)))
    assert alice.code == 4003
    assert alice.take() == []
    assert bob.closed is None
    assert [session.user for session in pair.hub.sessions()] == ["bob"]
    if kind == "token":
        pair.peer("/?token=t-alice")
        pair.complete(Done(everything("alice")))  # asked afterwards
        assert pair.hub.users == 2


@pytest.mark.parametrize("outcome", [Done(None), Failed(), Denied("no", "no"), None])
def test_nothing_is_remembered_of_who_is_not_let_in(outcome: Outcome | None) -> None:
    """Whether refused, failed or gone: revocations are kept only while somebody is asked."""
    pair = HubPair(config(auth=External(), anonymous=False))
    peer = pair.peer("/?token=x")
    pair.hub.revoke("alice", "a", pair.now)
    revocations = pair.hub._admission.revocations
    assert len(revocations) == 1
    if outcome is None:
        peer.cut_off()
    else:
        pair.complete(outcome)
    assert len(revocations) == 0
    pair.hub.revoke("alice", "a", pair.now)
    assert len(revocations) == 0


def test_revocations_are_kept_as_long_as_the_oldest_question() -> None:
    """A hub that always asks about somebody does not remember for ever."""
    pair = HubPair(config(auth=External(), anonymous=False))
    kept = 0
    waiting: list[Effect] = []
    for number in range(200):
        pair.peer(f"/?token={number}")
        waiting.append(pair.effects[-1])
        pair.hub.revoke(f"u{number}", "a", pair.now)
        if len(waiting) > 5:
            effect = waiting.pop(0)
            assert isinstance(effect, Authenticate)
            pair.complete(Done(everything(f"u{effect.token}")), effect)
            grant = next(s for s in pair.hub.sessions() if s.user == f"u{effect.token}").grant
            assert grant is not None
            assert grant.revoked == ("a",)
        kept = max(kept, len(pair.hub._admission.revocations))
    assert kept <= 6


def test_of_many_revocations_only_the_users_own_count() -> None:
    """In the order in which they were given, and only those since the question."""
    revocations = Revocations(HubLimits())
    pair = HubPair()
    one, two, three = (pair.raw().session for _ in range(3))
    grant = Grant(user="alice", read=(">",))
    revocations.begin(one)
    revocations.note("alice", "a")
    revocations.begin(two)
    revocations.note("bob", None)
    revocations.note("alice", "b")
    revocations.begin(three)
    revocations.begin(three)
    left = revocations.end(one, grant)
    assert left is not None
    assert left.revoked == ("a", "b")
    left = revocations.end(two, grant)
    assert left is not None
    assert left.revoked == ("b",)
    assert revocations.end(three, grant) is grant
    revocations.begin(one)
    revocations.note("alice", None)
    revocations.note("alice", "c")
    assert revocations.end(one, grant) is None
    assert len(revocations) == 0


# How much is remembered.


def test_more_than_is_remembered_of_what_was_taken_away_disconnects() -> None:
    """What others contain is remembered with them; one pattern more than `max_revoked` is too much."""
    pair = HubPair(config(auth=tokens("alice", "bob"), max_revoked=3))
    alice, bob = pair.user("alice"), pair.user("bob")
    for pattern in ("a.1", "a.2", "a.3", "a.*", "b", "c", "a.3"):
        assert pair.hub.revoke("alice", pattern, pair.now) == 1
    (session, _) = pair.hub.sessions()
    assert session.grant is not None
    assert session.grant.revoked == ("a.*", "b", "c")
    pair.settle()
    assert alice.closed is None
    assert pair.hub.revoke("alice", "d", pair.now) == 1
    pair.settle()
    assert alice.code == 4003
    assert bob.closed is None
    assert pair.hub.revoke("alice", "d", pair.now) == 0
    (left,) = (event for event in pair.take_events() if isinstance(event, Left))
    assert "max_revoked" in left.cause


def test_more_than_is_remembered_while_somebody_is_asked_disconnects_too() -> None:
    """As it would have, had the answer come first."""
    pair = HubPair(config(auth=External(), anonymous=False, max_revoked=3))
    peer = pair.peer("/?token=x")
    for pattern in "abcd":
        pair.hub.revoke("alice", pattern, pair.now)
    pair.complete(Done(everything("alice")))
    assert peer.code == 4003


def test_of_what_is_remembered_for_answers_the_oldest_goes() -> None:
    """Beyond `max_revocations`; an answer that may not know of one that went is none."""
    pair = HubPair(config(auth=External(), anonymous=False, max_revocations=3))
    early, late = pair.peer("/?token=early"), None
    pair.hub.revoke("bob", "a", pair.now)
    late = pair.peer("/?token=late")
    for _ in range(3):
        pair.hub.revoke("bob", "a", pair.now)
    assert len(pair.hub._admission.revocations) == 3
    pair.complete(Done(everything("alice")))
    pair.complete(Done(everything("bob")))
    assert early.code == 4003
    assert late.closed is None
    (session,) = pair.hub.sessions()
    assert session.grant == everything("bob", revoked=("a",))
    assert len(pair.hub._admission.revocations) == 0
