"""Grants: what they allow is what their patterns say, and what was taken away stays away."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.core.grants import Grant
from support.naive_topics import PATTERNS, TOPICS, naive_matches

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"read": ("a", "a..b")}, "read: the pattern 'a..b' has an empty token"),
    ({"write": ("a*",)}, "write: .*inside a longer token"),
    ({"revoked": ("a.>.b",)}, "revoked: .*goes on after '>'"),
    ({"read": (5,)}, "read: .*must be text"),
    ({"read": ">"}, r"read: must be a tuple of patterns, such as \('room.\*',\), not str"),
    ({"write": ["a"]}, "write: must be a tuple of patterns, .*not list"),
    ({"revoked": None}, "revoked: must be a tuple of patterns, .*not NoneType"),
    ({"until": float("nan")}, "until: must be seconds"),
]


@pytest.mark.parametrize(("fields", "words"), WRONG)
def test_a_grant_that_cannot_work_is_told(fields: dict[str, Any], words: str) -> None:
    """The message begins with the field's name and says what can be."""
    with pytest.raises(ValueError, match=f"^{words}"):
        Grant(user="ann", **fields)


def test_grants_are_frozen_and_equal_by_value() -> None:
    """Many sessions may share one, so nobody may change it."""
    grant = Grant(user="ann", read=("a",))
    with pytest.raises(AttributeError):
        grant.read = (">",)  # type: ignore[misc]
    assert grant == Grant(user="ann", read=("a",))
    assert hash(grant) == hash(Grant(user="ann", read=("a",)))


def test_grants_can_be_read_from_settings() -> None:
    """msgspec makes a grant from a mapping with lists, and tells what cannot work."""
    grant = msgspec.convert({"user": "ann", "read": ["room.*"], "until": 5}, Grant)
    assert grant == Grant(user="ann", read=("room.*",), until=5)
    mistakes: list[dict[str, Any]] = [
        {"user": "ann", "read": ["room*"]},
        {"user": "ann", "read": ">"},
        {"read": []},
    ]
    for wrong in mistakes:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Grant)


def test_nothing_is_allowed_unless_granted() -> None:
    """Reading does not allow writing, nor writing reading, nor being an admin anything."""
    reader = Grant(user="ann", read=("a.*",), admin=True)
    writer = Grant(user="bob", write=("a.*",), admin=True)
    assert reader.may_read("a.b")
    assert not reader.may_write("a.b")
    assert writer.may_write("a.b")
    assert not writer.may_read("a.b")
    assert not Grant(user="eve").may_read("a")


def test_a_subscription_must_lie_in_one_granted_pattern() -> None:
    """A wider one is refused, even where all granted patterns together would cover it."""
    grant = Grant(user="ann", read=("room.*", "alerts.>"))
    assert grant.may_read("room.*")
    assert grant.may_read("alerts.*.*")
    assert grant.may_read("alerts.>")
    assert not grant.may_read("room.>")
    assert not grant.may_read("alerts")
    assert not grant.may_read(">")
    assert not Grant(user="ann", read=("*", "*.>")).may_read(">")


patterns = st.sampled_from(PATTERNS)
some = st.lists(patterns, max_size=3).map(tuple)


def sets(names: tuple[str, ...]) -> set[str]:
    """The topics that any of some patterns matches."""
    return {topic for topic in TOPICS if any(naive_matches(name, topic) for name in names)}


@given(some, some, st.lists(patterns, max_size=4))
@example((">",), (">",), ["a.*", "a.>", "a.b"])
@example(("a",), (), ["b", "b", "*"])
def test_a_grant_is_the_granted_topics_without_the_revoked(
    read: tuple[str, ...], write: tuple[str, ...], taken: list[str]
) -> None:
    """For each topic it allows what the sets of topics say, whatever was taken away in which order."""
    grant = Grant(user="ann", read=read, write=write)
    for pattern in taken:
        grant = grant.without(pattern)
    gone = sets(tuple(taken))
    assert {topic for topic in TOPICS if grant.may_read(topic)} == sets(read) - gone
    assert {topic for topic in TOPICS if grant.may_write(topic)} == sets(write) - gone
    assert (grant.user, grant.read, grant.write) == ("ann", read, write)


@given(some, some, patterns)
def test_a_subscription_is_allowed_only_with_all_its_topics(
    read: tuple[str, ...], revoked: tuple[str, ...], pattern: str
) -> None:
    """It lies in one granted pattern whole, and nothing of it was taken away; else it is refused."""
    grant = Grant(user="ann", read=read, revoked=revoked)
    topics = sets((pattern,))
    within = any(topics <= sets((one,)) for one in read)
    assert grant.may_read(pattern) == (within and not topics & sets(revoked))


@given(some, st.lists(patterns, max_size=6))
def test_taking_away_again_changes_nothing(read: tuple[str, ...], taken: list[str]) -> None:
    """What is gone already, or never was granted, gives the same object; no pattern lies in another."""
    grant = Grant(user="ann", read=read)
    for pattern in taken:
        grant = grant.without(pattern)
        assert grant.without(pattern) is grant
        if not sets((pattern,)) & sets(read):
            assert pattern not in grant.revoked
    for one in grant.revoked:
        assert not any(sets((one,)) <= sets((other,)) for other in grant.revoked if other != one)
    assert len(set(grant.revoked)) == len(grant.revoked)


def test_what_is_taken_away_must_be_a_pattern() -> None:
    """A mistake is told, and the grant stays as it is."""
    with pytest.raises(ValueError, match=r"the pattern 'a\.>\.b' goes on"):
        Grant(user="ann").without("a.>.b")


def test_the_other_fields_stay() -> None:
    """Taking topics away changes nothing else."""
    grant = Grant(user="ann", read=(">",), admin=True, until=5.0, anonymous=True)
    less = grant.without("a")
    assert less == msgspec.structs.replace(grant, revoked=("a",))
    assert grant.may_read("a")
