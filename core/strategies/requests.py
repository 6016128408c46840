"""What clients ask a hub for, right and wrong: as data, as JSON objects, and as text."""

import json
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from ..codecs.native import MAX_NESTING
from ..messages import (
    MAX_ID,
    MAX_IDEMPOTENCY_KEY,
    MAX_KEY,
    Ack,
    Authenticate,
    Call,
    ChooseName,
    Ping,
    Position,
    Publish,
    QueryHistory,
    QueryPresence,
    Refresh,
    Request,
    Subscribe,
    Unsubscribe,
)
from ..topics import MAX_TOPIC
from .names import names, patterns, topics

__all__ = ["commands", "messages", "requests", "texts"]

_MOST: Final = 2**63 - 1
_WORDS: Final = st.text(max_size=16)
_IDS: Final = (
    st.none() | st.integers(0, 99) | st.text(max_size=MAX_ID) | st.integers(-(2**63), _MOST)
)
_COUNTS: Final = st.integers(0, 3) | st.integers(0, _MOST)
_FROM_ONE: Final = st.integers(1, 3) | st.integers(1, _MOST)

Object = dict[str, Any]  # any JSON object


def messages(*, max_leaves: int = 8) -> st.SearchStrategy[Any]:
    """What can be published: any JSON value that every codec can write.

    Args:
        max_leaves: how many values stand in all lists and objects together, at most.
    """
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
        ),
        max_leaves=max_leaves,
    )


def commands(
    *,
    topic: st.SearchStrategy[str] | None = None,
    pattern: st.SearchStrategy[str] | None = None,
    name: st.SearchStrategy[str] | None = None,
    message: st.SearchStrategy[Any] | None = None,
) -> st.SearchStrategy[Request]:
    """Requests as `hubbub.core.messages` has them, all of which a codec takes.

    Args:
        topic: what is published to, and asked about; `topics()` unless given.
        pattern: what is subscribed to; `patterns()` unless given.
        name: of users, and of functions that are called; `names()` unless given.
        message: what is published; `messages()` unless given.
    """
    topic = topic if topic is not None else topics()
    pattern = pattern if pattern is not None else patterns()
    name = name if name is not None else names()
    message = message if message is not None else messages()
    several = st.lists(pattern, min_size=1, max_size=4).map(tuple)
    positions = st.builds(
        Position, offset=_COUNTS, epoch=_WORDS, recovered=st.none() | st.booleans()
    )
    publish = st.builds(
        Publish,
        topic=topic,
        message=message,
        idempotency_key=st.none() | _WORDS,
        key=st.none() | _WORDS,
        id=_IDS,
    )
    return st.one_of(
        publish,
        publish,
        publish,
        st.builds(Authenticate, token=_WORDS, id=_IDS),
        st.builds(ChooseName, name=name, id=_IDS),
        st.builds(Refresh, token=_WORDS, id=_IDS),
        st.builds(
            Subscribe,
            topics=several,
            since=st.none() | st.dictionaries(topic, positions, max_size=3),
            last=st.none() | _COUNTS,
            ack=st.booleans(),
            name=st.none() | name,
            presence=st.booleans(),
            id=_IDS,
        ),
        st.builds(Unsubscribe, topics=several, id=_IDS),
        st.builds(Publish, to=name, message=message, id=_IDS),
        st.builds(Ack, topic=topic, offset=_COUNTS, id=_IDS),
        st.builds(QueryPresence, topic=topic, id=_IDS),
        st.builds(
            QueryHistory,
            topic=topic,
            before=st.none() | _FROM_ONE,
            limit=st.none() | _FROM_ONE,
            id=_IDS,
        ),
        st.builds(Call, name=name, data=message, id=_IDS),
        st.builds(Ping, id=_IDS),
    )


def requests(
    *,
    topic: st.SearchStrategy[str] | None = None,
    pattern: st.SearchStrategy[str] | None = None,
    name: st.SearchStrategy[str] | None = None,
    message: st.SearchStrategy[Any] | None = None,
    wrong: bool = True,
) -> st.SearchStrategy[Object]:
    """Requests as clients send them, as JSON objects.

    Args:
        topic: see `commands`.
        pattern: see `commands`.
        name: see `commands`.
        message: see `commands`.
        wrong: whether some lack a field, have a wrong one, or are over a limit.
    """
    return _written(commands(topic=topic, pattern=pattern, name=name, message=message), wrong)


