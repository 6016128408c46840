"""The fast path against wsproto: fixed streams, every cut of them, and how often it is really taken."""

from __future__ import annotations

from itertools import combinations

import pytest

from support.frame_readers import (
    TIGHT,
    CountingSplitter,
    Setting,
    assert_equal_readings,
    read_all,
)
from support.telling_streams import (
    every_kind,
    limit_streams,
    telling_cases,
    two_pieces,
    wrong_streams,
)
from support.wire import pieces

ROLES = [
    Setting(client=client, deflate=deflate) for client in (False, True) for deflate in (False, True)
]
each_role = pytest.mark.parametrize(
    "setting",
    ROLES,
    ids=lambda s: f"{'client' if s.client else 'server'}{'-deflate' if s.deflate else ''}",
)


def test_telling_streams_are_read_alike() -> None:
    """Fixed streams, right and wrong, are read alike with the fast path, without it, by wsproto."""
    for setting, stream in telling_cases():
        assert_equal_readings(setting, [stream])


@each_role
def test_every_cut_in_two_is_read_alike(setting: Setting) -> None:
    """A stream with all kinds of frames is read alike wherever it is cut once."""
    for chunks in two_pieces(every_kind(setting)):
        assert_equal_readings(setting, chunks)


@each_role
def test_small_pieces_are_read_alike(setting: Setting) -> None:
    """The same stream is read alike byte by byte, and in pieces of any one small size."""
    for size in range(1, 20):
        assert_equal_readings(setting, pieces(every_kind(setting), size))


@each_role
def test_cuts_in_three_are_read_alike(setting: Setting) -> None:
    """The same stream is read alike in three pieces: about 600 of all such cuts."""
    stream = every_kind(setting)
    for first, second in list(combinations(range(1, len(stream)), 2))[::97]:
        chunks = [stream[:first], stream[first:second], stream[second:]]
        assert_equal_readings(setting, chunks)


@pytest.mark.slow
@each_role
def test_more_cuts_in_three_are_read_alike(setting: Setting) -> None:
    """The same stream is read alike in three pieces: one in seven of all such cuts."""
    stream = every_kind(setting)
    for first, second in list(combinations(range(1, len(stream)), 2))[::7]:
        chunks = [stream[:first], stream[first:second], stream[second:]]
        assert_equal_readings(setting, chunks)


@each_role
def test_wrong_streams_are_read_alike_byte_by_byte(setting: Setting) -> None:
    """What is wrong is told at the same byte by all readers."""
    for stream in wrong_streams(setting):
        if len(stream) < 1000:
            assert_equal_readings(setting, pieces(stream, 1))


@each_role
def test_cuts_do_not_change_what_is_said(setting: Setting) -> None:
    """One stream gives the same items whole, in halves and byte by byte, within limits and beyond."""
    for fragments in (False, True):
        for limits, streams in (
            (setting.limits, [every_kind(setting), *wrong_streams(setting)]),
            (TIGHT, [every_kind(setting), *limit_streams(setting)]),
        ):
            chosen = setting._replace(limits=limits, fragments=fragments)
            for stream in streams:
                whole = read_all(chosen.splitter(), [stream])
                if len(stream) < 1000:
                    assert read_all(chosen.splitter(), pieces(stream, 1)) == whole
                assert read_all(chosen.splitter(), pieces(stream, 7, 2)) == whole
                assert read_all(chosen.splitter(fast_path=False), [stream]) == whole


@each_role
def test_limits_are_read_alike_wherever_cut(setting: Setting) -> None:
    """Streams at and beyond the limits are read alike with and without the fast path, at every cut."""
    tight = setting._replace(limits=TIGHT)
    for stream in limit_streams(tight):
        for cut in {1, 2, 3, 6, 7, 8, 9, len(stream) // 2, len(stream) - 3}:
            assert_equal_readings(tight, [stream[:cut], stream[cut:]])


@each_role
def test_the_fast_path_is_taken(setting: Setting) -> None:
    """It takes the simple frames of a whole stream, and all but one of them in a cut one."""

    class Counting(CountingSplitter):
        taken = 0

    read_all(setting.splitter(Counting), [every_kind(setting)])
    # Four texts, a binary message, two pings, two pongs; with deflate one ping more.
    simple = Counting.taken
    assert simple == 9 + setting.deflate
    cuts = list(two_pieces(every_kind(setting)))
    for chunks in cuts:
        read_all(setting.splitter(Counting), chunks)
    # A cut costs at most the frame that it goes through.
    assert Counting.taken - simple >= (simple - 1) * len(cuts)
    taken = Counting.taken
    read_all(setting.splitter(Counting, fast_path=False), [every_kind(setting)])
    assert Counting.taken == taken
