"""Delays between attempts to reconnect: their ceilings, their spread, and settings that cannot work."""

from __future__ import annotations

import math
import random
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.backoff import Backoff

HIGHEST = [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]

backoffs = st.builds(
    lambda first, factor, more: Backoff(first=first, factor=factor, cap=first + more),
    st.floats(0.001, 100),
    st.floats(1, 1e300),
    st.floats(0, 1e6),
)


def ceilings(backoff: Backoff, count: int) -> list[float]:
    """What the delays are drawn below."""
    return [
        min(backoff.cap, backoff.first * math.pow(backoff.factor, n))
        if n * math.log(backoff.factor) < 300
        else backoff.cap
        for n in range(count)
    ]


def test_the_ceilings_grow_to_a_minute() -> None:
    """With the highest draws the defaults give almost 5, 10, 20, 40 and then 60 seconds for ever."""
    delays = list(islice(Backoff().delays(lambda size: b"\xff" * size), len(HIGHEST)))
    assert delays == pytest.approx(HIGHEST)
    assert all(delay < highest for delay, highest in zip(delays, HIGHEST, strict=True))


def test_the_lowest_draw_is_at_once() -> None:
    """With the lowest draws nothing is waited for."""
    assert list(islice(Backoff().delays(bytes), 5)) == [0.0] * 5


@given(backoffs, st.integers(0, 2**32))
def test_each_delay_is_below_its_ceiling(backoff: Backoff, seed: int) -> None:
    """For all settings and draws a delay is at least 0 and at most its ceiling, after 2000 too."""
    found = list(islice(backoff.delays(random.Random(seed).randbytes), 2000))
    for delay, ceiling in zip(found, ceilings(backoff, 2000), strict=True):
        assert 0 <= delay <= ceiling * (1 + 1e-9)
        assert delay <= backoff.cap


def test_a_storm_spreads_out() -> None:
    """Of 10 000 clients that lose one server, each fifth of the first five seconds gets about 2000."""
    source = random.Random(1)
    firsts = [next(Backoff().delays(source.randbytes)) for _ in range(10_000)]
    for second in range(5):
        assert 1850 < sum(second <= first < second + 1 for first in firsts) < 2150


def test_two_iterators_know_nothing_of_each_other() -> None:
    """Each call of `delays` begins at the first ceiling."""
    backoff = Backoff(first=1.0)
    used = backoff.delays(lambda size: b"\x80" + bytes(size - 1))
    assert list(islice(used, 3)) == [0.5, 1.0, 2.0]
    assert next(backoff.delays(lambda size: b"\x80" + bytes(size - 1))) == 0.5
    assert next(used) == 4.0


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"first": 0}, "above 0"),
        ({"first": -1.0}, "above 0"),
        ({"first": math.nan}, "above 0"),
        ({"first": True}, "number"),
        ({"first": "1"}, "number"),
        ({"factor": 0.5}, "at least 1"),
        ({"factor": math.inf}, "at least 1"),
        ({"cap": 1.0}, "at least first, which is 5.0"),
        ({"cap": math.inf}, "at least first"),
        ({"cap": None}, "number"),
    ],
)
def test_settings_that_cannot_work(wrong: dict[str, Any], why: str) -> None:
    """A field that cannot work raises when it is set; the message names it and what can."""
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}=.*{why}"):
        Backoff(**wrong)
