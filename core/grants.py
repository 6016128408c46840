"""Who a peer is, and what it may read and write."""

import msgspec

from .topics import check_pattern, contains, overlaps

__all__ = ["Grant"]


class Grant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an authenticator says of a peer. Frozen, so that many sessions may share one.

    Raises:
        ValueError: a pattern is none; the message names it.
    """

    user: str
    """Its name, which is never part of a topic."""
    read: tuple[str, ...] = ()
    """Patterns of the topics that it may subscribe to."""
    write: tuple[str, ...] = ()
    """Patterns of the topics that it may publish to."""
    admin: bool = False
    """Whether it may do what operators do."""
    until: float | None = None
    """When it ends, in seconds since 1970 (UTC); None is never."""
    anonymous: bool = False
    """Whether nobody vouched for the name."""
    revoked: tuple[str, ...] = ()
    """Patterns of topics that were taken away from `read` and `write`."""

    def __post_init__(self) -> None:
        for field in ("read", "write", "revoked"):
            for pattern in getattr(self, field):
                try:
                    check_pattern(pattern)
                except ValueError as error:
                    raise ValueError(f"{field}: {error}") from None

    def may_read(self, pattern: str) -> bool:
        """Whether it may read every topic that `pattern` matches."""
        return self._allows(self.read, pattern)

    def may_write(self, topic: str) -> bool:
        """Whether it may publish to a topic."""
        return self._allows(self.write, topic)

    def without(self, pattern: str) -> "Grant":
        """The same grant without every topic that `pattern` matches."""
        return msgspec.structs.replace(self, revoked=(*self.revoked, pattern))

    def _allows(self, granted: tuple[str, ...], pattern: str) -> bool:
        if self.revoked and any(overlaps(revoked, pattern) for revoked in self.revoked):
            return False
        return any(contains(one, pattern) for one in granted)
