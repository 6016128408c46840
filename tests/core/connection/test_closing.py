"""The end of a connection: codes, order, and what is done to the socket."""

from collections.abc import Callable

import pytest

from hubbub.core import (
    ClientOptions,
    Close,
    Closed,
    End,
    Limits,
    LocalProtocolError,
    ServerOptions,
    State,
    TextMessage,
    WebSocket,
)
from hubbub.transports.simulated import seeded_entropy
from support.pair import connected, events, with_limits

BAD_FRAME = bytes.fromhex("f18000000000")
TEXT_HI = bytes.fromhex("8182000000006869")
CLOSE_1000 = bytes.fromhex("88820000000003e8")


def closed_event(ws: WebSocket) -> Closed:
    """The one `Closed` event, which must be the last."""
    found = events(ws)
    assert sum(isinstance(event, Closed) for event in found) == 1
    last = found[-1]
    assert isinstance(last, Closed)
    return last


def test_a_close_is_answered_with_its_own_code() -> None:
    """Both sides know both frames, and who was first."""
    pair = connected()
    pair.client.close(0.0, 4321, "enough")
    assert pair.client.state is State.CLOSING
    pair.flush()
    frame = Close(4321, "enough")
    ours, theirs = closed_event(pair.client), closed_event(pair.server)
    assert (ours.sent, ours.received, ours.received_first) == (frame, frame, False)
    assert (theirs.sent, theirs.received, theirs.received_first) == (frame, frame, True)
    assert (theirs.code, theirs.reason) == (4321, "enough")


def test_a_close_without_a_code_is_answered_without_one() -> None:
    """An empty Close frame is 1005 to whoever gets it, which is never sent."""
    pair = connected()
    pair.client.close(0.0, None)
    pair.flush()
    closed = closed_event(pair.server)
    assert closed.code == 1005
    assert closed.sent == Close(None)


def test_both_sides_may_close_at_once() -> None:
    """Two Close frames that cross end the connection on both sides."""
    pair = connected()
    pair.client.close(0.0, 1000)
    pair.server.close(0.0, 1001)
    pair.flush()
    assert closed_event(pair.client).code == 1001
    assert closed_event(pair.server).code == 1000


def test_the_server_ends_the_stream_first() -> None:
    """After both Close frames the server half-closes and the client waits (RFC 6455, 7.1.1)."""
    pair = connected()
    pair.client.close(0.0)
    pair.flush()
    assert pair.server.end is End.HALF_CLOSE
    assert pair.client.end is None
    pair.client.receive_eof(0.0)
    assert pair.client.end is End.CLOSE
    pair.server.receive_eof(0.0)
    assert pair.server.end is End.CLOSE
    assert pair.server.next_timeout() is None


def test_a_socket_is_not_shut_before_the_last_bytes_are_taken() -> None:
    """`end` stays None while bytes wait."""
    pair = connected()
    pair.server.send("last", 0.0)
    pair.server.receive_data(CLOSE_1000, 0.0)
    assert events(pair.server)
    assert pair.server.end is None
    first = pair.server.data_to_send(0.0, max_bytes=1)
    assert len(first) == 1
    assert pair.server.end is None
    assert pair.server.data_to_send(0.0)
    assert pair.server.end is End.HALF_CLOSE


@pytest.mark.parametrize("last", [BAD_FRAME, CLOSE_1000], ids=["bad frame", "close frame"])
def test_answers_go_before_the_close_frame(last: bytes) -> None:
    """Messages that came before the end, in one read with it, can still be answered."""
    server = connected().server
    server.receive_data(TEXT_HI + TEXT_HI + last, 0.0)
    assert server.can_send
    while (event := server.next_event()) is not None:
        if isinstance(event, TextMessage):
            server.send(event.data, 0.0)
    sent = b"".join(server.data_to_send(0.0))
    assert sent.startswith(b"\x81\x02hi\x81\x02hi\x88")


def test_an_application_that_takes_nothing_delays_the_close_for_a_second() -> None:
    """The Close frame that is due leaves after answer_timeout; the messages can still be taken."""
    server = connected().server
    server.receive_data(TEXT_HI + CLOSE_1000, 5.0)
    assert server.data_to_send(5.0) == []
    assert not server.wants_read
    assert server.next_timeout() == 6.0
    server.handle_timeout(6.0)
    assert server.data_to_send(6.0) == [b"\x88\x02\x03\xe8"]
    first, last = events(server)
    assert first == TextMessage("hi")
    assert isinstance(last, Closed)


