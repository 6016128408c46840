"""The options of topics, by pattern: the first rule that matches a topic is its rule."""

from collections.abc import Sequence
from math import inf
from typing import Final, Literal, get_args

import msgspec

from .topics import Patterns, check_pattern

__all__ = ["DEFAULT_RULES", "Priority", "Rule", "Rules", "SlowPolicy"]

Priority = Literal["high", "normal", "low"]
"""The lane of a topic's publications. Lanes are weighted, and none starves."""

SlowPolicy = Literal["disconnect", "drop-oldest", "latest"]
"""What happens to a subscriber that does not keep up, where the topic keeps no history."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of every topic that matches a pattern.

    Raises:
        ValueError: a field cannot work; the message names it and says what can.
    """

    pattern: str
    """Which topics, such as `room.*` or `alerts.>`."""

    presence: bool = False
    """Whether who is subscribed can be asked for, and is told to who wants to know."""

    announce: bool = False
    """Whether coming and going are announced to all, and publications carry their sender. With presence
    this makes a room."""

    announce_max: int = 200
    """Members above which coming and going are no longer announced."""

    priority: Priority = "normal"
    """Which publications go first to a subscriber that has several waiting."""

    slow: SlowPolicy = "disconnect"
    """At the bound of a subscriber's outbox: close it with 4008, drop the topic's oldest publications, or
    keep only the newest publication for each key."""

    max_message: int | None = None
    """Bytes of a publication's message as JSON; None leaves it to `max_size`."""

    history: int | None = None
    """Publications that are kept, for those who were away or come late; None keeps none unless
    `history_bytes` says so."""

    history_seconds: float | None = None
    """Age at which a publication that is kept is forgotten; None is none."""

    history_bytes: int | None = None
    """Bytes that are kept; None leaves it to `history`."""

    durable: bool = False
    """Whether publications are stored before they are answered and delivered, and outlive the server."""

    def __post_init__(self) -> None:
        try:
            check_pattern(self.pattern)
        except ValueError as error:
            raise ValueError(f"pattern: {error}") from None
        for name in ("presence", "announce", "durable"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ValueError(f"{name}={value!r}: must be true or false")  # noqa: TRY004 - as the others
        for name, words in _WORDS.items():
            value = getattr(self, name)
            if value not in words:
                raise ValueError(f"{name}={value!r}: must be one of {', '.join(map(repr, words))}")
        for name in ("announce_max", "max_message", "history", "history_bytes"):
            value = getattr(self, name)
            if value is None and name != "announce_max":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name}={value!r}: must be a whole number of at least 1")
        if self.announce and not self.presence:
            raise ValueError("announce: only a topic with presence = true can announce")
        if self.history_seconds is not None and not _is_duration(self.history_seconds):
            raise ValueError(f"history_seconds={self.history_seconds!r}: must be a number above 0")
        if not self.logged:
            for name in ("durable", "history_seconds"):
                if getattr(self, name):
                    raise ValueError(f"{name}: say how much is kept, with history or history_bytes")

    @property
    def logged(self) -> bool:
        """Whether such a topic keeps history."""
        return self.history is not None or self.history_bytes is not None


_WORDS: Final = {"priority": get_args(Priority), "slow": get_args(SlowPolicy)}

DEFAULT_RULES: Final = (Rule(pattern="room.>", presence=True, announce=True),)
"""Rooms are the topics under `room.`; all else are plain topics."""


class Rules:
    """Rules in their order; the first that matches counts, and a plain one if none does.

    Nothing is remembered of the topics that were asked for.

    Args:
        rules: those of the configuration.
    """

    __slots__ = ("_patterns", "_plain", "_rules")

    def __init__(self, rules: Sequence[Rule] = DEFAULT_RULES) -> None:
        self._rules = tuple(rules)
        self._patterns = Patterns(rule.pattern for rule in self._rules)
        self._plain = Rule(pattern=">")

    def of(self, topic: str) -> Rule:
        """The rule of a topic."""
        index = self._patterns.first(topic)
        return self._plain if index is None else self._rules[index]


def _is_duration(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < inf
