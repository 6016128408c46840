"""The opening handshake's rules (RFC 6455, section 4), for both sides, as functions of their input.

A request or response is read by `hubbub.core.http`; here it is decided what it means.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from .errors import LocalProtocolError
from .extensions import Agreement, Deflate, agree, confirm, offer, parse_extensions
from .http import (
    TOKEN,
    BadMessage,
    Headers,
    HeadersLike,
    Request,
    Response,
    encode_headers,
    encode_response,
    text_response,
    tokens,
)
from .limits import Limits

__all__ = [
    "HEALTHZ",
    "ClientOptions",
    "Options",
    "ServerOptions",
    "Upgrade",
    "accept_bytes",
    "answer_http",
    "check_response",
    "check_upgrade",
    "client_headers",
    "wants_upgrade",
]

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""

_SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n%b\r\n"
)

HEALTHZ: Final[Mapping[str, Response]] = MappingProxyType({"/healthz": text_response(200, "ok")})
"""The route that every server has unless told otherwise."""


_WRITTEN_FOR_YOU: Final = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    }
)


def encode_handshake_headers(headers: HeadersLike) -> bytes:
    """A user's header lines for a request or a 101 response.

    Raises:
        LocalProtocolError: they can't be written, or are written by the handshake itself.
    """
    lines = Headers(headers).lines
    for name, _ in lines:
        if name.lower() in _WRITTEN_FOR_YOU:
            raise LocalProtocolError(f"leave header {name!r} out: the handshake writes it")
    return encode_headers(lines)


_ORIGIN: Final = re.compile(r"null|[A-Za-z][A-Za-z0-9+.-]*://[^/?#@\s]+")


def _expect(options: object, name: str, kind: object, words: str) -> None:
    """Tell a wrong option when it is set, not when the first peer comes."""
    value = getattr(options, name)
    if not isinstance(value, kind):  # type: ignore[arg-type]
        raise LocalProtocolError(f"{name}={value!r}: must be {words}")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What one side of many connections is set up with; one object serves them all."""

    limits: Limits = Limits()
    subprotocols: tuple[str, ...] = ()
    """Those that a server knows, or a client offers, in order of preference."""
    deflate: Deflate | None = None
    """Whether messages may be compressed. It costs memory, CPU, and secrecy (CRIME, BREACH)."""
    headers: tuple[tuple[str, str], ...] = ()
    """Added to each 101 response, or to the request."""
    fragments: bool = False
    """Give out the frames of a message one by one instead of the whole."""
    fast_path: bool = True
    """Read simple frames without wsproto. Off only to compare."""

    def __post_init__(self) -> None:
        _expect(self, "limits", Limits, "a Limits()")
        _expect(self, "deflate", Deflate | None, "a Deflate(), or None")
        _expect(self, "subprotocols", tuple, "a tuple of names")
        encode_handshake_headers(self.headers)
        for name in self.subprotocols:
            if not TOKEN.fullmatch(name):
                raise LocalProtocolError(f"subprotocol {name!r} is not a token (RFC 6455, 4.1)")


class ServerOptions(Options, frozen=True, kw_only=True):
    """The options of a server's connections."""

    origins: Literal["same-host"] | tuple[str, ...] | None = "same-host"
    """Whose pages may connect. Those of our own host, those listed by scheme and host, or all.

    A request without an Origin comes from no page and always may.
    """
    routes: Mapping[str, Response] = HEALTHZ
    """Ordinary HTTP requests that are answered."""
    http: bool = False
    """Whether ordinary requests to other paths are reported as `HttpRequested`, and not refused with 426."""

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        _expect(self, "http", bool, "True or False")
        if self.origins not in ("same-host", None):
            _expect(self, "origins", tuple, "a tuple of origins, 'same-host' or None")
            for origin in self.origins or ():
                if not _ORIGIN.fullmatch(origin):
                    raise LocalProtocolError(
                        f"origins: {origin!r} must be written scheme://host or scheme://host:port"
                    )
        for path, response in self.routes.items():
            if not path.startswith("/"):
                raise LocalProtocolError(f"routes: {path!r} must begin with '/'")
            if not isinstance(response, Response):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise LocalProtocolError(f"routes: {path!r} needs a Response, see respond()")
            encode_response(response)


