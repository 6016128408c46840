"""HTTP/1.1 as far as a WebSocket server and client must read it: one request, one response.

h11 parses; this module checks what h11 lets through and what costs too much to give to h11 at all. The
head of a message is cut off by us, within limits, before h11 sees it.
"""

import re
from collections.abc import Iterable
from typing import Final

import h11

from .errors import LocalProtocolError
from .http import TOKEN, BadMessage, Headers, HeadersLike, Request, Response, encode_headers
from .limits import Limits

__all__ = ["CONTROLS", "HeadReader", "ResponseReader", "read_request"]


class HeadReader:
    """Collects bytes up to the blank line that ends a head, and no more than the limit.

    The limit holds however the bytes were cut: a head that came whole, in one call, is measured too.
    """

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limits: Limits) -> None:
        self._buffer = bytearray()
        self._limit = limits.max_handshake_size

    @property
    def empty(self) -> bool:
        """Whether nothing has arrived."""
        return not self._buffer

    def receive(self, data: bytes) -> tuple[bytes, bytes] | None:
        """The head with its blank line and what came behind it, or None while it is not complete.

        Raises:
            BadMessage: 400 if it cannot be HTTP, 431 if it is too long.
        """
        searched = max(0, len(self._buffer) - 3)
        # What lies beyond the limit belongs to no head that we accept: don't copy and search it.
        room = self._limit - len(self._buffer)
        self._buffer += data[:room]
        if self._buffer and not 0x41 <= self._buffer[0] <= 0x5A:
            # A method or "HTTP" begins with a capital. A TLS hello (0x16) need not wait for the deadline.
            raise BadMessage(400, "This is not an HTTP/1.1 message", surplus=len(data) - 1)
        end = self._buffer.find(b"\r\n\r\n", searched)
        if end < 0:
            if len(data) >= room:
                surplus = len(data) - room
                raise BadMessage(
                    431, f"The head is longer than {self._limit} bytes", surplus=surplus
                )
            return None
        end += 4
        return bytes(self._buffer[:end]), bytes(self._buffer[end:]) + data[max(room, 0) :]