def test_closing_while_a_close_is_due_sends_the_one_that_is_due() -> None:
    """The application's close comes second: the peer's code is echoed, one frame is sent."""
    server = connected().server
    server.receive_data(TEXT_HI + CLOSE_1000, 0.0)
    server.close(0.0, 1011, "late")
    assert server.data_to_send(0.0) == [b"\x88\x02\x03\xe8"]


def test_messages_after_our_close_are_counted_and_thrown_away() -> None:
    """Who has closed reads on for the peer's Close frame, and says how much it did not hand on."""
    pair = connected()
    pair.server.close(0.0)
    assert pair.server.wants_read
    for _ in range(100):
        pair.client.send("too late", 0.0)
    pair.flush()
    assert closed_event(pair.server).discarded == 100


def test_messages_before_our_close_can_still_be_taken() -> None:
    """Closing throws away nothing that had arrived."""
    pair = connected()
    pair.client.send("in time", 0.0)
    pair.flush()
    pair.server.close(0.0)
    pair.flush()
    assert events(pair.server)[0] == TextMessage("in time")


def test_a_peer_that_does_not_answer_our_close_is_left() -> None:
    """After close_timeout the socket is closed; the code is 1006."""
    server = connected().server
    server.close(3.0)
    server.data_to_send(3.0)
    assert server.next_timeout() == 13.0
    server.handle_timeout(13.0)
    assert server.end is End.CLOSE
    assert closed_event(server).code == 1006


def test_draining_is_bounded_in_time_and_bytes() -> None:
    """After our last bytes, 2 s or 64 KiB of the peer's are thrown away; then the socket is closed."""
    server = connected().server
    server.receive_data(BAD_FRAME, 0.0)
    server.data_to_send(0.0)
    assert server.end is End.HALF_CLOSE
    assert server.wants_read
    assert server.next_timeout() == 2.0
    # The bad frame counts too: it was read for nothing.
    server.receive_data(bytes(65535 - len(BAD_FRAME)), 1.0)
    assert server.end is End.HALF_CLOSE
    server.receive_data(b"x", 1.0)
    assert server.end is End.CLOSE
    assert not server.wants_read
    other = connected().server
    other.receive_data(BAD_FRAME, 0.0)
    other.data_to_send(0.0)
    other.handle_timeout(2.0)
    assert other.end is End.CLOSE


def test_who_does_harm_is_heard_no_more() -> None:
    """Our Close frame leaves behind what waits, nothing is read any more, and the socket goes in 2 s."""
    server = connected().server
    server.receive_data(TEXT_HI * 3, 0.0)
    server.send("last", 0.0)
    server.fail(0.0, 4029, "too many errors")
    (closed,) = events(server)
    assert isinstance(closed, Closed)
    assert closed.sent == Close(4029, "too many errors")
    assert closed.cause == "failed with 4029: too many errors"
    assert b"".join(server.data_to_send(0.0)).endswith(b"too many errors")
    assert server.end is End.HALF_CLOSE
    assert not server.wants_read
    server.receive_data(TEXT_HI + CLOSE_1000, 1.0)
    assert events(server) == []
    assert server.end is End.HALF_CLOSE
    server.fail(1.0, 4029)
    assert server.next_timeout() == 2.0
    server.handle_timeout(2.0)
    assert server.end is End.CLOSE


def test_who_sends_too_many_pings_is_heard_no_more() -> None:
    """The same holds where the machine itself says 4029."""
    server = with_limits(Limits(control_burst=2, control_rate=0.001)).server
    server.receive_data(bytes.fromhex("898000000000") * 3, 0.0)
    assert closed_event(server).sent == Close(4029, "too many control frames")
    server.data_to_send(0.0)
    assert server.end is End.HALF_CLOSE
    assert not server.wants_read


def test_nothing_can_fail_before_it_is_open() -> None:
    """The caller is told what to do instead, also of a code that may not be sent."""
    server = WebSocket(ServerOptions(), now=0.0, entropy=seeded_entropy(1))
    with pytest.raises(LocalProtocolError, match=r"reject\(\) or close\(\)"):
        server.fail(0.0, 4029)
    with pytest.raises(LocalProtocolError):
        connected().server.fail(0.0, 1005)


