"""What waits for one session, and may still be dropped, reordered or taken back.

Answers go first. Publications wait in the lane of their topic's priority. Inside a lane, and so inside a
topic, order always holds. Lanes are weighted: of seven publications four come from the high lane, two
from the normal and one from the low one, as long as all have some.

What the outbox holds is bounded. A publication that does not fit makes the policy of its topic act; what
is lost is counted, and a `GapMark` stands in the queue where it was lost.
"""

from collections.abc import Callable, Sequence
from typing import Final

from .outgoing import PreparedMessage
from .publication import ENTRY, GapMark, Lane, Publication
from .shedding import Shedder

__all__ = ["ENTRY", "GapMark", "Lane", "Outbox", "Publication", "SharedQueue"]

_TURNS: Final = (0, 0, 0, 0, 1, 1, 2)
"""Whose turn it is: of the high, the normal or the low lane."""

_HIGH: Final = 0
_NORMAL: Final = 1
_LOW: Final = 2


class SharedQueue:
    """Publications that wait for many sessions, each of which has nothing else waiting.

    It never changes: with one publication more it is another one, and the same for all whose queues were
    the same before.

    Args:
        before: what waits already; None if nothing does.
        publication: of the normal lane.
    """

    __slots__ = ("_chunk", "before", "cost", "length", "publication")

    def __init__(self, before: "SharedQueue | None", publication: Publication) -> None:
        self.before = before
        self._chunk: bytes | None = None
        self.publication = publication
        """The newest."""
        self.cost: int = publication.cost if before is None else before.cost + publication.cost
        """What they count for in each session."""
        self.length: int = 1 if before is None else before.length + 1
        """How many they are."""

    def publications(self) -> list[Publication]:
        """All of them, in their order."""
        found = [self.publication]
        before = self.before
        while before is not None:
            found.append(before.publication)
            before = before.before
        found.reverse()
        return found

    def chunk(self) -> bytes:
        """All their frames."""
        if self.before is None:
            return self.publication.frame
        if self._chunk is None:
            self._chunk = b"".join([one.frame for one in self.publications()])
        return self._chunk


class Outbox:
    """The queue of one session.

    Args:
        limit: what may wait, by the `cost` of each publication.
    """

    __slots__ = (
        "_high",
        "_low",
        "_shedders",
        "_turn",
        "answers",
        "answers_size",
        "compress",
        "limit",
        "normal",
        "size",
    )

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        """What the waiting publications count for."""
        self.normal: Lane = []
        """The lane that nearly all publications take; a fan-out appends to it directly."""
        self._high: Lane | None = None
        self._low: Lane | None = None
        self._turn = 0
        self._shedders: dict[int, Shedder] | None = None
        """Where something was dropped since something was last taken."""
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

    def put(self, publications: Sequence[Publication]) -> int:
        """Queue publications of one lane, for which there was room; what they count for."""
        cost = sum([publication.cost for publication in publications])
        self.size += cost
        self._lane(publications[0].lane).extend(publications)
        return cost

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
        if self._shedders is None:
            self._shedders = {}
        shedder = self._shedders.get(publication.lane)
        if shedder is None:
            shedder = self._shedders[publication.lane] = Shedder(lane, encode)
        self.size, lost = shedder.make_room(publication, self.size, limit)
        if self.size + publication.cost <= limit:
            self.size += publication.cost
            lane.append(publication)
            return lost
        # It does not fit even alone: it is lost itself.
        mark = shedder.mark(topic)
        if mark is None:
            mark = GapMark(topic, encode)
            if self.size + mark.cost > self.limit:
                return None
            lane.append(mark)
            self.size += mark.cost
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
        if self._shedders is not None:
            self._close_shedders()
        if self._high is None and self._low is None:
            if self.compress is not None:
                frames += map(self._frame, self.normal)
            elif not frames:
                frames = [entry.frame for entry in self.normal]
            else:
                frames += [entry.frame for entry in self.normal]
            self.normal = []
            self.size = self._turn = 0
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
        if self._shedders is not None:
            self._close_shedders()
        frames: list[bytes] = []
        lanes = [lane if lane is not None else [] for lane in (self._high, self.normal, self._low)]
        taken = [0, 0, 0]
        left = sum(map(len, lanes))
        while left:
            # The turns go on where the last call ended: it may have taken one large frame.
            number = _TURNS[self._turn]
            lane = lanes[number]
            if taken[number] < len(lane):
                entry = lane[taken[number]]
                frame = self._frame(entry)
                if len(frame) > max_bytes and (frames or not at_least_one):
                    break
                max_bytes -= len(frame)
                frames.append(frame)
                taken[number] += 1
                left -= 1
                self.size -= entry.cost
            self._turn = (self._turn + 1) % len(_TURNS) if left else 0
        for lane, count in zip(lanes, taken, strict=True):
            del lane[:count]
        self._forget_empty()
        return frames

    def first_offset(self, topic: str) -> int | None:
        """The offset of the first publication of a topic that waits; None if none that has one does."""
        for lane in self._lanes():
            for entry in lane:
                if isinstance(entry, Publication) and entry.offset and entry.topic == topic:
                    return entry.offset
        return None

    # Taking back.

    def discard(self, gone: Callable[[str], bool]) -> int:
        """Take back what waits of the topics for which `gone` is true; how many publications it was."""
        self._close_shedders()
        count = 0
        for lane in self._lanes():
            kept: Lane = []
            for entry in lane:
                if entry.topic is not None and gone(entry.topic):
                    self.size -= entry.cost
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
        self._high = self._low = self.answers = self._shedders = None
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
        if number == _HIGH:
            if self._high is None:
                self._high = []
            return self._high
        if self._low is None:
            self._low = []
        return self._low

    def _forget_empty(self) -> None:
        self._high = self._high or None
        self._low = self._low or None

    def _close_shedders(self) -> None:
        if self._shedders is not None:
            for shedder in self._shedders.values():
                shedder.close()
            self._shedders = None
