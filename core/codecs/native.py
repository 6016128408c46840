"""The native protocol: JSON objects in text messages, to and from the neutral data.

A server calls `decode` and `encode`, a client `encode_request` and `decode_answer`. What a peer sent is
never raised: it becomes a `Malformed` that says what was wrong in the peer's own terms, and repeats
nothing of what the peer wrote. Unknown fields are passed over, so that a newer peer can add some; of
keys that are there twice the last counts.

JSON is decoded first to plain objects and then fitted to a type: that costs 0.3 µs more than decoding
into the type, and in return an `id` is known also where the rest is wrong, and the order of keys says
nothing.
"""

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, Final

import msgspec

from ..errors import LocalProtocolError
from ..hub_limits import HubLimits
from ..messages import (
    MAX_ID,
    MAX_IDEMPOTENCY_KEY,
    MAX_KEY,
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
    Notification,
    Ping,
    PongAnswer,
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
    RequestId,
    Subscribe,
    Subscribed,
    System,
    Unknown,
    Unsubscribe,
    Unsubscribed,
)

__all__ = ["MAX_NESTING", "decode", "decode_answer", "encode", "encode_request"]

MAX_NESTING: Final = 32
"""Objects and lists that may stand in each other, the request itself counted. An answer may have twice
as many, since a message stands deeper in a history than where it was published."""

_parse: Final = msgspec.json.Decoder().decode
_write: Final = msgspec.json.Encoder().encode
_fit: Final = msgspec.convert
_pack: Final = msgspec.msgpack.Encoder().encode

_PARSING: Final = (msgspec.MsgspecError, ValueError, RecursionError)
_WRITING: Final = (*_PARSING, TypeError, OverflowError)

_KINDS: Final[tuple[type[msgspec.Struct], ...]] = (
    Refresh,
    Subscribe,
    Unsubscribe,
    Publish,
    Ack,
    QueryPresence,
    QueryHistory,
    Call,
    Ping,
)
_ACTIONS: Final[Mapping[str, Any]] = {str(kind.__struct_config__.tag): kind for kind in _KINDS}
_NO_SUCH_ACTION: Final = f"there is no such action; known are {', '.join(sorted(_ACTIONS))}"

_ANSWERS: Final[Mapping[str, Any]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        AuthResult,
        Subscribed,
        Unsubscribed,
        Published,
        Presence,
        History,
        CallResult,
        PongAnswer,
        ErrorAnswer,
        Chat,
        Notification,
        System,
        Direct,
        Gap,
        Reconnect,
    )
}

_FIELDS: Final = {
    kind: msgspec.structs.fields(kind)
    for kind in (Authenticate, ChooseName, *_KINDS, *_ANSWERS.values(), PresenceChange)
}

_FLAG: Final = "must be true or false"
_COUNT: Final = "must be a whole number, 0 or more"
_POSITIVE: Final = "must be a whole number, 1 or more"
_POSITIONS: Final = 'must be an object with {"offset": …, "epoch": …} for each topic'
_MUST_BE: Final[Mapping[str, str]] = {
    "ack": _FLAG,
    "after": "must be a number",
    "before": _POSITIVE,
    "count": _COUNT,
    "duplicate": _FLAG,
    "event": "must be join or leave",
    "id": f"must be a string of at most {MAX_ID} characters, or a whole number of at most 64 bits",
    "last": _COUNT,
    "limit": _POSITIVE,
    "members": "must be a list of users",
    "missed": "must be a whole number, 0 or more, or null",
    "offset": _COUNT,
    "positions": _POSITIONS,
    "presence": _FLAG,
    "publications": "must be a list of publications",
    "recipients": _COUNT,
    "redelivered": _FLAG,
    "since": _POSITIONS,
    "status": "must be ok or error",
    "topics": "must be a list of strings, and not empty",
}
"""What is said of a field with a wrong value. All others are strings."""


# A server's side.


def encode(message: Answer | Push) -> bytes:
    """An answer or a push as JSON, in UTF-8.

    What `message` and `data` may hold is what msgspec writes: also dates, dataclasses and Structs, for
    instance. A float that is no number becomes null.

    Raises:
        LocalProtocolError: it holds what JSON cannot say.
    """
    try:
        return _write(message)
    except _WRITING as error:
        raise _unwritable(error) from error


def encode_value(value: Any) -> bytes:
    """What a `message` or `data` is as JSON, in UTF-8.

    Raises:
        LocalProtocolError: JSON cannot say it.
    """
    try:
        return _write(value)
    except _WRITING as error:
        raise _unwritable(error) from error


