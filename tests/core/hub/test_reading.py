"""When a session is read on, and when it waits: answers that nobody takes, requests that come too fast."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core import TokenBucket
from hubbub.core.effects import Done, HookKind
from hubbub.core.frames import Opcode, encode_frame
from hubbub.core.records import Heads
from hubbub.core.rules import Rule
from hubbub.core.session_states import SessionState
from support.hub_pair import HubPair, Peer, config

ID = "i" * 60
KEY = bytes(4)


def pings(peer: Peer, count: int) -> None:
    """Send so many requests at once."""
    for _ in range(count):
        peer.ws.send(json.dumps({"action": "ping", "id": ID}), peer.pair.now)
    peer.pair.settle()


def test_who_reads_no_answers_is_read_no_more() -> None:
    """Answers wait up to `answers_size`; then requests are no longer read, until they are taken."""
    pair = HubPair(config(answers_size=1000))
    peer = pair.named("ann")
    peer.stall()
    for _ in range(100):
        pings(peer, 1)
    session = peer.session
    assert not session.wants_read
    assert 1000 < session.outbox.answers_size < 1100
    assert peer.unread
    peer.read_on()
    assert session.wants_read
    assert len(peer.take()) == 100


def test_who_reads_answers_in_pieces_is_read_on_in_time() -> None:
    """Reading goes on at a quarter of the bound, and the adapter can't miss it."""
    pair = HubPair(config(answers_size=1000))
    peer = pair.named("ann")
    peer.stall()
    pings(peer, 100)
    session = peer.session
    answered = 0
    while not session.wants_read:
        assert session.dirty
        assert not session.unchanged  # or an adapter would not look
        frames = session.data_to_send(pair.now, 100)
        assert frames
        answered += len(frames)
    assert session.outbox.answers_size <= 250 or answered < 100


def test_all_requests_are_answered_once_however_slowly_they_are_read() -> None:
    """A peer that takes a few bytes at a time gets all its answers, in order."""
    pair = HubPair(config(answers_size=500))
    peer = pair.named("ann")
    peer.stall()
    for number in range(150):
        peer.send(action="ping", id=number)
    steps = 0
    while (frames := peer.session.data_to_send(pair.now, 200)) or peer.unread:
        steps += 1
        peer.receive(b"".join(frames), pair.now)
        if peer.unread and peer.session.wants_read:
            data, peer.unread = peer.unread, b""
            peer.session.receive_data(data, pair.now)
    assert [message["id"] for message in peer.take()] == list(range(150))
    assert steps > 10


def test_requests_that_come_too_fast_are_read_later() -> None:
    """Above `request_burst` no more are read than `request_rate` allows; none is lost or refused."""
    pair = HubPair(config(request_burst=10, request_rate=5.0))
    peer = pair.named("ann")
    pings(peer, 40)
    assert len(peer.take()) == 10
    assert not peer.session.wants_read
    pair.advance(2.0)
    assert len(peer.take()) == 10
    pair.advance(4.0)
    assert len(peer.take()) == 20
    assert peer.session.wants_read
    pair.advance(1.0)
    pings(peer, 5)
    assert len(peer.take()) == 5


def test_a_session_that_must_wait_can_be_closed() -> None:
    """Neither its rate nor its answers keep a session that waits from ending."""
    pair = HubPair(config(request_burst=2, request_rate=0.1, answers_size=100))
    peer = pair.named("ann")
    pings(peer, 9)
    assert not peer.session.wants_read
    pair.hub.disconnect("ann", pair.now)
    pair.settle()
    assert peer.code == 4003
    assert pair.hub.links == 0

    peer = pair.named("ann")
    peer.stall()
    pings(peer, 9)
    peer.cut_off()
    assert peer.session.state is SessionState.OVER
    assert pair.hub.links == 0


def test_an_endless_stream_of_requests_takes_only_its_rate() -> None:
    """Who never stops gets `request_rate` answers a second, and what waits unread is not with the hub."""
    pair = HubPair(config(request_burst=10, request_rate=50.0))
    peer = pair.named("ann")
    answers = 0
    for _ in range(100):
        pings(peer, 20)
        pair.advance(0.1)
        answers += len(peer.take())
        assert len(peer.session.ws.data_to_send(pair.now)) == 0
    assert 10 + 480 <= answers <= 10 + 520
    assert len(peer.unread) > 1000


@given(
    rate=st.floats(1e-3, 1e7),
    burst=st.integers(1, 5),
    start=st.floats(0.0, 1e9),
    waits=st.lists(st.floats(0.0, 1.0), max_size=3),
)
def test_who_waits_as_long_as_told_gets_a_token(
    rate: float, burst: int, start: float, waits: list[float]
) -> None:
    """However floats round, waiting for `available_at` ends, and is not longer than one token takes."""
    now = start
    bucket = TokenBucket(rate, burst, now)
    for wait in [*waits, 0.0]:
        while bucket.take(now):
            pass
        assert TokenBucket(rate, burst, now).available_at(now) == now
        at = bucket.available_at(now)
        assert now < at <= now + 1.0 / rate + 4 * math.ulp(now)
        for _ in range(20):
            if bucket.take(at):
                break
            assert bucket.available_at(at) > at
            at = bucket.available_at(at)
        else:
            raise AssertionError("it waits in a circle")
        now = at + wait


