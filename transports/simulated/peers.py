"""What the model knows of one session: what it may do, what it asked, and what it is still to get."""

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from ...core.effects import Outcome
from ...core.grants import Grant
from ...core.session_states import SessionState
from .naive import contains, matches, overlaps

if TYPE_CHECKING:
    from .client import Connection

__all__ = ["Peer", "Pending", "Standing"]


class Standing(Enum):
    """How far a session has come."""

    OPENING = "opening"
    NOBODY = "nobody"
    """Its WebSocket is open, and nobody knows who it is."""
    IN = "in"
    GONE = "gone"
    """It has no part in the hub any more; last bytes may leave."""


class Pending:
    """A request that waits for the outside.

    Args:
        kind: of the effect that must be asked: `authenticate`, or the kind of a hook.
        about: the token, topic, or name that the effect must carry.
        deadline: when the hub gives up.
        then: what follows, given the outcome and the time.
    """

    __slots__ = ("about", "deadline", "effect", "kind", "notes", "then")

    def __init__(
        self, kind: str, about: str | None, deadline: float, then: Callable[[Outcome, float], None]
    ) -> None:
        self.kind = kind
        self.about = about
        self.deadline = deadline
        self.then = then
        self.effect: int | None = None
        """The effect's id, once it was handed out."""
        self.notes: list[tuple[str, str | None]] = []
        """What an operator did meanwhile: a user, and the pattern that was taken away; None: all."""


class Peer:
    """One session.

    Args:
        connection: its connection, whose number is that of the session.
        now: the time.
    """

    def __init__(self, connection: "Connection", now: float) -> None:
        self.connection = connection
        self.number = connection.number
        self.standing = Standing.OPENING
        self.since = now
        """When it came where it stands."""
        self.opened_at = now
        self.grant: Grant | None = None
        self.revoked: list[str] = []
        """Patterns that an operator took away since the grant was given."""
        self.subscriptions: dict[str, bool] = {}
        self.queues: dict[str | None, deque[tuple[Any, ...]]] = {}
        """By topic, what was published for it and was not given out; None: direct messages."""
        self.excused: dict[str | None, int] = {}
        """By topic, how many of these were told to be lost."""
        self.perhaps: dict[str, list[tuple[Any, ...]]] = {}
        """By topic, what it may get or not, in any order (see `Announcing`)."""
        self.answers: deque[dict[str, Any]] = deque()
        """What it is to be answered: the fields that count."""
        self.pending: Pending | None = None
        self.notes: list[tuple[str, str | None]] = []
        """Those of what was waited for last."""
        self.doom: set[int] = set()
        """Close codes for which there is a reason."""
        self.leaving: int | None = None
        """The code with which it is to be closed behind what waits."""
        self.closed = False
        """Whether its Close frame is on the wire."""
        self.failed = False
        """Whether the hub closed it before what waited."""
        self.was_in = False
        self.hinted = False
        """Whether it was told to come back later."""
        self.answered = 0
        self.handled = 0
        self.handled_from = now
        self.errors = 0
        self.errors_from = now
        self.expired_at: float | None = None
        """When it was first seen to be there with a grant that had ended."""

    @property
    def user(self) -> str:
        """Whose it is."""
        assert self.grant is not None
        return self.grant.user

    def reads(self, topic: str) -> bool:
        """Whether one of its subscriptions matches."""
        if topic in self.subscriptions:
            return True
        return any(matches(pattern, topic) for pattern in self.subscriptions)

    def may_read(self, pattern: str) -> bool:
        """Whether its grant allows to read all of that."""
        return self.grant is not None and self._allows(self.grant.read, pattern)

    def may_write(self, topic: str) -> bool:
        """Whether its grant allows to publish there."""
        return self.grant is not None and self._allows(self.grant.write, topic)

    def _allows(self, granted: tuple[str, ...], pattern: str) -> bool:
        assert self.grant is not None
        if any(overlaps(one, pattern) for one in (*self.revoked, *self.grant.revoked)):
            return False
        return any(contains(one, pattern) for one in granted)

    def expect(self, topic: str | None, push: tuple[Any, ...]) -> None:
        """It is to get this, or to be told that it is lost."""
        queue = self.queues.get(topic)
        if queue is None:
            queue = self.queues[topic] = deque()
        queue.append(push)

    def make_unsure(self, topic: str, push: tuple[Any, ...]) -> None:
        """Whether it gets this, and when, nobody can know."""
        queue = self.queues.get(topic, ())
        if queue and push in queue:
            queue.remove(push)
        pushes = self.perhaps.setdefault(topic, [])
        if push not in pushes:
            pushes.append(push)

    def forget_unread(self) -> None:
        """What waits of topics that it does not subscribe to any more must not come."""
        for topic in tuple(self.queues):
            if topic is not None and not self.reads(topic):
                del self.queues[topic]
                self.excused.pop(topic, None)
                self.perhaps.pop(topic, None)

    def forget_queues(self) -> None:
        """No publication is owed to it any more."""
        self.queues.clear()
        self.excused.clear()
        self.perhaps.clear()

    @property
    def still_leaves(self) -> bool:
        """Whether it was let in, and is closed behind what waits for it."""
        leaving = self.connection.session.state is SessionState.LEAVING
        return self.was_in and self.standing is Standing.GONE and leaving

    def owed(self) -> str:
        """What it is still to get, in words; empty if it got everything."""
        for topic, queue in self.queues.items():
            lost = self.excused.get(topic, 0)
            most = len(queue) + len(self.perhaps.get(topic or "", ()))
            if not len(queue) <= lost <= most:
                return f"{len(queue)} of {topic or 'direct messages'}, {lost} told as lost"
        return f"{len(self.answers)} answers" if self.answers else ""
