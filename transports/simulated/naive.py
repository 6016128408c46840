"""What patterns mean, written as plainly as possible: what the hub knows of it is not asked."""

from functools import lru_cache

__all__ = ["contains", "is_name", "is_plain", "matches", "overlaps"]


@lru_cache(8192)
def matches(pattern: str, topic: str) -> bool:
    """Whether a topic is one of those that a pattern stands for."""
    return _within(topic.split("."), pattern.split("."))


@lru_cache(8192)
def contains(outer: str, inner: str) -> bool:
    """Whether a pattern matches all that another matches."""
    return _within(inner.split("."), outer.split("."))


@lru_cache(8192)
def overlaps(one: str, other: str) -> bool:
    """Whether some topic is matched by both."""
    return _meet(one.split("."), other.split("."))


def is_plain(name: str) -> bool:
    """Whether a name has no wildcard."""
    return "*" not in name and ">" not in name


def is_name(name: str) -> bool:
    """Whether this can be a pattern; the clients of a simulation use ASCII only."""
    tokens = name.split(".")
    return (
        len(name) <= 128
        and all(token and token.isprintable() and " " not in token for token in tokens)
        and ">" not in tokens[:-1]
        and all(len(token) == 1 or is_plain(token) for token in tokens)
    )


def _within(inner: list[str], outer: list[str]) -> bool:
    if outer == [">"]:
        return bool(inner)
    if not inner or not outer:
        return inner == outer
    if inner[0] == ">":
        return False
    return outer[0] in ("*", inner[0]) and _within(inner[1:], outer[1:])


def _meet(one: list[str], other: list[str]) -> bool:
    if not one or not other:
        return one == other
    if one == [">"] or other == [">"]:
        return True
    if "*" not in (one[0], other[0]) and one[0] != other[0]:
        return False
    return _meet(one[1:], other[1:])
