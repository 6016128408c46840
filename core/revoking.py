"""What operators took away while somebody outside was asked who a peer is."""

from .grants import Grant
from .session import Session

__all__ = ["Revocations"]


class Revocations:
    """Revocations and disconnections that an answer on its way may not know of.

    A revocation holds from the step in which it is given. An authenticator that was asked before it, or a
    grant that waits for a hook's consent, must not undo it. Nothing is kept while nobody is asked.
    """

    __slots__ = ("_asked", "_first", "_given")

    def __init__(self) -> None:
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
        self._forget_old()

    def end(self, session: Session, grant: Grant) -> Grant | None:
        """The answer is a grant: what is left of it. None if its user was disconnected meanwhile."""
        since = self._asked.pop(session)
        left: Grant | None = grant
        for user, pattern in self._given[since - self._first :]:
            if user == grant.user and left is not None:
                left = None if pattern is None else left.without(pattern)
        self._forget_old()
        return left

    def forget(self, session: Session) -> None:
        """No answer is awaited any more."""
        self._asked.pop(session, None)
        self._forget_old()

    def _forget_old(self) -> None:
        oldest = next(iter(self._asked.values()), self._first + len(self._given))
        del self._given[: oldest - self._first]
        self._first = oldest
