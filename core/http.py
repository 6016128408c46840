"""HTTP messages as data, and how they are written. `hubbub.core.http_parser` reads them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Final, cast

import msgspec

from .errors import LocalProtocolError

__all__ = [
    "TOKEN",
    "BadMessage",
    "Headers",
    "HeadersLike",
    "Request",
    "Response",
    "Routes",
    "encode_headers",
    "encode_response",
    "respond",
    "text_response",
    "tokens",
]

TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2."""

HeadersLike = Mapping[str, str] | Iterable[tuple[str, str]]


class Headers(Mapping[str, str]):
    """Header lines in their order; names are compared without regard to case.

    `headers["name"]` is the value; where a name stands on several lines, their values joined by a comma
    and a space, as RFC 9110, 5.3 allows. `get_all` gives them apart.
    """

    __slots__ = ("lines",)

    def __init__(self, lines: HeadersLike = ()) -> None:
        pairs: Iterable[tuple[str, str]]
        if isinstance(lines, Headers):
            pairs = lines.lines
        elif isinstance(lines, Mapping):
            pairs = cast("Mapping[str, str]", lines).items()
        else:
            pairs = lines
        self.lines: tuple[tuple[str, str], ...] = tuple(pairs)

    def fields(self) -> dict[str, list[str]]:
        """The values of every name, in lower case: for who looks up many."""
        fields: dict[str, list[str]] = {}
        for name, value in self.lines:
            fields.setdefault(name.lower(), []).append(value)
        return fields

    def get_all(self, name: str) -> list[str]:
        """Every value of `name`, one for each line."""
        wanted = name.lower()
        return [value for key, value in self.lines if key.lower() == wanted]

    def tokens(self, name: str) -> list[str]:
        """The elements of a comma-separated list, over all lines of `name`, without empty ones."""
        return tokens(self.get_all(name))

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_all(name))

    def __iter__(self) -> Iterator[str]:
        return iter({key.lower(): None for key, _ in self.lines})

    def __len__(self) -> int:
        return len({key.lower() for key, _ in self.lines})

    def __repr__(self) -> str:
        return f"Headers({', '.join(self)})"  # names only: values hold tokens and cookies


class Request(msgspec.Struct, frozen=True):
    """The head of an HTTP request."""

    method: str
    target: str
    """A path and perhaps a query, in ASCII. The query may hold a token, so don't log it whole."""
    headers: Headers
    version: str = "1.1"

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target's query, or an empty string."""
        return self.target.partition("?")[2]

    def __repr__(self) -> str:
        query = "?…" if self.query else ""
        return f"Request({self.method} {self.path}{query})"


class Response(msgspec.Struct, frozen=True):
    """An HTTP response. `Content-Length` and `Connection: close` are added when it is written."""

    status: int
    headers: Headers = Headers()
    body: bytes = b""

    @property
    def status_code(self) -> int:
        """The same as `status`, as `websockets` calls it."""
        return self.status

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"


def tokens(values: Iterable[str]) -> list[str]:
    """The elements of comma-separated lists, without empty ones."""
    return [
        token for value in values for element in value.split(",") if (token := element.strip(" \t"))
    ]


Routes = Mapping[str, Response]
"""Paths and what a GET or HEAD of each is answered with."""


def respond(
    status: int, body: bytes, content_type: str, headers: Iterable[tuple[str, str]] = ()
) -> Response:
    """A response with a body of a given type, which browsers are told not to guess."""
    typed = (("Content-Type", content_type), ("X-Content-Type-Options", "nosniff"))
    return Response(status, Headers((*typed, *headers)), body)


def text_response(status: int, text: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """A response with one line of plain text."""
    return respond(status, f"{text}\n".encode(), "text/plain; charset=utf-8", headers)


class BadMessage(Exception):
    """Internal: a peer's HTTP message is refused. Carries the response that says so."""

    def __init__(
        self,
        status: int,
        text: str,
        headers: Iterable[tuple[str, str]] = (),
        *,
        surplus: int = 0,
    ) -> None:
        super().__init__(text)
        self.response = text_response(status, text, headers)
        self.surplus = surplus
        """Bytes that came in the same call behind the one that decided."""


_VALUE = re.compile(r"[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?|")


def encode_headers(headers: HeadersLike) -> bytes:
    """Header lines for the wire.

    Raises:
        LocalProtocolError: a name or value that would change the meaning of what follows it.
    """
    written: list[str] = []
    for name, value in Headers(headers).lines:
        if not TOKEN.fullmatch(name):
            raise LocalProtocolError(f"header name {name!r} is not a token (RFC 9110, 5.6.2)")
        if not _VALUE.fullmatch(value):
            raise LocalProtocolError(
                f"the value of header {name!r} holds a line break, a control character, "
                "an outer space or a character beyond ISO 8859-1"
            )
        written.append(f"{name}: {value}\r\n")
    return "".join(written).encode("latin-1")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def encode_response(response: Response, *, head_only: bool = False) -> bytes:
    """A whole response for the wire, after which the connection is closed.

    Args:
        response: any final response, 200 to 599.
        head_only: leave the body out: the answer to HEAD.

    Raises:
        LocalProtocolError: a status that is no final one, or a header that cannot be written.
    """
    status = response.status
    if not 200 <= status <= 599:
        raise LocalProtocolError(f"status {status} cannot end a request: use 200 to 599")
    for name in ("content-length", "transfer-encoding", "connection"):
        if name in response.headers:
            raise LocalProtocolError(f"leave header {name!r} out: it is written for you")
    lines = [f"HTTP/1.1 {status} {_reason(status)}\r\n".encode(), encode_headers(response.headers)]
    body = b"" if status in (204, 304) else response.body
    if status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}\r\n".encode())
    lines.append(b"Connection: close\r\n\r\n")
    if not head_only:
        lines.append(body)
    return b"".join(lines)
