"""What one session does may end it, or others, while it is being done."""

from __future__ import annotations

from hubbub.core.hub_events import Slow
from hubbub.core.session_states import SessionState
from support.hub_pair import HubPair, Peer, config

FULL = 500
"""An outbox that holds three announcements, and no more."""


def nearly_full(topics: list[str]) -> tuple[HubPair, Peer]:
    """A peer that reads nothing, and whose outbox has no room for one announcement."""
    pair = HubPair(config(outbox_size=FULL))
    peer = pair.named("slow")
    peer.subscribe(*topics)
    peer.take()
    peer.stall()
    # Its socket takes nothing, but its session does not know: what is queued first would leave.
    peer.session.data_to_send(pair.now)
    for _ in range(2):
        pair.hub.publish("room.x", "m" * 20, pair.now)
    assert FULL - 150 < peer.session.outbox.size <= FULL
    return pair, peer


def nothing_is_left(pair: HubPair, peer: Peer) -> None:
    """The session has ended for being slow, and the hub keeps nothing of it."""
    assert peer.session.state is SessionState.OVER
    assert [event.policy for event in pair.events if isinstance(event, Slow)] == ["disconnect"]
    assert list(pair.hub.topics()) == []
    assert pair.hub.outbox_bytes == 0
    assert peer.session.subscriptions == {}
    assert pair.hub.presence("room.a") == pair.hub.presence("room.b") == {}
    peer.read_on()
    assert peer.code == 4008


def test_who_joins_may_be_too_slow_to_hear_it() -> None:
    """A session that gets its own coming by a pattern may end by it; it is subscribed to nothing then."""
    pair, peer = nearly_full(["room.*"])
    peer.send(action="subscribe", topics=["room.a", "room.b"])
    nothing_is_left(pair, peer)


def test_who_leaves_a_room_may_be_too_slow_to_hear_it() -> None:
    """The same with its going, while it leaves two rooms in one request."""
    pair, peer = nearly_full(["room.a", "room.b", "room.*"])
    peer.send(action="unsubscribe", topics=["room.a", "room.b"])
    nothing_is_left(pair, peer)


def test_what_is_left_together_is_not_told_by_the_rest() -> None:
    """Who leaves rooms and the pattern that reaches them in one step does not hear of it."""
    pair, peer = nearly_full(["room.a", "room.b", "room.*"])
    pair.hub.revoke("slow", "room.>", pair.now)
    pair.settle()
    peer.read_on()
    assert peer.take() == [
        {"type": "unsubscribed", "topics": ["room.a", "room.b", "room.*"], "reason": "revoked"}
    ]
    assert pair.hub.presence("room.a") == {}


def test_a_session_that_ends_is_not_told_of_its_own_leaving() -> None:
    """Of several names that reach a room, none gets the announcement of the session's own end."""
    pair = HubPair()
    peer = pair.named("ann")
    peer.subscribe("room.a", "room.*", ">")
    sent: list[bytes] = []
    receive = peer.receive

    def watched(data: bytes, now: float) -> None:
        sent.append(data)
        receive(data, now)

    peer.receive = watched  # type: ignore[method-assign]
    pair.hub.disconnect("ann", pair.now)
    pair.settle()
    assert [data[0] for data in sent] == [0x88]
    assert pair.hub.outbox_bytes == 0


def test_one_slow_session_after_the_other() -> None:
    """The end of each is announced in the room, and may end the next; all of it in one step."""
    pair = HubPair(config(outbox_size=3000))
    peers = [pair.named(f"n{number}") for number in range(6)]
    for peer in peers:
        peer.subscribe("room.a")
    reader = pair.named("reader")
    reader.subscribe("room.a")
    for peer in peers:
        peer.take()
        peer.stall()
    while any(peer.session.state is SessionState.OPEN for peer in peers):
        pair.hub.publish("room.a", "m", pair.now)
        pair.settle()
    assert pair.hub.outbox_bytes == 0
    left = [m["message"] for m in reader.take() if m["message"].endswith("left the chat")]
    assert sorted(left) == [f"n{number} left the chat" for number in range(6)]
    assert pair.hub.presence("room.a") == {"reader": 1}


def test_a_topic_is_named_twice_when_it_is_left() -> None:
    """It is left once."""
    pair = HubPair()
    peer = pair.named("ann")
    peer.subscribe("room.a")
    answer = peer.ask(action="unsubscribe", topics=["room.a", "room.a", "never"])
    assert answer == {"type": "unsubscribed", "topics": ["room.a", "room.a", "never"]}
    assert pair.hub.presence("room.a") == {}


def test_a_session_that_ends_is_not_told_who_leaves_because_of_it() -> None:
    """Its end is announced in one room, which ends somebody slow, who is in a room that it watched."""
    pair = HubPair(config(outbox_size=FULL))
    ann = pair.named("ann")
    ann.subscribe("room.a")
    ann.subscribe("room.b", presence=True)
    slow = pair.named("slow")
    slow.subscribe("room.a", "room.b", "filling")
    slow.take()
    slow.stall()
    slow.session.data_to_send(pair.now)
    while slow.session.outbox.size < FULL - 200:
        pair.hub.publish("filling", "m" * 20, pair.now)
    pair.hub.disconnect("ann", pair.now)
    assert slow.session.state is SessionState.OVER
    assert pair.hub.outbox_bytes == 0
    assert not ann.session.outbox
