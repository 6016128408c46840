"""Places in logs: what is known of what was seen, for all sequences."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.client_places import SEEN, Place, Places

offsets = st.integers(1, 6)
epochs = st.sampled_from("abc")


@given(st.lists(st.tuples(offsets, epochs), max_size=40))
def test_nothing_is_seen_twice(came: list[tuple[int, str]]) -> None:
    """Whatever comes, in any order, no publication is new twice, and each hole is counted."""
    place = Place(0, "a")
    seen: set[tuple[int, str]] = set()
    last: tuple[int, str] | None = (0, "a")
    for offset, epoch in came:
        missed = place.missed(offset, epoch)
        if missed == SEEN:
            continue
        assert (offset, epoch) not in seen
        seen.add((offset, epoch))
        if last is not None and epoch == last[1]:
            assert missed == offset - last[0] - 1
        place.go(offset, epoch)
        last = (offset, epoch)
        assert (place.offset, place.epoch) == last
        assert place.missed(offset, epoch) == SEEN


@given(st.integers(0, 50), st.lists(st.integers(1, 3), max_size=30))
def test_a_whole_log_has_no_hole(begin: int, lengths: list[int]) -> None:
    """Through all its epochs, in its order, nothing is missing, and nothing of it is new again."""
    place = Place(begin, "e0")
    offset = begin
    all_of_it: list[tuple[int, str]] = []
    for number, length in enumerate(lengths, start=1):
        for _ in range(length):
            offset += 1
            assert place.missed(offset, f"e{number}") == 0
            place.go(offset, f"e{number}")
            all_of_it.append((offset, f"e{number}"))
    for known in all_of_it[-30:]:
        assert place.missed(*known) == SEEN


def test_only_so_many_topics_and_epochs_are_remembered() -> None:
    """The quietest topic and the oldest epoch are forgotten first."""
    places = Places(2)
    for topic in ("a", "b", "a", "c"):
        places.go(topic, 5, "e")
    assert places.get("b") is None
    assert len(places) == 2
    place = Place(0, "e0")
    for number in range(1, 50):
        place.go(number, f"e{number}")
    assert len(place.epochs) == 33
    assert "e0" not in place.epochs
