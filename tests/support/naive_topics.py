"""What patterns mean, written as plainly as possible, and small worlds of names to try them on."""

from __future__ import annotations

from itertools import product

from hubbub.core import strategies


def naive_matches(pattern: str, topic: str) -> bool:
    """Whether a topic is matched, token by token from the left."""
    return _match(pattern.split("."), topic.split("."))


def _match(parts: list[str], tokens: list[str]) -> bool:
    if parts == [">"]:
        return len(tokens) >= 1
    if not parts or not tokens:
        return parts == tokens
    return parts[0] in ("*", tokens[0]) and _match(parts[1:], tokens[1:])


def by_specificity(pattern: str) -> list[int]:
    """The key that sorts the patterns of one topic: token by token a word, then `*`, then `>`."""
    return [{"*": 1, ">": 2}.get(part, 0) for part in pattern.split(".")]


TOPICS = [
    *(".".join(tokens) for size in (1, 2, 3, 4) for tokens in product("abc", repeat=size)),
    "ab",
    "aab",
]
"""Every topic of up to four tokens, of which no pattern below names `c`; and two longer tokens."""

PATTERNS = [
    ".".join((*firsts, last))
    for size in (0, 1, 2)
    for firsts in product("ab*", repeat=size)
    for last in "ab*>"
]
"""Every pattern of up to three tokens, with wildcards and without."""

WORDS = ("a", "b", "ab", "+", "^a", "[^.]", "é", "日本")
"""Tokens, some of which mean something to regular expressions."""

topics = strategies.topics(WORDS, max_tokens=6)

patterns = strategies.patterns(WORDS, max_tokens=6)
