"""What patterns mean, compared token by token: what the hub knows of it is not asked."""

from collections.abc import Iterable, Sequence

__all__ = ["allowed", "contains", "is_pattern", "overlaps"]


def contains(pattern: str, other: str) -> bool:
    """Whether all that another pattern, or a topic, matches is matched by this one."""
    return _contains(pattern.split("."), other.split("."))


def _contains(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    if not ours or not theirs:
        return not ours and not theirs
    if ours[0] == ">":
        return True
    if theirs[0] == ">":
        return False
    return ours[0] in ("*", theirs[0]) and _contains(ours[1:], theirs[1:])


def overlaps(one: str, other: str) -> bool:
    """Whether some topic is matched by both."""
    return _overlaps(one.split("."), other.split("."))


def _overlaps(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    if not ours or not theirs:
        return not ours and not theirs
    if ">" in (ours[0], theirs[0]):
        return True
    same = ours[0] == theirs[0] or "*" in (ours[0], theirs[0])
    return same and _overlaps(ours[1:], theirs[1:])


def is_pattern(name: str) -> bool:
    """Whether a name has wildcards."""
    return "*" in name or ">" in name


def allowed(granted: Iterable[str], revoked: Iterable[str], pattern: str) -> bool:
    """Whether what is granted, without what was revoked, allows all that a pattern matches."""
    if any(overlaps(one, pattern) for one in revoked):
        return False
    return any(contains(one, pattern) for one in granted)
