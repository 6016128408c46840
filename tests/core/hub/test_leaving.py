"""How sessions end: drained, closed by the hub or by themselves, cut off, and what is told of it."""

from __future__ import annotations

import gc
from itertools import pairwise

import pytest

from hubbub.core.auth import External
from hubbub.core.effects import Done, HookKind
from hubbub.core.http import text_response
from hubbub.core.hub_events import Left, OpeningRefused
from hubbub.core.records import Heads
from hubbub.core.rules import Rule
from hubbub.core.session import Session
from hubbub.core.session_states import SessionState
from support.hub_pair import HubPair, Peer, config


def lefts(pair: HubPair) -> list[Left]:
    """What was told of sessions that have ended."""
    return [event for event in pair.take_events() if isinstance(event, Left)]


# Drain.


def test_a_drain_sends_everybody_away_behind_what_waits() -> None:
    """A hint when to come back, the queue, and then 1001; nothing is lost, and the hub is idle at the end."""
    pair = HubPair()
    peers = [pair.named(f"n{number}") for number in range(5)]
    for peer in peers:
        peer.subscribe("a")
        peer.stall()
    for number in range(20):
        pair.hub.publish("a", number, pair.now)
    pair.hub.drain(pair.now)
    pair.hub.drain(pair.now)
    assert pair.hub.draining
    for peer in peers:
        peer.read_on()
    hints = []
    for peer in peers:
        got = peer.take()
        assert [message["message"] for message in got[:20]] == list(range(20))
        (hint,) = got[20:]
        assert hint["type"] == "reconnect"
        hints.append(hint["after"])
        assert peer.code == 1001
    assert all(0 <= hint < 10 for hint in hints)
    assert len(set(hints)) == 5
    pair.advance(5.0)
    assert pair.hub.idle
    assert pair.hub.counters.unsent == 0
    assert [event.code for event in lefts(pair)] == [1001] * 5


