"""What to drop from a queue that is full, found as fast the thousandth time as the first.

A session that does not read stays full while publications go on coming, and each of them drops another.
Walking through the queue each time would let a few such sessions keep a whole hub busy. So once a queue is
full, where its publications lie is noted, and what is dropped leaves a hole. Both last until the session
takes something: then `close` fills the holes.
"""

from collections.abc import Callable
from typing import Final

from .publication import GapMark, Lane, Publication

__all__ = ["Shedder"]

_HOLE: Final = GapMark("", lambda _, __: b"")

_FEW: Final = 64
"""Holes that are not worth a walk."""


class Shedder:
    """Drops publications from one lane of an outbox.

    Nothing else may be taken from the lane until `close`; more may be appended.

    Args:
        lane: which.
        encode: makes the frame that tells of a gap.
    """

    __slots__ = ("_encode", "_fresh", "_holes", "_lane", "_marks", "_newest", "_places", "_seen")

    def __init__(self, lane: Lane, encode: Callable[[str, int], bytes]) -> None:
        self._lane = lane
        self._encode = encode
        self._forget()

    def _forget(self) -> None:
        self._holes = 0
        self._seen = 0
        self._marks: dict[str, int] = {}
        self._places: dict[str, list[int]] = {}  # no deques: those take 760 bytes when empty
        self._fresh: dict[str, list[int]] = {}
        self._newest: dict[str, dict[str | None, int]] = {}

    def make_room(self, newest: Publication, size: int, limit: int) -> tuple[int, int]:
        """Drop publications of a topic, by its policy, until another fits or none is left.

        Args:
            newest: the one that is to fit.
            size: what all that waits counts for.
            limit: what it may count for.

        Returns:
            What then waits counts for, and how many were lost.
        """
        topic = newest.topic
        assert topic is not None
        self._look()
        lost = 0
        if newest.slow == "latest":
            for at in self._superseded(topic, newest.key):
                size -= self._drop(topic, at)
                lost += 1
        places = self._places.get(topic, [])
        while places and size + newest.cost > limit:
            at = places.pop(0)
            if isinstance(self._lane[at], Publication):
                size -= self._drop(topic, at)
                lost += 1
        if self._holes > _FEW and 2 * self._holes > len(self._lane):
            self.close()
        return size, lost

    def mark(self, topic: str) -> GapMark | None:
        """The mark of a topic, if one was made; call it behind `make_room`."""
        self._look()
        at = self._marks.get(topic)
        return None if at is None else _mark(self._lane[at])

    def close(self) -> None:
        """Leave the lane as it looks from outside."""
        if self._holes:
            self._lane[:] = [entry for entry in self._lane if entry is not _HOLE]
        self._forget()

    def _look(self) -> None:
        """Note what was appended since the last time."""
        lane = self._lane
        for at in range(self._seen, len(lane)):
            entry = lane[at]
            topic = entry.topic
            if isinstance(entry, GapMark):
                self._marks[entry.topic] = at
            elif topic is not None and entry.slow != "disconnect":
                self._places.setdefault(topic, []).append(at)
                if entry.slow == "latest":
                    self._fresh.setdefault(topic, []).append(at)
        self._seen = len(lane)

    def _superseded(self, topic: str, key: str | None) -> list[int]:
        """Where those lie behind which there is a newer one of the same key."""
        newest = self._newest.setdefault(topic, {})
        found: list[int] = []
        for at in self._fresh.pop(topic, ()):
            entry = self._lane[at]
            assert isinstance(entry, Publication)  # nothing was dropped since it came
            if entry.key in newest:
                found.append(newest[entry.key])
            newest[entry.key] = at
        if key in newest:
            found.append(newest.pop(key))
        return sorted(at for at in found if isinstance(self._lane[at], Publication))

    def _drop(self, topic: str, at: int) -> int:
        """Drop what lies there; the bytes that this frees.

        The gap is told where the first that was dropped lay, and by one mark for each topic.
        """
        lane = self._lane
        entry = lane[at]
        assert isinstance(entry, Publication)
        freed = entry.cost
        place = self._marks.get(topic)
        if place is not None and place < at:
            lane[at] = _HOLE
            self._holes += 1
            mark = _mark(lane[place])
        else:
            if place is None:
                mark = GapMark(topic, self._encode)
                freed -= mark.cost
            else:
                mark = _mark(lane[place])
                lane[place] = _HOLE
                self._holes += 1
            lane[at] = mark
            self._marks[topic] = at
        mark.missed += 1
        return freed


def _mark(entry: Publication | GapMark) -> GapMark:
    assert isinstance(entry, GapMark)
    return entry
