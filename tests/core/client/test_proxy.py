"""Tunnels through an HTTP proxy: the request, answers good and bad, and a proxy's URL."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core import Limits, LocalProtocolError
from hubbub.core.proxy import Proxy, ProxyTunnel, TunnelOpen, TunnelRefused, parse_proxy
from hubbub.core.uri import InvalidURI
from support.wire import head, pieces

OK = head("HTTP/1.1 200 Connection established", [])
CUTS = [(10**6,), (1,), (7, 50)]


def fed(tunnel: ProxyTunnel, data: bytes, *sizes: int) -> TunnelOpen | TunnelRefused | None:
    """The verdict, with the bytes that were given behind it added to the tunnel's."""
    verdict: TunnelOpen | TunnelRefused | None = None
    for piece in pieces(data, *sizes):
        if isinstance(verdict, TunnelOpen):
            verdict = TunnelOpen(verdict.rest + piece)
        elif verdict is None:
            verdict = tunnel.receive(piece)
    return verdict


# The request.


def test_the_request_is_a_connect() -> None:
    """The request names the place twice, with its port, and is the same however often it is read."""
    tunnel = ProxyTunnel("example.com", 443)
    assert tunnel.request() == b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"
    assert tunnel.request() == tunnel.request()


def test_the_request_with_everything() -> None:
    """An IPv6 address stands in brackets; the user and the agent are told to the proxy."""
    tunnel = ProxyTunnel(
        "2001:db8::1", 80, user="Aladdin", password="open sesame", user_agent="x/1"
    )
    assert tunnel.request() == head(
        "CONNECT [2001:db8::1]:80 HTTP/1.1",
        [
            ("Host", "[2001:db8::1]:80"),
            ("User-Agent", "x/1"),
            ("Proxy-Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ],
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"host": "a b"},
        {"host": "a\r\nX: y"},
        {"host": "a/b"},
        {"host": "a@b"},
        {"host": "é"},
        {"host": "[::1]"},
        {"port": 0},
        {"port": 65536},
        {"user": "a:b"},
        {"user": "a\n"},
        {"password": "SECRET"},
        {"user": "a", "password": "SECRET\n"},
        {"user_agent": "a\r\nX: y"},
    ],
    ids=repr,
)
def test_a_request_that_cannot_be_written(wrong: dict[str, Any]) -> None:
    """A wrong argument raises when the tunnel is made, and the error shows no password."""
    with pytest.raises(LocalProtocolError) as caught:
        ProxyTunnel(**{"host": "example.com", "port": 443, **wrong})
    assert "SECRET" not in str(caught.value)


# Answers that open.


@pytest.mark.parametrize("sizes", CUTS)
@pytest.mark.parametrize("rest", [b"", b"\x16\x03\x01", b"HTTP/1.1 101 X\r\n\r\n", bytes(100_000)])
@pytest.mark.parametrize(
    "data",
    [
        OK,
        head("HTTP/1.0 200 Connection established", [("Proxy-agent", "x")]),
        head("HTTP/1.1 200", []),
        head("HTTP/1.1 204 No Content", []),
        head("HTTP/1.1 299 Odd", [("Content-Length", "5")]),
        head("HTTP/1.1 200 OK", [("Transfer-Encoding", "chunked")]),
        head("HTTP/1.1 200 OK", [("Connection", "close")]),
        head("HTTP/1.1 100 Continue", []) + OK,
    ],
    ids=["plain", "1.0", "no reason", "204", "length", "chunked", "close", "100"],
)
def test_a_2xx_opens(data: bytes, rest: bytes, sizes: tuple[int, ...]) -> None:
    """Any 2xx opens, and all behind its blank line is the tunnel's (RFC 9110, 9.3.6)."""
    if len(rest) > 1000 and sizes == (1,):
        sizes = (1000,)
    assert fed(ProxyTunnel("example.com", 443), data + rest, *sizes) == TunnelOpen(rest)


# Answers that refuse.


@pytest.mark.parametrize("sizes", CUTS)
@pytest.mark.parametrize("status", [302, 403, 407, 502])
def test_a_refusal_is_told_whole(status: int, sizes: tuple[int, ...]) -> None:
    """Another status is a refusal with the response and its body, and the cause names it."""
    data = head(f"HTTP/1.1 {status} No", [("Content-Length", "4"), ("X", "1")]) + b"busy"
    verdict = fed(ProxyTunnel("example.com", 443), data, *sizes)
    assert isinstance(verdict, TunnelRefused)
    assert verdict.response is not None
    assert (verdict.response.status, verdict.response.body) == (status, b"busy")
    assert verdict.response.headers["x"] == "1"
    assert str(status) in verdict.cause


