"""How many mistakes a hub forgives, and how it ends with who makes more."""

from __future__ import annotations

import pytest

from hubbub.core.hub_events import Left
from hubbub.core.link import End
from support.hub_pair import HubPair, config, tokens

MISTAKES: dict[str, str | bytes] = {
    "bad json": "{",
    "not an object": "[]",
    "unknown action": '{"action":"fly"}',
    "forbidden": '{"action":"subscribe","topics":["a b"]}',
    "binary": b"\x00",
    "too deep": "[" * 40,
    "a refresh": '{"action":"refresh","token":"wrong"}',
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_too_many_mistakes_end_a_session(kind: str) -> None:
    """After `error_burst` of them; each is answered, the last one too, before 4029."""
    pair = HubPair(config(auth=tokens("alice"), error_burst=5, error_rate=0.001))
    peer = pair.named("ann")
    for _ in range(10):
        peer.say(MISTAKES[kind])
    answers = peer.take()
    assert len(answers) == 6
    assert peer.closed is not None
    assert peer.closed.received is not None
    assert (peer.closed.received.code, peer.closed.received.reason) == (4029, "too many errors")
    (left,) = (event for event in pair.take_events() if isinstance(event, Left))
    assert left.code == 4029
    assert pair.hub.counters.errors == 6


def test_mistakes_in_one_read_end_a_session_too() -> None:
    """What came behind the one too many is not looked at."""
    pair = HubPair(config(error_burst=2))
    peer = pair.named("ann")
    peer.subscribe("a")
    for _ in range(10):
        peer.ws.send("{", pair.now)
    peer.ws.send('{"action":"publish","topic":"a","message":1}', pair.now)
    pair.settle()
    assert len(peer.take()) == 3
    assert peer.code == 4029
    assert pair.hub.counters.publications == 0


def test_who_makes_many_mistakes_at_once_lets_others_go_first() -> None:
    """After each few the session is not read until the adapter has served the others; all are answered."""
    pair = HubPair(config(error_burst=50))
    peer, other = pair.named("ann"), pair.named("bob")
    for number in range(30):
        peer.ws.send(f'{{"action":"fly","id":{number}}}', pair.now)
    pair.settle()
    answered = [answer["id"] for answer in peer.take()]
    assert 0 < len(answered) < 15
    assert not peer.session.wants_read
    assert pair.hub.next_timeout() == pair.now
    assert other.ask(action="ping")["type"] == "pong"
    assert peer.take() == []
    pair.advance(0.0)
    answered += [answer["id"] for answer in peer.take()]
    assert answered == list(range(30))
    assert peer.session.wants_read


def test_who_made_too_many_mistakes_is_heard_no_more() -> None:
    """What it sends behind its last mistake is not read, and its socket is closed soon."""
    pair = HubPair(config(error_burst=2, error_rate=0.001))
    peer = pair.named("ann")
    peer.reads = False
    for _ in range(3):
        peer.ws.send("{", pair.now)
    pair.settle()
    assert not peer.session.wants_read  # not even while its answers cannot leave
    peer.reads = True
    session = peer.session
    while session.wants_write:
        session.data_to_send(pair.now)
    assert session.end is End.HALF_CLOSE
    assert not session.wants_read
    pair.hub.handle_timeout(pair.now + 2.0)
    assert session.end is End.CLOSE


def test_mistakes_before_anybody_is_there_count_as_well() -> None:
    """Who never says who it is gets no more of them."""
    pair = HubPair(config(auth=tokens("alice"), anonymous=False, error_burst=3))
    peer = pair.peer()
    for _ in range(10):
        peer.send(action="ping")
    assert [message["code"] for message in peer.take()] == ["unauthenticated"] * 4
    assert peer.code == 4029


def test_a_mistake_now_and_then_is_forgiven_for_ever() -> None:
    """The budget fills at `error_rate` a second."""
    pair = HubPair(config(error_burst=2, error_rate=1.0))
    peer = pair.named("ann")
    for _ in range(100):
        peer.say("{")
        pair.advance(1.0)
    assert len(peer.take()) == 100
    assert peer.closed is None


def test_a_wrong_name_is_a_mistake() -> None:
    """Nobody tries all names."""
    pair = HubPair(config(error_burst=3))
    pair.named("ann")
    peer = pair.peer()
    for _ in range(10):
        peer.send(name="ann")
    assert peer.code == 4029


def test_errors_that_nobody_reads_are_bounded() -> None:
    """A million wrong commands of a peer that never reads: its answers wait up to their bound."""
    pair = HubPair(config(answers_size=2000, error_burst=10**6))
    peer = pair.named("ann")
    peer.stall()
    for _ in range(300):
        peer.say("{")
    assert peer.session.outbox.answers_size < 2200
    assert not peer.session.wants_read
    assert len(peer.unread) > 1000