def test_before_a_drain_a_hub_may_take_nobody_new_for_a_while() -> None:
    """New WebSockets are refused with 503, so that others are tried; who is in goes on, and HTTP too."""
    pair = HubPair(config(options={"http": True}))
    ann = pair.named("ann")
    ann.subscribe("a")
    half = pair.raw()
    pair.take_events()
    pair.hub.retire(pair.now)
    pair.hub.retire(pair.now)
    pair.settle()
    assert pair.hub.draining
    late = pair.peer()
    assert late.refused is not None
    assert late.refused.response.status == 503
    told = "The server is shutting down: try again, or elsewhere"
    assert pair.take_events() == [OpeningRefused("192.0.2.1", 503, told)]
    asking = pair.raw()
    asking.send_bytes(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
    pair.settle()
    pair.complete(Done(text_response(503, "draining")))
    assert asking.got.startswith(b"HTTP/1.1 503 ")
    assert ann.publish("a", "still here")["recipients"] == 1
    assert not half.ended
    pair.advance(60.0)
    assert ann.messages() == ["still here"]
    assert ann.closed is None
    pair.hub.drain(pair.now)
    pair.settle()
    assert ann.take()[-1]["type"] == "reconnect"
    assert ann.code == 1001
    assert pair.raw().session.end is not None
    pair.hub.retire(pair.now)
    pair.advance(5.0)
    assert pair.hub.idle


def test_a_drain_works_in_batches() -> None:
    """`drain_batch` at once, the first to come first; between batches some time, which is never the same."""
    pair = HubPair(config(drain_batch=3, drain_interval=1.0, reconnect_spread=0.5))
    peers = [pair.named(f"n{number}") for number in range(8)]
    pair.hub.drain(pair.now)
    pair.settle()
    moments: list[float] = []
    gone = 0
    for _ in range(200):
        count = sum(peer.code == 1001 for peer in peers)
        if count != gone:
            assert [peer.code for peer in peers[:count]] == [1001] * count
            moments.append(pair.now)
            gone = count
        pair.advance(0.05)
    assert len(moments) == 3
    waits = [later - earlier for earlier, later in pairwise(moments)]
    assert all(0.45 <= wait <= 1.6 for wait in waits)
    assert all(peer.take()[0]["after"] < 0.5 for peer in peers)
    assert pair.hub.idle


def test_who_may_still_talk_while_the_hub_drains() -> None:
    """A session whose batch has not come publishes and is answered."""
    pair = HubPair(config(drain_batch=1, drain_interval=10.0))
    first, second = pair.named("a"), pair.named("b")
    pair.hub.drain(pair.now)
    pair.settle()
    assert first.code == 1001
    second.subscribe("a")
    assert second.publish("a")["recipients"] == 1


def test_a_hub_that_drains_takes_nobody() -> None:
    """New sockets are closed without a word, and so are those whose request did not come yet."""
    pair = HubPair()
    silent = pair.raw()
    half = pair.raw()
    half.send_bytes(b"GET / HTTP/1.1\r\nHost: a\r\n")
    pair.hub.drain(pair.now)
    pair.settle()
    late = pair.raw()
    pair.settle()
    for raw in (silent, half, late):
        assert raw.ended
        assert not raw.got
    assert pair.hub.counters.turned_away == 0
    assert pair.hub.idle
    assert pair.hub.next_timeout() is None


def test_who_is_being_identified_is_sent_away_too() -> None:
    """With the hint, whether nobody yet, or asked about."""
    pair = HubPair(config(auth=External()))
    peers = [pair.peer(), pair.peer("/?token=x")]
    pair.hub.drain(pair.now)
    pair.settle()
    assert [peer.code for peer in peers] == [1001, 1001]
    assert [[m["type"] for m in peer.take()] for peer in peers] == [["reconnect"]] * 2
    pair.advance(10.0)
    assert pair.hub.idle


def test_who_never_reads_does_not_hold_a_drain_up() -> None:
    """What waits for it has `close_timeout`; then it is closed with what it has got."""
    pair = HubPair(config(close_timeout=4.0))
    peer = pair.named("ann")
    peer.subscribe("a")
    peer.stall()
    pair.hub.publish("a", 1, pair.now)
    pair.hub.drain(pair.now)
    pair.settle()
    assert peer.session.state is SessionState.LEAVING
    assert peer.session.end is None
    pair.advance(3.9)
    assert peer.session.state is SessionState.LEAVING
    pair.advance(0.2)
    assert peer.session.state is SessionState.OVER
    pair.advance(10.0)
    assert pair.hub.idle
    assert pair.hub.outbox_bytes == 0


def test_a_session_that_leaves_takes_nothing_new() -> None:
    """Neither its requests nor what is published."""
    pair = HubPair()
    peer = pair.named("ann")
    other = pair.named("bob")
    for one in (peer, other):
        one.subscribe("a")
    peer.stall()
    pair.hub.publish("a", 1, pair.now)
    peer.session.leave(1001, "bye", pair.now)
    peer.send(action="publish", topic="a", message=2)
    peer.say(b"binary")
    peer.session.answer(b"{}", pair.now)
    peer.session.leave(1000, "again", pair.now)
    assert pair.hub.publish("a", 3, pair.now).recipients == 1  # type: ignore[union-attr]
    peer.read_on()
    assert peer.messages() == [1]
    assert peer.code == 1001
    assert other.messages() == [1, 3]


# Close.


def test_closing_the_hub_closes_everybody_at_once() -> None:
    """With 1001, before what waits."""
    pair = HubPair()
    peers = [pair.named(f"n{number}") for number in range(3)]
    silent = pair.raw()
    for peer in peers:
        peer.subscribe("a")
        peer.stall()
    pair.hub.publish("a", 1, pair.now)
    pair.hub.close(pair.now)
    pair.hub.close(pair.now)
    for peer in peers:
        peer.read_on()
        assert peer.take() == []
        assert peer.code == 1001
    assert silent.ended
    assert pair.hub.idle
    assert pair.hub.counters.unsent == 3


def test_closing_ends_a_drain_that_lasts() -> None:
    """Nobody is left, and nothing is due any more."""
    pair = HubPair(config(drain_batch=1, drain_interval=100.0))
    peers = [pair.named(f"n{number}") for number in range(3)]
    pair.hub.drain(pair.now)
    pair.settle()
    pair.hub.close(pair.now)
    pair.settle()
    assert [peer.code for peer in peers] == [1001] * 3
    assert pair.hub.links == 0
    pair.advance(1000.0)
    assert pair.hub.next_timeout() is None


# By themselves.


def test_who_closes_is_told_of_with_its_code() -> None:
    """And its place, its name and its topics are free at once."""
    pair = HubPair()
    ann, bob = pair.named("ann"), pair.named("bob")
    for peer in (ann, bob):
        peer.subscribe("room.a")
    ann.close(3001, "bye")
    assert ann.code == 3001
    (left,) = lefts(pair)
    assert (left.user, left.code, left.cause, left.unsent) == ("ann", 3001, "closed by the peer", 0)
    assert [message["message"] for message in bob.take()] == ["ann left the chat"]
    assert pair.hub.presence("room.a") == {"bob": 1}
    pair.named("ann")


@pytest.mark.parametrize("how", ["cut off", "end of stream", "silence", "protocol"])
def test_who_goes_without_a_word_is_told_of(how: str) -> None:
    """Whether its connection is lost, ends, falls silent, or breaks the protocol."""
    pair = HubPair()
    ann = pair.named("ann")
    ann.subscribe("a")
    session = ann.session
    if how == "cut off":
        ann.cut_off()
    elif how == "end of stream":
        session.receive_eof(pair.now)
        session.receive_eof(pair.now)
    elif how == "silence":
        ann.stall()
        pair.hub.publish("a", 1, pair.now)
        pair.peers.pop(session)
        while pair.hub.links and pair.now < 500.0:
            at = pair.hub.next_timeout()
            assert at is not None
            pair.now = at
            pair.hub.handle_timeout(pair.now)
    else:
        session.receive_data(b"\x01", pair.now)
        session.receive_data(b"\x02" + bytes(9), pair.now)
    pair.settle()
    (left,) = lefts(pair)
    assert left.user == "ann"
    assert left.code == 1006
    assert list(pair.hub.topics()) == []
    assert pair.hub.users == 0
    pair.advance(20.0)
    assert pair.hub.links == 0
    assert pair.hub.outbox_bytes == 0


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x80\0\0\0\0"[:1] + b"\x05hello", 1002),  # not masked
        (b"\x81\x81\0\0\0\0\xff", 1007),  # no UTF-8
        (b"\x81\xff\0\0\0\0\x10\0\0\0\0\0\0\0", 1009),  # too large
    ],
)
def test_a_fault_of_the_client_is_answered_with_its_code(sent: bytes, code: int) -> None:
    """And what the client had asked before is answered first."""
    pair = HubPair()
    ann = pair.named("ann")
    ann.ws.send('{"action":"ping","id":1}', pair.now)
    data = b"".join(ann.ws.data_to_send(pair.now))
    ann.session.receive_data(data + sent, pair.now)
    pair.settle()
    assert ann.answer(1) == {"type": "pong"}
    assert ann.code == code


