"""What a hub counts and tells, and what may be looked at."""

from __future__ import annotations

import pytest

from hubbub.core.account import Account
from hubbub.core.effects import Done, Failed, HookKind, RunHook, Who
from hubbub.core.hub_events import Counters, Joined, Left, TurnedAway
from hubbub.core.pending import PendingEffects
from support.hub_pair import HubPair, config, tokens


def test_everything_is_counted() -> None:
    """Sockets, sessions, requests, bytes, publications and deliveries; no counter ever falls."""
    pair = HubPair(config(auth=tokens("alice")))
    alice, ann = pair.user("alice"), pair.named("ann")
    alice.subscribe("a")
    ann.subscribe("a")
    before = pair.hub.counters.bytes_out
    alice.publish("a", "hi")
    counters = pair.hub.counters
    assert counters.bytes_out > before
    assert (counters.connections, counters.sessions) == (2, 2)
    assert (counters.requests, counters.publications, counters.deliveries) == (3, 1, 2)
    assert (
        counters.messages_out == 2 + 2 + 1 + 2
    )  # welcomes, subscribed, published, twice the message
    alice.publish("nobody")
    assert (counters.publications, counters.deliveries) == (2, 2)
    alice.say("{")
    assert counters.errors == 1


def test_bytes_are_those_on_the_wire() -> None:
    """In and out, the handshake and control frames included."""
    pair = HubPair()
    raw = pair.raw()
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    raw.send_bytes(request)
    pair.settle()
    assert pair.hub.counters.bytes_in == len(request)
    assert pair.hub.counters.bytes_out == len(raw.got)


def test_who_comes_and_goes_is_told() -> None:
    """With number, name, address and whether somebody vouched for it."""
    pair = HubPair(config(auth=tokens("alice")))
    alice = pair.user("alice", address=("198.51.100.7", 9))
    ann = pair.named("ann", address="")
    alice.close()
    ann.cut_off()
    assert pair.take_events() == [
        Joined(1, "alice", "198.51.100.7", False),
        Joined(2, "ann", None, True),
        Left(1, "alice", "198.51.100.7", 1000, "closed by the peer", 0),
        Left(2, "ann", None, 1006, "the connection was lost", 0),
    ]


def test_what_is_there_can_be_looked_at() -> None:
    """Sessions in order of coming, users, topics with their subscribers, and what waits."""
    pair = HubPair(config(auth=tokens("alice")))
    peers = [pair.user("alice"), pair.named("ann"), pair.user("alice")]
    pair.peer()
    assert [session.number for session in pair.hub.sessions()] == [1, 2, 3]
    assert (pair.hub.users, pair.hub.links) == (2, 4)
    for peer in peers:
        peer.subscribe("a", "b.*")
    peers[0].ask(action="unsubscribe", topics=["a"])
    assert dict(pair.hub.topics()) == {"a": 2, "b.*": 3}
    assert pair.hub.presence("a") == {}
    assert not pair.hub.idle
    peers[1].stall()
    pair.hub.publish("a", 1, pair.now)
    pair.settle()
    assert pair.hub.outbox_bytes == peers[1].session.outbox.size > 0
    assert peers[1].session.since == 0.0


def test_events_that_nobody_takes_are_bounded() -> None:
    """The oldest are dropped and counted; the newest are there."""
    account = Account(100)
    for number in range(1000):
        account.tell(TurnedAway(None, str(number)))
    events: list[object] = []
    while (event := account.next_event()) is not None:
        events.append(event)
    assert len(events) <= 100
    assert events[-1] == TurnedAway(None, "999")
    assert account.counters.events_dropped == 1000 - len(events)
    pair = HubPair(config(max_events=1))
    for number in range(5):
        pair.hub.account.tell(TurnedAway(None, str(number)))
    assert pair.hub.next_event() == TurnedAway(None, "4")
    assert pair.hub.next_event() is None
    assert pair.hub.counters.events_dropped == 4


def test_counters_begin_at_nothing() -> None:
    """All of them."""
    assert all(getattr(Counters(), field) == 0 for field in Counters.__struct_fields__)


# Effects that wait.


def effect(number: int) -> RunHook:
    """Something to ask."""
    return RunHook(number, HookKind.CALL, 0, Who(1, "ann", None, True, False))


def test_effects_are_handed_out_once_and_run_out_in_order() -> None:
    """Each outcome counts once, whichever comes first: the answer or the end of the time."""
    pending = PendingEffects(5.0, iter(range(1, 100)))
    outcomes: list[tuple[int, object, float]] = []
    for at in (0.0, 1.0, 2.0):
        one = effect(pending.new_id())

        def then(outcome: object, now: float, number: int = one.id) -> None:
            outcomes.append((number, outcome, now))

        pending.ask(one, then, at)
    assert len(pending) == 3
    assert pending.next_timeout() == 5.0
    first = pending.next()
    assert first is not None
    assert first.id == 1
    assert pending.complete(2, Done(), 3.0)
    assert not pending.complete(2, Done(), 3.0)
    assert not pending.complete(77, Done(), 3.0)
    last = pending.next()
    assert last is not None
    assert last.id == 3  # what was answered unasked is not handed out
    assert pending.next() is None
    pending.expire(4.9)
    assert outcomes == [(2, Done(), 3.0)]
    pending.expire(6.9)
    assert outcomes[1:] == [(1, Failed("it took too long"), 6.9)]
    assert pending.next_timeout() == 7.0
    pending.expire(100.0)
    assert len(pending) == 0
    assert pending.next_timeout() is None


def test_an_effect_may_ask_for_another() -> None:
    """Also when it has run out of time."""
    pending = PendingEffects(1.0, iter(range(1, 100)))
    asked: list[int] = []

    def again(_: object, now: float) -> None:
        one = effect(pending.new_id())
        asked.append(one.id)
        if len(asked) < 5:
            pending.ask(one, again, now)

    again(None, 0.0)
    for turn in range(1, 10):
        pending.expire(float(turn))
    assert asked == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("count", [1, 3])
def test_a_session_is_told_to_its_adapter_once(count: int) -> None:
    """However many things happen to it before the adapter looks; and it may stop between two."""
    pair = HubPair()
    peers = [pair.named(f"n{number}") for number in range(count)]
    for peer in peers:
        peer.subscribe("a", "b")
    for _ in range(3):
        pair.hub.publish("a", 1, pair.now)
    first = pair.hub.next_dirty()
    assert first is peers[0].session
    pair.hub.publish("b", 1, pair.now)
    assert pair.hub.has_dirty == (count > 1)
    rest = []
    while (session := pair.hub.next_dirty()) is not None:
        rest.append(session)
    assert rest == [peer.session for peer in peers[1:]]
    for peer in peers:
        assert len(peer.session.data_to_send(pair.now)) == 4
        assert peer.session.data_to_send(pair.now) == []
    assert pair.hub.next_dirty() is None
    pair.hub.publish("a", 1, pair.now)
    assert pair.hub.next_dirty() is peers[0].session
