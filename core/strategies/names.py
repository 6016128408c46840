"""Names of topics and users, patterns, and what is said of them: grants and rules."""

from collections.abc import Sequence
from typing import Final
from unicodedata import normalize

from hypothesis import strategies as st

from ..auth import check_name
from ..grants import Grant
from ..hub_limits import HubLimits
from ..rules import Priority, Rule, SlowPolicy
from ..topics import MAX_TOPIC, check_topic

__all__ = ["grants", "names", "patterns", "rules", "topics"]

_WORDS: Final = ("alerts", "room", "lobby", "a", "b", "ab", "+", "^a", "[^.]", "é", "日本")
"""Tokens, few, so that names meet; some mean something to regular expressions."""

_USERS: Final = ("ann", "bob", "Ann", "zoë", "李", "ann b", "ＡＮＮ")
"""Some of them count as one name."""

_LIMITS: Final = HubLimits()


def topics(words: Sequence[str] = _WORDS, *, max_tokens: int = 4) -> st.SearchStrategy[str]:
    """Names that can be published to.

    Args:
        words: the tokens that they are made of. Few make names that meet each other and patterns.
        max_tokens: how many of them a name has at most.

    Raises:
        ValueError: a word can't stand in a name.
    """
    _check_words(words)
    tokens = st.sampled_from(words)
    return st.lists(tokens, min_size=1, max_size=max_tokens).map(".".join).filter(_fits)


def patterns(words: Sequence[str] = _WORDS, *, max_tokens: int = 4) -> st.SearchStrategy[str]:
    """What can be subscribed to and granted: patterns with wildcards, and without.

    Args:
        words: the tokens beside `*` and `>`.
        max_tokens: how many of all a pattern has at most.

    Raises:
        ValueError: a word can't stand in a name.
    """
    _check_words(words)
    firsts = st.lists(st.one_of(st.sampled_from(words), st.just("*")), max_size=max_tokens - 1)
    last = st.one_of(st.sampled_from(words), st.sampled_from(("*", ">")))
    return st.tuples(firsts, last).map(lambda both: ".".join((*both[0], both[1]))).filter(_fits)


def _check_words(words: Sequence[str]) -> None:
    for word in words:
        check_topic(word)


def _fits(name: str) -> bool:
    return len(name.encode()) <= MAX_TOPIC


def names() -> st.SearchStrategy[str]:
    """Names that a user may have: a few that come often, and any others."""
    letters = st.characters(categories=["L", "N", "P", "S"])
    others = st.text(letters, min_size=1, max_size=12).map(lambda text: normalize("NFC", text))
    return st.one_of(st.sampled_from(_USERS), others.filter(_is_name))


def _is_name(name: str) -> bool:
    try:
        check_name(name, _LIMITS)
    except ValueError:
        return False
    return True


def _some(pattern: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(pattern, max_size=3, unique=True).map(tuple)


def grants(
    users: st.SearchStrategy[str] | None = None, pattern: st.SearchStrategy[str] | None = None
) -> st.SearchStrategy[Grant]:
    """What an authenticator may say of somebody. They don't end.

    Args:
        users: their names; `names()` unless given.
        pattern: what they may read and write; `patterns()` unless given.
    """
    pattern = pattern if pattern is not None else patterns()
    return st.builds(
        Grant,
        user=users if users is not None else names(),
        read=_some(pattern) | st.just((">",)),
        write=_some(pattern) | st.just((">",)),
        admin=st.booleans(),
    )


def rules(
    pattern: st.SearchStrategy[str] | None = None, *, history: bool = True
) -> st.SearchStrategy[tuple[Rule, ...]]:
    """Rules as a configuration has them: several, of which the first that matches counts.

    Args:
        pattern: of which topics; `patterns()` unless given.
        history: whether some topics keep history.
    """
    pattern = pattern if pattern is not None else patterns()
    return st.lists(_one_rule(pattern, history), max_size=4).map(tuple)


@st.composite
def _one_rule(draw: st.DrawFn, pattern: st.SearchStrategy[str], history: bool) -> Rule:
    presence = draw(st.booleans())
    kept = draw(st.none() | st.integers(1, 20)) if history else None
    priorities: tuple[Priority, ...] = ("normal", "high", "low")
    policies: tuple[SlowPolicy, ...] = ("disconnect", "drop-oldest", "latest")
    return Rule(
        pattern=draw(pattern),
        presence=presence,
        announce=presence and draw(st.booleans()),
        announce_max=draw(st.sampled_from((200, 1, 2))),
        priority=draw(st.sampled_from(priorities)),
        slow=draw(st.sampled_from(policies)),
        max_message=draw(st.sampled_from((None, None, 20))),
        history=kept,
        history_seconds=draw(st.sampled_from((None, 60.0))) if kept is not None else None,
        history_bytes=draw(st.sampled_from((None, 2000))) if kept is not None else None,
        durable=kept is not None and draw(st.booleans()),
    )
