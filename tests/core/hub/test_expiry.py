"""Grants that end, that are renewed, and clocks that are set."""

from __future__ import annotations

import math

import pytest

from hubbub.core import LocalProtocolError
from hubbub.core.auth import External
from hubbub.core.effects import Denied, Done, Failed, Outcome
from hubbub.core.hub_events import AuthFailed, Left, RequestFailed
from hubbub.core.session_states import SessionState
from support.hub_pair import WALL, HubPair, Peer, config, everything, tokens

UNTIL = WALL + 100.0


def alice_until(until: float | None, **grant: object) -> HubPair:
    """A hub where alice's token ends; it has another, t-renewed, that ends later."""
    auth = tokens(everything("alice", until=until, **grant))
    return HubPair(config(auth=auth, anonymous=False))


def test_a_session_ends_with_its_grant() -> None:
    """With 4001, before what waits, in the second in which the token ends."""
    pair = alice_until(UNTIL)
    alice = pair.user("alice")
    alice.subscribe("a")
    pair.advance(99.9)
    assert alice.publish("a")["type"] == "published"
    alice.take()
    alice.stall()
    pair.hub.publish("a", 1, pair.now)
    pair.advance(0.2)
    alice.read_on()
    assert alice.take() == []
    assert alice.code == 4001
    (left,) = (event for event in pair.take_events() if isinstance(event, Left))
    assert (left.code, left.cause, left.unsent) == (4001, "token expired", 1)


def test_a_session_that_waits_ends_with_its_grant_too() -> None:
    """While somebody outside is asked; the answer comes to nobody."""
    pair = HubPair(config(auth=External(), hook_timeout=200.0))
    peer = pair.peer("/?token=x")
    pair.complete(Done(everything("alice", until=UNTIL)))
    pair.advance(99.0)
    peer.send(action="refresh", token="y")
    pair.advance(2.0)
    assert peer.code == 4001
    pair.complete(Done(everything("alice")))
    assert pair.hub.users == 0


@pytest.mark.parametrize("until", [None, math.inf])
def test_a_grant_for_ever_does_not_end(until: float | None) -> None:
    """Nor does it ask to be called at a moment that never comes."""
    pair = alice_until(until)
    pair.user("alice")
    at = pair.hub.next_timeout()
    assert at is not None
    assert at < 1000.0


def test_a_grant_that_has_ended_lets_nobody_in() -> None:
    """It counts as a wrong token; one second later or earlier does not."""
    pair = alice_until(UNTIL)
    pair.advance(100.0)
    assert pair.peer("/?token=t-alice").take()[0]["message"] == "Invalid token"
    pair = alice_until(UNTIL)
    pair.advance(99.0)
    pair.user("alice")


def refreshed(pair: HubPair, peer: Peer, outcome: Outcome) -> dict[str, object]:
    """Ask for a refresh, have the outside answer, and give the answer."""
    peer.send(action="refresh", token="y", id="r")
    pair.complete(outcome)
    return peer.answer("r")


def test_a_refresh_puts_the_new_grant_in_the_place_of_the_old() -> None:
    """Its end, and its topics: what the new one does not allow is gone at once, with what waits of it."""
    pair = HubPair(config(auth=External()))
    peer = pair.peer("/?token=x")
    pair.complete(Done(everything("alice", until=UNTIL)))
    peer.subscribe("a", "b.>", "c")
    peer.take()
    pair.advance(50.0)
    peer.ws.send('{"action":"publish","topic":"c","message":1}', pair.now)
    peer.ws.send('{"action":"publish","topic":"a","message":2}', pair.now)
    peer.ws.send('{"action":"refresh","token":"y","id":1}', pair.now)
    for data in peer.ws.data_to_send(pair.now):
        peer.session.receive_data(data, pair.now)
    effect = pair.hub.next_effect()
    assert effect is not None
    new = everything("alice", read=("a", "b.*"), until=UNTIL + 100.0)
    pair.hub.complete(effect.id, Done(new), pair.now)
    pair.settle()
    ended, ok, *rest = [m for m in peer.take() if m["type"] != "published"]
    assert ended == {"type": "unsubscribed", "topics": ["b.>", "c"], "reason": "revoked"}
    assert ok == {"type": "auth", "status": "ok", "username": "alice", "id": 1}
    assert [message["message"] for message in rest] == [2]
    pair.advance(100.0)
    assert peer.closed is None
    pair.advance(50.1)
    assert peer.code == 4001