def test_a_clean_client_waits_for_the_server_and_not_for_ever() -> None:
    """The client closes after close_timeout where the server never ends the stream."""
    pair = connected()
    pair.client.close(0.0)
    pair.flush()
    pair.client.handle_timeout(10.0)
    assert pair.client.end is End.CLOSE


def test_the_end_of_the_stream_without_a_close_is_1006() -> None:
    """A peer that just leaves is told as an abnormal closure, on either side."""
    for lose in (WebSocket.receive_eof, WebSocket.connection_lost):
        server = connected().server
        lose(server, 1.0)
        closed = closed_event(server)
        assert (closed.code, closed.sent, closed.received) == (1006, None, None)
        assert server.state is State.CLOSED
        assert server.end is End.CLOSE


def test_a_peer_that_closes_and_shuts_its_sending_side_gets_its_answers() -> None:
    """Messages, Close frame and end of stream in one go: all are answered, then the socket closes."""
    server = connected().server
    server.receive_data(TEXT_HI + CLOSE_1000, 0.0)
    server.receive_eof(0.0)
    while (event := server.next_event()) is not None:
        if isinstance(event, TextMessage):
            server.send("yes", 0.0)
    assert b"".join(server.data_to_send(0.0)) == b"\x81\x03yes\x88\x02\x03\xe8"
    assert server.end is End.CLOSE


def test_a_peer_that_does_not_read_is_left_after_the_write_timeout() -> None:
    """Bytes wait and nothing was taken for 30 s: the socket is closed. Taking any starts anew."""
    server = with_limits(Limits(write_timeout=30.0, ping_interval=None)).server
    server.send("a" * 100, 0.0)
    server.send("b" * 100, 0.0)
    assert server.data_to_send(20.0, max_bytes=1)
    server.handle_timeout(49.0)
    assert server.state is State.OPEN
    server.handle_timeout(50.0)
    assert server.end is End.CLOSE
    assert server.data_to_send(50.0) == []
    assert "does not read" in closed_event(server).cause


def test_a_message_that_is_never_finished_fails_the_connection() -> None:
    """60 s after a message's first byte the connection is closed with 1008, dripping or not."""
    server = with_limits(Limits(ping_interval=None)).server
    server.receive_data(bytes.fromhex("818a00000000"), 0.0)
    for second in range(1, 10):
        server.receive_data(b"x", float(second))
    assert server.next_timeout() == 60.0
    server.handle_timeout(60.0)
    closed = closed_event(server)
    assert closed.sent == Close(1008, "message not finished in time")


def test_each_message_has_its_own_deadline() -> None:
    """A message that ends starts the clock of the one that was begun behind it."""
    server = with_limits(Limits(ping_interval=None)).server
    server.receive_data(bytes.fromhex("818200000000") + b"h", 0.0)
    server.receive_data(b"i" + bytes.fromhex("818200000000"), 50.0)
    assert server.next_timeout() == 110.0
    server.receive_data(b"hi", 51.0)
    assert server.next_timeout() is None


def test_control_frames_do_not_extend_a_message() -> None:
    """Pings between the fragments of a message leave its deadline alone."""
    server = with_limits(Limits(ping_interval=None)).server
    server.receive_data(bytes.fromhex("018100000000") + b"h", 0.0)
    server.receive_data(bytes.fromhex("898000000000"), 40.0)
    server.data_to_send(40.0)
    assert server.next_timeout() == 60.0


FORBIDDEN_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 70000, -1]


@pytest.mark.parametrize("code", FORBIDDEN_CODES)
def test_a_code_that_may_not_be_sent_raises(code: int) -> None:
    """The message names the code and the ones that may be sent; the connection stays open."""
    server = connected().server
    with pytest.raises(LocalProtocolError, match=f"{code} may not be sent: use"):
        server.close(0.0, code)
    assert server.state is State.OPEN
    assert not server.wants_write


