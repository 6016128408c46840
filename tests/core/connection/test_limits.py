"""Limits: their defaults work, what cannot work is told, and the bound that is computed holds."""

import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core import Limits, ServerOptions, TokenBucket, WebSocket
from hubbub.transports.simulated import seeded_entropy
from support.pair import connected
from support.wire import request

WRONG = [
    ({"max_size": 0}, "max_size"),
    ({"max_size": -1}, "max_size"),
    ({"max_fragments": 0}, "max_fragments"),
    ({"max_queue": 1.5}, "max_queue"),
    ({"open_timeout": 0.0}, "open_timeout.*None switches it off"),
    ({"ping_interval": -1.0}, "ping_interval"),
    ({"close_timeout": float("inf")}, "close_timeout"),
    ({"ping_timeout": float("nan")}, "ping_timeout"),
    ({"control_rate": 0.0}, "control_rate"),
]


@pytest.mark.parametrize(("fields", "words"), WRONG)
def test_a_limit_that_cannot_work_is_told(fields: dict[str, float], words: str) -> None:
    """The message names the field and says what can."""
    with pytest.raises(ValueError, match=words):
        Limits(**fields)  # type: ignore[arg-type]


def test_none_switches_off_what_may_be_switched_off() -> None:
    """Five durations and the size of messages are optional."""
    limits = Limits(
        max_size=None,
        open_timeout=None,
        ping_interval=None,
        ping_timeout=None,
        message_timeout=None,
        write_timeout=None,
    )
    server = WebSocket(ServerOptions(limits=limits), now=0.0, entropy=seeded_entropy(1))
    assert server.next_timeout() is None


def test_limits_are_frozen() -> None:
    """One object serves every connection, so nobody may change it."""
    with pytest.raises(AttributeError):
        Limits().max_size = 1  # type: ignore[misc]


def test_limits_can_be_read_from_settings() -> None:
    """msgspec makes Limits from a mapping, checks types, and knows no other fields."""
    assert msgspec.convert({"max_size": 5}, Limits).max_size == 5
    with pytest.raises(msgspec.ValidationError, match="max_siez"):
        msgspec.convert({"max_siez": 5}, Limits)


def test_there_is_no_worst_case_without_a_bound() -> None:
    """max_size=None has no worst case, and the error says why."""
    with pytest.raises(ValueError, match="max_size=None"):
        Limits(max_size=None).worst_case_bytes(1)


def test_the_worst_case_grows_with_connections_and_limits() -> None:
    """It is linear in connections, and every size counts."""
    small = Limits()
    assert small.worst_case_bytes(10) == 10 * small.worst_case_bytes(1)
    for field in ("max_size", "max_queue_size", "max_handshake_size", "max_write_buffer"):
        larger = msgspec.structs.replace(small, **{field: 2 * getattr(small, field)})
        assert larger.worst_case_bytes(1) > small.worst_case_bytes(1)


HOSTILE = {
    "half a request": request()[:-2] + b"x: " + b"y" * 100_000,
    "early frames": request() + bytes(100_000),
    "a message of tiny pieces": bytes.fromhex("01feffff00000000") + b"x" * 65_000,
    "text of wide characters": bytes.fromhex("017ec350") + "😀".encode() * 12_500,
    "tiny messages": bytes.fromhex("818000000000") * 10_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_peer_makes_a_connection_hold_more_than_the_worst_case(name: str) -> None:
    """The bytes that Python allocates for one connection stay below `worst_case_bytes(1)`."""
    limits = Limits(
        max_size=65536,
        max_queue_size=65536,
        max_handshake_size=4096,
        max_write_buffer=65536,
        max_queue=64,
    )
    options = ServerOptions(limits=limits)
    stream = HOSTILE[name]
    server = connected(options).server
    if stream.startswith(b"GET"):
        server = WebSocket(options, now=0.0, entropy=seeded_entropy(1))
    pieces = [stream[i : i + 50] for i in range(0, len(stream), 50)]
    tracemalloc.start()
    for piece in pieces:
        server.receive_data(piece, 0.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < limits.worst_case_bytes(1)


@given(
    st.floats(0.5, 50.0),
    st.integers(1, 20),
    st.lists(st.floats(0.0, 3.0), max_size=60),
)
def test_a_bucket_never_gives_more_than_burst_and_rate(
    rate: float, burst: int, steps: list[float]
) -> None:
    """Over any span, what was taken is at most the burst plus the rate times the time."""
    bucket = TokenBucket(rate, burst, 0.0)
    now, taken = 0.0, 0
    for step in steps:
        now += step
        taken += bucket.take(now)
        assert taken <= burst + rate * now + 1e-6


def test_a_bucket_does_not_run_backwards() -> None:
    """An earlier time neither fills nor drains it."""
    bucket = TokenBucket(1.0, 2, 10.0)
    assert bucket.take(10.0)
    assert bucket.take(5.0)
    assert not bucket.take(5.0)
    assert not bucket.take(10.5)
    assert bucket.take(11.0)
