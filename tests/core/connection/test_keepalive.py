"""Keepalive: a peer that is gone is found, a handler that is slow is not taken for one."""

import pytest

from hubbub.core import Closed, Limits, LocalProtocolError, Pong, State, TextMessage
from support.pair import Pair, connected, events, with_limits

INTERVAL = TIMEOUT = 20.0


def test_an_idle_connection_stays_open_for_hours() -> None:
    """Pings are answered by the machine itself, for as long as anyone likes."""
    pair = connected()
    pair.advance(3 * 3600.0)
    assert pair.server.state is State.OPEN
    assert pair.client.state is State.OPEN


def test_latency_is_measured() -> None:
    """Latency is the time from the ping leaving to its pong arriving."""
    pair = connected()
    pair.now = INTERVAL
    pair.server.handle_timeout(INTERVAL)
    ping = b"".join(pair.server.data_to_send(INTERVAL + 1.0))
    pair.client.receive_data(ping, INTERVAL + 1.1)
    pong = b"".join(pair.client.data_to_send(INTERVAL + 1.1))
    pair.server.receive_data(pong, INTERVAL + 1.25)
    assert pair.server.latency == pytest.approx(0.25)


def test_a_peer_that_is_gone_is_found_in_time() -> None:
    """Silence ends the connection with 1011 one interval and one timeout after the last byte."""
    server = connected().server
    last = 0.0
    while server.state is State.OPEN:
        at = server.next_timeout()
        assert at is not None
        last = at
        server.handle_timeout(at)
        server.data_to_send(at)
    assert last == INTERVAL + TIMEOUT
    (closed,) = events(server)
    assert isinstance(closed, Closed)
    assert closed.code == 1006
    assert closed.sent is not None
    assert closed.sent.code == 1011
    assert "keepalive" in closed.cause


def test_any_byte_proves_life() -> None:
    """A peer that is busy sending something else is not cut for a late pong."""
    pair = connected()
    pair.now = INTERVAL
    pair.server.handle_timeout(pair.now)
    pair.server.data_to_send(pair.now)  # the ping, which gets lost
    pair.client.send("still here", pair.now)
    pair.server.receive_data(b"".join(pair.client.data_to_send(pair.now)), INTERVAL + 19.0)
    pair.server.handle_timeout(INTERVAL + TIMEOUT)
    assert pair.server.state is State.OPEN


def test_a_byte_from_before_the_ping_proves_nothing() -> None:
    """What was heard before the ping left does not count, even at the same moment."""
    pair = connected()
    pair.client.send("last words", INTERVAL)
    pair.server.receive_data(b"".join(pair.client.data_to_send(INTERVAL)), INTERVAL)
    pair.server.handle_timeout(INTERVAL)
    pair.server.data_to_send(INTERVAL)
    pair.server.handle_timeout(INTERVAL + TIMEOUT)
    assert pair.server.state is State.CLOSING


def stalled(pair: Pair) -> None:
    """The client sends until the server stops reading, since its application takes nothing."""
    while pair.server.wants_read:
        pair.client.send("more", pair.now)
        pair.flush()


def test_a_handler_that_stalls_for_a_minute_keeps_its_connection() -> None:
    """While we do not read, the pong can't be seen, and its deadline stands still."""
    pair = connected()
    stalled(pair)
    server = pair.server
    while (at := server.next_timeout()) is not None and at <= 60.0:
        server.handle_timeout(at)
        server.data_to_send(at)  # pings leave; their pongs wait in the kernel
    assert server.state is State.OPEN
    assert len([e for e in events(server) if isinstance(e, TextMessage)]) == 16


def test_after_a_stall_a_peer_that_is_gone_is_found_in_time() -> None:
    """Only the time in which we read counts: interval plus timeout at most."""
    pair = connected()
    stalled(pair)
    server = pair.server
    while (at := server.next_timeout()) is not None and at <= 60.0:
        server.handle_timeout(at)
        server.data_to_send(at)
    events(server)
    assert server.wants_read
    server.data_to_send(60.0)
    at = 60.0
    while server.state is State.OPEN:
        following = server.next_timeout()
        assert following is not None
        at = following
        server.handle_timeout(at)
        server.data_to_send(at)
    assert at - 60.0 <= INTERVAL + TIMEOUT


def test_no_pings_where_the_interval_is_off() -> None:
    """ping_interval=None sends none, ping_timeout=None judges none."""
    assert with_limits(Limits(ping_interval=None)).server.next_timeout() is None
    server = with_limits(Limits(ping_timeout=None)).server
    for at in range(20, 2000, 20):
        server.handle_timeout(float(at))
        server.data_to_send(float(at))
    assert server.state is State.OPEN


def test_a_ping_of_the_application_is_answered() -> None:
    """`ping` gives its payload, and a `Pong` event the payload and the latency."""
    pair = connected()
    payload = pair.client.ping(1.0)
    assert len(payload) == 4
    pair.now = 3.0
    pair.flush()
    assert events(pair.client) == [Pong(payload, 2.0)]


def test_a_pong_answers_the_pings_before_it() -> None:
    """One pong stands for all pings up to its own (RFC 6455, 5.5.3)."""
    pair = connected()
    for payload in (b"a", b"b", b"c"):
        pair.client.ping(0.0, payload)
    sent = pair.client.data_to_send(0.0)
    pair.server.receive_data(sent[1], 0.0)
    pair.flush()
    assert events(pair.client) == [Pong(b"a", 0.0), Pong(b"b", 0.0)]


