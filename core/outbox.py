"""What waits for one session, and may still be dropped, reordered or taken back.

Answers go first. Publications wait in the lane of their topic's priority. Inside a lane, and so inside a
topic, order always holds. Lanes are weighted: of seven publications four come from the high lane, two
from the normal and one from the low one, as long as all have some.

What the outbox holds is bounded. A publication that does not fit makes the policy of its topic act; what
is lost is counted, and a `GapMark` stands in the queue where it was lost.
"""

from collections.abc import Callable
from typing import Final

from .outgoing import PreparedMessage
from .rules import Priority, SlowPolicy

__all__ = ["ENTRY", "GapMark", "Lane", "Outbox", "Publication"]

ENTRY: Final = 64
"""Bytes that a waiting publication counts for beyond its frame."""

_MARK: Final = 256
"""Bytes that a gap counts for: the mark, and the message made of it."""

_SEARCH: Final = 64
"""Places looked at for the oldest publication of a topic, before many are dropped at once."""

_SHARE: Final = 8
"""One part in so many of the bound is freed where finding what to drop is dear."""

_WEIGHTS: Final = (4, 2, 1)


class Publication:
    """One message of a topic, shared by all its receivers.

    Args:
        topic: where it was published; None for a direct message.
        message: ready for the wire.
        priority: of its topic.
        slow: what happens to a receiver that does not keep up.
        key: what it is about, where only the latest of each key counts.
        offset: its place in the topic's history; 0 where none is kept.
    """

    __slots__ = ("cost", "frame", "key", "lane", "message", "offset", "slow", "topic")

    def __init__(
        self,
        topic: str | None,
        message: PreparedMessage,
        priority: Priority = "normal",
        slow: SlowPolicy = "disconnect",
        key: str | None = None,
        offset: int = 0,
    ) -> None:
        self.topic = topic
        self.offset = offset
        self.message = message
        self.frame = message.frame
        self.lane = _LANES[priority]
        self.slow: SlowPolicy = slow
        self.key = key
        self.cost = len(self.frame) + ENTRY
        """What it counts for in an outbox."""


class GapMark:
    """Publications of a topic were lost here."""

    __slots__ = ("_encode", "missed", "topic")

    def __init__(self, topic: str, encode: Callable[[str, int], bytes]) -> None:
        self.topic = topic
        self.missed = 0
        self._encode = encode

    @property
    def frame(self) -> bytes:
        """The frame that tells it."""
        return self._encode(self.topic, self.missed)


_LANES: Final[dict[str, int]] = {"high": 0, "normal": 1, "low": 2}
_NORMAL: Final = 1

Lane = list[Publication | GapMark]


