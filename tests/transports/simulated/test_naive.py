"""What the model of a simulated hub knows of patterns is what the hub knows of them."""

import pytest
from hypothesis import given

from hubbub.core import topics
from hubbub.transports.simulated import naive
from support.naive_topics import PATTERNS, TOPICS
from support.naive_topics import patterns as some_patterns
from support.naive_topics import topics as some_topics


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_model_and_the_hub_agree_on_all_small_patterns(pattern: str) -> None:
    """Matching, containing and overlapping are the same, though each is written without the other."""
    for topic in TOPICS:
        assert naive.matches(pattern, topic) == topics.matches(pattern, topic), topic
    for other in PATTERNS:
        assert naive.contains(pattern, other) == topics.contains(pattern, other), other
        assert naive.overlaps(pattern, other) == topics.overlaps(pattern, other), other


@given(some_patterns, some_patterns, some_topics)
def test_the_model_and_the_hub_agree(one: str, other: str, topic: str) -> None:
    """The same for patterns of many tokens."""
    assert naive.matches(one, topic) == topics.matches(one, topic)
    assert naive.contains(one, other) == topics.contains(one, other)
    assert naive.overlaps(one, other) == topics.overlaps(one, other)
