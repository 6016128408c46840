"""How far each consumer has come, as the server must know it: one number for each name."""

from collections.abc import Callable, Iterable
from math import inf

from ....core.records import Acknowledged
from ..violation import Violation
from .ledger import is_durable

__all__ = ["Consumption", "Key"]

Key = tuple[str, str, str]
"""A user, a name that it chose, and a topic."""


class Consumption:
    """What consumers have acknowledged, and what they were sent.

    Args:
        keeps: whether a publication must be kept.
        remembers: whether its epoch must be known.
    """

    def __init__(
        self, keeps: Callable[[str, int], bool], remembers: Callable[[str, int], bool]
    ) -> None:
        self._keeps = keeps
        self._remembers = remembers
        self.known: dict[Key, int] = {}
        """What this process knows."""
        self.sent: dict[Key, int] = {}
        """The newest offset that this process has put on the wire."""
        self.moved: dict[Key, tuple[float, int]] = {}
        """When the position moved last, and from where."""
        self._stored: dict[Key, int] = {}
        self._passed: dict[Key, int] = {}
        self._before: dict[Key, tuple[int, int]] = {}
        self._ever: dict[Key, set[int]] = {}
        self._loose: set[Key] = set()
        self.coming: dict[Key, int] = {}
        """How many sessions ask to be this consumer and are not answered."""

    # On the wire.

    def begins(self, key: Key, offset: int, now: float) -> None:
        """A session is told that it is this consumer, and where it begins."""
        known = self.known.get(key)
        if known is not None and offset != known and not self._may_begin(key, offset, known):
            text = f"{key} begins behind {offset}, and has acknowledged {known}"
            raise Violation("a consumer begins where it acknowledged", text)
        if known is None:
            acked, sent = self._before.pop(key, (offset, 0))
            if sent > acked and offset > acked:
                text = f"{key} begins behind {offset}; it was sent {sent}, and acknowledged {acked}"
                raise Violation("what was sent and not acknowledged comes again", text)
        self._go(key, offset, now)

    def _may_begin(self, key: Key, offset: int, known: int) -> bool:
        """Whether a consumer may begin elsewhere than where it acknowledged."""
        if offset < known and not self._remembers(key[2], known):
            return True  # nobody knows any more whether that is what it acknowledged
        # Behind a loss it may begin earlier; or later, where nothing is kept that would come.
        lost = key in self._loose
        return lost and (offset < known or not self._keeps(key[2], known + 1))

    def acknowledges(self, key: Key, offset: int, now: float) -> None:
        """The server has taken an acknowledgement."""
        if offset > self.known.get(key, 0):
            self._go(key, offset, now)

    def _go(self, key: Key, offset: int, now: float) -> None:
        at, before = self.moved.get(key, (-inf, offset))
        self.moved[key] = (now, before if at == now else self.known.get(key, offset))
        self.known[key] = offset
        self._ever.setdefault(key, set()).add(offset)

    def sends(self, key: Key, offset: int) -> None:
        """A publication is put on the wire for a consumer."""
        self.sent[key] = max(self.sent.get(key, 0), offset)

    # In the store.

    def asked(self, acknowledged: Iterable[Acknowledged]) -> None:
        """The store is asked to keep these."""
        for one in acknowledged:
            key = (one.user, one.name, one.topic)
            if self.coming.get(key):
                self._ever.setdefault(key, set()).add(one.offset)
            if one.offset not in self._ever.get(key, ()):
                text = (
                    f"{key} is to be stored at {one.offset}, and has been at {self.known.get(key)}"
                )
                raise Violation("an acknowledgement moves its own consumer", text)

    def keep(self, acknowledged: Iterable[Acknowledged]) -> None:
        """They are stored."""
        for one in acknowledged:
            self._stored[one.user, one.name, one.topic] = one.offset
        for key in self.known:
            if key not in self._stored:
                self._passed[key] = self._passed.get(key, 0) + 1

    def restarted(self) -> None:
        """A process begins, and knows what is stored."""
        for key, acked in self.known.items():
            # Of two appends that were stored since, one knew of it.
            if is_durable(key[2]) and self._passed.get(key, 0) > 1:
                self._before[key] = (acked, self.sent.get(key, 0))
        self.known = dict(self._stored)
        self.sent.clear()
        self.moved.clear()
        self.coming.clear()
        self._passed.clear()

    def cut(self, topic: str, last: int) -> None:
        """What a topic had behind an offset is lost: it may all come again, and more."""
        for known in (self.known, self._stored, self.sent):
            for key, offset in known.items():
                if key[2] == topic and offset > last:
                    known[key] = last
        for key in {*self.known, *self._stored}:
            if key[2] == topic:
                self._loose.add(key)
                self._ever.setdefault(key, set()).update(range(last + 1))
        for key, (acked, sent) in self._before.items():
            if key[2] == topic:
                self._before[key] = (min(acked, last), min(sent, last))
