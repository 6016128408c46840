"""The text of every answer, push and request, to the letter: clients are written against it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from hubbub.core import LocalProtocolError
from hubbub.core.codecs.native import decode, decode_answer, encode, encode_request
from hubbub.core.hub_limits import HubLimits
from hubbub.core.messages import (
    Ack,
    Answer,
    Authenticate,
    AuthResult,
    Call,
    CallResult,
    Chat,
    ChooseName,
    Direct,
    ErrorAnswer,
    ErrorCode,
    Gap,
    History,
    Malformed,
    Member,
    Notification,
    Ping,
    PongAnswer,
    Position,
    Presence,
    PresenceChange,
    Publish,
    Published,
    Push,
    QueryHistory,
    QueryPresence,
    Reconnect,
    Refresh,
    Request,
    Subscribe,
    Subscribed,
    System,
    Unknown,
    Unsubscribe,
    Unsubscribed,
)

WHEN = "2025-01-02T03:04:05.678Z"

TOLD: list[tuple[Answer | Push, str]] = [
    (AuthResult("ok", username="alice"), '{"type":"auth","status":"ok","username":"alice"}'),
    (
        AuthResult("error", message="Invalid token", id="a"),
        '{"type":"auth","status":"error","message":"Invalid token","id":"a"}',
    ),
    (Subscribed(("alerts",)), '{"type":"subscribed","topics":["alerts"]}'),
    (
        Subscribed(("alerts",), {"alerts": Position(7, "e", recovered=False)}, 1),
        (
            '{"type":"subscribed","topics":["alerts"],'
            '"positions":{"alerts":{"offset":7,"epoch":"e","recovered":false}},"id":1}'
        ),
    ),
    (Unsubscribed(("alerts",)), '{"type":"unsubscribed","topics":["alerts"]}'),
    (
        Unsubscribed(("alerts",), "revoked"),
        '{"type":"unsubscribed","topics":["alerts"],"reason":"revoked"}',
    ),
    (
        Published(topic="alerts", recipients=3),
        '{"type":"published","topic":"alerts","recipients":3}',
    ),
    (Published(to="bob", recipients=0), '{"type":"published","to":"bob","recipients":0}'),
    (
        Published(topic="alerts", recipients=3, offset=8, epoch="e", duplicate=True, id=0),
        (
            '{"type":"published","topic":"alerts","recipients":3,"offset":8,"epoch":"e",'
            '"duplicate":true,"id":0}'
        ),
    ),
    (
        Presence("room.lobby", (Member("ann", 2),), 1),
        (
            '{"type":"presence","topic":"room.lobby","members":[{"user":"ann","connections":2}],'
            '"count":1}'
        ),
    ),
    (
        History("alerts", (Notification("alerts", None, WHEN, 7, "e"),)),
        (
            '{"type":"history","topic":"alerts","publications":[{"type":"notification",'
            f'"topic":"alerts","message":null,"timestamp":"{WHEN}","offset":7,"epoch":"e"}}]}}'
        ),
    ),
    (CallResult("add", None), '{"type":"result","name":"add","data":null}'),
    (PongAnswer(), '{"type":"pong"}'),
    (PongAnswer(""), '{"type":"pong","id":""}'),
    (
        ErrorAnswer(ErrorCode.FORBIDDEN, "no", "topics", -1),
        '{"type":"error","code":"forbidden","message":"no","field":"topics","id":-1}',
    ),
    (ErrorAnswer("mine", ""), '{"type":"error","code":"mine","message":""}'),
    (
        Chat("room.lobby", "ann", "hi", WHEN),
        f'{{"type":"chat","topic":"room.lobby","sender":"ann","message":"hi","timestamp":"{WHEN}"}}',
    ),
    (
        Chat("room.lobby", "ann", None, WHEN, 1, "e", redelivered=True),
        (
            '{"type":"chat","topic":"room.lobby","sender":"ann","message":null,'
            f'"timestamp":"{WHEN}","offset":1,"epoch":"e","redelivered":true}}'
        ),
    ),
    (
        System("ann joined the chat", WHEN),
        f'{{"type":"system","message":"ann joined the chat","timestamp":"{WHEN}"}}',
    ),
    (
        Notification("alerts", None, WHEN),
        f'{{"type":"notification","topic":"alerts","message":null,"timestamp":"{WHEN}"}}',
    ),
    (
        Direct("ann", {}, WHEN),
        f'{{"type":"direct","sender":"ann","message":{{}},"timestamp":"{WHEN}"}}',
    ),
    (
        PresenceChange("room.lobby", "join", "ann", 1),
        '{"type":"presence","topic":"room.lobby","event":"join","user":"ann","count":1}',
    ),
    (Gap("alerts", None), '{"type":"gap","topic":"alerts","missed":null}'),
    (
        Gap("alerts", 3, 9, "e"),
        '{"type":"gap","topic":"alerts","missed":3,"offset":9,"epoch":"e"}',
    ),
    (Reconnect(2.5), '{"type":"reconnect","after":2.5}'),
]

ASKED: list[tuple[Request, str]] = [
    (Authenticate("t"), '{"token":"t"}'),
    (ChooseName("ann", 1), '{"name":"ann","id":1}'),
    (Refresh("t"), '{"action":"refresh","token":"t"}'),
    (Subscribe(("alerts",)), '{"action":"subscribe","topics":["alerts"]}'),
    (
        Subscribe(("a",), {"a": Position(7, "e")}, 20, True, "phone", True, "x"),
        (
            '{"action":"subscribe","topics":["a"],"since":{"a":{"offset":7,"epoch":"e"}},"last":20,'
            '"ack":true,"name":"phone","presence":true,"id":"x"}'
        ),
    ),
    (Unsubscribe(("a", "b")), '{"action":"unsubscribe","topics":["a","b"]}'),
    (
        Publish(topic="alerts", message=None),
        '{"action":"publish","topic":"alerts","message":null}',
    ),
    (
        Publish(to="bob", message=[1], idempotency_key="i", key="k"),
        '{"action":"publish","to":"bob","message":[1],"idempotency_key":"i","key":"k"}',
    ),
    (Ack("alerts", 8), '{"action":"ack","topic":"alerts","offset":8}'),
    (QueryPresence("room.lobby"), '{"action":"presence","topic":"room.lobby"}'),
    (QueryHistory("alerts"), '{"action":"history","topic":"alerts"}'),
    (
        QueryHistory("alerts", before=9, limit=5),
        '{"action":"history","topic":"alerts","before":9,"limit":5}',
    ),
    (Call("add", [1, 2]), '{"action":"call","name":"add","data":[1,2]}'),
    (Call("now"), '{"action":"call","name":"now"}'),
    (Ping(), '{"action":"ping"}'),
]


@pytest.mark.parametrize(("message", "text"), TOLD, ids=[text[:60] for _, text in TOLD])
def test_what_a_server_writes(message: Answer | Push, text: str) -> None:
    """Each answer and push is written as the protocol says, and read again."""
    assert encode(message) == text.encode()
    assert decode_answer(text) == message


@pytest.mark.parametrize(("request_", "text"), ASKED, ids=[text[:60] for _, text in ASKED])
def test_what_a_client_writes(request_: Request, text: str) -> None:
    """Each request is written as the protocol says, and read again."""
    assert encode_request(request_) == text.encode()
    assert decode(text, HubLimits()) == request_


def test_tokens_do_not_get_into_logs() -> None:
    """What holds a token does not show it."""
    assert "secret" not in repr([Authenticate("secret"), Refresh("secret")])


# What cannot be written.

ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    "value",
    [object(), {1.5, object()}, "\ud800", {"\udc00": 1}, ENDLESS, 10**5000, {(1,): 2}],
    ids=["object", "set", "surrogate", "key", "endless", "digits", "tuple"],
)
def test_what_json_cannot_say_is_the_callers_mistake(value: Any) -> None:
    """A server's or client's own value that cannot be written is told at once."""
    with pytest.raises(LocalProtocolError, match="cannot be written as JSON"):
        encode(Direct("ann", value, WHEN))
    with pytest.raises(LocalProtocolError, match="cannot be written as JSON"):
        encode_request(Publish(topic="a", message=value))


def test_what_a_server_may_write_beyond_json() -> None:
    """Dates become ISO 8601, and floats that are no numbers null."""
    day = dt.date(2025, 1, 2)
    assert encode(CallResult("x", [day, float("nan"), float("inf")])) == (
        b'{"type":"result","name":"x","data":["2025-01-02",null,null]}'
    )


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (Publish(topic="a", to="b", message=1), "to cannot stand beside topic"),
        (Publish(message=1), "topic is missing"),
        (Publish(topic="a", message=2**64), "more than 64 bits"),
        (Publish(topic="a", message=1, idempotency_key="x" * 65), "more than 64 bytes"),
        (Publish(topic="a", message=1, key="é" * 65), "more than 128 bytes"),
        (Subscribe(()), "topics must be a list of strings, and not empty"),
        (Ack("a", -1), "offset must be a whole number"),
        (Ping("x" * 65), "id must be a string of at most 64 characters"),
        (Malformed(ErrorCode.BAD_JSON, "x"), "a request must have an action"),
    ],
)
def test_a_client_cannot_write_what_no_server_takes(request_: Request, why: str) -> None:
    """A request that would be refused is refused where it is made, for the same reason."""
    with pytest.raises(LocalProtocolError, match=f"would be refused: .*{why}"):
        encode_request(request_)


def test_a_client_may_write_what_some_server_takes() -> None:
    """Limits that are a server's own are left to it."""
    assert encode_request(Authenticate("x" * 100_000)).endswith(b'x"}')


