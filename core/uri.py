"""What a WebSocket URI says (RFC 6455, section 3), and what a redirect means for the next attempt.

Nothing here resolves a name or connects. Errors never print a password or a query, which may hold a
token.
"""

import base64
import ipaddress
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urljoin

import msgspec

from .errors import LocalProtocolError, WebSocketException

__all__ = [
    "URI",
    "Authority",
    "InvalidURI",
    "authority_of",
    "basic_auth",
    "bracketed",
    "keeps_credentials",
    "may_follow",
    "parse_uri",
    "redirect_target",
]

_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}
"""RFC 6455, section 3."""

_SHOWN: Final = 200
"""Characters of a URI that an error shows."""

_MAX_HOST: Final = 253
"""The longest DNS name."""


class InvalidURI(WebSocketException, ValueError):
    """A URI cannot be used. The message names the part that is wrong and says what would be right.

    Args:
        uri: the whole of it; the user, the password and the query are left out of the message.
        why: which part, and what to do.
    """

    def __init__(self, uri: str, why: str) -> None:
        shown = _redacted(uri)
        super().__init__(f"{shown!r}: {why}")
        self.uri = shown
        """The URI as the message shows it."""
        self.why = why

    def __reduce__(self) -> tuple[type["InvalidURI"], tuple[str, str]]:
        return type(self), (self.uri, self.why)


_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def _redacted(uri: str) -> str:
    """`uri` without what may be secret, however malformed it is."""
    start, at, end = uri.rpartition("@")
    if at:
        # A password may hold any character by mistake, so all up to the last "@" may belong to it.
        scheme = _SCHEME.match(start)
        uri = f"{scheme[0] if scheme else ''}***@{end}"
    path, mark, _ = uri.partition("?")
    shown = f"{path}{mark}{'…' if mark else ''}"
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"


class URI(msgspec.Struct, frozen=True):
    """A WebSocket URI, checked and taken apart."""

    secure: bool
    """Whether the scheme is wss."""
    host: str
    """In lower case and ASCII; an IPv6 address without brackets."""
    port: int
    """1 to 65535; the scheme's own, 80 or 443, where the URI names none."""
    target: str
    """Path and query, percent-encoded. The query may hold a token, so don't log it whole."""
    user: str | None = None
    """Decoded; holds no colon. None where the URI names nobody."""
    password: str | None = None
    """Decoded; None where the URI holds none."""

    @property
    def scheme(self) -> str:
        """`ws` or `wss`."""
        return "wss" if self.secure else "ws"

    @property
    def host_header(self) -> str:
        """The Host header: the port only if it is not the default one (RFC 9110, 7.2)."""
        host = bracketed(self.host)
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __repr__(self) -> str:
        path, query, _ = self.target.partition("?")
        return f"URI({self.scheme}://{self.host_header}{path}{query}{'…' if query else ''})"


class Authority(msgspec.Struct, frozen=True):
    """The parts of a URI up to its path; `rest` is what follows."""

    scheme: str
    host: str
    port: int
    user: str | None
    password: str | None
    rest: str

    def __repr__(self) -> str:
        return f"Authority({self.scheme}://{bracketed(self.host)}:{self.port})"


