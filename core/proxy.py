"""A tunnel through an HTTP proxy (CONNECT; RFC 9110, 9.3.6): bytes in, a verdict out.

RFC 6455, 4.1 asks for it where a client is set up to use a proxy. Which proxy that is, and TLS to it
or through it, are the adapter's part.
"""

import re
from typing import Final

import h11
import msgspec

from .errors import LocalProtocolError
from .http import BadMessage, Response, encode_headers
from .http_parser import ResponseReader
from .limits import Limits
from .uri import InvalidURI, authority_of, basic_auth, bracketed

__all__ = ["InvalidProxy", "Proxy", "ProxyTunnel", "TunnelOpen", "TunnelRefused", "parse_proxy"]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
"""RFC 9110, 4.2."""


class Proxy(msgspec.Struct, frozen=True):
    """Where a proxy is, and who we are to it."""

    secure: bool
    """Whether TLS is spoken to the proxy itself."""
    host: str
    """In lower case and ASCII; an IPv6 address without brackets."""
    port: int
    """1 to 65535; 80 or 443 where the URL names none."""
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Proxy({'https' if self.secure else 'http'}://{bracketed(self.host)}:{self.port})"


class InvalidProxy(InvalidURI):
    """A proxy's URL that cannot be used; it shows no password either."""


def parse_proxy(url: str) -> Proxy:
    """Read a proxy's http:// or https:// URL.

    Raises:
        InvalidProxy: another scheme, a path, a query, a fragment, or a part that is malformed.
    """
    try:
        parts = authority_of(url, _DEFAULT_PORTS)
    except InvalidURI as error:
        raise InvalidProxy(url, error.why) from None
    if parts.rest not in ("", "/"):
        raise InvalidProxy(url, "a proxy has no path, query or fragment: end behind the port")
    return Proxy(parts.scheme == "https", parts.host, parts.port, parts.user, parts.password)


class TunnelOpen(msgspec.Struct, frozen=True):
    """The proxy connected us."""

    rest: bytes
    """Bytes that came behind the response. They are the first of the tunnel."""


class TunnelRefused(msgspec.Struct, frozen=True):
    """There is no tunnel: close the connection to the proxy."""

    cause: str
    """What happened. It quotes nothing of the proxy's, so it is safe to log."""
    response: Response | None = None
    """The proxy's, if it could be read; of its body at most `max_body` bytes."""


class _ConnectReader(ResponseReader):
    """One CONNECT and the response to it."""

    __slots__ = ()

    def encode_connect(self, authority: str, headers: list[tuple[str, str]]) -> bytes:
        """The request for the wire; `authority` is checked by the caller."""
        encode_headers(headers)
        return self._parser.send(h11.Request(method="CONNECT", target=authority, headers=headers))

    def _receive_body(self, data: bytes) -> tuple[Response, bytes] | None:
        if self._final is not None and 200 <= self._final.status_code <= 299:
            # No body, whatever the headers say: the tunnel begins behind the blank line.
            return self._refusal(), data
        return super()._receive_body(data)


_AUTHORITY: Final = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]+")


class ProxyTunnel:
    """Asks a proxy for a tunnel, and reads its answer. Lives until the answer.

    Args:
        host: where the tunnel leads, a name in ASCII or an IP address, without brackets.
        port: 1 to 65535.
        user: for the proxy, sent at once with Basic authentication (RFC 7617). None sends nothing.
        password: the user's; None is sent as an empty one.
        user_agent: sent to the proxy, if there is one.
        limits: `max_handshake_size` and `max_headers` bound each head, `max_body` a refusal's body.

    Raises:
        LocalProtocolError: an argument cannot be sent.
    """

    __slots__ = ("_decided", "_reader", "_request")

    def __init__(
        self,
        host: str,
        port: int,
        *,
        user: str | None = None,
        password: str | None = None,
        user_agent: str | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        if not 1 <= port <= 65535:
            raise LocalProtocolError(f"port={port!r}: must be from 1 to 65535")
        authority = f"{bracketed(host)}:{port}"
        if not _AUTHORITY.fullmatch(authority):
            raise LocalProtocolError(
                f"host={host!r}: must be a name in ASCII or an IP address without brackets"
            )
        headers = [("Host", authority)]
        if user_agent is not None:
            headers.append(("User-Agent", user_agent))
        if user is not None:
            headers.append(("Proxy-Authorization", basic_auth(user, password)))
        elif password is not None:
            raise LocalProtocolError("password: needs a user")
        self._decided = False
        self._reader = _ConnectReader(limits)
        self._request = self._reader.encode_connect(authority, headers)

    def request(self) -> bytes:
        """The request for the wire. Send it once, and nothing more before `TunnelOpen`."""
        return self._request

    def receive(self, data: bytes) -> TunnelOpen | TunnelRefused | None:
        """What the proxy's answer means, or None while more is needed.

        Raises:
            LocalProtocolError: the verdict was given before: the bytes belong to the tunnel.
        """
        if self._decided:
            raise LocalProtocolError("the proxy has answered: these bytes are the tunnel's")
        try:
            complete = self._reader.receive(data)
        except BadMessage as error:
            self._decided = True
            return TunnelRefused(f"the proxy's answer is not valid: {error}")
        if complete is None:
            return None
        self._decided = True
        response, rest = complete
        if 200 <= response.status <= 299:
            return TunnelOpen(rest)
        return _refused(response)

    def receive_eof(self) -> TunnelRefused | None:
        """At the end of the stream: the refusal, or None if the verdict was given before."""
        if self._decided:
            return None
        self._decided = True
        response = self._reader.receive_eof()
        if response is None:
            return TunnelRefused("the proxy ended the stream before it answered")
        return _refused(response)


def _refused(response: Response) -> TunnelRefused:
    if response.status == 407:
        cause = "the proxy wants a user and password, or others than these (407)"
    else:
        cause = f"the proxy refused the tunnel with status {response.status}"
    return TunnelRefused(cause, response)
