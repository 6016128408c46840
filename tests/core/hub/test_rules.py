"""Rules of topics: which one counts, and that what cannot work is told."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.rules import DEFAULT_RULES, Rule, Rules
from support.naive_topics import PATTERNS, TOPICS, naive_matches

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"pattern": ""}, "pattern: the pattern '' is empty: write"),
    ({"pattern": "a..b"}, "pattern: the pattern 'a..b' has an empty token"),
    ({"pattern": "room*"}, "pattern: .*inside a longer token"),
    ({"pattern": "a\nb"}, r"pattern: the pattern 'a\\nb' has white space"),
    ({"pattern": None}, "pattern: .*must be text"),
    ({"presence": "no"}, "presence='no': must be true or false"),
    ({"announce": 1}, "announce=1: must be true or false"),
    ({"announce": True}, "announce: only a topic with presence"),
    ({"announce_max": 0}, "announce_max=0: must be a whole number of at least 1"),
    ({"announce_max": None}, "announce_max=None"),
    ({"announce_max": True}, "announce_max=True"),
    ({"announce_max": "200"}, "announce_max='200'"),
    ({"priority": "urgent"}, "priority='urgent': must be one of 'high', 'normal', 'low'"),
    ({"priority": None}, "priority=None"),
    ({"priority": ["high"]}, "priority="),
    ({"slow": "drop"}, "slow='drop': must be one of 'disconnect', 'drop-oldest', 'latest'"),
    ({"max_message": 0}, "max_message=0"),
    ({"max_message": -1}, "max_message=-1"),
    ({"max_message": 1.5}, "max_message=1.5"),
    ({"max_message": False}, "max_message=False"),
    ({"history": 0}, "history=0: must be a whole number of at least 1"),
    ({"history": True}, "history=True"),
    ({"history": 1.0}, "history=1.0"),
    ({"history_bytes": -5}, "history_bytes=-5"),
    ({"history_bytes": "1 MiB"}, "history_bytes='1 MiB'"),
    ({"history": 9, "history_seconds": 0}, "history_seconds=0: must be a number above 0"),
    ({"history": 9, "history_seconds": float("inf")}, "history_seconds=inf"),
    ({"history": 9, "history_seconds": float("nan")}, "history_seconds=nan"),
    ({"history": 9, "history_seconds": True}, "history_seconds=True"),
    ({"history": 9, "history_seconds": "60"}, "history_seconds='60'"),
    ({"history_seconds": 60.0}, "history_seconds: say how much is kept"),
    ({"history": 9, "durable": "yes"}, "durable='yes': must be true or false"),
    ({"durable": True}, "durable: say how much is kept"),
]


@pytest.mark.parametrize("field", ["history", "history_bytes"])
def test_either_bound_makes_a_rule_keep_history(field: str) -> None:
    """With one of them a topic is logged, and may have the others; without both it keeps nothing."""
    fields: dict[str, Any] = {field: 1}
    rule = Rule(pattern="a", **fields, history_seconds=0.5, durable=True)
    assert rule.logged
    assert not Rule(pattern="a").logged


@pytest.mark.parametrize(("fields", "words"), WRONG)
def test_a_rule_that_cannot_work_is_told(fields: dict[str, Any], words: str) -> None:
    """The message begins with the field's name and says what can be."""
    with pytest.raises(ValueError, match=f"^{words}") as told:
        Rule(**{"pattern": "a", **fields})
    assert str(told.value).isprintable()


@pytest.mark.parametrize("field", Rule.__struct_fields__)
def test_every_field_can_be_wrong(field: str) -> None:
    """There is a case above for each field, so that a new one is not forgotten."""
    assert any(field in fields for fields, _ in WRONG)


def test_rules_can_be_read_from_settings() -> None:
    """msgspec makes a rule from a mapping, tells what cannot work, and knows no other fields."""
    settings = {"pattern": "alerts.>", "priority": "high", "slow": "latest", "max_message": 100}
    rule = msgspec.convert(settings, Rule)
    assert rule == Rule(pattern="alerts.>", priority="high", slow="latest", max_message=100)
    for wrong in (
        {"pattern": "a*"},
        {"pattern": "a", "slow": "x"},
        {"pattern": "a", "prio": "high"},
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Rule)


def test_rules_are_frozen() -> None:
    """One rule serves all its topics, so nobody may change it."""
    with pytest.raises(AttributeError):
        DEFAULT_RULES[0].presence = False  # type: ignore[misc]


def test_rooms_are_what_lies_under_room() -> None:
    """By default `room.` and more makes a room; `room` alone, and all else, is plain."""
    rules = Rules()
    for topic in ("room.lobby", "room.a.b"):
        assert rules.of(topic) is DEFAULT_RULES[0]
    for topic in ("room", "rooms.lobby", "roomxlobby", "a.room.b"):
        assert rules.of(topic) == Rule(pattern=">")


@given(st.lists(st.sampled_from(PATTERNS), max_size=5), st.sampled_from(TOPICS))
def test_the_first_rule_that_matches_counts(patterns: list[str], topic: str) -> None:
    """It is that very object; where none matches, the rule is a plain one."""
    rules = [Rule(pattern=pattern) for pattern in patterns]
    expected = next((rule for rule in rules if naive_matches(rule.pattern, topic)), None)
    found = Rules(rules).of(topic)
    assert found is expected if expected else found == Rule(pattern=">")


def test_a_later_change_of_the_list_changes_nothing() -> None:
    """What was given is copied."""
    given_rules = [Rule(pattern="a", presence=True)]
    rules = Rules(given_rules)
    given_rules.clear()
    assert rules.of("a").presence


def test_nothing_is_remembered_of_topics() -> None:
    """Asking for many topics, which peers name, takes no memory."""
    rules = Rules()
    rules.of("warm.up")
    gc.collect()
    tracemalloc.start()
    for number in range(2000):
        rules.of(f"room.{number}")
        rules.of(f"other.{number}")
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 2000