class ClientOptions(Options, frozen=True, kw_only=True):
    """The options of a client's connections to one place."""

    host: str
    """The Host header, a name with a port unless it is the default one."""
    target: str = "/"
    """Path and query."""
    origin: str | None = None

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        if self.origin is not None:
            encode_headers([("Origin", self.origin)])


class Upgrade(msgspec.Struct, frozen=True):
    """A valid request to open a WebSocket, and what was agreed so far."""

    request: Request
    key: bytes
    subprotocols: tuple[str, ...]
    agreement: Agreement | None


def _has_token(fields: Mapping[str, list[str]], name: str, token: str) -> bool:
    values = fields.get(name, ())
    if len(values) == 1 and values[0].lower() == token:
        return True  # as nearly every peer sends it
    return any(found.lower() == token for found in tokens(values))


def wants_upgrade(fields: Mapping[str, list[str]]) -> bool:
    """Whether a request tries to open a WebSocket, rightly or not, and is no ordinary HTTP."""
    return "sec-websocket-key" in fields or _has_token(fields, "upgrade", "websocket")


def answer_http(request: Request, routes: Mapping[str, Response]) -> Response:
    """The response to an ordinary request."""
    response = routes.get(request.path)
    if response is None:
        return text_response(
            426, "This is a WebSocket server: connect with ws:// or wss://", _UPGRADE_HINT
        )
    if request.method not in ("GET", "HEAD"):
        return text_response(405, "Use GET or HEAD", [("Allow", "GET, HEAD")])
    return response


_UPGRADE_HINT = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))


def _one(fields: Mapping[str, list[str]], name: str) -> str:
    values = fields.get(name.lower(), ())
    if len(values) != 1:
        raise BadMessage(400, f"Exactly one {name} header is needed, not {len(values)}")
    return values[0]


def check_upgrade(
    request: Request, fields: Mapping[str, list[str]], options: ServerOptions
) -> Upgrade:
    """Check a request as RFC 6455, 4.2.1 asks, and more strictly where proxies might disagree.

    Raises:
        BadMessage: with the response that refuses it: 400, 403, 405 or 426.
    """
    if request.method != "GET":
        raise BadMessage(405, "A WebSocket is opened with GET", [("Allow", "GET")])
    if request.version != "1.1":
        raise BadMessage(400, "A WebSocket is opened over HTTP/1.1")
    if "transfer-encoding" in fields or any(
        length.strip("0") for length in fields.get("content-length", ())
    ):
        # What follows the head would be read as frames by us and as a body by a proxy.
        raise BadMessage(400, "A request to upgrade must not have a body")
    host = _one(fields, "Host")
    if not host:
        raise BadMessage(400, "The Host header is empty")
    if not _has_token(fields, "connection", "upgrade"):
        raise BadMessage(400, "The Connection header must name 'Upgrade'")
    if not _has_token(fields, "upgrade", "websocket"):
        raise BadMessage(400, "The Upgrade header must name 'websocket'")
    if fields.get("sec-websocket-version") != ["13"]:
        raise BadMessage(426, "Only version 13 of the protocol is spoken here", _UPGRADE_HINT)
    key = _one(fields, "Sec-WebSocket-Key")
    if not _is_key(key):
        raise BadMessage(400, "Sec-WebSocket-Key must be 16 bytes in base64")
    _check_origin(fields.get("origin", ()), host, options.origins)
    subprotocols = tokens(fields.get("sec-websocket-protocol", ()))
    if len(set(subprotocols)) != len(subprotocols) or not all(map(TOKEN.fullmatch, subprotocols)):
        raise BadMessage(400, "Sec-WebSocket-Protocol must list different tokens")
    try:
        offers = parse_extensions(fields.get("sec-websocket-extensions", ()))
    except ValueError as error:
        raise BadMessage(400, "Sec-WebSocket-Extensions is malformed") from error
    agreement = agree(offers, options.deflate) if options.deflate is not None else None
    return Upgrade(request, key.encode("ascii"), tuple(subprotocols), agreement)