CONTROLS: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Control characters but CR, LF and TAB."""


def _check_head(head: bytes, limits: Limits) -> None:
    """Refuse what h11 tolerates and what a proxy in front might read in another way."""
    lines = head.count(b"\r\n")
    if lines - 2 > limits.max_headers:
        raise BadMessage(431, f"More than {limits.max_headers} header lines")
    if head.count(b"\n") != lines or head.count(b"\r") != lines or CONTROLS.search(head):
        # Besides what it may mean to others: one VT behind a run of blanks costs h11 quadratic time.
        raise BadMessage(400, "Lines must end in CR LF and hold no other control character")
    if b"\r\n " in head or b"\r\n\t" in head:
        raise BadMessage(400, "Folded header lines are not accepted")


def _decode_headers(lines: Iterable[tuple[bytes, bytes]]) -> Headers:
    # ISO 8859-1 maps every byte to one character: nothing raises, and nothing is lost.
    return Headers([(name.decode("ascii"), value.decode("latin-1")) for name, value in lines])


_HOST = re.compile(r"[!$%&'()*+,.:;=\[\]_~0-9A-Za-z-]*")
"""The characters of a host and port (RFC 3986, 3.2.2): RFC 9112, 3.2 wants 400 for others."""


def read_request(head: bytes, limits: Limits) -> Request:
    """Parse the head of a request.

    Raises:
        BadMessage: with the response to send; 400, 431, 501 or 505.
    """
    _check_head(head, limits)
    request = _read_simple(head) or _read_any(head, limits)
    for name, value in request.headers.lines:
        if name == "host":
            if len(value) > limits.max_host:
                raise BadMessage(400, f"Host is longer than {limits.max_host} bytes")
            if not _HOST.fullmatch(value):
                raise BadMessage(400, "The Host header is not valid")
    return request


_SIMPLE_LINE: Final = re.compile(r"GET (/[\x21\x22\x24-\x7e]*) HTTP/1\.1")
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})


def _read_simple(head: bytes) -> Request | None:
    """Parse a GET as nearly every client sends it; None where h11 must judge.

    h11 takes 35 µs for the five lines of an opening request, and a server that restarts gets all its
    clients' requests at once. What is accepted here is what h11 accepts; the tests hold both equal.
    `head` has passed `_check_head`.
    """
    first, *rest = head[:-4].decode("latin-1").split("\r\n")
    line = _SIMPLE_LINE.fullmatch(first)
    if line is None:
        return None
    lines: list[tuple[str, str]] = []
    hosts = 0
    for text in rest:
        name, colon, value = text.partition(":")
        if not colon or not TOKEN.fullmatch(name):
            return None
        name = name.lower()
        if name in _FRAMING:
            return None
        hosts += name == "host"
        lines.append((name, value.strip(" \t")))
    return Request("GET", line[1], Headers(lines)) if hosts == 1 else None


def _read_any(head: bytes, limits: Limits) -> Request:
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.max_handshake_size)
    parser.receive_data(head)
    try:
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        # h11 quotes what it refuses; we don't send a peer's bytes back.
        raise BadMessage(error.error_status_hint, "The request is malformed") from error
    if not isinstance(event, h11.Request):
        raise BadMessage(400, "The request is malformed")
    version = event.http_version.decode("ascii")
    if version not in ("1.0", "1.1"):
        raise BadMessage(505, "Only HTTP/1.1 is spoken here")
    target = event.target.decode("ascii")
    if not target.startswith("/") or "#" in target:
        raise BadMessage(400, "The request target must be a path")
    return Request(event.method.decode("ascii"), target, _decode_headers(event.headers), version)


_MAX_INTERIM: Final = 16
"""Interim responses (1xx) before the one that counts. Servers send one or two."""


class ResponseReader:
    """A client's one request and the response to it."""

    __slots__ = ("_body", "_body_room", "_final", "_head", "_interim", "_limits", "_parser")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._head: HeadReader | None = HeadReader(limits)
        # Heads are bounded before h11 sees them. h11's own limit would judge a body by its cuts.
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**31)
        self._final: h11.Response | None = None
        self._interim = 0
        self._body = bytearray()
        self._body_room = 2 * limits.max_body + limits.max_handshake_size
        """Bytes of the body's encoding that are still read."""

    def encode_request(self, target: str, headers: HeadersLike) -> bytes:
        """The request for the wire.

        Raises:
            LocalProtocolError: the target or a header cannot be written.
        """
        lines = Headers(headers).lines
        encode_headers(lines)
        try:
            return self._parser.send(h11.Request(method="GET", target=target, headers=list(lines)))
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise LocalProtocolError(f"the request cannot be written: {error}") from error

    def receive(self, data: bytes) -> tuple[Response, bytes] | None:
        """The response and what came behind it, or None while it is not complete.

        Raises:
            BadMessage: it is malformed or too long.
        """
        while self._head is not None:
            complete = self._head.receive(data)
            if complete is None:
                return None
            head, data = complete
            _check_head(head, self._limits)
            event = self._next_event(head)
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    return Response(101, _decode_headers(event.headers)), data
                self._interim += 1
                if self._interim > _MAX_INTERIM:
                    raise BadMessage(400, f"More than {_MAX_INTERIM} interim responses")
                self._head = HeadReader(self._limits)
            elif isinstance(event, h11.Response):
                self._final, self._head = event, None
            else:
                raise BadMessage(400, "The response is malformed")
        return self._receive_body(data)

    def receive_eof(self) -> Response | None:
        """The refusal as far as it came, or None if not even its head did."""
        return self._refusal() if self._final is not None else None

    def _receive_body(self, data: bytes) -> tuple[Response, bytes] | None:
        fed = data[: self._body_room]
        self._body_room -= len(fed)
        try:
            # h11 reads b"" as the end of the stream, which only `receive_eof` may say.
            event = self._next_event(fed or None)
            while isinstance(event, h11.Data):
                self._body += event.data[: self._limits.max_body - len(self._body)]
                event = self._next_event(None)
        except BadMessage:
            return self._refusal(), b""  # refused all the same; the body is what came of it
        full = len(self._body) >= self._limits.max_body
        done = full or not self._body_room or isinstance(event, h11.EndOfMessage)
        return (self._refusal(), b"") if done else None

    def _refusal(self) -> Response:
        assert self._final is not None
        return Response(
            self._final.status_code, _decode_headers(self._final.headers), bytes(self._body)
        )

    def _next_event(self, data: bytes | None) -> object:
        try:
            if data is not None:
                self._parser.receive_data(data)
            return self._parser.next_event()
        except h11.RemoteProtocolError as error:
            raise BadMessage(400, "The response is malformed") from error
