"""Sessions that a fan-out to many reaches are written to together, and behind all others."""

from __future__ import annotations

import json

from hubbub.core.crowd import MANY
from hubbub.core.frames import CloseCode
from hubbub.core.hub_config import HubConfig
from hubbub.core.messages import Published
from hubbub.core.rules import Rule
from hubbub.core.session import Session
from support.hub_pair import HubPair, Peer, config


class Crowded:
    """A hub with one session more on a topic than make a crowd, each of which knows its carrier."""

    def __init__(self, hub_config: HubConfig | None = None) -> None:
        self.pair = HubPair(hub_config)
        self.hub = self.pair.hub
        self.peers = [self.pair.named(f"user{number}") for number in range(MANY + 1)]
        for number, peer in enumerate(self.peers):
            peer.ask(action="subscribe", topics=["news"])
            peer.session.plain = True
            peer.session.carrier = number

    def publish(self, message: object) -> None:
        """Publish, and move no bytes."""
        self.hub.publish("news", message, self.pair.now)

    def told(self) -> list[Session]:
        """The sessions that are not of the crowd."""
        found: list[Session] = []
        while (session := self.hub.next_dirty(crowd=False)) is not None:
            found.append(session)
        return found

    def take(self) -> dict[int, bytes]:
        """What is written to whom, taken some at a time."""
        found: dict[int, bytes] = {}
        while taken := self.hub.take_crowd(10):
            assert len(taken) <= 10
            for carrier, data in taken:
                assert carrier not in found
                found[carrier] = data
        return found


def messages(data: bytes) -> list[object]:
    """The messages in frames that are short enough for a length of two bytes."""
    found: list[object] = []
    while data:
        size, head = (data[1], 2) if data[1] < 126 else (int.from_bytes(data[2:4], "big"), 4)
        found.append(json.loads(data[head : head + size])["message"])
        data = data[head + size :]
    return found


def test_all_are_taken_together() -> None:
    """Nobody is told of alone; all get all messages, in order, and they are counted."""
    crowded = Crowded()
    before = crowded.hub.counters.messages_out, crowded.hub.counters.bytes_out
    crowded.publish(1)
    crowded.publish(2)
    assert crowded.told() == []
    assert crowded.hub.crowded
    found = crowded.take()
    assert list(found) == list(range(MANY + 1))
    assert {tuple(messages(data)) for data in found.values()} == {(1, 2)}
    assert not crowded.hub.crowded
    assert crowded.hub.outbox_bytes == 0
    count, size = crowded.hub.counters.messages_out, crowded.hub.counters.bytes_out
    assert (count - before[0], size - before[1]) == (
        2 * (MANY + 1),
        sum(map(len, found.values())),
    )


def test_what_came_between_two_is_taken_once() -> None:
    """Who has taken one message comes again for the next; who has not, gets both at once."""
    crowded = Crowded()
    crowded.publish(1)
    first = dict(crowded.hub.take_crowd(3))
    crowded.publish(2)
    later = crowded.take()
    assert [messages(first[number]) + messages(later[number]) for number in range(3)] == 3 * [
        [1, 2]
    ]
    assert messages(later[3]) == [1, 2]
    assert len(later) == MANY + 1


def test_an_answer_goes_before_the_crowd() -> None:
    """A session that is answered is told at once, with all that waits for it; the crowd goes on without it."""
    crowded = Crowded()
    crowded.publish(1)
    peer = crowded.peers[5]
    peer.ws.send('{"action":"ping"}', crowded.pair.now)
    peer.write(crowded.pair.now)
    assert crowded.told() == [peer.session]
    peer.flush(crowded.pair.now)
    assert [message["type"] for message in peer.take()] == ["pong", "notification"]
    assert set(crowded.take()) == set(range(MANY + 1)) - {5}


def test_a_few_receivers_are_no_crowd() -> None:
    """A message to few overtakes what waits for many, and takes along what waits for its receivers."""
    crowded = Crowded()
    peer = crowded.peers[7]
    peer.ask(action="subscribe", topics=["small"])
    crowded.publish(1)
    crowded.hub.publish("small", 2, crowded.pair.now)
    assert crowded.told() == [peer.session]
    peer.flush(crowded.pair.now)
    assert [message["message"] for message in peer.take()] == [1, 2]
    assert 7 not in crowded.take()


def test_who_needs_more_than_bytes_is_told() -> None:
    """Whose frames differ, or whose socket is full, is not taken with the others."""
    crowded = Crowded()
    crowded.peers[1].session.plain = False
    crowded.peers[2].session.write_blocked(crowded.pair.now)
    crowded.publish(1)
    found = crowded.take()
    assert set(found) == set(range(MANY + 1)) - {1, 2}
    assert crowded.told() == [crowded.peers[1].session, crowded.peers[2].session]


def test_who_left_the_topic_is_not_written_to() -> None:
    """What was queued is taken back in the same step, though the session stands in the crowd."""
    crowded = Crowded()
    crowded.publish(1)
    peer = crowded.peers[3]
    peer.ws.send('{"action":"unsubscribe","topics":["news"]}', crowded.pair.now)
    peer.write(crowded.pair.now)
    crowded.peers[4].session.connection_lost(crowded.pair.now)
    assert set(crowded.take()) == set(range(MANY + 1)) - {3, 4}


def test_messages_to_several_crowds() -> None:
    """Who is in two crowds gets the messages of both, each topic's in order; others only theirs."""
    crowded = Crowded()
    # All but one, so that the last one's queue is another than everybody's.
    for peer in crowded.peers[:-1]:
        peer.ask(action="subscribe", topics=["other"])
    now = crowded.pair.now
    for topic, message in (("other", 1), ("news", 2), ("other", 3), ("news", 4)):
        crowded.hub.publish(topic, message, now)
    assert crowded.told() == []
    found = crowded.take()
    assert {tuple(messages(found[number])) for number in range(MANY)} == {(1, 2, 3, 4)}
    assert messages(found[MANY]) == [2, 4]
    assert crowded.hub.outbox_bytes == 0


def test_a_topic_with_history() -> None:
    """Its messages are shared too; who is behind gets them from the log, and not twice."""
    crowded = Crowded(config(rules=[Rule(pattern="news", history=100)]))
    crowded.publish(1)
    first = crowded.take()
    peer = crowded.peers[9]
    published = crowded.hub.publish("news", 2, crowded.pair.now)
    assert isinstance(published, Published)
    since = {"news": {"offset": 0, "epoch": published.epoch}}
    peer.ask(action="subscribe", topics=["news"], since=since)
    assert {tuple(messages(data)) for data in first.values()} == {(1,)}
    crowded.publish(3)
    crowded.pair.advance(0.0)
    assert [message["message"] for message in peer.take()] == [1, 2, 3]


def test_a_shared_queue_is_bounded() -> None:
    """At the bound of an outbox each session's policy acts, as if the queue were its own."""
    crowded = Crowded(config(outbox_size=1000))
    for number in range(10):
        crowded.publish(100 * str(number))
    assert crowded.hub.outbox_bytes == 0
    crowded.pair.settle()
    assert {peer.closed and peer.closed.code for peer in crowded.peers} == {CloseCode.TOO_SLOW}


def test_one_by_one() -> None:
    """Who does not ask for the crowd is told of each session of it."""
    crowded = Crowded()
    crowded.publish(1)
    crowded.pair.settle()
    got: list[Peer] = [peer for peer in crowded.peers if peer.take()[-1]["message"] == 1]
    assert got == crowded.peers
    assert not crowded.hub.crowded