def _is_key(key: str) -> bool:
    try:
        return len(key) == 24 and len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def _check_origin(
    found: Sequence[str], host: str, origins: Literal["same-host"] | tuple[str, ...] | None
) -> None:
    if len(found) > 1:
        raise BadMessage(400, "More than one Origin header")
    if not found or origins is None:
        return
    origin = found[0].lower()
    if origins == "same-host":
        allowed = _same_host(origin, host.lower())
    else:
        allowed = origin in (entry.lower() for entry in origins)
    if not allowed:
        raise BadMessage(403, "Pages of this origin may not connect")


_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def _same_host(origin: str, host: str) -> bool:
    scheme, separator, place = origin.partition("://")
    if not separator or scheme not in _DEFAULT_PORTS:
        return False
    port = _DEFAULT_PORTS[scheme]
    return place.removesuffix(port) == host.removesuffix(port)


def accept_bytes(
    upgrade: Upgrade, subprotocol: str | None, headers: HeadersLike, options: ServerOptions
) -> bytes:
    """The 101 response for the wire.

    Raises:
        LocalProtocolError: a subprotocol that the client does not offer, or a bad header.
    """
    lines: list[tuple[str, str]] = []
    if subprotocol is not None:
        if subprotocol not in upgrade.subprotocols:
            raise LocalProtocolError(
                f"subprotocol {subprotocol!r} was not offered: choose from {upgrade.subprotocols}"
            )
        lines.append(("Sec-WebSocket-Protocol", subprotocol))
    if upgrade.agreement is not None:
        lines.append(("Sec-WebSocket-Extensions", upgrade.agreement.header))
    lines += options.headers
    written = encode_headers(lines)
    if headers:
        written += encode_handshake_headers(headers)
    return _SWITCHING % (_accept_key(upgrade.key), written)


def _accept_key(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def client_headers(options: ClientOptions, key: bytes) -> list[tuple[str, str]]:
    """The header lines of a client's request."""
    lines = [
        ("Host", options.host),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key.decode("ascii")),
        ("Sec-WebSocket-Version", "13"),
    ]
    if options.origin is not None:
        lines.append(("Origin", options.origin))
    if options.subprotocols:
        lines.append(("Sec-WebSocket-Protocol", ", ".join(options.subprotocols)))
    if options.deflate is not None:
        lines.append(("Sec-WebSocket-Extensions", offer(options.deflate)))
    return lines + list(options.headers)


def check_response(
    response: Response, key: bytes, options: ClientOptions
) -> tuple[str | None, Agreement | None]:
    """Client: check a 101 response (RFC 6455, 4.1); the subprotocol and extension agreed on.

    Raises:
        ValueError: it is no valid answer to our request; the message says why.
    """
    fields = response.headers.fields()
    if not _has_token(fields, "connection", "upgrade"):
        raise ValueError("the response's Connection header does not name 'Upgrade'")
    if [token.lower() for token in tokens(fields.get("upgrade", ()))] != ["websocket"]:
        raise ValueError("the response's Upgrade header is not 'websocket'")
    if fields.get("sec-websocket-accept") != [_accept_key(key).decode("ascii")]:
        raise ValueError("Sec-WebSocket-Accept does not answer our key")
    subprotocols = fields.get("sec-websocket-protocol", [])
    if len(subprotocols) > 1 or any(name not in options.subprotocols for name in subprotocols):
        raise ValueError("the server chose a subprotocol that was not offered")
    accepted = parse_extensions(fields.get("sec-websocket-extensions", ()))
    return (subprotocols[0] if subprotocols else None), confirm(accepted, options.deflate)
