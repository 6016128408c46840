"""Whatever comes: an answer without an exception, without an echo, and without much work."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.core.codecs import native
from hubbub.core.codecs.native import decode, decode_answer, encode, encode_request
from hubbub.core.hub_limits import HubLimits
from hubbub.core.messages import Call, ErrorAnswer, ErrorCode, Malformed, Publish, Request, Unknown
from support.messages import answers, json_values, pushes, requests

LIMITS = HubLimits(max_name=10, max_topics_per_request=3)

NAMES = sorted({field.name for fields in native._FIELDS.values() for field in fields})
ACTIONS = sorted(native._ACTIONS)
TYPES = sorted(native._ANSWERS)


def check(text: str) -> Request:
    """Read a text as a server; whatever it is, what must hold holds."""
    found = decode(text, LIMITS)
    if isinstance(found, Malformed):
        check_malformed(found)
    else:
        written = encode_request(found)
        assert decode(written.decode(), LIMITS) == found
        if isinstance(found, Publish):
            encode(found)  # type: ignore[arg-type]  # what it holds can be written
    return found


def check_malformed(found: Malformed) -> None:
    """What is said of a message that is none can be sent, and shown."""
    assert found.code in ErrorCode
    assert found.message.isprintable()
    assert len(found.message) < 200
    assert found.field is None or found.field in {*NAMES, "action", "type"}
    encode(ErrorAnswer(found.code, found.message, found.field, found.id))


def check_answer(text: str) -> None:
    """Read a text as a client; whatever it is, what must hold holds."""
    found = decode_answer(text)
    if isinstance(found, Malformed):
        check_malformed(found)
    elif not isinstance(found, Unknown):
        assert decode_answer(encode(found).decode()) == found


@given(st.text(st.characters() | st.characters(categories=["Cs"])))
@example("\ud800")
@example('{"action":"\ud800"}')
def test_any_text(text: str) -> None:
    """Any text, even one that no WebSocket could carry, is answered."""
    check(text)
    check_answer(text)


@given(json_values)
def test_any_json(value: Any) -> None:
    """Any JSON is answered."""
    check(json.dumps(value))
    check_answer(json.dumps(value))


@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        json_values | st.lists(st.text(max_size=3), min_size=1, max_size=4),
        max_size=6,
    ),
    st.none() | st.sampled_from(ACTIONS),
    st.none() | st.sampled_from([*TYPES, "other"]),
)
def test_any_fields(fields: dict[str, Any], action: str | None, kind: str | None) -> None:
    """Objects with the right names and any values are answered."""
    check(json.dumps(fields if action is None else {**fields, "action": action}))
    check_answer(json.dumps(fields if kind is None else {**fields, "type": kind}))


@given(requests | answers | pushes, st.data())
def test_any_damage(message: Any, data: st.DataObject) -> None:
    """A valid message with a part cut out, doubled or replaced is answered."""
    text = native._write(message).decode()
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    part = data.draw(
        st.just("")
        | st.just(text[start:stop] * 2)
        | st.text(max_size=3)
        | st.sampled_from(
            ['"', "\\", "{", "]", ",", ":", "null", "-1", "1e999", "\\ud800", "[" * 40]
        )
    )
    check(text[:start] + part + text[stop:])
    check_answer(text[:start] + part + text[stop:])


@given(
    st.dictionaries(st.sampled_from(NAMES), json_values, max_size=4),
    st.sampled_from([*ACTIONS, "zebra", ["zebra"], {"zebra": 1}, None]),
    st.sampled_from(NAMES),
    st.sampled_from(["zebra\x1b[31m", ["zebra"], {"zebra": "zebra"}]),
)
def test_nothing_is_echoed(fields: dict[str, Any], action: Any, name: str, value: Any) -> None:
    """An error repeats nothing that the peer wrote, but its id."""
    found = decode(json.dumps({**fields, "action": action, name: value, "zebra": 1}), LIMITS)
    if isinstance(found, Malformed):
        assert "zebra" not in found.message
        assert "zebra" not in (found.field or "")


# Nesting.


def nested(depth: int, opening: str, closing: str) -> str:
    """A request whose message makes it so deep, its own object counted."""
    message = opening * (depth - 1) + "1" + closing * (depth - 1)
    return f'{{"action":"publish","topic":"a","message":{message}}}'


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_up_to_the_limit(opening: str, closing: str) -> None:
    """32 levels are taken, and 33 or 100 000 are not."""
    assert isinstance(check(nested(32, opening, closing)), Publish)
    for depth in (33, 34, 1000, 100_000):
        found = check(nested(depth, opening, closing))
        assert isinstance(found, Malformed)
        assert found.code is ErrorCode.TOO_DEEP


@pytest.mark.parametrize(
    "message",
    [
        "[" + ",".join(["[]"] * 500) + "]",
        json.dumps("[" * 500),
        json.dumps({'"{[\\': "\\" * 3 + "[[[" * 50}),
        json.dumps(["\\", "[" * 40, "\\\\", '"' + "{" * 40]),
        json.dumps([[["}" * 40]] * 30]),
        "[" * 31 + "]" * 31,
    ],
)
def test_many_brackets_are_not_deep(message: str) -> None:
    """Brackets side by side, or in strings, are counted for what they are."""
    assert isinstance(check(f'{{"action":"publish","topic":"a","message":{message}}}'), Publish)


def depth_of(value: Any) -> int:
    """How deep lists and objects stand in each other."""
    if isinstance(value, dict):
        return 1 + max((depth_of(inner) for inner in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth_of(inner) for inner in value), default=0)
    return 0


@given(json_values | st.recursive(st.text(), lambda inner: st.lists(inner, max_size=2)))
def test_the_depth_is_exact(value: Any) -> None:
    """For all JSON the depth that is counted is the depth that there is."""
    assert native._depth(json.dumps(value)) == depth_of(value)
    assert native._depth(json.dumps(value, ensure_ascii=False)) == depth_of(value)


@given(st.text('"\\[{}]a', max_size=30))
def test_no_quote_is_looked_at_twice(text: str) -> None:
    """Every quote begins a match, so that no search is ever begun anew: the work is linear."""
    assert all(native._STRING.match(text, at) for at, char in enumerate(text) if char == '"')


# Work.


def work(call: Callable[[], object]) -> int:
    """How many functions are called, ours and those in C, until an answer is there."""
    count = 0

    def note(_frame: FrameType, event: str, _arg: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    gc.disable()  # others may have hung functions of theirs on it
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


HOSTILE: dict[str, Callable[[int], str]] = {
    "deep lists": lambda size: "[" * size,
    "deep objects": lambda size: '{"a":' * size,
    "closed only": lambda size: "]" * size,
    "unbalanced": lambda size: "[" * 40 + "]" * size + "[" * size,
    "wide": lambda size: '{"action":"publish","topic":"a","message":[' + "[]," * size + "1]}",
    "waves": lambda size: "[" + ("[" * 31 + "]" * 31 + ",") * (size // 60) + "1]",
    "keys": lambda size: "{" + ",".join(f'"{n}":{n}' for n in range(size)) + "}",
    "one key": lambda size: "{" + ",".join(['"action":"x"'] * size) + "}",
    "topics": lambda size: '{"action":"subscribe","topics":[' + '"a",' * size + '"a"]}',
    "wrong topics": lambda size: '{"action":"subscribe","topics":[' + '"a",' * size + "1]}",
    "since": lambda size: (
        '{"action":"subscribe","topics":["a"],"since":{'
        + ",".join(f'"{n}":{{"offset":{n},"epoch":""}}' for n in range(size))
        + "}}"
    ),
    "digits": lambda size: f'{{"action":"publish","topic":"a","message":{"9" * size}}}',
    "numbers": lambda size: (
        '{"action":"publish","topic":"a","message":[' + f"{'9' * 4300}," * (size // 1000) + "1]}"
    ),
    "fraction": lambda size: f'{{"action":"publish","topic":"a","message":0.{"9" * size}}}',
    "exponent": lambda size: f'{{"action":"publish","topic":"a","message":1e{"9" * size}}}',
    "id": lambda size: f'{{"action":"ping","id":"{"x" * size}"}}',
    "action": lambda size: f'{{"action":"{"x" * size}"}}',
    "white space": lambda size: " " * size + "{}",
    "escapes": lambda size: '{"action":"' + "\\u0041" * size + '"}',
    "unterminated": lambda size: "[" * 40 + '"' + '\\"' * size,
    "backslashes": lambda size: "[" * 40 + '"' + "\\" * size,
    "strings": lambda size: "[" * 40 + '"",' * size,
    "controls": lambda size: "\0" * size,
    "beyond ASCII": lambda size: "[" * 40 + "\U0001f600" * size,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_work_does_not_grow(name: str) -> None:
    """However large, a hostile message takes a small, fixed number of calls, each of them linear."""
    make = HOSTILE[name]
    little, much = make(5_000), make(40_000)
    assert work(lambda: check_once(little)) == work(lambda: check_once(much)) < 100


def check_once(text: str) -> None:
    """Read it as a server and as a client."""
    decode(text, LIMITS)
    decode_answer(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_are_answered(name: str) -> None:
    """Each of them is refused, or can be passed on."""
    for size in (0, 1, 40, 5_000):
        text = HOSTILE[name](size)
        check(text)
        check_answer(text)


@given(st.integers())
def test_whole_numbers_are_taken_up_to_64_bits(number: int) -> None:
    """A number is taken if 64 bits hold it, with or without a sign, and refused by name if not."""
    for field, head in (("message", '"publish","topic":"a"'), ("data", '"call","name":"a"')):
        found = check(f'{{"action":{head},"{field}":[{number}]}}')
        if -(2**63) <= number < 2**64:
            assert isinstance(found, Publish | Call)
        else:
            assert isinstance(found, Malformed)
            assert (found.code, found.field) == (ErrorCode.BAD_REQUEST, field)


@pytest.mark.parametrize("digits", [0, 640])
def test_what_python_allows_of_digits_changes_nothing(digits: int) -> None:
    """A program that set the interpreter's limit of digits gets errors too, and no exceptions."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(digits)
    try:
        for size in (100, 639, 641, 4301, 100_000):
            found = check(f'{{"action":"publish","topic":"a","message":{"9" * size}}}')
            assert isinstance(found, Malformed)
            assert found.code is ErrorCode.BAD_REQUEST
    finally:
        sys.set_int_max_str_digits(before)
