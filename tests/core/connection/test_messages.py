"""Messages through the machine: whole, in fragments, held back, and shared."""

import pytest

from hubbub.core import (
    BinaryMessage,
    ClientOptions,
    Closed,
    Deflate,
    Limits,
    LocalProtocolError,
    PreparedMessage,
    ServerOptions,
    TextMessage,
)
from support.pair import connected, events, with_limits

FRAGMENTS = ServerOptions(fragments=True)


def test_text_is_str_and_binary_is_bytes() -> None:
    """Both types arrive as they were sent, in order."""
    pair = connected()
    pair.client.send("hë", 0.0)
    pair.client.send(b"\x00\xff", 0.0)
    pair.client.send(bytearray(b"ab"), 0.0)
    pair.client.send(memoryview(b"cd"), 0.0)
    pair.flush()
    assert events(pair.server) == [
        TextMessage("hë"),
        BinaryMessage(b"\x00\xff"),
        BinaryMessage(b"ab"),
        BinaryMessage(b"cd"),
    ]


def test_fragments_are_joined() -> None:
    """A message sent in fragments arrives whole, a ping between them notwithstanding."""
    pair = connected()
    pair.client.send("a", 0.0, final=False)
    pair.client.ping(0.0)
    pair.client.send("b", 0.0, final=False)
    pair.client.send("c", 0.0)
    pair.flush()
    assert events(pair.server) == [TextMessage("abc")]


@pytest.mark.parametrize("deflate", [None, Deflate(threshold=0)], ids=["plain", "deflate"])
def test_fragments_are_given_to_who_asks(deflate: Deflate | None) -> None:
    """With fragments=True each frame is an event; text is cut between characters."""
    pair = connected(
        ServerOptions(fragments=True, deflate=deflate),
        ClientOptions(host="example.com", deflate=deflate),
    )
    pair.client.send("ab", 0.0, final=False)
    pair.client.send("", 0.0, final=False)
    pair.client.send("c", 0.0)
    pair.client.send(b"whole", 0.0)
    pair.flush()
    assert events(pair.server) == [
        TextMessage("ab", final=False),
        TextMessage("", final=False),
        TextMessage("c"),
        BinaryMessage(b"whole"),
    ]


@pytest.mark.parametrize("step", [1, 2, 5, 1000])
def test_fragments_do_not_follow_the_cuts(step: int) -> None:
    """A character that two frames share belongs to the second, wherever the stream was cut."""
    stream = bytes.fromhex("018300000000") + b"h\xc3\xa9"[:2] + b"\xa9"
    stream = bytes.fromhex("018200000000") + b"h\xc3" + bytes.fromhex("808200000000") + b"\xa9i"
    server = connected(FRAGMENTS).server
    for at in range(0, len(stream), step):
        server.receive_data(stream[at : at + step], 0.0)
    assert events(server) == [TextMessage("h", final=False), TextMessage("éi")]


def test_the_size_limit_is_exact() -> None:
    """max_size bytes are accepted, one more is 1009, whole or in fragments."""
    for parts, code in (
        ([10], None),
        ([11], 1009),
        ([5, 5], None),
        ([5, 6], 1009),
        ([0, 11], 1009),
    ):
        pair = with_limits(Limits(max_size=10))
        for index, size in enumerate(parts):
            pair.client.send(b"x" * size, 0.0, final=index == len(parts) - 1)
        pair.flush()
        (event,) = events(pair.server)
        if code is None:
            assert event == BinaryMessage(b"x" * sum(parts))
        else:
            assert isinstance(event, Closed)
            assert event.sent is not None
            assert event.sent.code == code


def test_too_many_fragments_are_refused_empty_ones_too() -> None:
    """max_fragments frames make a message; the next one is 1009."""
    for count, fine in ((4, True), (5, False)):
        pair = with_limits(Limits(max_fragments=4))
        for index in range(count):
            pair.client.send("", 0.0, final=index == count - 1)
        pair.flush()
        (event,) = events(pair.server)
        assert isinstance(event, TextMessage if fine else Closed)


