"""Sessions that do not keep up: what they lose is told, or they are closed; others lose nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from hubbub.core import publishing
from hubbub.core.hub_events import Left, Slow
from hubbub.core.rules import Rule, SlowPolicy
from hubbub.core.session_states import SessionState
from support.hub_pair import HubPair, Message, Peer, config

RULES = [
    Rule(pattern="drop.*", slow="drop-oldest"),
    Rule(pattern="last.*", slow="latest"),
    Rule(pattern="high.*", priority="high"),
    Rule(pattern="low.*", priority="low", slow="drop-oldest"),
]
SIZE = 4000


def stalled(*topics: str, **limits: Any) -> tuple[HubPair, Peer, Peer]:
    """A peer that has stopped reading, and one that reads on; both follow the topics."""
    pair = HubPair(config(rules=RULES, **dict[str, Any]({"outbox_size": SIZE} | limits)))
    slow, quick = pair.named("slow"), pair.named("quick")
    for peer in (slow, quick):
        peer.subscribe(*topics)
    slow.stall()
    return pair, slow, quick


def flood(pair: HubPair, topic: str, count: int, **fields: Any) -> None:
    """Publish numbers."""
    for number in range(count):
        pair.hub.publish(topic, number, pair.now, **fields)
        pair.settle()


def account(messages: Iterable[Message], topic: str, count: int) -> list[int]:
    """Check that what was delivered and what was missed make the whole, in order; what was delivered."""
    at = 0
    got: list[int] = []
    for message in messages:
        if message.get("topic") != topic:
            continue
        if message["type"] == "gap":
            assert message["missed"] > 0
            at += message["missed"]
        else:
            got.append(message["message"])
            assert message["message"] == at
            at += 1
    assert at == count
    return got


def test_by_default_who_does_not_keep_up_is_closed() -> None:
    """With 4008 at the bound of its outbox; what waited is counted, and others have lost nothing."""
    pair, slow, quick = stalled("a")
    flood(pair, "a", 100)
    assert quick.messages() == list(range(100))
    assert slow.session.state is SessionState.OVER
    slow.read_on()
    assert slow.take() == []
    assert slow.code == 4008
    events = pair.take_events()
    (told,) = (event for event in events if isinstance(event, Slow))
    assert told == Slow(1, "slow", "a", "disconnect")
    (left,) = (event for event in events if isinstance(event, Left))
    assert (left.user, left.code) == ("slow", 4008)
    counters = pair.hub.counters
    assert counters.dropped_disconnect == left.unsent + 1
    assert counters.unsent == 0
    assert pair.hub.outbox_bytes == 0


def test_the_oldest_are_dropped_and_told() -> None:
    """With `drop-oldest` the newest come, behind a gap that says how many are missing."""
    pair, slow, quick = stalled("drop.a")
    flood(pair, "drop.a", 100)
    assert quick.messages() == list(range(100))
    assert slow.session.outbox.size <= SIZE
    slow.read_on()
    first, *rest = slow.take()
    assert first == {"type": "gap", "topic": "drop.a", "missed": first["missed"]}
    assert account([first, *rest], "drop.a", 100)[-1] == 99
    assert pair.hub.counters.dropped_oldest == first["missed"]
    assert pair.hub.outbox_bytes == 0
    assert slow.closed is None


def test_of_each_key_the_latest_is_kept() -> None:
    """With `latest`, whatever the flood, the newest of every key arrives."""
    pair, slow, _ = stalled("last.a")
    for number in range(300):
        pair.hub.publish("last.a", number, pair.now, key=f"k{number % 3}")
        pair.settle()
    slow.read_on()
    got = slow.take()
    delivered = [message["message"] for message in got if message["type"] == "notification"]
    missed = sum(message["missed"] for message in got if message["type"] == "gap")
    assert delivered == sorted(delivered)
    assert {297, 298, 299} <= set(delivered)
    assert len(delivered) + missed == 300
    assert pair.hub.counters.dropped_latest == missed


def test_a_session_that_reads_again_is_told_anew_when_it_stalls() -> None:
    """An event for each time, not for each publication."""
    pair, slow, _ = stalled("drop.a")
    for _ in range(3):
        flood(pair, "drop.a", 50)
        slow.read_on()
        slow.stall()
    told = [event for event in pair.take_events() if isinstance(event, Slow)]
    assert told == [Slow(1, "slow", "drop.a", "drop-oldest")] * 3


def test_a_topic_that_drops_nothing_ends_a_session_that_is_full_of_others() -> None:
    """What fills the outbox does not matter: a publication that must not be lost and has no room ends it."""
    pair, slow, _ = stalled("drop.a", "a")
    flood(pair, "drop.a", 50)
    assert slow.session.state is SessionState.OPEN
    flood(pair, "a", 2)
    slow.read_on()
    assert slow.code == 4008


def test_a_direct_message_is_not_dropped() -> None:
    """Nobody would be told: the session is closed instead."""
    pair, slow, _ = stalled("drop.a")
    flood(pair, "drop.a", 50)
    pair.hub.send_to("slow", "x" * 200, pair.now, sender="desk")
    slow.read_on()
    assert slow.code == 4008
    assert Slow(1, "slow", "drop.a", "drop-oldest") in pair.take_events()


@pytest.mark.parametrize("topic", ["high.a", "low.a"])
def test_a_topic_of_another_lane_has_the_same_bound(topic: str) -> None:
    """And the same policies."""
    pair, slow, quick = stalled(topic)
    flood(pair, topic, 100)
    assert quick.messages() == list(range(100))
    slow.read_on()
    if topic == "low.a":
        account(slow.take(), topic, 100)
    else:
        assert slow.code == 4008


def test_what_is_urgent_leaves_first() -> None:
    """Of a queue of three priorities, as their weights say; answers before all."""
    pair, slow, _ = stalled("high.a", "a", "low.a", outbox_size=10**6)
    for topic in ("low.a", "a", "high.a"):
        flood(pair, topic, 14)
    slow.send(action="ping", id=1)
    slow.read_on()
    pong, *rest = slow.take()
    assert pong["type"] == "pong"
    first = [message["topic"] for message in rest[:14]]
    assert (first.count("high.a"), first.count("a"), first.count("low.a")) == (8, 4, 2)
    for topic in ("high.a", "a", "low.a"):
        account(rest, topic, 14)


@pytest.mark.parametrize("slow", ["disconnect", "drop-oldest", "latest"])
def test_all_outboxes_together_are_bounded(slow: SlowPolicy) -> None:
    """Above the bound a session that takes nothing has its share; one that reads keeps what a burst brings."""
    rules = [Rule(pattern="a", slow=slow)]
    pair = HubPair(config(rules=rules, outbox_size=20_000, total_outbox_size=50_000))
    stuck = [pair.named(f"s{number}") for number in range(20)]
    quick = pair.named("quick")
    for peer in (*stuck, quick):
        peer.subscribe("a")
    for peer in stuck:
        peer.stall()
    for number in range(200):
        pair.hub.publish("a", f"{number} {'x' * 100}", pair.now, key=str(number))
        pair.settle()
        assert pair.hub.account.stalled <= 50_000 + 21 * 600
    # A burst, larger than the share, while the others hold all that there is.
    for number in range(30):
        pair.hub.publish("a", f"{number} {'x' * 100}", pair.now, key=f"b{number}")
    pair.settle()
    assert len(quick.take()) == 230
    assert quick.closed is None
    if slow == "disconnect":
        assert pair.hub.users == 1
    else:
        assert pair.hub.users == 21
        pair.hub.publish("a", "one more", pair.now)
        pair.settle()
        assert pair.hub.account.stalled <= 50_000
    for peer in stuck:
        peer.read_on()
    assert pair.hub.outbox_bytes == pair.hub.account.stalled == 0


def test_sessions_that_leave_do_not_raise_the_share_of_others() -> None:
    """Nobody has more than its own bound, however few are left."""
    rules = [Rule(pattern="a", slow="drop-oldest")]
    pair = HubPair(config(rules=rules, outbox_size=10_000, total_outbox_size=20_000))
    peers = [pair.named(f"s{number}") for number in range(5)]
    for peer in peers:
        peer.subscribe("a")
        peer.stall()
    flood(pair, "a", 100)
    for peer in peers[1:]:
        peer.session.leave(1001, "", pair.now)
    flood(pair, "a", 100)
    assert peers[0].session.outbox.size <= 10_000


def test_a_slow_member_does_not_hide_that_it_leaves() -> None:
    """A room hears that a member was closed for being slow."""
    pair = HubPair(config(outbox_size=2000))
    slow, quick = pair.named("slow"), pair.named("quick")
    for peer in (slow, quick):
        peer.subscribe("room.a", presence=True)
    slow.stall()
    while slow.session.state is SessionState.OPEN:
        flood(pair, "room.a", 1)
    told = quick.take()
    assert told[-2]["message"] == "slow left the chat"
    assert told[-1] == {
        "type": "presence",
        "topic": "room.a",
        "event": "leave",
        "user": "slow",
        "count": 1,
    }


@pytest.mark.parametrize("topic", ["a", "drop.a", "last.a", "high.a", "low.a"])
@pytest.mark.parametrize("pace", [1, 3, 7])
@pytest.mark.parametrize("many", [2, 64])
def test_nothing_is_lost_that_is_not_told(
    topic: str, pace: int, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that reads now and then: what came and what was missed make the whole, or it was closed."""
    monkeypatch.setattr(publishing, "MANY", many)
    pair, slow, quick = stalled(topic, outbox_size=2500)
    got: list[Message] = []
    for number in range(200):
        pair.hub.publish(topic, number, pair.now)
        pair.settle()
        if number % pace == 0:
            frames = slow.session.data_to_send(pair.now, 200)
            slow.receive(b"".join(frames), pair.now)
        got += slow.take()
    assert len(quick.messages()) == 200
    slow.read_on()
    got += slow.take()
    if slow.closed is None:
        account(got, topic, 200)
    else:
        assert slow.code == 4008
        delivered = [message["message"] for message in got]
        assert delivered == list(range(len(delivered)))