def decode(text: str, limits: HubLimits) -> Request:
    """What a client asks for. Never raises: what is no request becomes `Malformed`.

    Args:
        text: one text message. How long it may be was checked where it was assembled; all that is done
            here takes time in proportion to its length.
        limits: `max_name` and `max_topics_per_request` are checked here. A token that is too long is a
            wrong one, wherever it came, and so not this function's business.
    """
    data = _plain(text, MAX_NESTING)
    if isinstance(data, Malformed):
        return data
    action = data.get("action")
    kind = _ACTIONS.get(action) if type(action) is str else None
    if kind is None:
        kind = _kind_without_action(data)
        if isinstance(kind, Malformed):
            return kind
    try:
        request: Request = _fit(data, kind)
    except msgspec.ValidationError:
        return _misfit(data, kind)
    return _checked(request, limits)


def _kind_without_action(data: dict[str, Any]) -> type[Authenticate | ChooseName] | Malformed:
    """The shapes of the well-known first messages: a token, or a name."""
    if "action" not in data:
        if "token" in data:
            return Authenticate
        if "name" in data:
            return ChooseName
        return Malformed(
            ErrorCode.BAD_REQUEST,
            "a request must have an action; a first message, a token or a name",
            "action",
            _id_of(data),
        )
    if type(data["action"]) is not str:
        return Malformed(ErrorCode.BAD_REQUEST, "action must be a string", "action", _id_of(data))
    return Malformed(
        ErrorCode.UNKNOWN_ACTION,
        _NO_SUCH_ACTION,
        "action",
        _id_of(data),
    )


def _checked(request: Request, limits: HubLimits) -> Request:
    """The request, unless a field of it is too large, or contradicts another."""
    match request:
        case Publish():
            return _checked_publish(request, limits)
        case Call(name=name, data=data):
            if len(name) > limits.max_name:
                return _too_large(request, "name", f"{limits.max_name} characters")
            if not _is_portable(data):
                return _beyond_64_bits(request, "data")
        case ChooseName(name=name):
            if len(name) > limits.max_name:
                return _too_large(request, "name", f"{limits.max_name} characters")
        case Subscribe(since=since, name=name):
            if since is not None and len(since) > limits.max_topics_per_request:
                return _too_large(request, "since", f"{limits.max_topics_per_request} topics")
            if name is not None and len(name) > limits.max_name:
                return _too_large(request, "name", f"{limits.max_name} characters")
            return _checked_topics(request, limits)
        case Unsubscribe():
            return _checked_topics(request, limits)
        case _:
            pass
    return request


def _checked_publish(request: Publish, limits: HubLimits) -> Publish | Malformed:
    to = request.to
    if to is None:
        if request.topic is None:
            return Malformed(
                ErrorCode.BAD_REQUEST, "topic is missing; to would do as well", "topic", request.id
            )
    elif request.topic is not None:
        return Malformed(
            ErrorCode.BAD_REQUEST,
            "to cannot stand beside topic: send two requests",
            "to",
            request.id,
        )
    elif len(to) > limits.max_name:
        return _too_large(request, "to", f"{limits.max_name} characters")
    key = request.idempotency_key
    if key is not None and _is_longer(key, MAX_IDEMPOTENCY_KEY):
        return _too_large(request, "idempotency_key", f"{MAX_IDEMPOTENCY_KEY} bytes")
    key = request.key
    if key is not None and _is_longer(key, MAX_KEY):
        return _too_large(request, "key", f"{MAX_KEY} bytes")
    message = request.message
    if type(message) is not str and not _is_portable(message):
        return _beyond_64_bits(request, "message")
    return request


def _checked_topics(
    request: Subscribe | Unsubscribe, limits: HubLimits
) -> Subscribe | Unsubscribe | Malformed:
    if len(request.topics) > limits.max_topics_per_request:
        return _too_large(request, "topics", f"{limits.max_topics_per_request} topics")
    return request


def _is_longer(text: str, size: int) -> bool:
    """Whether a text has more than so many bytes in UTF-8."""
    return len(text) > size or len(text.encode()) > size


def _is_portable(value: object) -> bool:
    """Whether every codec can write it: JSON alone has integers of more than 64 bits.

    They are also what makes reading and writing numbers slow. MessagePack refuses them at a part of the
    cost that looking for them in Python would have.
    """
    try:
        _pack(value)
    except OverflowError:
        return False
    return True


def _too_large(request: Any, field: str, limit: str) -> Malformed:
    return Malformed(ErrorCode.TOO_LARGE, f"{field} has more than {limit}", field, request.id)