def bracketed(host: str) -> str:
    """`host` as it stands before a port: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def parse_uri(uri: str) -> URI:
    """Read a ws:// or wss:// URI.

    A host beyond ASCII is written in IDNA; in path and query, characters that a URI cannot hold are
    percent-encoded as UTF-8 (RFC 3987, 3.1). What is percent-encoded already stays as it is.

    Raises:
        InvalidURI: another scheme, a fragment (RFC 6455, section 3), or a part that is malformed.
    """
    parts = authority_of(uri, _DEFAULT_PORTS)
    if "#" in parts.rest:
        raise InvalidURI(
            uri, "a WebSocket URI has no fragment: leave it out, or write '#' as %23 (RFC 6455, 3)"
        )
    path, _, query = parts.rest.partition("?")
    target = quote(path or "/", safe=_KEPT)
    if query:
        target += "?" + quote(query, safe=_KEPT)
    return URI(parts.scheme == "wss", parts.host, parts.port, target, parts.user, parts.password)


_KEPT: Final = "!$%&'()*+,/:;=?@[]"
"""What `quote` leaves alone besides letters, digits and `-._~` (RFC 3986, 2.2, without '#')."""

_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)")
"""RFC 3986, appendix B, where the authority is needed."""

_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
"""Others read a backslash as a slash and skip a line break, so that they see another host than we."""


def authority_of(uri: str, ports: Mapping[str, int]) -> Authority:
    """The scheme, host, port and user of a URI (RFC 3986, 3.2).

    Args:
        uri: the whole of it.
        ports: the schemes that are allowed, each with its default port.

    Raises:
        InvalidURI: one of these parts is malformed, or a character stands in no URI.
    """
    _check_characters(uri)
    match = _URI.fullmatch(uri)
    schemes = " or ".join(f"{scheme}://" for scheme in ports)
    if match is None or match[1].lower() not in ports:
        raise InvalidURI(uri, f"the scheme must be {schemes}")
    scheme, authority, rest = match[1].lower(), match[2], match[3]
    userinfo, at, place = authority.rpartition("@")
    user, password = _user(uri, userinfo) if at and userinfo else (None, None)
    host, port = _host_and_port(uri, place)
    return Authority(
        scheme, _host(uri, host), _port(uri, port) or ports[scheme], user, password, rest
    )


def _check_characters(uri: str) -> None:
    found = _FORBIDDEN.search(uri)
    if found is not None:
        code = ord(found[0])
        fix = f"write it as %{code:02X}" if code < 0x80 else "leave it out"
        raise InvalidURI(uri, f"the character {found[0]!a} cannot stand in a URI: {fix}")


_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")


def _user(uri: str, userinfo: str) -> tuple[str, str | None]:
    """The user and password, decoded, as far as Basic authentication can carry them (RFC 7617, 2)."""
    name, colon, secret = userinfo.partition(":")
    if "@" in userinfo:
        raise InvalidURI(uri, "the user or password holds a '@': write it as %40")
    if _STRAY_PERCENT.search(userinfo):
        raise InvalidURI(
            uri, "the user or password holds a '%' without two hexadecimal digits: write it as %25"
        )
    try:
        user = unquote_to_bytes(name).decode()
        password = unquote_to_bytes(secret).decode() if colon else None
    except UnicodeDecodeError:
        why = "the user or password is not UTF-8: percent-encode its UTF-8 bytes"
        raise InvalidURI(uri, why) from None  # the cause would show the bytes
    if ":" in user:
        raise InvalidURI(uri, "the user holds a colon, which Basic authentication cannot carry")
    if _CONTROLS.search(user + (password or "")):
        raise InvalidURI(uri, "the user or password holds a control character: leave it out")
    return user, password


_BRACKETS: Final = re.compile(r"(\[[^\]]*\])(?::(.*))?")


def _host_and_port(uri: str, place: str) -> tuple[str, str]:
    if place.startswith("["):
        match = _BRACKETS.fullmatch(place)
        if match is None:
            raise InvalidURI(uri, "the host must be written [address] or [address]:port")
        return match[1], match[2] or ""
    host, _, port = place.partition(":")
    if ":" in port:
        raise InvalidURI(uri, "the host holds a colon: put an IPv6 address in brackets")
    return host, port


_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
"""Labels of a DNS name, with the underscore that some local names have."""


def _host(uri: str, host: str) -> str:
    if not host:
        raise InvalidURI(uri, "the host is missing: write it behind '//'")
    if host.startswith("["):
        try:
            address = ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise InvalidURI(uri, "the host in brackets must be an IPv6 address") from None
        if address.scope_id is not None:
            raise InvalidURI(uri, "the host holds an IPv6 zone, which a URI cannot: leave it out")
        return str(address)
    # Checked before IDNA too, which takes quadratic time for a long name.
    if len(host) <= _MAX_HOST + 1:
        try:
            name = host if host.isascii() else host.encode("idna").decode("ascii")
        except UnicodeError:
            raise InvalidURI(uri, "the host is no name that IDNA can write") from None
        # IDNA turns some characters into "/", ":" or "@": what comes of it is checked, too.
        name = name.lower()
        if _NAME.fullmatch(name) and len(name.removesuffix(".")) <= _MAX_HOST:
            return name
    raise InvalidURI(
        uri,
        "the host must be a name of at most 253 letters, digits, '-' and '_', "
        "in parts of 1 to 63 with a '.' between them",
    )


_PORT: Final = re.compile(r"0*([0-9]{0,5})")


def _port(uri: str, port: str) -> int | None:
    """The number, or None for the default; ":" without a number is that too (RFC 3986, 3.2.3)."""
    if not port:
        return None
    match = _PORT.fullmatch(port)
    # Not quoted: behind "user:" without an "@" stands a password.
    if match is None or not 1 <= int(match[1] or "0") <= 65535:
        raise InvalidURI(uri, "the port must be a number from 1 to 65535")
    return int(match[1])


def basic_auth(user: str, password: str | None) -> str:
    """The value of an Authorization or Proxy-Authorization header (RFC 7617, 2), in UTF-8.

    Raises:
        LocalProtocolError: the user holds a colon, or one of both a control character.
    """
    if ":" in user:
        raise LocalProtocolError("user: holds a colon, which Basic authentication cannot carry")
    pair = f"{user}:{password or ''}"
    if _CONTROLS.search(pair):
        raise LocalProtocolError("user or password: holds a control character: leave it out")
    try:
        encoded = pair.encode()
    except UnicodeEncodeError:
        raise LocalProtocolError("user or password: holds a lone surrogate: leave it out") from None
    return "Basic " + base64.b64encode(encoded).decode("ascii")


# ---------------------------------------------------------------- redirects


_HTTP: Final = re.compile(r"http(?=s?:)", re.IGNORECASE)
_BYTES: Final = re.compile(r"[\x80-\xff]")


def redirect_target(uri: str, location: str) -> str:
    """The URI that a redirect leads to (RFC 9110, 10.2.2), for the next attempt.

    A relative Location is resolved (RFC 3986, 5.2). http and https mean ws and wss, since what was
    redirected is an HTTP request. A fragment is dropped. The user and password of `uri` stay where the
    origin does; those of `location` are dropped, because a server does not choose as whom we log in.

    Whether to go there is asked of `may_follow`; how often, is the caller's to bound.

    Args:
        uri: where the attempt went.
        location: the header's value, each byte beyond ASCII as one character, as `Headers` has it.

    Raises:
        InvalidURI: `uri` is none, or `location` leads to none.
    """
    old = parse_uri(uri)
    try:
        new = _resolve(old, location)
    except InvalidURI as error:
        why = f"this Location header cannot be followed: {error.why}"
        raise InvalidURI(location, why) from None
    user = ""
    if old.user is not None and keeps_credentials(old, new):
        password = "" if old.password is None else ":" + quote(old.password, safe="")
        user = f"{quote(old.user, safe='')}{password}@"
    return f"{new.scheme}://{user}{new.host_header}{new.target}"


def _resolve(old: URI, location: str) -> URI:
    # `urljoin` drops what it does not expect, so that is refused first.
    _check_characters(location)
    reference = _BYTES.sub(lambda byte: f"%{ord(byte[0]):02X}", location.partition("#")[0])
    if not reference:
        raise InvalidURI(location, "it names no other place")
    if _HTTP.match(reference):
        reference = "ws" + reference[4:]
    if _SCHEME.match(reference):
        return parse_uri(reference)
    if reference.startswith("//"):
        return parse_uri(f"{old.scheme}:{reference}")
    return parse_uri(urljoin(f"{old.scheme}://{old.host_header}{old.target}", reference))


def may_follow(old: URI, new: URI) -> None:
    """Whether a redirect from `old` to `new` may be followed.

    Raises:
        InvalidURI: it leads from wss to ws. What was sent under TLS would be sent in the clear.
    """
    if old.secure and not new.secure:
        raise InvalidURI(
            f"ws://{new.host_header}{new.target}",
            "a redirect from wss:// to ws:// is not followed: connect to ws:// yourself if you "
            "mean it, or have the server redirect to wss://",
        )


def keeps_credentials(old: URI, new: URI) -> bool:
    """Whether Authorization, Cookie and the URI's user may go along from `old` to `new`.

    Only to the same origin: scheme, host and port (RFC 6454, section 5).
    """
    return (old.secure, old.host, old.port) == (new.secure, new.host, new.port)