# What a client reads.


def test_a_newer_server_is_understood_as_far_as_it_goes() -> None:
    """Types that are not known are told as such, and fields that are not known passed over."""
    assert decode_answer('{"type":"hologram","x":1}') == Unknown("hologram")
    assert decode_answer('{"type":"pong","speed":"great"}') == PongAnswer()


@pytest.mark.parametrize(
    ("text", "code", "field", "said"),
    [
        ("", ErrorCode.BAD_JSON, None, "not valid JSON"),
        ("[]", ErrorCode.BAD_REQUEST, None, "a JSON object"),
        ("{}", ErrorCode.BAD_REQUEST, "type", "type must be a string"),
        ('{"type":[]}', ErrorCode.BAD_REQUEST, "type", "type must be a string"),
        ('{"type":"published"}', ErrorCode.BAD_REQUEST, "recipients", "recipients is missing"),
        (
            '{"type":"published","recipients":-1}',
            ErrorCode.BAD_REQUEST,
            "recipients",
            "recipients must be a whole number, 0 or more",
        ),
        (
            '{"type":"history","topic":"a","publications":[{"type":"x"}]}',
            ErrorCode.BAD_REQUEST,
            "publications",
            "publications must be a list of publications",
        ),
        (
            '{"type":"presence","topic":"a","event":"jump","user":"b","count":1}',
            ErrorCode.BAD_REQUEST,
            "event",
            "event must be join or leave",
        ),
        (
            '{"type":"x","y":' + "[" * 64 + "]" * 64 + "}",
            ErrorCode.TOO_DEEP,
            None,
            "more than 64 deep",
        ),
    ],
)
def test_what_is_no_answer(text: str, code: ErrorCode, field: str | None, said: str) -> None:
    """What a server should not have sent is told with the field that is wrong."""
    found = decode_answer(text)
    assert isinstance(found, Malformed)
    assert (found.code, found.field) == (code, field)
    assert said in found.message


def test_what_fits_in_a_request_fits_in_a_history() -> None:
    """The deepest message that can be published can also be read in a history."""
    deepest = "[" * 31 + "]" * 31
    request = decode(f'{{"action":"publish","topic":"a","message":{deepest}}}', HubLimits())
    assert isinstance(request, Publish)
    kept = encode(Notification("a", request.message, WHEN))
    answer = encode(History("a", (msgspec.Raw(kept),))).decode()
    found = decode_answer(answer)
    assert isinstance(found, History)
    assert found.publications == (Notification("a", request.message, WHEN),)