def test_a_reason_that_does_not_fit_raises() -> None:
    """123 bytes of UTF-8 fit; one more, a lone surrogate, or a reason without a code do not."""
    server = connected().server
    with pytest.raises(LocalProtocolError, match="shorten it to 123"):
        server.close(0.0, 1000, "é" * 62)
    with pytest.raises(LocalProtocolError, match="lone surrogate"):
        server.close(0.0, 1000, "\ud800")
    with pytest.raises(LocalProtocolError, match="needs a code"):
        server.close(0.0, None, "why")
    server.close(0.0, 1000, "x" * 123)
    assert len(server.data_to_send(0.0)[0]) == 127


def test_sending_after_the_end_raises() -> None:
    """Commands on a closed connection raise, except `close`, which does nothing."""
    server = connected().server
    server.close(0.0)
    commands: list[Callable[[], object]] = [
        lambda: server.send("x", 0.0),
        lambda: server.ping(0.0),
        lambda: server.accept(0.0),
    ]
    for command in commands:
        with pytest.raises(LocalProtocolError):
            command()
    server.data_to_send(0.0)
    server.close(0.0, 1001)
    assert not server.wants_write


def test_a_server_must_answer_before_it_closes() -> None:
    """Closing a request that is not answered raises; a client that is connecting may give up."""
    server = WebSocket(ServerOptions(), now=0.0, entropy=seeded_entropy(1))
    with pytest.raises(LocalProtocolError, match="reject"):
        server.close(0.0)
    client = WebSocket(ClientOptions(host="example.com"), now=0.0, entropy=seeded_entropy(1))
    client.close(0.0)
    assert client.end is End.CLOSE
    assert closed_event(client).code == 1006


def test_calls_after_the_end_do_nothing() -> None:
    """Every input is idempotent after the end: no event, no byte, no timeout, no exception."""
    server = connected().server
    server.connection_lost(0.0)
    assert closed_event(server).code == 1006
    for _ in range(2):
        server.receive_data(TEXT_HI, 1.0)
        server.receive_eof(1.0)
        server.connection_lost(1.0)
        server.handle_timeout(1e9)
        assert server.data_to_send(1.0) == []
        assert server.next_event() is None
        assert server.next_timeout() is None
        assert server.end is End.CLOSE
        assert not server.wants_read
        assert not server.wants_write


def test_an_early_or_repeated_timeout_does_nothing() -> None:
    """`handle_timeout` acts on what is due and on nothing else."""
    server = connected().server
    for _ in range(3):
        server.handle_timeout(19.9)
        assert not server.wants_write
    server.handle_timeout(20.0)
    assert len(server.data_to_send(20.0)) == 1
    server.handle_timeout(20.0)
    assert not server.wants_write


def test_the_close_of_a_dead_keepalive_cannot_be_judged_twice() -> None:
    """A ping that leaves together with a Close frame does not arm a pong deadline."""
    server = connected().server
    server.handle_timeout(20.0)
    server.receive_data(CLOSE_1000, 20.0)
    events(server)
    server.data_to_send(20.0)
    for at in (22.0, 40.0, 60.0):
        server.handle_timeout(at)
    assert server.end is End.CLOSE


def test_pings_cut_in_the_middle_are_no_unfinished_message() -> None:
    """A peer whose pings always end in the next read has begun no message, and is not closed for one."""
    server = with_limits(Limits(ping_interval=None)).server
    ping = bytes.fromhex("8982000000006162")
    server.receive_data(ping[:3], 0.0)
    for second in range(1, 200):
        server.receive_data(ping[3:] + ping[:3], float(second))
        server.data_to_send(float(second))
        server.handle_timeout(float(second))
    assert server.state is State.OPEN


@pytest.mark.parametrize("how", ["peer closes", "failure", "both close", "http"])
def test_a_timer_is_armed_until_the_end(how: str) -> None:
    """Once only last bytes leave, a deadline is armed, even if the adapter never takes them."""
    server = connected().server
    if how == "peer closes":
        server.receive_data(CLOSE_1000, 0.0)
    elif how == "failure":
        server.receive_data(BAD_FRAME, 0.0)
    elif how == "both close":
        server.close(0.0)
        server.data_to_send(0.0)
        server.receive_data(CLOSE_1000, 0.0)
    else:
        server = WebSocket(ServerOptions(), now=0.0, entropy=seeded_entropy(1))
        server.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0.0)
    events(server)
    at = server.next_timeout()
    assert at is not None
    server.handle_timeout(at)
    assert server.end is End.CLOSE