def test_pongs_can_be_taken_out_of_turn() -> None:
    """`take_pongs` leaves messages where they are."""
    pair = connected()
    pair.server.send("first", 0.0)
    pair.flush()
    pair.client.ping(0.0, b"p")
    pair.flush()
    assert pair.client.take_pongs() == [Pong(b"p", 0.0)]
    assert events(pair.client) == [TextMessage("first")]


def test_an_unsolicited_pong_means_nothing() -> None:
    """A pong that nobody asked for is legal and gives no event (RFC 6455, 5.5.3)."""
    pair = connected()
    pair.server.receive_data(bytes.fromhex("8a8000000000"), 0.0)
    assert events(pair.server) == []
    assert pair.server.state is State.OPEN


def test_a_wrong_ping_raises_and_changes_nothing() -> None:
    """Too long, twice the same, or too many: the message says what to do."""
    client = connected().client
    with pytest.raises(LocalProtocolError, match="125 bytes"):
        client.ping(0.0, bytes(126))
    client.ping(0.0, b"x")
    with pytest.raises(LocalProtocolError, match="choose another"):
        client.ping(0.0, b"x")
    for number in range(63):
        client.ping(0.0, bytes([number]))
    before = client.bytes_to_send
    with pytest.raises(LocalProtocolError, match="max_pending_pings"):
        client.ping(0.0, b"one more")
    assert client.bytes_to_send == before


def test_a_flood_of_pings_is_coalesced_and_then_closed() -> None:
    """16 pongs wait at most, the newest is the right one, and the budget ends it with 4029."""
    server = connected().server
    ping = bytes.fromhex("898100000000")
    server.receive_data(b"".join(ping + bytes([n % 256]) for n in range(1000)), 0.0)
    assert server.state is State.OPEN
    frames = server.data_to_send(0.0)
    assert len(frames) == 16
    assert frames[-1] == bytes([0x8A, 1, 999 % 256])
    server.receive_data(ping + b"x", 0.0)
    (closed,) = events(server)
    assert isinstance(closed, Closed)
    assert closed.sent is not None
    assert closed.sent.code == 4029


def test_pings_at_the_allowed_rate_go_on_for_ever() -> None:
    """The budget fills again: 100 pings a second are answered, one by one."""
    server = connected().server
    ping = bytes.fromhex("898000000000")
    answered = 0
    for step in range(5000):
        now = step / 100
        server.receive_data(ping, now)
        answered += sum(frame == b"\x8a\x00" for frame in server.data_to_send(now))
    assert answered == 5000


def test_pongs_do_not_stop_reading() -> None:
    """Pongs that nobody takes are bounded by the pings, and are no reason to read no more."""
    pair = connected()
    for number in range(64):
        pair.server.ping(0.0, bytes([number]))
    pair.flush()
    assert pair.server.wants_read
    assert len(pair.server.take_pongs()) == 64
    assert pair.server.wants_read


def test_pongs_out_of_turn_leave_the_queue_as_it_was() -> None:
    """Taking pongs while messages hold reading back changes nothing; taking messages does."""
    pair = connected()
    stalled(pair)
    pair.server.ping(0.0, b"p")
    pair.flush()
    assert pair.server.take_pongs() == [Pong(b"p", 0.0)]
    assert not pair.server.wants_read
    assert len(events(pair.server)) == 16
    assert pair.server.wants_read


def test_a_peer_that_is_gone_is_found_even_if_pings_cannot_leave() -> None:
    """While output waits that nobody takes, the silence since the ping was due counts."""
    server = connected().server
    server.send(b"x" * 70_000, 0.0)
    at = 0.0
    while server.state is State.OPEN:
        following = server.next_timeout()
        assert following is not None
        at = following
        server.handle_timeout(at)
    assert at == INTERVAL + TIMEOUT


def test_who_does_not_read_goes_on_pinging() -> None:
    """A side that reads nothing for minutes proves at each interval that it lives."""
    pair = connected()
    stalled(pair)
    pings = 0
    for at in range(20, 200, 20):
        pair.server.handle_timeout(float(at))
        pings += sum(frame[0] == 0x89 for frame in pair.server.data_to_send(float(at)))
    assert pings == 9
    assert pair.server.state is State.OPEN


def test_one_pong_answers_pings_of_both_kinds() -> None:
    """A pong for a keepalive ping answers earlier pings of the application, and the reverse."""
    pair = connected()
    server = pair.server
    server.ping(19.0, b"mine")
    server.handle_timeout(20.0)
    sent = server.data_to_send(20.0)
    pair.client.receive_data(sent[-1], 20.0)  # only the keepalive ping arrives
    server.receive_data(b"".join(pair.client.data_to_send(20.0)), 20.5)
    assert events(server) == [Pong(b"mine", 1.5)]
    assert server.latency == 0.5

    server.handle_timeout(40.0)
    server.data_to_send(40.0)
    server.ping(41.0, b"next")
    pair.client.receive_data(b"".join(server.data_to_send(41.0)), 41.0)
    server.receive_data(b"".join(pair.client.data_to_send(41.0)), 42.0)
    assert events(server) == [Pong(b"next", 1.0)]
    server.handle_timeout(60.0)
    assert len(server.data_to_send(60.0)) == 1  # the keepalive goes on