def test_announcements_are_lost_where_history_is_kept() -> None:
    """A member of a room with history that does not keep up loses no message: only who came and left."""
    rules = [Rule(pattern="room.*", presence=True, announce=True, history=1000)]
    pair = HubPair(config(rules=rules, outbox_size=2000))
    slow = pair.named("slow")
    slow.subscribe("room.a")
    slow.stall()
    for number in range(30):
        peer = pair.named(f"n{number}")
        peer.subscribe("room.a")
        pair.hub.publish("room.a", number, pair.now)
        peer.close()
    assert slow.session.state is SessionState.OPEN
    assert pair.hub.counters.announcements_dropped > 0
    slow.read_on()
    pair.advance(0.1)
    messages = [message["message"] for message in slow.take() if message["type"] != "system"]
    assert messages == list(range(30))


@pytest.mark.parametrize("many", [2, 64])
@pytest.mark.parametrize("topic", ["a", "drop.a", "last.a"])
def test_a_burst_has_the_same_bound(topic: str, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is published in one turn waits up to the bound for each, whether queues are shared or not."""
    monkeypatch.setattr(publishing, "MANY", many)
    pair = HubPair(config(rules=RULES, outbox_size=SIZE))
    peers = [pair.named(f"n{number}") for number in range(3)]
    for peer in peers:
        peer.subscribe(topic)
    for number in range(40):
        pair.hub.publish(topic, number, pair.now, key=str(number))
        assert all(peer.session.outbox.size <= SIZE for peer in peers[2:])
    pair.check()
    pair.settle()
    for peer in peers:
        if topic == "a":
            assert peer.code == 4008
        else:
            account(peer.take(), topic, 40)
    assert pair.hub.outbox_bytes == 0


@pytest.mark.parametrize("many", [2, 64])
def test_a_message_larger_than_an_outbox_is_nobodys(
    many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each receiver's policy acts, and no bound is passed, whether queues are shared or not."""
    monkeypatch.setattr(publishing, "MANY", many)
    pair = HubPair(config(rules=RULES, outbox_size=SIZE))
    peers = [pair.named(f"n{number}") for number in range(3)]
    for peer in peers:
        peer.subscribe("drop.a", "a")
    pair.hub.publish("drop.a", "x" * SIZE, pair.now)
    pair.check()
    pair.settle()
    told = {"type": "gap", "topic": "drop.a", "missed": 1}
    assert [peer.take() for peer in peers] == [[told]] * 3
    pair.hub.publish("a", "x" * SIZE, pair.now)
    pair.settle()
    assert [peer.code for peer in peers] == [4008] * 3


def test_where_not_even_a_gap_has_room_the_session_ends() -> None:
    """Its outbox is full of what may not be dropped: nobody could tell it what else it lost."""
    pair, slow, _ = stalled("a", "drop.a")
    while slow.session.outbox.size <= SIZE - 150:
        flood(pair, "a", 1)
    flood(pair, "drop.a", 1)
    assert slow.session.state is SessionState.OVER
    slow.read_on()
    assert slow.code == 4008
