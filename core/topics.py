"""Names of topics, and patterns of names.

A name is tokens joined by `.`, such as `room.lobby`: at most `MAX_TOPIC` bytes of UTF-8, no empty token,
no white space, nothing that cannot be printed or seen. In a pattern `*` is exactly one token, and a last
`>` is all that follow, one at least (the convention of NATS). So `room.>` does not match `room`. A name
without wildcards is a pattern too: it matches itself.

Three decisions. `*` and `>` stand alone or not at all: who writes `room*` expects more than a plain
character, and would wait for ever. Capital and small letters differ. And what is beyond ASCII must be in
Unicode's normal form C (NFC): else two topics would look the same, and who subscribes to one would miss
what is published on the other. Names in another form are refused rather than repaired, since a client
finds its subscription again by the name that it sent. For the same reason there are no characters that
nobody sees, such as zero-width joiners and variation selectors; emoji that need them are refused. What
counts as printable is what this Python's Unicode knows: a newer one knows more letters.
"""

import re
from collections.abc import Iterable
from typing import Final
from unicodedata import is_normalized

__all__ = [
    "MAX_TOPIC",
    "Patterns",
    "check_pattern",
    "check_topic",
    "contains",
    "is_pattern",
    "matches",
    "overlaps",
]

MAX_TOPIC: Final = 128
"""Bytes of UTF-8 that a topic or a pattern has at most."""

_SHOWN: Final = 40
"""Characters of a name that an error shows."""

_UNSEEN: Final = re.compile(
    # Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties) as far as `isprintable` lets it
    # through, and the empty Braille pattern.
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def check_topic(name: str) -> None:
    """Return if `name` can be published to; a cost of half a microsecond.

    Raises:
        ValueError: it cannot; the message says why and what would, and may be shown and logged.
    """
    fault = _fault(name)
    if fault is None:
        if "*" not in name and ">" not in name:
            return
        fault = "has a wildcard: name one topic; '*' and '>' are for patterns"
    raise ValueError(f"the topic {_shown(name)} {fault}")


def check_pattern(pattern: str) -> None:
    """Return if `pattern` is one, with wildcards or without.

    Raises:
        ValueError: it is none; the message says why and what would be, and may be shown and logged.
    """
    fault = _fault(pattern)
    if fault is None:
        if not is_pattern(pattern):
            return
        fault = _misplaced(pattern)
        if fault is None:
            return
    raise ValueError(f"the pattern {_shown(pattern)} {fault}")


def is_pattern(text: str) -> bool:
    """Whether a name has wildcards. It must have passed `check_pattern`."""
    return "*" in text or ">" in text


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic is one of those that a pattern stands for. Both must have been checked."""
    if pattern == topic or pattern == ">":
        return True
    if "*" not in pattern and pattern[-1] != ">":
        return False
    parts, tokens = pattern.split("."), topic.split(".")
    if parts[-1] == ">":
        if len(tokens) < len(parts):
            return False
        parts.pop()
    elif len(tokens) != len(parts):
        return False
    for at, part in enumerate(parts):  # noqa: SIM110 - a generator takes as long as all the rest
        if part != "*" and part != tokens[at]:
            return False
    return True


def contains(pattern: str, other: str) -> bool:
    """Whether `pattern` matches every topic that `other`, a pattern or a topic, matches."""
    # Where both have a wildcard, `*` takes `*`, but nothing except `>` takes `>`.
    if other[-1] == ">" and pattern[-1] != ">":
        return False
    return matches(pattern, other)


def overlaps(a: str, b: str) -> bool:
    """Whether some topic is matched by both of two patterns."""
    ours, theirs = a.split("."), b.split(".")
    for one, other in zip(ours, theirs, strict=False):
        if one == ">" or other == ">":
            return True  # the other one has a token here, so that at least one follows
        if one != other and one != "*" and other != "*":
            return False
    return len(ours) == len(theirs)


class Patterns:
    """Patterns in an order that counts, asked for the first that matches.

    The cost hardly depends on how many there are, and not at all on the topics asked for before: all are
    one regular expression, and nothing is remembered.

    Args:
        patterns: each of them checked.
    """

    __slots__ = ("_match",)

    def __init__(self, patterns: Iterable[str]) -> None:
        # The empty group that took part says which alternative it was. It stands at the end, so that
        # the engine can pass over alternatives by their first character.
        alternatives = [f"{_expression(pattern)}()" for pattern in patterns]
        self._match = re.compile("|".join(alternatives) or "(?!)").fullmatch

    def first(self, topic: str) -> int | None:
        """The index of the first pattern that matches a topic, or None."""
        match = self._match(topic)
        if match is None:
            return None
        assert match.lastindex is not None  # each alternative has its group
        return match.lastindex - 1


def _expression(pattern: str) -> str:
    wildcards = {"*": r"[^.]+", ">": r"(?s:.+)"}
    return r"\.".join(wildcards.get(part) or re.escape(part) for part in pattern.split("."))


def _fault(name: str) -> str | None:
    """What is wrong with a name, wildcards apart, and what to do. Each look is one call of C."""
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"a topic or pattern must be text, not {type(name).__name__}")  # noqa: TRY004 - as the others
    if len(name) > MAX_TOPIC:
        return _TOO_LONG
    if " " in name or not name.isprintable():
        return _unprintable(name)
    if not name.isascii():
        if len(name.encode()) > MAX_TOPIC:
            return _TOO_LONG
        unseen = _UNSEEN.search(name)
        if unseen is not None:
            return f"has a character that nobody sees, {_code(unseen[0])}: leave it out"
        if not is_normalized("NFC", name):
            return "is not in Unicode's normal form C: normalise it to NFC first"
    if not name:
        return "is empty: write at least one token, such as 'alerts'"
    if ".." in name or name[0] == "." or name[-1] == ".":
        return "has an empty token: write one '.' between two tokens, and none at the ends"
    return None


_TOO_LONG: Final = f"has more than {MAX_TOPIC} bytes of UTF-8: shorten it"


def _unprintable(name: str) -> str:
    bad = next(character for character in name if character == " " or not character.isprintable())
    if bad.isspace():
        return f"has white space, {_code(bad)}: join words with '-' or '_'"
    return f"has a character that cannot be printed, {_code(bad)}: leave it out"


def _misplaced(pattern: str) -> str | None:
    """What is wrong with the wildcards of a pattern."""
    *firsts, last = pattern.split(".")
    if ">" in firsts:
        return "goes on after '>': write '>' last, or '*' where one token is meant"
    for part in (*firsts, last):
        if len(part) > 1 and is_pattern(part):
            return (
                "has a wildcard inside a longer token: write it alone, as in 'room.*' or 'room.>'"
            )
    return None


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"


def _shown(name: str) -> str:
    """The name, or its beginning, in quotes; what could mislead a reader or a terminal is escaped."""
    start = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    if _UNSEEN.search(start) or not is_normalized("NFC", start):
        return ascii(start)
    return repr(start)
