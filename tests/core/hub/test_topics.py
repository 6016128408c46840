"""Names and patterns: which are lawful, what errors say, and what patterns match and share."""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple
from unicodedata import is_normalized

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.core import topics
from hubbub.core.topics import (
    MAX_TOPIC,
    Patterns,
    check_pattern,
    check_topic,
    is_pattern,
    matches,
)
from support import naive_topics
from support.naive_topics import PATTERNS, TOPICS, naive_matches

LAWFUL = [
    "a",
    "room.lobby",
    "A.a",
    "a-b_c/d:e@f~!+=?<|{}[]()\\\"'`#$%^&,;",
    "größe.été",
    "日本語.ニュース",
    "שלום.мир",
    "😀",
    "a" * MAX_TOPIC,
    "é" * (MAX_TOPIC // 2),
    ".".join("a" * (MAX_TOPIC // 2)),
]

UNLAWFUL = {
    "": "empty: write",
    ".": "empty token",
    ".a": "empty token",
    "a.": "empty token",
    "a..b": "empty token.*write one '.'",
    "a b": r"white space, U\+0020: join",
    "a\tb": r"white space, U\+0009",
    "a\nb": r"white space, U\+000A",
    "a\u00a0b": r"white space, U\+00A0",
    "a\u2028": r"white space, U\+2028",
    "a\x00": r"cannot be printed, U\+0000: leave",
    "a\x1b[2J": r"cannot be printed, U\+001B",
    "a\x7f": r"cannot be printed, U\+007F",
    "a\x9b": r"cannot be printed, U\+009B",
    "\u202egnp.exe": r"cannot be printed, U\+202E",
    "ad\u200bmin": r"cannot be printed, U\+200B",
    "\ufeffa": r"cannot be printed, U\+FEFF",
    "\U0001f468\u200d\U0001f469": r"cannot be printed, U\+200D",
    "\ud800": r"cannot be printed, U\+D800",
    "\ue000": r"cannot be printed, U\+E000",
    "\uffff": r"cannot be printed, U\+FFFF",
    "\U000e0041": r"cannot be printed, U\+E0041",
    "❤\ufe0f": r"nobody sees, U\+FE0F: leave",
    "a\u3164": r"nobody sees, U\+3164",
    "a\u2800": r"nobody sees, U\+2800",
    "a\u034f": r"nobody sees, U\+034F",
    "a\U000e0100": r"nobody sees, U\+E0100",
    "cafe\u0301": "NFC",
    "\u212b": "NFC",  # the sign for ångström, which is the letter
    "a" * (MAX_TOPIC + 1): "128 bytes.*shorten",
    "é" * (MAX_TOPIC // 2) + "a": "128 bytes.*shorten",
}


@pytest.mark.parametrize("name", LAWFUL)
def test_a_lawful_name_is_a_topic_and_a_pattern(name: str) -> None:
    """Whatever can be published to can be subscribed to."""
    check_topic(name)
    check_pattern(name)
    assert not is_pattern(name)
    assert matches(name, name)


@pytest.mark.parametrize("name", UNLAWFUL, ids=ascii)
@pytest.mark.parametrize("check", [check_topic, check_pattern])
def test_an_unlawful_name_is_neither(check: Callable[[str], None], name: str) -> None:
    """The message says what is wrong and what to do."""
    with pytest.raises(ValueError, match=UNLAWFUL[name]):
        check(name)


@pytest.mark.parametrize("pattern", [*PATTERNS, "*.*.*.*", "room.*.typing", "room.*.>"])
def test_a_pattern_is_lawful_with_wildcards_that_stand_alone(pattern: str) -> None:
    """`*` may stand for any token, `>` for what follows."""
    check_pattern(pattern)
    assert is_pattern(pattern) == bool({"*", ">"} & set(pattern))


@pytest.mark.parametrize("name", ["*", ">", "a.*", "a.>", "*.a", "a*", "a>b", "a.b*c.d"])
def test_a_topic_has_no_wildcards(name: str) -> None:
    """Nobody can publish to a pattern, nor to what looks like one."""
    with pytest.raises(ValueError, match="has a wildcard: name one topic"):
        check_topic(name)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("room*", "inside a longer token: write it alone"),
        ("room.a*", "inside a longer token"),
        ("**", "inside a longer token"),
        ("room.>>", "inside a longer token"),
        (">a.b", "inside a longer token"),
        ("a>.b", "inside a longer token"),
        ("a.>.b", r"goes on after '>': write '>' last, or '\*'"),
        (">.>", "goes on after '>'"),
        (">.*", "goes on after '>'"),
        ("*..>", "empty token"),
    ],
)
def test_a_misplaced_wildcard_is_told(pattern: str, words: str) -> None:
    """The message says where wildcards may stand."""
    with pytest.raises(ValueError, match=words):
        check_pattern(pattern)


@pytest.mark.parametrize("check", [check_topic, check_pattern])
@pytest.mark.parametrize("name", [None, 5, b"room.lobby", ["room"]])
def test_what_is_no_text_is_told(check: Callable[[object], None], name: object) -> None:
    """A mistake of the caller's is a ValueError like the others."""
    with pytest.raises(ValueError, match="must be text, not"):
        check(name)


HIDDEN = {
    *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180F, 0x2800, 0x3164, 0xFFA0),
    *range(0x180B, 0x180E),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
}
"""Characters that Python would print and nobody sees."""


def lawful(name: str) -> bool:
    """The rules for a topic once more, by Unicode's categories."""
    forbidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
    return (
        len(name.encode("utf-8", "surrogatepass")) <= MAX_TOPIC
        and all(name.split("."))
        and not any(unicodedata.category(c) in forbidden or c in "*>" for c in name)
        and not any(ord(c) in HIDDEN for c in name)
        and unicodedata.normalize("NFC", name) == name
    )


odd = st.sampled_from(
    ["..", "*", ">", " ", "\x00", "\u202e", "e\u0301", "\u3164", "\U000e01ef", "\ud800", "😀"]
)
near_names = st.lists(st.one_of(st.sampled_from(["a", "b", ".", "é", "-"]), odd), max_size=8).map(
    "".join
)
any_text = st.one_of(st.text(), near_names, st.text("aé.", max_size=200))


def refusal(check: Callable[[str], None], name: str) -> str | None:
    """What an error says, or None."""
    try:
        check(name)
    except ValueError as error:
        return str(error)
    return None


@given(any_text)
@example("a" * 129)
@example("\u0600" * 100_000)
def test_what_a_topic_is(name: str) -> None:
    """Any text is a topic, or the error says so in a short line that is safe to print."""
    told = refusal(check_topic, name)
    assert (told is None) == lawful(name)
    if told is None:
        check_pattern(name)
    else:
        assert told.isprintable()
        assert len(told) < 600
        assert not HIDDEN & set(map(ord, told))


def test_nothing_hides_in_a_name() -> None:
    """Each character that nobody sees is refused and named, and its neighbours are not."""
    for code in HIDDEN:
        assert f"U+{code:04X}" in str(refusal(check_topic, f"a{chr(code)}"))
    for code in range(0x80, 0x11_0000):
        if chr(code).isprintable() and code not in HIDDEN and is_normalized("NFC", chr(code)):
            check_topic(chr(code))


@given(any_text)
def test_what_a_pattern_is(text: str) -> None:
    """A pattern is a topic after each `*`, and a last `>`, is replaced by a word."""
    *firsts, last = text.split(".")
    words = ["w" if part == "*" else part for part in firsts]
    topic = ".".join((*words, "w" if last in ("*", ">") else last))
    told = refusal(check_pattern, text)
    assert (told is None) == lawful(topic)
    assert told is None or told.isprintable()


def test_the_name_in_an_error_is_cut() -> None:
    """A long name does not fill a log."""
    with pytest.raises(ValueError) as caught:
        check_topic("x" * 100_000)
    assert str(caught.value).count("x") == 40


@given(naive_topics.patterns, naive_topics.topics)
@example("[^.]", "a")
@example("a.>", "a")
@example("*", "a.a")
def test_matching_is_what_it_means(pattern: str, topic: str) -> None:
    """A pattern matches what the plain definition says, tokens being any text."""
    check_pattern(pattern)
    check_topic(topic)
    assert matches(pattern, topic) == naive_matches(pattern, topic)


MATCHED = {p: frozenset(t for t in TOPICS if naive_matches(p, t)) for p in (*PATTERNS, *TOPICS)}


def mistakes(names: dict[str, Any]) -> set[str]:
    """The functions that are wrong somewhere in a world of 122 topics and 52 patterns.

    The longest pattern is shorter than the longest topic, and the topics have a token that no pattern
    has. So what holds for sets of these topics holds for all.
    """
    wrong: set[str] = set()
    for pattern, matched in MATCHED.items():
        if matched != {topic for topic in TOPICS if names["matches"](pattern, topic)}:
            wrong.add("matches")
        for other in PATTERNS:
            shared = MATCHED[other]
            if names["contains"](pattern, other) != (matched >= shared):
                wrong.add("contains")
            if names["overlaps"](pattern, other) != bool(matched & shared):
                wrong.add("overlaps")
            if names["overlaps"](other, pattern) != bool(matched & shared):
                wrong.add("overlaps")
    for pattern in PATTERNS:
        for topic in TOPICS:
            if names["contains"](pattern, topic) != (topic in MATCHED[pattern]):
                wrong.add("contains")
    for topic in TOPICS:
        if names["Patterns"](["b.>", *PATTERNS]).first(topic) != first(["b.>", *PATTERNS], topic):
            wrong.add("Patterns")
            break
    for pattern in PATTERNS:
        one = names["Patterns"]([pattern])
        if any((one.first(t) == 0) != (t in MATCHED[pattern]) for t in TOPICS):
            wrong.add("Patterns")
    return wrong


def first(patterns: list[str], topic: str) -> int | None:
    """The first pattern that matches, by the plain definition."""
    return next((at for at, pattern in enumerate(patterns) if naive_matches(pattern, topic)), None)


def test_matching_containing_and_overlapping_are_those_of_sets() -> None:
    """In a small world every pattern and every pair is what the sets of its topics say."""
    assert mistakes(dict(vars(topics))) == set()


class Fault(NamedTuple):
    """A wrong line in `topics.py`: `right` stands in exactly one place."""

    name: str
    right: str
    wrong: str


FAULTS = [
    Fault("`>` matches no token too", "len(tokens) < len(parts)", "len(tokens) < len(parts) - 1"),
    Fault("`>` wants two tokens", "len(tokens) < len(parts)", "len(tokens) <= len(parts)"),
    Fault("`*` matches many", "elif len(tokens) != len(parts):", "elif len(tokens) < len(parts):"),
    Fault("`*` is a word", 'if part != "*" and part != tokens[at]', "if part != tokens[at]"),
    Fault("words are not compared", 'part != "*" and part != tokens[at]', 'part != "*" and not part'),
    Fault("`>` is taken for all", 'or pattern == ">"', 'or pattern[-1] == ">"'),
    Fault("`*` takes `>`", 'if other[-1] == ">" and pattern[-1] != ">":', "if False:"),
    Fault("nothing takes `>`", 'other[-1] == ">" and pattern[-1] != ">"', 'other[-1] == ">"'),
    Fault("`>` overlaps nothing", 'if one == ">" or other == ">":', "if False:"),
    Fault("`>` on one side only", 'if one == ">" or other == ">":', 'if one == ">":'),
    Fault("lengths are ignored", "return len(ours) == len(theirs)", "return True"),
    Fault("`*` overlaps nothing", 'and one != "*" and other != "*"', ""),
    Fault("`*` on one side only", 'and one != "*" and other != "*"', 'and one != "*"'),
    Fault("`*` passes dots", r'"*": r"[^.]+"', r'"*": r".+"'),
    Fault("`>` stops at dots", r'(?s:.+)"}', r'[^.]+"}'),
    Fault("a dot is any character", r'return r"\.".join', r'return r".?".join'),
    Fault("the second is called the first", "match.lastindex - 1", "match.lastindex"),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_planted_fault_is_noticed(fault: Fault) -> None:
    """The small world is large enough to tell this mistake."""
    source = inspect.getsource(topics)
    assert source.count(fault.right) == 1, "not found exactly once"
    names: dict[str, Any] = {"__name__": "planted"}
    exec(compile(source.replace(fault.right, fault.wrong), fault.name, "exec"), names)
    assert mistakes(names) != set()


@given(st.lists(naive_topics.patterns, max_size=6), naive_topics.topics)
@example([], "a")
@example(["é", "[^.]", "[^.]"], "[^.]")
def test_the_first_pattern_counts(patterns: list[str], topic: str) -> None:
    """Of several patterns the first that matches is found, and none where none does."""
    assert Patterns(patterns).first(topic) == first(patterns, topic)
