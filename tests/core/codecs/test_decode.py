"""What becomes of what a client writes: requests, and what is none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hubbub.core.codecs import native
from hubbub.core.codecs.native import decode
from hubbub.core.hub_limits import HubLimits
from hubbub.core.messages import (
    Authenticate,
    ChooseName,
    ErrorCode,
    Malformed,
    Ping,
    Publish,
    Subscribe,
    Unsubscribe,
)

LIMITS = HubLimits(max_name=5, max_topics_per_request=3)

BAD_JSON, BAD_REQUEST = ErrorCode.BAD_JSON, ErrorCode.BAD_REQUEST


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ('{"token":"t","name":"n"}', Authenticate("t")),
        ('{"name":"n","topic":1}', ChooseName("n")),
        ('{"action":"ping","token":5,"name":null}', Ping()),
        (' {\t"action" :\r\n"ping" } ', Ping()),
        ('{"\\u0061ction":"pi\\u006eg"}', Ping()),
        ('{"action":"ping","action":"subscribe","topics":["a"]}', Subscribe(("a",))),
        ('{"action":"subscribe","topics":5,"action":"ping"}', Ping()),
        ('{"action":"ping","id":1,"id":"two"}', Ping("two")),
        ('{"action":"ping","id":null}', Ping()),
        ('{"action":"ping","id":-9223372036854775808}', Ping(-(2**63))),
        ('{"action":"subscribe","topics":["a"],"since":null,"last":null}', Subscribe(("a",))),
        ('{"action":"publish","topic":"a","to":null,"message":{}}', Publish(topic="a", message={})),
        (
            '{"action":"publish","topic":"a","message":[18446744073709551615,-0.0,1e308]}',
            Publish(topic="a", message=[2**64 - 1, -0.0, 1e308]),
        ),
        (
            '{"action":"publish","topic":"a","message":"\\ud83d\\ude00\\u0000\\u2028\x7f"}',
            Publish(topic="a", message="\U0001f600\0\u2028\x7f"),
        ),
        ('{"action":"unsubscribe","topics":["a","a"]}', Unsubscribe(("a", "a"))),
    ],
)
def test_what_is_a_request(text: str, request_: Any) -> None:
    """Unknown and doubled fields, white space, escapes, null and large numbers are understood."""
    assert decode(text, LIMITS) == request_


MALFORMED: list[tuple[str, ErrorCode, str | None, int | str | None, str]] = [
    # No JSON, or no object.
    ("", BAD_JSON, None, None, "not valid JSON"),
    (" ", BAD_JSON, None, None, "not valid JSON"),
    ("\ufeff{}", BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping"} x', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping"}{"action":"ping"}', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping"', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping",}', BAD_JSON, None, None, "not valid JSON"),
    ("{'action':'ping'}", BAD_JSON, None, None, "not valid JSON"),
    ('{action:"ping"}', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping"}//', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping","x":NaN}', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping","x":-Infinity}', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping","x":01}', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping","x":"\n"}', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping","x":"\\ud800"}', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping","x":"\\ude00\\ud83d"}', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping","\\udfff":1}', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping","x":"\ud800"}', BAD_JSON, None, None, "not valid JSON"),
    ('{"action":"ping","x":"\\x41"}', BAD_JSON, None, None, "not valid JSON"),
    ("ping", BAD_JSON, None, None, "not valid JSON"),
    ("[]", BAD_REQUEST, None, None, "must be a JSON object"),
    ('[{"action":"ping"}]', BAD_REQUEST, None, None, "must be a JSON object"),
    ('"ping"', BAD_REQUEST, None, None, "must be a JSON object"),
    ("1", BAD_REQUEST, None, None, "must be a JSON object"),
    ("null", BAD_REQUEST, None, None, "must be a JSON object"),
    # No action.
    ("{}", BAD_REQUEST, "action", None, "must have an action"),
    ('{"id":7}', BAD_REQUEST, "action", 7, "must have an action"),
    ('{"action":null,"token":"t"}', BAD_REQUEST, "action", None, "action must be a string"),
    ('{"action":["ping"],"id":"i"}', BAD_REQUEST, "action", "i", "action must be a string"),
    ('{"action":{}}', BAD_REQUEST, "action", None, "action must be a string"),
    ('{"action":"","id":1}', ErrorCode.UNKNOWN_ACTION, "action", 1, "no such action"),
    ('{"action":"PING"}', ErrorCode.UNKNOWN_ACTION, "action", None, "known are ack, call,"),
    ('{"action":"auth"}', ErrorCode.UNKNOWN_ACTION, "action", None, "no such action"),
    # A field is missing, or has a wrong type.
    ('{"token":5,"id":1}', BAD_REQUEST, "token", 1, "token must be a string"),
    ('{"name":null}', BAD_REQUEST, "name", None, "name must be a string"),
    ('{"action":"refresh"}', BAD_REQUEST, "token", None, "token is missing"),
    ('{"action":"subscribe"}', BAD_REQUEST, "topics", None, "topics is missing"),
    ('{"action":"subscribe","topics":[]}', BAD_REQUEST, "topics", None, "and not empty"),
    ('{"action":"subscribe","topics":"a"}', BAD_REQUEST, "topics", None, "must be a list of str"),
    ('{"action":"subscribe","topics":["a",1]}', BAD_REQUEST, "topics", None, "a list of strings"),
    (
        '{"action":"subscribe","topics":["a"],"since":{"a":7}}',
        BAD_REQUEST,
        "since",
        None,
        'since must be an object with {"offset": …, "epoch": …} for each topic',
    ),
    (
        '{"action":"subscribe","topics":["a"],"since":{"a":{"offset":-1,"epoch":"e"}},"id":3}',
        BAD_REQUEST,
        "since",
        3,
        "since must be",
    ),
    (
        '{"action":"subscribe","topics":["a"],"last":true}',
        BAD_REQUEST,
        "last",
        None,
        "last must be a whole number, 0 or more",
    ),
    ('{"action":"subscribe","topics":["a"],"ack":1}', BAD_REQUEST, "ack", None, "true or false"),
    (
        '{"action":"subscribe","topics":["a"],"presence":null}',
        BAD_REQUEST,
        "presence",
        None,
        "presence must be true or false",
    ),
    ('{"action":"publish","topic":"a"}', BAD_REQUEST, "message", None, "message is missing"),
    ('{"action":"publish","message":1}', BAD_REQUEST, "topic", None, "topic is missing"),
    (
        '{"action":"publish","topic":"a","to":"b","message":1}',
        BAD_REQUEST,
        "to",
        None,
        "to cannot stand beside topic",
    ),
    ('{"action":"publish","to":1,"message":1}', BAD_REQUEST, "to", None, "to must be a string"),
    ('{"action":"ack","topic":"a"}', BAD_REQUEST, "offset", None, "offset is missing"),
    ('{"action":"ack","topic":"a","offset":1.5}', BAD_REQUEST, "offset", None, "a whole number"),
    ('{"action":"ack","topic":"a","offset":9223372036854775808}', BAD_REQUEST, "offset", None, ""),
    ('{"action":"history","topic":"a","before":0}', BAD_REQUEST, "before", None, "1 or more"),
    ('{"action":"history","topic":"a","limit":"9"}', BAD_REQUEST, "limit", None, "1 or more"),
    ('{"action":"call","data":1}', BAD_REQUEST, "name", None, "name is missing"),
    # The id itself.
    ('{"action":"ping","id":true}', BAD_REQUEST, "id", None, "id must be a string of at most 64"),
    ('{"action":"ping","id":1.5}', BAD_REQUEST, "id", None, "id must be"),
    ('{"action":"ping","id":[]}', BAD_REQUEST, "id", None, "id must be"),
    ('{"action":"ping","id":9223372036854775808}', BAD_REQUEST, "id", None, "id must be"),
    (f'{{"action":"ping","id":"{"x" * 65}"}}', BAD_REQUEST, "id", None, "id must be"),
    # Numbers.
    ('{"action":"ping","x":1e999}', BAD_REQUEST, None, None, "a number is out of range"),
    ('{"action":"ping","x":-1e999}', BAD_REQUEST, None, None, "a number is out of range"),
    (f'{{"action":"ping","x":{"9" * 5000}}}', BAD_REQUEST, None, None, "out of range"),
    (
        f'{{"action":"publish","topic":"a","message":[{"9" * 4000}],"id":4}}',
        BAD_REQUEST,
        "message",
        4,
        "message has a whole number of more than 64 bits",
    ),
    (
        '{"action":"publish","topic":"a","message":18446744073709551616}',
        BAD_REQUEST,
        "message",
        None,
        "send it as a string",
    ),
    (
        '{"action":"call","name":"a","data":{"x":-9223372036854775809}}',
        BAD_REQUEST,
        "data",
        None,
        "more than 64 bits",
    ),
    # Too large.
    ('{"name":"123456"}', ErrorCode.TOO_LARGE, "name", None, "more than 5 characters"),
    ('{"action":"call","name":"123456"}', ErrorCode.TOO_LARGE, "name", None, "more than 5"),
    (
        '{"action":"subscribe","topics":["a"],"name":"123456"}',
        ErrorCode.TOO_LARGE,
        "name",
        None,
        "more than 5 characters",
    ),
    ('{"action":"publish","to":"123456","message":1}', ErrorCode.TOO_LARGE, "to", None, "5 char"),
    (
        '{"action":"subscribe","topics":["a","b","c","d"]}',
        ErrorCode.TOO_LARGE,
        "topics",
        None,
        "more than 3 topics",
    ),
    (
        '{"action":"unsubscribe","topics":["a","b","c","d"],"id":"i"}',
        ErrorCode.TOO_LARGE,
        "topics",
        "i",
        "more than 3 topics",
    ),
    (
        '{"action":"subscribe","topics":["a"],"since":{'
        + ",".join(f'"{topic}":{{"offset":1,"epoch":""}}' for topic in "abcd")
        + "}}",
        ErrorCode.TOO_LARGE,
        "since",
        None,
        "more than 3 topics",
    ),
    (
        f'{{"action":"publish","topic":"a","message":1,"idempotency_key":"{"é" * 33}"}}',
        ErrorCode.TOO_LARGE,
        "idempotency_key",
        None,
        "more than 64 bytes",
    ),
    (
        f'{{"action":"publish","topic":"a","message":1,"key":"{"k" * 129}"}}',
        ErrorCode.TOO_LARGE,
        "key",
        None,
        "more than 128 bytes",
    ),
]


@pytest.mark.parametrize(
    ("text", "code", "field", "id_", "said"),
    MALFORMED,
    ids=[ascii(text)[:50] for text, *_ in MALFORMED],
)
def test_what_is_no_request(
    text: str, code: ErrorCode, field: str | None, id_: int | str | None, said: str
) -> None:
    """What is wrong is told by code and field, with the id where it could be read."""
    found = decode(text, LIMITS)
    assert isinstance(found, Malformed), found
    assert (found.code, found.field, found.id) == (code, field, id_)
    assert said in found.message


def test_limits_themselves_are_within() -> None:
    """A token, a name, keys and a list of topics may be as long as their limits."""
    for text in (
        '{"token":"1234567890"}',
        '{"name":"12345"}',
        '{"action":"subscribe","topics":["a","b","c"],"name":"12345"}',
        '{"action":"publish","to":"12345","message":1}',
        f'{{"action":"publish","topic":"a","message":1,"idempotency_key":"{"é" * 32}"}}',
        f'{{"action":"publish","topic":"a","message":1,"key":"{"k" * 128}"}}',
        f'{{"action":"ping","id":"{"x" * 64}"}}',
    ):
        assert not isinstance(decode(text, LIMITS), Malformed), text


@pytest.mark.parametrize("kind", native._FIELDS)
def test_every_field_is_told_what_it_must_be(kind: type[msgspec.Struct]) -> None:
    """What is said of a field with a wrong value is true of its type."""
    for field in msgspec.structs.fields(kind):
        try:
            msgspec.convert("", field.type)
            takes_text = True
        except msgspec.ValidationError:
            takes_text = False
        assert takes_text == (field.name not in native._MUST_BE or field.name == "id"), field.name