def _beyond_64_bits(request: Publish | Call, field: str) -> Malformed:
    return Malformed(
        ErrorCode.BAD_REQUEST,
        f"{field} has a whole number of more than 64 bits: send it as a string",
        field,
        request.id,
    )


# A client's side.


def encode_request(request: Request) -> bytes:
    """A request as JSON, in UTF-8.

    Raises:
        LocalProtocolError: no server would take it, whatever its limits; the message says why.
    """
    try:
        written = _write(request)
    except _WRITING as error:
        raise _unwritable(error) from error
    found = decode(written.decode(), _ANY_SIZE)
    if type(found) is not type(request) or type(found) is Malformed:
        why = found.message if type(found) is Malformed else "it is no request"
        raise LocalProtocolError(f"this request would be refused: {why}")
    return written


def decode_answer(text: str) -> Answer | Push | Unknown | Malformed:
    """What a server tells. Never raises: what is no message of the protocol becomes `Malformed`.

    An `Unknown` is a message of a newer server, to be passed over. What `History` holds comes as `Chat`
    and `Notification`.
    """
    data = _plain(text, 2 * MAX_NESTING)
    if isinstance(data, Malformed):
        return data
    name = data.get("type")
    if type(name) is not str:
        return Malformed(ErrorCode.BAD_REQUEST, "type must be a string", "type", _id_of(data))
    # The answer and the push are of one type; only the push has an event.
    kind = PresenceChange if name == "presence" and "event" in data else _ANSWERS.get(name)
    if kind is None:
        return Unknown(name)
    try:
        found: Answer | Push = _fit(data, kind)
    except msgspec.ValidationError:
        return _misfit(data, kind)
    return found


_ANY_SIZE: Final = HubLimits(max_name=2**62, max_topics_per_request=2**62)


# Both.


def _plain(text: str, nesting: int) -> dict[str, Any] | Malformed:
    """A JSON object as a dictionary, or a `Malformed` that says why it is none."""
    # The number of brackets is an upper bound of the nesting that costs next to nothing.
    if text.count("{") + text.count("[") > nesting and _depth(text) > nesting:
        return Malformed(
            ErrorCode.TOO_DEEP, f"objects and lists are nested more than {nesting} deep"
        )
    try:
        data: Any = _parse(text)
    except msgspec.ValidationError:
        # Nothing was asked of the types, so it is a number.
        return Malformed(ErrorCode.BAD_REQUEST, "a number is out of range")
    except _PARSING:
        return Malformed(ErrorCode.BAD_JSON, "the message is not valid JSON, or not all of it came")
    if type(data) is not dict:
        return Malformed(ErrorCode.BAD_REQUEST, "the message must be a JSON object")
    return data  # pyright: ignore[reportUnknownVariableType]  # JSON's keys are strings


_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""A string of JSON. One that does not end matches too, so that nothing is ever looked at twice."""

_BRACKETS: Final = b"{}[]"
_STEPS: Final = bytes.maketrans(_BRACKETS, b"\x01\xff\x01\xff")
_OTHERS: Final = bytes(set(range(256)) - set(_BRACKETS))


def _depth(text: str) -> int:
    """How deep a JSON text is nested; of what is no JSON, at least as deep as a parser would get."""
    steps = _STRING.sub("", text).encode("ascii", "ignore").translate(_STEPS, _OTHERS)
    return max(accumulate(memoryview(steps).cast("b")), default=0)


def _misfit(data: dict[str, Any], kind: Any) -> Malformed:
    """Which field of an object does not fit a type; msgspec's own words would repeat the peer's."""
    found = _id_of(data)
    for field in _FIELDS[kind]:
        name = field.encode_name
        if name not in data:
            if field.required:
                return Malformed(ErrorCode.BAD_REQUEST, f"{name} is missing", name, found)
            continue
        try:
            _fit(data[name], field.type)
        except msgspec.ValidationError:
            must = _MUST_BE.get(name, "must be a string")
            return Malformed(ErrorCode.BAD_REQUEST, f"{name} {must}", name, found)
    # Each field fits, so the whole did. Should msgspec think otherwise, a peer still can't raise.
    return Malformed(ErrorCode.BAD_REQUEST, "a field is wrong", None, found)


def _id_of(data: dict[str, Any]) -> RequestId:
    """The `id` of a request that is wrong elsewhere; None where it is wrong itself."""
    found = data.get("id")
    if found is None:
        return None
    try:
        return _fit(found, RequestId)  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        return None


def _unwritable(error: Exception) -> LocalProtocolError:
    return LocalProtocolError(
        f"this cannot be written as JSON: {error}; use strings, numbers, lists and dictionaries"
    )