def test_calls_after_the_end_do_nothing() -> None:
    """An adapter may call whatever it likes, in any order, as often as it likes."""
    for end in ("close", "cut", "refused"):
        pair = HubPair(config(max_opening=1 if end == "refused" else 100))
        if end == "refused":
            pair.raw()
            session = pair.raw().session
        else:
            peer: Peer = pair.named("ann")
            session = peer.session
            if end == "close":
                peer.close()
            else:
                peer.cut_off()
        pair.advance(5.0)
        assert session.state is SessionState.OVER
        links = pair.hub.links
        before = pair.hub.next_timeout()
        for _ in range(2):
            session.receive_data(b"x", pair.now)
            session.receive_eof(pair.now)
            session.connection_lost(pair.now)
            session.write_blocked(pair.now)
            session.handle_timeout(pair.now)
            session.leave(1000, "", pair.now)
            session.fail(1000, "", pair.now)
            session.answer(b"{}", pair.now)
            assert session.data_to_send(pair.now) == []
            assert not session.wants_write
            assert session.end is not None
        pair.settle()
        assert pair.hub.links == links
        assert pair.hub.next_timeout() == before
        assert len(lefts(pair)) == (end != "refused")
        assert pair.hub.next_dirty() is None


def test_nothing_keeps_a_session_that_has_ended() -> None:
    """Neither effects nor timers, queues or lists: when its socket is closed it is gone, without a collection."""
    kinds = {HookKind.CONNECT: (">",), HookKind.PUBLISH: (">",), HookKind.DISCONNECT: (">",)}
    pair = HubPair(config(auth=External(), options={"http": True}), hooks=kinds)
    gc.collect()
    gc.disable()
    try:
        for end in ("cut", "close", "fail", "leave", "http", "waiting"):
            for number in range(3):
                if end == "http":
                    raw = pair.raw()
                    raw.send_bytes(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    pair.settle()
                    raw.cut_off()
                    continue
                peer = pair.peer(f"/?name={end}{number}")
                while pair.effects:
                    pair.complete(Done())
                peer.subscribe("room.a", "b", presence=False)
                peer.send(action="publish", topic="b", message=1)
                while end != "waiting" and pair.effects:
                    pair.complete(Done())
                if end in ("cut", "waiting"):
                    peer.cut_off()
                elif end == "close":
                    peer.close()
                elif end == "fail":
                    pair.hub.disconnect(f"{end}{number}", pair.now)
                else:
                    peer.session.leave(1001, "", pair.now)
                pair.settle()
        pair.effects.clear()
        pair.advance(30.0)
        pair.effects.clear()
        assert pair.hub.idle
        pair.sessions.clear()
        peer = raw = None  # type: ignore[assignment]
        assert [one for one in gc.get_objects() if isinstance(one, Session)] == []
    finally:
        gc.enable()


def test_who_has_no_room_for_the_hint_goes_without() -> None:
    """It is slow anyway; what waits for it still leaves before the end."""
    pair = HubPair(config(outbox_size=500))
    peer = pair.named("ann")
    peer.subscribe("a")
    peer.stall()
    while peer.session.outbox.size <= 400:
        pair.hub.publish("a", "x" * 50, pair.now)
    pair.hub.drain(pair.now)
    peer.read_on()
    assert {message["type"] for message in peer.take()} == {"notification"}
    assert peer.code == 1001


def test_a_drain_waits_for_the_store() -> None:
    """Who has published and has no answer yet gets it before 1001, and all answers behind it."""
    rules = [Rule(pattern=">", durable=True, history=10)]
    pair = HubPair(config(rules=rules), heads=Heads())
    peer, silent = pair.named("ann"), pair.named("bob")
    for one in (peer, silent):
        one.send(action="publish", topic="a", message=1, id=1)
        one.send(action="ping", id=2)
        one.send(action="subscribe", topics=["a"], id=3)
        one.send(action="ping", id=4)
    (first,) = pair.effects  # the second waits for the next commit
    pair.hub.drain(pair.now)
    pair.settle()
    assert (peer.closed, silent.closed) == (None, None)
    pair.complete(Done(), first)
    assert [message.get("id") for message in peer.take()][:2] == [None, 1]
    assert peer.code == 1001
    assert silent.closed is None
    pair.advance(10.0)
    assert silent.code == 1001
    assert list(pair.hub.topics()) == []
    pair.check()


def test_mistakes_behind_an_answer_that_is_owed_are_answered() -> None:
    """The answers come in order, the last error too, and then 4029."""
    rules = [Rule(pattern=">", durable=True, history=10)]
    pair = HubPair(config(rules=rules, error_burst=2), heads=Heads())
    peer = pair.named("ann")
    peer.send(action="publish", topic="a", message=1, id=0)
    for number in range(1, 6):
        peer.send(action="fly", id=number)
    assert peer.take() == []
    pair.complete(Done())
    assert [message["id"] for message in peer.take()] == [0, 1, 2, 3]
    assert peer.code == 4029
