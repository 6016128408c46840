"""What the HTTP interface takes and gives, as JSON, and how it says no."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from ...core.codecs.native import MAX_NESTING
from ...core.http import Request, Response, respond
from ...core.messages import ErrorCode
from .settings_types import is_list, is_table

__all__ = [
    "Connection",
    "Connections",
    "Disconnect",
    "Publish",
    "Query",
    "Refused",
    "Revoke",
    "Sessions",
    "Topic",
    "Topics",
    "json_response",
    "parsed_body",
    "parsed_query",
]

_HEADERS: Final = (("Cache-Control", "no-store"),)
_SHOWN: Final = 64
"""Characters of a wrong name that are repeated."""


class Refused(Exception):
    """A request is refused: the answer says why, and what to do.

    Args:
        status: of HTTP.
        code: for programs.
        message: for people.
        field: of the body or the query, if one is wrong.
        headers: more of the answer's.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.response = json_response(
            {"error": {"code": code, "message": message, "field": field}}, status, headers
        )
        self.code = code


class Publish(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /api/publish`."""

    topic: str
    """Where to."""
    message: Any  # any JSON value
    """What."""
    sender: str | None = None
    """Who says it, in a room; without one its members get a notification."""
    key: str | None = None
    """What it is about, on a topic that keeps the latest of each key."""
    idempotency_key: str | None = None
    """A name for it, at most 64 bytes: a repeat with the same one is not published again."""


class Disconnect(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /api/disconnect`."""

    user: str
    """Whose sessions are closed."""
    reason: str = ""
    """What they are told: at most 123 bytes."""


class Revoke(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /api/revoke`."""

    user: str
    """From whose sessions."""
    pattern: str
    """Which topics are taken away."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """The query of `GET /api/topics` and `GET /api/connections`."""

    prefix: str = ""
    limit: int = 100


class Sessions(msgspec.Struct, frozen=True):
    """How many sessions something reached."""

    sessions: int


class Topic(msgspec.Struct, frozen=True):
    """A topic or pattern that somebody is subscribed to."""

    topic: str
    subscribers: int


class Topics(msgspec.Struct, frozen=True):
    """What `GET /api/topics` tells."""

    topics: list[Topic]
    more: bool
    """Whether there are more than were asked for."""


class Connection(msgspec.Struct, frozen=True):
    """A session."""

    session: int
    user: str
    anonymous: bool
    address: str | None
    """Of the client, behind trusted proxies; null on a Unix socket."""
    since: str
    """When it connected: ISO 8601, UTC."""
    subscriptions: int
    outbox_bytes: int
    """What waits for it."""


class Connections(msgspec.Struct, frozen=True):
    """What `GET /api/connections` tells."""

    connections: list[Connection]
    more: bool
    """Whether there are more than were asked for."""


T = TypeVar("T", bound=msgspec.Struct)


def json_response(
    value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """An answer in JSON, which nobody keeps."""
    body = msgspec.json.encode(value) + b"\n"
    return respond(status, body, "application/json", (*_HEADERS, *headers))


def parsed_body(request: Request, body: bytes, kind: type[T]) -> T:
    """What a request's body says.

    Raises:
        Refused: 415 or 400.
    """
    given = request.headers.get_all("content-type")
    media = given[0].partition(";")[0].strip().lower() if len(given) == 1 else ""
    if media != "application/json":
        raise Refused(
            415, "unsupported_media_type", "send JSON, with Content-Type: application/json"
        )
    if any(coding.lower() != "identity" for coding in request.headers.tokens("content-encoding")):
        raise Refused(415, "unsupported_media_type", "send the body without Content-Encoding")
    try:
        # msgspec checks only the strings that it makes.
        data: Any = msgspec.json.decode(body.decode())
    except UnicodeDecodeError:
        raise Refused(400, ErrorCode.BAD_JSON, "the body is not UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    except msgspec.ValidationError:
        raise Refused(400, ErrorCode.BAD_REQUEST, "a number is out of range") from None
    except (msgspec.DecodeError, ValueError):
        raise Refused(400, ErrorCode.BAD_JSON, "the body is not valid JSON") from None
    if not is_table(data):
        raise Refused(400, ErrorCode.BAD_REQUEST, "the body must be a JSON object")
    if body.count(b"{") + body.count(b"[") > MAX_NESTING and _is_deep(data):
        raise _too_deep()
    return _fit(data, kind)


def parsed_query(request: Request, names: tuple[str, ...]) -> Query:
    """What a request's query says.

    Args:
        request: the request.
        names: what may stand there.

    Raises:
        Refused: 400.
    """
    pairs = parse_qsl(request.query, keep_blank_values=True)
    data: dict[str, Any] = {}
    for name, value in pairs:
        if name not in names:
            raise _unknown(name, names)
        if name in data:
            raise Refused(400, ErrorCode.BAD_REQUEST, f"{name} is there twice: say it once", name)
        data[name] = value
    limit = data.get("limit", "100")
    if not (
        limit.isascii() and limit.isdigit() and len(limit) < 9 and 1 <= int(limit) <= MAX_LIMIT
    ):
        text = f"limit must be a whole number, 1 to {MAX_LIMIT}"
        raise Refused(400, ErrorCode.BAD_REQUEST, text, "limit")
    return Query(prefix=data.get("prefix", ""), limit=int(limit))


MAX_LIMIT: Final = 1000
"""Topics or connections in one answer."""


def _fit(data: Mapping[str, object], kind: type[T]) -> T:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name in data:
        if name not in fields:
            raise _unknown(name, tuple(fields))
    for name, field in fields.items():
        if name not in data:
            if field.required:
                raise Refused(400, ErrorCode.BAD_REQUEST, f"{name} is missing", name)
            continue
        nothing = data[name] is None and field.default is None
        if not (nothing or field.type is Any or isinstance(data[name], str)):
            raise Refused(400, ErrorCode.BAD_REQUEST, f"{name} must be a string", name)
    return msgspec.convert(data, kind)


def _unknown(name: str, known: tuple[str, ...]) -> Refused:
    text = f"there is no such field; known are {', '.join(sorted(known))}"
    return Refused(400, ErrorCode.BAD_REQUEST, text, name[:_SHOWN])


def _too_deep() -> Refused:
    text = f"objects and lists are nested more than {MAX_NESTING} deep"
    return Refused(400, ErrorCode.TOO_DEEP, text)


def _is_deep(data: object) -> bool:
    """Whether it is nested deeper than may be: looked at level by level."""
    level = [data]
    for _ in range(MAX_NESTING):
        inner: list[object] = []
        for one in level:
            if is_table(one):
                inner += one.values()
            elif is_list(one):
                inner += one
        level = [value for value in inner if is_table(value) or is_list(value)]
        if not level:
            return False
    return True