class Outbox:
    """The queue of one session.

    Args:
        limit: bytes that may wait, each publication with `ENTRY` added.
    """

    __slots__ = ("_high", "_low", "answers", "answers_size", "compress", "limit", "normal", "size")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        """What the waiting publications count for."""
        self.normal: Lane = []
        """The lane that nearly all publications take; a fan-out appends to it directly."""
        self._high: Lane | None = None
        self._low: Lane | None = None
        self.answers: list[bytes] | None = None
        """Frames that go before all publications."""
        self.answers_size = 0
        self.compress: Callable[[PreparedMessage], bytes] | None = None
        """Gives the frame of a shared message, where the session does not take the plain one."""

    def __bool__(self) -> bool:
        return bool(self.size or self.answers)

    def __len__(self) -> int:
        """How many publications wait."""
        return sum(isinstance(entry, Publication) for lane in self._lanes() for entry in lane)

    # In.

    def answer(self, frame: bytes) -> None:
        """Queue an answer."""
        if self.answers is None:
            self.answers = []
        self.answers.append(frame)
        self.answers_size += len(frame)

    def push(self, publication: Publication) -> bool:
        """Queue a publication; False if it does not fit."""
        size = self.size + publication.cost
        if size > self.limit:
            return False
        self.size = size
        self._lane(publication.lane).append(publication)
        return True

    def put(self, publication: Publication) -> None:
        """Queue a publication that was read from history, when there was room for it."""
        self.size += publication.cost
        self._lane(publication.lane).append(publication)

    def push_lossy(
        self, publication: Publication, limit: int, encode: Callable[[str, int], bytes]
    ) -> int | None:
        """Queue a publication that does not fit, and drop others of its topic, or itself.

        Args:
            publication: of a topic whose policy is not to disconnect.
            limit: bytes that may wait, at most `self.limit`.
            encode: makes the frame that tells of a gap.

        Returns:
            How many were lost; None if nothing helps: then the session can't be kept.
        """
        topic = publication.topic
        assert topic is not None
        lane = self._lane(publication.lane)
        lost = 0
        if publication.slow == "latest":
            lost = self._conflate(lane, publication, topic, encode)
        if self.size + publication.cost > limit:
            lost += self._drop_oldest(lane, publication, topic, limit, encode)
        if self.size + publication.cost <= limit:
            self.size += publication.cost
            lane.append(publication)
            return lost
        # It does not fit even alone: it is lost itself.
        mark = next((e for e in lane if isinstance(e, GapMark) and e.topic == topic), None)
        if mark is None:
            if self.size + _MARK > self.limit:
                return None
            mark = GapMark(topic, encode)
            lane.append(mark)
            self.size += _MARK
        mark.missed += 1
        return lost + 1

    # Out.

    def take_all(self) -> list[bytes]:
        """Take every frame, where they are few; see `take`."""
        frames: list[bytes] = []
        if self.answers is not None:
            frames = self.answers
            self.answers = None
            self.answers_size = 0
        if self._high is None and self._low is None:
            if self.compress is not None:
                frames += map(self._frame, self.normal)
            elif not frames:
                frames = [entry.frame for entry in self.normal]
            else:
                frames += [entry.frame for entry in self.normal]
            self.normal = []
            self.size = 0
            return frames
        return frames + self._take_weighted(1 << 62, False)

    def take_answers(self) -> list[bytes]:
        """Take all answers."""
        frames, self.answers, self.answers_size = self.answers or [], None, 0
        return frames

    def take(self, max_bytes: int, at_least_one: bool = True) -> list[bytes]:
        """Take frames: answers, then publications, up to `max_bytes` in all.

        Args:
            max_bytes: how much.
            at_least_one: take one frame even if it is larger.
        """
        if self.size + self.answers_size <= max_bytes:
            return self.take_all()
        frames: list[bytes] = []
        if self.answers is not None:
            count = 0
            for frame in self.answers:
                if len(frame) > max_bytes and (frames or not at_least_one):
                    break
                max_bytes -= len(frame)
                frames.append(frame)
                count += 1
            self.answers_size -= sum(map(len, frames))
            self.answers = self.answers[count:] or None
            if self.answers is not None:
                return frames
        return frames + self._take_weighted(max_bytes, at_least_one and not frames)

    def _take_weighted(self, max_bytes: int, at_least_one: bool) -> list[bytes]:
        """By turns from the lanes, as often as their weights say."""
        frames: list[bytes] = []
        lanes = [lane if lane is not None else [] for lane in (self._high, self.normal, self._low)]
        taken = [0, 0, 0]
        full = False
        while not full:
            before = len(frames)
            for number, lane in enumerate(lanes):
                at = taken[number]
                for entry in lane[at : at + _WEIGHTS[number]]:
                    frame = self._frame(entry)
                    if len(frame) > max_bytes and (frames or not at_least_one):
                        full = True
                        break
                    max_bytes -= len(frame)
                    frames.append(frame)
                    taken[number] += 1
                    self.size -= _cost(entry)
                if full:
                    break
            if len(frames) == before:
                break
        for lane, count in zip(lanes, taken, strict=True):
            del lane[:count]
        if not lanes[0]:
            self._high = None
        if not lanes[2]:
            self._low = None
        return frames

    # Taking back.

    def discard(self, gone: Callable[[str], bool]) -> int:
        """Take back what waits of the topics for which `gone` is true; how many publications it was."""
        count = 0
        for lane in self._lanes():
            kept: Lane = []
            for entry in lane:
                if entry.topic is not None and gone(entry.topic):
                    self.size -= _cost(entry)
                    count += isinstance(entry, Publication)
                else:
                    kept.append(entry)
            lane[:] = kept
        self._forget_empty()
        return count

    def clear(self) -> int:
        """Throw everything away; how many publications it was."""
        count = len(self)
        self.normal = []
        self._high = self._low = self.answers = None
        self.size = self.answers_size = 0
        return count

    # Inside.

    def _frame(self, entry: Publication | GapMark) -> bytes:
        if self.compress is None or isinstance(entry, GapMark):
            return entry.frame
        return self.compress(entry.message)

    def _lanes(self) -> list[Lane]:
        return [lane for lane in (self._high, self.normal, self._low) if lane is not None]

    def _lane(self, number: int) -> Lane:
        if number == _NORMAL:
            return self.normal
        if number == 0:
            if self._high is None:
                self._high = []
            return self._high
        if self._low is None:
            self._low = []
        return self._low

    def _forget_empty(self) -> None:
        self._high = self._high or None
        self._low = self._low or None

    def _conflate(
        self, lane: Lane, newest: Publication, topic: str, encode: Callable[[str, int], bytes]
    ) -> int:
        """Keep only the newest publication of each key; how many were lost."""
        seen = {newest.key}
        superseded: set[int] = set()
        for at in range(len(lane) - 1, -1, -1):
            entry = lane[at]
            if isinstance(entry, Publication) and entry.topic == topic:
                if entry.key in seen:
                    superseded.add(at)
                seen.add(entry.key)
        return self._lose(lane, superseded, topic, encode)

    def _drop_oldest(
        self,
        lane: Lane,
        newest: Publication,
        topic: str,
        limit: int,
        encode: Callable[[str, int], bytes],
    ) -> int:
        """Drop the oldest of a topic until `newest` fits; how many were lost."""
        lost = 0
        while self.size + newest.cost > limit:
            mark: GapMark | None = None
            for at, entry in enumerate(lane[:_SEARCH]):
                if entry.topic != topic:
                    continue
                if isinstance(entry, GapMark):
                    mark = entry
                    continue
                self.size -= entry.cost
                if mark is None:
                    mark = GapMark(topic, encode)
                    self.size += _MARK
                    lane[at] = mark
                else:
                    del lane[at]
                mark.missed += 1
                lost += 1
                break
            else:
                return lost + self._drop_many(lane, newest, topic, limit, encode)
        return lost

    def _drop_many(
        self,
        lane: Lane,
        newest: Publication,
        topic: str,
        limit: int,
        encode: Callable[[str, int], bytes],
    ) -> int:
        """The oldest is far behind others. One walk frees a share of the bound, or all of the topic."""
        wanted = self.size + newest.cost - limit + limit // _SHARE
        oldest: set[int] = set()
        freed = -_MARK
        for at, entry in enumerate(lane):
            if freed >= wanted:
                break
            if isinstance(entry, Publication) and entry.topic == topic:
                oldest.add(at)
                freed += entry.cost
        return self._lose(lane, oldest, topic, encode)

    def _lose(
        self, lane: Lane, places: set[int], topic: str, encode: Callable[[str, int], bytes]
    ) -> int:
        """Drop the entries at these places; the gap is told where the first of them stood."""
        if not places:
            return 0
        kept: Lane = []
        mark: GapMark | None = None
        for at, entry in enumerate(lane):
            if isinstance(entry, GapMark) and entry.topic == topic:
                if mark is None:
                    mark = entry
                    kept.append(entry)
                else:  # one mark a topic: the earlier place tells of both
                    mark.missed += entry.missed
                    self.size -= _MARK
            elif at in places:
                assert isinstance(entry, Publication)
                self.size -= entry.cost
                if mark is None:
                    mark = GapMark(topic, encode)
                    self.size += _MARK
                    kept.append(mark)
                mark.missed += 1
            else:
                kept.append(entry)
        lane[:] = kept
        return len(places)


def _cost(entry: Publication | GapMark) -> int:
    return entry.cost if isinstance(entry, Publication) else _MARK
