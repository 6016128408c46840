"""Who a peer is, and what it may read and write."""

import math

import msgspec

from .topics import check_pattern, contains, overlaps

__all__ = ["Grant"]


class Grant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an authenticator says of a peer. Frozen, so that many sessions may share one.

    Raises:
        ValueError: a field cannot work; the message names it and says what can.
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
            patterns: tuple[str, ...] = getattr(self, field)
            if not isinstance(patterns, tuple):  # pyright: ignore[reportUnnecessaryIsInstance]
                # The letters of a string would be patterns, and ">" would grant everything.
                raise ValueError(  # noqa: TRY004 - as the others
                    f"{field}: must be a tuple of patterns, such as ('room.*',), "
                    f"not {type(patterns).__name__}"
                )
            for pattern in patterns:
                try:
                    check_pattern(pattern)
                except ValueError as error:
                    raise ValueError(f"{field}: {error}") from None
        if self.until is not None and math.isnan(self.until):
            raise ValueError("until: must be seconds since 1970, or None for ever; nan never comes")

    def may_read(self, pattern: str) -> bool:
        """Whether it may read every topic that `pattern` matches. One granted pattern must contain it."""
        return self._allows(self.read, pattern)

    def may_write(self, topic: str) -> bool:
        """Whether it may publish to a topic."""
        return self._allows(self.write, topic)

    def without(self, pattern: str) -> "Grant":
        """The same grant without every topic that `pattern` matches.

        Where nothing is left to take away it is this very grant, so that repeating does not grow it.

        Raises:
            ValueError: `pattern` is none.
        """
        check_pattern(pattern)
        granted = (*self.read, *self.write)
        if not any(overlaps(pattern, one) for one in granted):
            return self
        if any(contains(one, pattern) for one in self.revoked):
            return self
        others = (one for one in self.revoked if not contains(pattern, one))
        return msgspec.structs.replace(self, revoked=(*others, pattern))

    def _allows(self, granted: tuple[str, ...], pattern: str) -> bool:
        # Called for each publication, and a generator takes as long as all the rest.
        for one in self.revoked:
            if overlaps(one, pattern):
                return False
        for one in granted:  # noqa: SIM110 - see above
            if contains(one, pattern):
                return True
        return False