def test_binary_messages_are_requests_too() -> None:
    """They are answered `unsupported`, and read no faster than others."""
    pair = HubPair(config(request_burst=10, request_rate=5.0))
    peer = pair.named("ann")
    for _ in range(40):
        peer.ws.send(b"binary", pair.now)
    pair.settle()
    pair.advance(0.0)
    answers = peer.take()
    assert [answer["code"] for answer in answers] == ["unsupported"] * 10
    assert pair.hub.counters.requests == 10


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_a_close_frame_waits_for_the_answer_of_a_hook(cut: bool) -> None:
    """Whether it came with the request or behind it: the hook's answer goes before, if it comes in time."""
    for late in (False, True):
        pair = HubPair(hooks={HookKind.PUBLISH: (">",)})
        peer = pair.named("ann")
        sent = [
            encode_frame(
                Opcode.TEXT, b'{"action":"publish","topic":"a","message":1,"id":7}', key=KEY
            ),
            encode_frame(Opcode.CLOSE, b"\x03\xe8", key=KEY),
        ]
        for data in sent if cut else [b"".join(sent)]:
            peer.session.receive_data(data, pair.now)
        pair.settle()
        assert peer.closed is None
        if late:
            pair.advance(1.0)  # answer_timeout
            assert peer.code == 1000
            pair.complete(Done())
            assert peer.take() == []
        else:
            pair.complete(Done())
            assert peer.answer(7)["type"] == "published"
            assert peer.code == 1000
        assert pair.hub.users == 0


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_a_close_frame_waits_for_the_store(cut: bool) -> None:
    """The same with publications that must be stored before they are answered."""
    rules = [Rule(pattern=">", durable=True, history=10)]
    pair = HubPair(config(rules=rules), heads=Heads())
    peer = pair.named("ann")
    sent = [
        encode_frame(Opcode.TEXT, b'{"action":"publish","topic":"a","message":1,"id":7}', key=KEY),
        encode_frame(Opcode.TEXT, b'{"action":"ping","id":8}', key=KEY),
        encode_frame(Opcode.CLOSE, b"\x03\xe8", key=KEY),
    ]
    for data in sent if cut else [b"".join(sent)]:
        peer.session.receive_data(data, pair.now)
    pair.settle()
    assert peer.closed is None
    pair.complete(Done())
    assert [message["id"] for message in peer.take()] == [7, 8]
    assert peer.code == 1000
    assert pair.hub.outbox_bytes == 0


def test_answers_that_nobody_took_go_before_the_close_frame() -> None:
    """A peer whose answers had waited for it, and that closes then, gets them first."""
    pair = HubPair(config(answers_size=500))
    peer = pair.named("ann")
    peer.stall()
    pings(peer, 9)
    assert not peer.session.wants_read
    peer.session.receive_data(encode_frame(Opcode.CLOSE, b"\x03\xe8", key=KEY), pair.now)
    peer.read_on()
    answers = peer.take()
    assert len(answers) >= 7
    assert peer.code == 1000


def test_answers_behind_a_publication_are_bounded_too() -> None:
    """While the store is asked, what is answered behind it waits up to `answers_size`, then is not read."""
    rules = [Rule(pattern=">", durable=True, history=10)]
    pair = HubPair(config(rules=rules, answers_size=2000), heads=Heads())
    peer = pair.named("ann")
    peer.send(action="publish", topic="a", message=1, id=0)
    for number in range(60):
        peer.send(action="unsubscribe", topics=["t" * 100], id=number + 1)
    assert not peer.session.wants_read
    assert peer.unread
    (effect,) = pair.effects
    pair.complete(Done(), effect)
    assert [message["id"] for message in peer.take()] == list(range(61))
    assert peer.session.wants_read


def test_so_many_publications_may_wait_for_the_store() -> None:
    """`max_pending_publishes` of one session; then nothing is read until one is stored."""
    rules = [Rule(pattern=">", durable=True, history=10)]
    pair = HubPair(config(rules=rules, max_pending_publishes=3), heads=Heads())
    peer = pair.named("ann")
    for number in range(8):
        peer.send(action="publish", topic="a", message=number, id=number)
    assert not peer.session.wants_read
    while pair.effects:
        pair.complete(Done())
    assert [(message["id"], message["offset"]) for message in peer.take()] == [
        (number, number + 1) for number in range(8)
    ]
    assert peer.session.wants_read


def test_requests_are_taken_when_there_is_room_though_no_timer_came() -> None:
    """A late timer holds nothing up: bytes that come after its moment are read at once."""
    pair = HubPair(config(request_burst=2, request_rate=1.0))
    peer = pair.named("ann")
    pings(peer, 3)
    assert not peer.session.wants_read
    pair.now += 10.0  # nobody calls handle_timeout
    peer.session.receive_data(encode_frame(Opcode.PING, b"", key=KEY), pair.now)
    assert peer.session.wants_read
    pair.settle()
    assert len(peer.take()) == 3
