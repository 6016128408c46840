"""Messages that are no requests, each with the error that must answer it."""

from typing import Final

__all__ = ["BAD_NAMES", "BAD_TOPICS", "HOSTILE"]

HOSTILE: Final[dict[str, dict[str, object]]] = {
    text: {"type": "error", "code": code, "field": field, "id": request_id}
    for text, code, field, request_id in (
        ("", "bad_json", None, None),
        ("{", "bad_json", None, None),
        ('{"action":"publish","topic":"alerts"', "bad_json", None, None),
        ('{"action":"ping","id":NaN}', "bad_json", None, None),
        ('{"action":"ping","id":"\\ud800"}', "bad_json", None, None),
        ("\u0000", "bad_json", None, None),
        ("[1,2]", "bad_request", None, None),
        ('"ping"', "bad_request", None, None),
        ("17", "bad_request", None, None),
        ("{}", "bad_request", "action", None),
        ('{"id":4}', "bad_request", "action", 4),
        ('{"action":7,"id":"a"}', "bad_request", "action", "a"),
        ('{"action":"dance","id":1}', "unknown_action", "action", 1),
        ('{"token":5,"id":2}', "bad_request", "token", 2),
        ('{"name":["ann"]}', "bad_request", "name", None),
        ('{"action":"subscribe","id":3}', "bad_request", "topics", 3),
        ('{"action":"subscribe","topics":[]}', "bad_request", "topics", None),
        ('{"action":"subscribe","topics":"alerts"}', "bad_request", "topics", None),
        ('{"action":"unsubscribe","topics":[null]}', "bad_request", "topics", None),
        ('{"action":"ping","id":1.5}', "bad_request", "id", None),
        ('{"action":"publish","message":1}', "bad_request", "topic", None),
        ('{"action":"publish","topic":"alerts","id":9}', "bad_request", "message", 9),
        (
            '{"action":"publish","topic":"a","to":"b","message":1,"id":"x"}',
            "bad_request",
            "to",
            "x",
        ),
        (
            f'{{"action":"publish","topic":"alerts","message":{10**40},"id":5}}',
            "bad_request",
            "message",
            5,
        ),
        ('{"action":"publish","topic":"alerts","message":1e999}', "bad_request", None, None),
        (f'{{"action":"call","name":"{"x" * 65}"}}', "too_large", "name", None),
        ("[" * 700 + "]" * 100, "too_deep", None, None),
        ('{"action":' + '{"a":' * 100 + "1" + "}" * 100 + "}", "too_deep", None, None),
    )
}
"""By text, the fields of the error."""

BAD_NAMES: Final = ("", " ", "a  b", "ann\u0007", "x" * 63 + "\u200b")
"""What nobody may be called. None is longer than a name may be."""

BAD_TOPICS: Final = ("", "a..b", ".a", "a b", "a.\u0000", ">.a", "a*.b", "x" * 129)
"""What is neither a topic nor a pattern."""