def test_a_declared_length_over_the_limit_is_refused_at_once() -> None:
    """The header is enough: nothing of a message of 2^62 bytes is waited for."""
    server = connected().server
    server.receive_data(bytes.fromhex("82ff4000000000000000" + "00000000"), 0.0)
    (event,) = events(server)
    assert isinstance(event, Closed)
    assert event.sent is not None
    assert event.sent.code == 1009


def test_reading_stops_at_the_queue_limit_and_goes_on_at_a_quarter() -> None:
    """Neither at every message, nor only when all were taken."""
    pair = connected()
    for _ in range(16):
        assert pair.server.wants_read
        pair.client.send("x", 0.0)
        pair.flush()
    for left in range(15, 3, -1):
        assert not pair.server.wants_read
        assert pair.server.next_event() is not None
        assert pair.server.wants_read == (left <= 4)


def test_reading_stops_at_the_queue_size() -> None:
    """A few large messages stop it as well as many small ones."""
    pair = with_limits(Limits(max_size=100, max_queue_size=100))
    pair.client.send("x" * 60, 0.0)
    pair.flush()
    assert pair.server.wants_read
    pair.client.send("x" * 60, 0.0)
    pair.flush()
    assert not pair.server.wants_read
    pair.server.next_event()
    assert not pair.server.wants_read
    pair.server.next_event()
    assert pair.server.wants_read


def test_what_arrived_is_taken_even_while_reading_should_wait() -> None:
    """`wants_read` says whether to read on, not whether what was read may be given."""
    pair = connected()
    for _ in range(40):
        pair.client.send("x", 0.0)
    pair.flush()
    assert len(events(pair.server)) == 40


def test_a_message_that_cannot_be_sent_raises_and_changes_nothing() -> None:
    """A lone surrogate, a wrong type, or another type of fragment; the next message goes through."""
    pair = connected()
    with pytest.raises(LocalProtocolError, match="index 1"):
        pair.client.send("a\udc80", 0.0)
    with pytest.raises(TypeError):
        pair.client.send(5, 0.0)  # type: ignore[arg-type]
    pair.client.send("a", 0.0, final=False)
    with pytest.raises(LocalProtocolError, match="were text"):
        pair.client.send(b"b", 0.0)
    pair.client.send("b", 0.0)
    pair.flush()
    assert events(pair.server) == [TextMessage("ab")]


def test_a_caller_who_queues_without_end_is_told() -> None:
    """Above write_limit `write_paused` is true; above max_write_buffer `send` raises."""
    pair = with_limits(Limits(write_limit=100, max_write_buffer=200))
    assert not pair.server.write_paused
    pair.server.send(b"x" * 150, 0.0)
    assert pair.server.write_paused
    pair.server.send(b"x" * 150, 0.0)
    with pytest.raises(LocalProtocolError, match="write_paused"):
        pair.server.send(b"x", 0.0)
    pair.flush()
    assert not pair.server.write_paused


def test_a_prepared_message_is_one_object_for_all() -> None:
    """Every receiver with the same agreement gets the same bytes object."""
    deflate = Deflate(threshold=0)
    message = PreparedMessage("to everyone " * 20)
    plain = [connected() for _ in range(2)]
    packed = [
        connected(ServerOptions(deflate=deflate), ClientOptions(host="h", deflate=deflate))
        for _ in range(2)
    ]
    for pairs in (plain, packed):
        frames = []
        for pair in pairs:
            pair.server.send_prepared(message, 0.0)
            (frame,) = pair.server.data_to_send(0.0)
            pair.client.receive_data(frame, 0.0)
            assert events(pair.client) == [TextMessage("to everyone " * 20)]
            frames.append(frame)
        assert frames[0] is frames[1]


def test_a_prepared_message_has_its_place() -> None:
    """A client can't send one, and it may not stand between fragments."""
    pair = connected()
    with pytest.raises(LocalProtocolError, match="masks"):
        pair.client.send_prepared(PreparedMessage("x"), 0.0)
    pair.server.send("part", 0.0, final=False)
    with pytest.raises(LocalProtocolError, match="not ended"):
        pair.server.send_prepared(PreparedMessage("x"), 0.0)
