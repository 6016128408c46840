"""What operators took away while somebody outside was asked who a peer is."""

from .grants import Grant
from .hub_limits import HubLimits
from .session import Session

__all__ = ["Revocations"]


class Revocations:
    """Revocations and disconnections that an answer on its way may not know of.

    A revocation holds from the step in which it is given. An authenticator that was asked before it, or a
    grant that waits for a hook's consent, must not undo it. Nothing is kept while nobody is asked.

    Args:
        limits: how much is remembered.
    """

    __slots__ = ("_asked", "_first", "_given", "_limits")

    def __init__(self, limits: HubLimits) -> None:
        self._limits = limits
        self._asked: dict[Session, int] = {}
        """About whom somebody is asked, oldest first, and the number of the next revocation then."""
        self._given: list[tuple[str, str | None]] = []
        self._first = 0
        """The number of the first that is kept."""

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._given)

    def begin(self, session: Session) -> None:
        """Somebody is asked about a session. Again, only what comes from now on counts."""
        self._asked.pop(session, None)
        self._asked[session] = self._first + len(self._given)

    def note(self, user: str, pattern: str | None) -> None:
        """Topics are taken away from a user; or, with None, all its sessions are closed."""
        if self._asked:
            self._given.append((user, pattern))
            if len(self._given) > self._limits.max_revocations:
                del self._given[0]
                self._first += 1
        self._forget_old()

    def take_away(self, grant: Grant, pattern: str) -> Grant | None:
        """A grant without what a pattern matches. None if that is more than a grant remembers."""
        left = grant.without(pattern)
        if left is not grant and len(left.revoked) > self._limits.max_revoked:
            return None
        return left

    def end(self, session: Session, grant: Grant) -> Grant | None:
        """The answer is a grant: what is left of it. None if its user was disconnected meanwhile.

        Or if too much was taken away meanwhile to remember all of it.
        """
        since = self._asked.pop(session)
        left: Grant | None = grant if since >= self._first else None
        for user, pattern in self._given[max(0, since - self._first) :]:
            if user == grant.user and left is not None:
                left = None if pattern is None else self.take_away(left, pattern)
        self._forget_old()
        return left

    def forget(self, session: Session) -> None:
        """No answer is awaited any more."""
        self._asked.pop(session, None)
        self._forget_old()

    def _forget_old(self) -> None:
        oldest = next(iter(self._asked.values()), self._first + len(self._given))
        oldest = max(oldest, self._first)  # what it does not know of may be gone already
        del self._given[: oldest - self._first]
        self._first = oldest