# Composite, so that a report shows the object and not how it was made.
@st.composite
def _written(draw: st.DrawFn, command: st.SearchStrategy[Request], wrong: bool) -> Object:
    request: Object = msgspec.json.decode(msgspec.json.encode(draw(command)))
    if wrong and draw(st.integers(0, 3)) == 3:
        return draw(_spoilt(request))
    return request


def texts(request: st.SearchStrategy[Object] | None = None) -> st.SearchStrategy[str]:
    """Text messages as clients send them: requests, written in several ways, and what is none.

    Args:
        request: `requests()` unless given.
    """
    request = request if request is not None else requests()
    written = st.tuples(
        request,
        st.sampled_from(((",", ":"), (", ", ": "), (" ,\n", " :\t"))),
        st.booleans(),
    ).map(lambda form: json.dumps(form[0], separators=form[1], ensure_ascii=form[2]))
    return st.one_of(written, written, written, st.one_of(_cut(written), _NO_REQUESTS))


_NO_REQUESTS: Final = st.one_of(
    messages().map(json.dumps),
    st.text(max_size=20),
    st.sampled_from(
        (
            "",
            "{",
            '{"action":"ping","action":"pong"}',
            '{"action":"ping","id":1,"id":2}',
            "[" * 5000,
            '{"a":' * 5000,
            '{"action":"publish","topic":"a","message":"\\ud800"}',
            '{"action":"publish","topic":"a","message":1e400}',
            '{"action":"publish","topic":"a","message":' + "9" * 400 + "}",
            '{"action":"ping"}}',
            "\ufeff{}",
            "NaN",
        )
    ),
)


@st.composite
def _cut(draw: st.DrawFn, written: st.SearchStrategy[str]) -> str:
    text = draw(written)
    return text[: draw(st.integers(0, len(text) - 1))]


_BAD_NAMES: Final = (
    "",
    ".",
    "a..b",
    ".a",
    "a b",
    "a\n",
    "\u202egnp.exe",
    "a>",
    ">.a",
    "a\u200b",
    "cafe\u0301",
    "x" * (MAX_TOPIC + 1),
)
"""They are neither topics nor patterns."""

_WRONG_TYPES: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    2**70,
    0.5,
    "",
    "x" * 10_000,
    [],
    [1],
    {},
    {"a": 1},
)


def _nested(deep: int) -> Any:  # JSON
    value: Any = 1
    for _ in range(deep):
        value = [value]
    return value


@st.composite
def _spoilt(draw: st.DrawFn, request: Object) -> Object:
    """A request with one thing wrong, or at least odd."""
    field = draw(st.sampled_from(sorted(request)))
    ways = ["none", "type", "action", "contradiction", "long"]
    ways += 3 * [name for name in ("topic", "topics", "message", "data") if name in request]
    how = draw(st.sampled_from(ways))
    match how:
        case "none":
            return {name: value for name, value in request.items() if name != field}
        case "type":
            return {**request, field: draw(st.sampled_from(_WRONG_TYPES))}
        case "action":
            actions = ("fly", "", "Publish", 7, None, ["publish"])
            return {**request, "action": draw(st.sampled_from(actions))}
        case "contradiction":
            return {**request, "topic": "a", "to": "ann", "since": {"elsewhere": _NOWHERE}}
        case "long":
            name = draw(st.sampled_from([name for name in _SIZES if name in {"id", *request}]))
            return {**request, name: "é" * (_SIZES[name] + 1)}
        case "topic":
            return {**request, how: draw(st.sampled_from(_BAD_NAMES))}
        case "topics":
            bad = draw(st.sampled_from(_BAD_NAMES))
            many = [f"a.{number}" for number in range(200)]
            return {**request, how: draw(st.sampled_from(([*request[how], bad], many)))}
        case _:
            deep = _nested(MAX_NESTING)
            values = (deep, deep, 2**64, -(2**63) - 1)
            return {**request, how: draw(st.sampled_from(values))}


_SIZES: Final = {
    "id": MAX_ID,
    "idempotency_key": MAX_IDEMPOTENCY_KEY,
    "key": MAX_KEY,
    "name": 64,
    "to": 64,
    "token": 8192,
    "topic": MAX_TOPIC,
}
"""How long fields may be, unless a hub's limits say otherwise."""

_NOWHERE: Final = {"offset": 1, "epoch": ""}
