"""The fast path against wsproto, and one cut against another: generated streams, right and wrong."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.core.strategies import chunkings, streams
from support.frame_readers import (
    TIGHT,
    WIDE,
    CountingSplitter,
    Setting,
    assert_equal_readings,
    read_all,
)

MORE = settings(max_examples=2 * (settings.default or settings()).max_examples)


@st.composite
def cases(draw: st.DrawFn, *, tight: bool = False) -> tuple[Setting, bytes]:
    """A reader's setting, and a stream for it."""
    setting = Setting(
        client=draw(st.booleans()),
        deflate=draw(st.booleans()),
        takeover=draw(st.booleans()),
        limits=TIGHT if tight else WIDE,
        fragments=tight and draw(st.booleans()),
    )
    stream = streams(to_client=setting.client, deflate=setting.deflate, takeover=setting.takeover)
    return setting, draw(stream)


@given(cases(), st.data())
@MORE
def test_any_stream_is_read_alike(case: tuple[Setting, bytes], data: st.DataObject) -> None:
    """Any stream, cut anywhere, is read alike with the fast path, without it, and by wsproto."""
    setting, stream = case
    assert_equal_readings(setting, data.draw(chunkings(stream)))


@given(cases(tight=True), st.data())
@MORE
def test_any_stream_is_read_alike_within_limits(
    case: tuple[Setting, bytes], data: st.DataObject
) -> None:
    """Any stream, cut anywhere, breaks the same limits with the fast path and without it."""
    setting, stream = case
    assert_equal_readings(setting, data.draw(chunkings(stream)))


@given(st.one_of(cases(), cases(tight=True)), st.data())
def test_any_cut_says_the_same(case: tuple[Setting, bytes], data: st.DataObject) -> None:
    """However a stream is cut, the same items come, and the same is left open."""
    setting, stream = case
    whole, cut = setting.splitter(), setting.splitter()
    assert read_all(cut, data.draw(chunkings(stream))) == read_all(whole, [stream])
    assert cut.unfinished == whole.unfinished


def test_the_fast_path_is_taken_often() -> None:
    """Generated streams take the fast path: otherwise the tests above would compare nothing."""

    class Counting(CountingSplitter):
        taken = 0

    @given(cases())
    @settings(derandomize=True, database=None, max_examples=200)
    def count(case: tuple[Setting, bytes]) -> None:
        setting, stream = case
        read_all(setting.splitter(Counting), [stream])

    count()
    assert Counting.taken > 100