@pytest.mark.parametrize(
    ("outcome", "message", "failed"),
    [
        (Done(None), "Invalid token", False),
        (Denied("no", "no"), "Invalid token", False),
        (Done(everything("alice", until=WALL)), "Invalid token", False),
        (Failed("down"), "Authentication failed", True),
        (Done("alice"), "Authentication failed", True),
    ],
)
def test_a_refresh_that_fails_leaves_the_old_grant(
    outcome: Outcome, message: str, failed: bool
) -> None:
    """The client is told, may try again, and is closed when the old one ends."""
    pair = HubPair(config(auth=External()))
    peer = pair.peer("/?token=x")
    pair.complete(Done(everything("alice", until=UNTIL)))
    peer.subscribe("a")
    pair.take_events()
    assert refreshed(pair, peer, outcome) == {"type": "auth", "status": "error", "message": message}
    (event,) = pair.take_events()
    assert isinstance(event, RequestFailed if failed else AuthFailed)
    assert peer.publish("a")["recipients"] == 1
    pair.advance(101.0)
    assert peer.code == 4001


def test_a_refresh_with_another_users_token_is_forbidden() -> None:
    """Who it is does not change while it is connected."""
    pair = HubPair(config(auth=tokens("alice", "bob")))
    alice = pair.user("alice")
    answer = alice.ask(action="refresh", token="t-bob")
    assert (answer["code"], answer["field"]) == ("forbidden", "token")
    assert alice.session.user == "alice"
    assert alice.ask(action="refresh", token="t-alice")["status"] == "ok"
    too_long = alice.ask(action="refresh", token="x" * 9000)
    assert too_long == {"type": "auth", "status": "error", "message": "Invalid token"}


def test_a_clock_that_is_set_forward_ends_what_is_over() -> None:
    """At the next moment in which the hub is called."""
    pair = alice_until(UNTIL)
    alice = pair.user("alice")
    pair.hub.set_wall_clock(WALL + 1000.0, pair.now)
    pair.advance(0.0)
    assert alice.code == 4001


def test_a_clock_that_is_set_back_lets_a_session_live_as_long_as_its_grant() -> None:
    """However often; what counts is the time of day."""
    pair = alice_until(UNTIL)
    alice = pair.user("alice")
    for _ in range(5):
        pair.advance(90.0)
        pair.hub.set_wall_clock(WALL - pair.now, pair.now)
    assert alice.session.state is SessionState.OPEN
    pair.advance(101.0)
    assert alice.code == 4001


def test_a_clock_that_is_set_back_just_before_the_end_is_noticed() -> None:
    """The moment comes, and the grant has not ended."""
    pair = alice_until(UNTIL)
    alice = pair.user("alice")
    pair.hub._clock.set(WALL - 10.0, pair.now)  # as if the adapter told it in the same step
    pair.advance(105.0)
    assert alice.session.state is SessionState.OPEN
    pair.advance(6.0)
    assert alice.code == 4001


@pytest.mark.parametrize("offset", [math.nan, math.inf, -math.inf, 1e18, -1e18])
def test_a_clock_that_tells_no_time_is_told_at_once(offset: float) -> None:
    """And the one before goes on."""
    pair = HubPair()
    peer = pair.named("ann")
    peer.subscribe("a")
    with pytest.raises(LocalProtocolError, match="seconds"):
        pair.hub.set_wall_clock(offset, pair.now)
    pair.advance(61.5)
    peer.publish("a")
    (message,) = peer.take()
    assert message["timestamp"] == "2023-11-14T22:14:21.500+00:00"


def test_timestamps_are_the_clocks() -> None:
    """UTC, with milliseconds; two in one step are equal, and a clock that was set counts at once."""
    pair = HubPair()
    peer = pair.named("ann")
    peer.subscribe("a")
    pair.hub.publish("a", 1, pair.now)
    pair.hub.publish("a", 2, pair.now)
    pair.hub.set_wall_clock(0.25, pair.now)
    pair.hub.publish("a", 3, pair.now)
    pair.settle()
    assert [message["timestamp"] for message in peer.take()] == [
        "2023-11-14T22:13:20.000+00:00",
        "2023-11-14T22:13:20.000+00:00",
        "1970-01-01T00:00:00.250+00:00",
    ]