@pytest.mark.parametrize("sizes", CUTS)
@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"\x15\x03\x01\x00\x02\x02\x46", "not an HTTP/1.1 message"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "malformed"),
        (head("HTTP/1.1 20 OK", []), "malformed"),
        (head("HTTP/1.1 101 Switching", [("Upgrade", "SECRET")]), "malformed"),
        (head("HTTP/1.1 200 OK", [("X-A", "1\nX-B: SECRET")]), "Lines must end"),
        (head("HTTP/1.1 200 OK", [("X", "1")] * 101), "More than 100"),
        (head("HTTP/1.1 200 OK", [("X", "S" * 16384)]), "longer than 16384"),
        (b"HTTP/1.1 200 " + b"x" * 100_000, "longer than 16384"),
        (head("HTTP/1.1 100 Continue", []) * 17, "interim"),
    ],
    ids=["tls", "ssh", "20", "101", "lf", "lines", "long", "endless", "interim"],
)
def test_a_malformed_answer_is_a_refusal(data: bytes, cause: str, sizes: tuple[int, ...]) -> None:
    """What is no HTTP, or too long, is a refusal without a response; the cause quotes nothing."""
    verdict = fed(ProxyTunnel("example.com", 443), data, *sizes)
    assert isinstance(verdict, TunnelRefused)
    assert verdict.response is None
    assert cause in verdict.cause
    assert "SECRET" not in verdict.cause


def test_a_long_body_is_cut_off() -> None:
    """Of a refusal's body `max_body` bytes are kept; the rest is not waited for."""
    tunnel = ProxyTunnel("example.com", 443, limits=Limits(max_body=50))
    verdict = tunnel.receive(head("HTTP/1.1 503 Busy", []) + b"x" * 1000)
    assert isinstance(verdict, TunnelRefused)
    assert verdict.response is not None
    assert verdict.response.body == b"x" * 50


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", None),
        (OK[:-1], None),
        (head("HTTP/1.1 100 Continue", []), None),
        (head("HTTP/1.1 502 Bad", [("Content-Length", "9")]) + b"part", 502),
        (head("HTTP/1.1 502 Bad", []) + b"part", 502),
    ],
    ids=["nothing", "cut head", "interim", "cut body", "body to the end"],
)
def test_the_end_of_the_stream(data: bytes, status: int | None) -> None:
    """A stream that ends before the verdict is a refusal, with the response as far as it came."""
    tunnel = ProxyTunnel("example.com", 443)
    assert fed(tunnel, data, 10**6) is None
    verdict = tunnel.receive_eof()
    assert isinstance(verdict, TunnelRefused)
    assert (verdict.response.status if verdict.response else None) == status
    assert verdict.response is None or verdict.response.body == b"part"


@pytest.mark.parametrize("data", [OK, b"\x16", head("HTTP/1.1 407 No", [("Content-Length", "0")])])
def test_there_is_one_verdict(data: bytes) -> None:
    """After the verdict, bytes raise, since they are not the proxy's, and the end says nothing."""
    tunnel = ProxyTunnel("example.com", 443)
    assert tunnel.receive(data) is not None
    with pytest.raises(LocalProtocolError, match="tunnel's"):
        tunnel.receive(b"x")
    assert tunnel.receive_eof() is None


@given(
    st.lists(
        st.sampled_from([OK, OK[:-2], b"\r\n", b"HTTP/1.1 403 No\r\n", b"Content-Length: 3\r\n"])
        | st.binary(max_size=20),
        max_size=6,
    ).map(b"".join),
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
)
def test_no_answer_raises_and_cuts_do_not_matter(data: bytes, sizes: list[int]) -> None:
    """Whatever a proxy sends gives the same verdict whole and in pieces, and raises nothing."""
    verdicts: list[tuple[object, object]] = []
    for cut in ([10**6], sizes):
        tunnel = ProxyTunnel("example.com", 443)
        verdict = fed(tunnel, data, *cut)
        verdicts.append((seen(verdict), seen(tunnel.receive_eof())))
    assert verdicts[0] == verdicts[1]


def seen(verdict: TunnelOpen | TunnelRefused | None) -> object:
    """What tells one verdict from another."""
    if not isinstance(verdict, TunnelRefused) or verdict.response is None:
        return verdict
    return verdict.cause, verdict.response.headers.lines, verdict.response.body


# A proxy's URL.


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.example", Proxy(False, "proxy.example", 80)),
        ("HTTP://Proxy.example:3128/", Proxy(False, "proxy.example", 3128)),
        ("https://proxy.example", Proxy(True, "proxy.example", 443)),
        ("http://u:p%40@[::1]:8080", Proxy(False, "::1", 8080, "u", "p@")),
        ("http://u@a.example", Proxy(False, "a.example", 80, "u")),
    ],
)
def test_a_proxy_is_read(url: str, expected: Proxy) -> None:
    """A proxy's URL is a scheme, a host, and perhaps a port and a user."""
    assert parse_proxy(url) == expected


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("socks5://user:SECRET@a.example", "scheme must be http:// or https://"),
        ("proxy.example:3128", "scheme"),
        ("ws://a", "scheme"),
        ("http://", "host"),
        ("http://user:SECRET@a.example:0", "port"),
        ("http://user:SECRET@a.example/x", "no path"),
        ("http://a.example/?x=SECRET", "no path, query"),
        ("http://a.example/#x", "fragment"),
    ],
)
def test_a_wrong_proxy_is_told(url: str, why: str) -> None:
    """Any other URL raises an error that names the part and shows no password."""
    with pytest.raises(InvalidURI, match=why) as caught:
        parse_proxy(url)
    assert "SECRET" not in str(caught.value)


def test_a_proxy_shows_no_secret() -> None:
    """The repr of a proxy leaves the user and the password out."""
    assert repr(parse_proxy("https://user:SECRET@a.example")) == "Proxy(https://a.example:443)"
