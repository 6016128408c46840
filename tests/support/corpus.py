"""Odd requests and offers of extensions, each with what a server must make of it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from support.wire import HOST, KEY, frame, request

Plain = Literal["accepts", "raises", "refuses"]


class OddRequest(NamedTuple):
    """One request."""

    name: str
    data: bytes
    status: int
    """What it is answered with."""
    plain: Plain | None = None
    """What plain wsproto does wrongly: let it in, raise outside its own errors, or keep it out."""


class OddOffer(NamedTuple):
    """One `Sec-WebSocket-Extensions`, several lines apart by a line feed."""

    name: str
    offer: str
    accepted: str | None
    """The response's header, with the default `Deflate`; None without one."""
    status: int = 101
    plain: Literal["raises", "accepts"] | None = None
    """What plain wsproto does wrongly: raise in the accept path, or agree to what it must decline."""


def _long_head(size: int) -> bytes:
    """A request whose head has exactly `size` bytes."""
    empty = len(request(("X-Fill", "")))
    return request(("X-Fill", "x" * (size - empty)))


def _with_lines(count: int) -> bytes:
    """A request of `count` header lines."""
    return request(*[(f"X-{i}", "1") for i in range(count - 5)])


_UPGRADE_TWICE = request(
    ("Connection", "Upgrade"), ("Connection", "keep-alive"), without=("Connection",)
)
_TWO_VERSIONS = (("Sec-WebSocket-Version", "8"), ("Sec-WebSocket-Version", "13"))

REQUESTS: tuple[OddRequest, ...] = (
    OddRequest("usual", request(), 101),
    # Host.
    OddRequest("no host", request(without=("Host",)), 400),
    OddRequest("two hosts", request(("Host", HOST)), 400),
    OddRequest("empty host", request(host=""), 400, "accepts"),
    OddRequest("host not ASCII", request(host="ex\xe4mple.com"), 400, "raises"),
    OddRequest(
        "host in UTF-8", request(host="exämple.com".encode().decode("latin-1")), 400, "raises"
    ),
    OddRequest("host of bad IDNA", request(host="xn--a\x80"), 400, "raises"),
    # Nobody here decodes it, so it is a name like any other.
    OddRequest("host that does not decode", request(host="xn--0000000000"), 101, "raises"),
    OddRequest("host with a label of 64", request(host="a" * 64 + ".com"), 101),
    OddRequest("host with a user", request(host=f"user@{HOST}"), 400, "accepts"),
    OddRequest("host with a space", request(host="a b"), 400, "accepts"),
    OddRequest("host with a path", request(host=f"{HOST}/x"), 400, "accepts"),
    OddRequest("host of IPv6 and a port", request(host="[::1]:8765"), 101),
    OddRequest("host of 255 bytes", request(host="a." * 127 + "a"), 101),
    OddRequest("host of 256 bytes", request(host="a." * 128), 400, "accepts"),
    OddRequest("host of 14,000 bytes", request(host="a." * 7000), 400, "accepts"),
    # Connection and Upgrade.
    OddRequest("no connection", request(without=("Connection",)), 400),
    OddRequest("connection keep-alive", request(connection="keep-alive"), 400),
    OddRequest("connection keep-alive, Upgrade", request(connection="keep-alive, Upgrade"), 101),
    OddRequest("connection on two lines", _UPGRADE_TWICE, 101, "refuses"),
    OddRequest("connection not ASCII", request(connection="\xfcpgrade"), 400, "raises"),
    OddRequest("connection partly ASCII", request(connection="Upgrade, \xff"), 101, "raises"),
    OddRequest("no upgrade", request(without=("Upgrade",)), 400),
    OddRequest("upgrade in capitals", request(upgrade="WEBSOCKET"), 101),
    OddRequest("upgrade to one of two", request(upgrade="websocket, h2c"), 101, "refuses"),
    OddRequest("upgrade to something else", request(upgrade="h2c"), 400),
    OddRequest("upgrade to a version", request(upgrade="websocket/13"), 400),
    OddRequest("no upgrade and no key", request(without=("Upgrade", "Sec-WebSocket-Key")), 426),
    # Version.
    OddRequest("no version", request(without=("Sec-WebSocket-Version",)), 426),
    OddRequest("version 8", request(sec_websocket_version="8"), 426),
    OddRequest("version 013", request(sec_websocket_version="013"), 426),
    OddRequest("version list", request(sec_websocket_version="13, 8"), 426),
    OddRequest(
        "version 8 then 13",
        request(*_TWO_VERSIONS, without=("Sec-WebSocket-Version",)),
        426,
        "accepts",
    ),
    OddRequest("version 13 twice", request(("Sec-WebSocket-Version", "13")), 426, "accepts"),
    # Key.
    OddRequest("no key", request(without=("Sec-WebSocket-Key",)), 400),
    OddRequest("empty key", request(sec_websocket_key=""), 400, "accepts"),
    OddRequest("short key", request(sec_websocket_key="abc"), 400, "accepts"),
    OddRequest("key of 12 bytes", request(sec_websocket_key="MTIzNDU2Nzg5MDEy"), 400, "accepts"),
    OddRequest("key of 18 bytes", request(sec_websocket_key="A" * 24), 400, "accepts"),
    OddRequest("key not base64", request(sec_websocket_key="!" * 22 + "=="), 400, "accepts"),
    OddRequest(
        "key with a space", request(sec_websocket_key=KEY[:10] + " " + KEY[11:]), 400, "accepts"
    ),
    OddRequest("key not ASCII", request(sec_websocket_key=KEY[:21] + "\xe9=="), 400, "accepts"),
    OddRequest("key of 10 kB", request(sec_websocket_key="A" * 10000), 400, "accepts"),
    OddRequest("two keys", request(("Sec-WebSocket-Key", "A" * 22 + "==")), 400, "accepts"),
    OddRequest("the same key twice", request(("Sec-WebSocket-Key", KEY)), 400, "accepts"),
    # The request line.
    OddRequest("HTTP/1.0", request(version="1.0"), 400, "accepts"),
    OddRequest("HTTP/1.2", request(version="1.2"), 505, "accepts"),
    OddRequest("HTTP/2.0", request(version="2.0"), 505, "accepts"),
    OddRequest("POST", request(method="POST"), 405),
    OddRequest("HEAD", request(method="HEAD"), 405),
    OddRequest("method in small letters", request(method="get"), 400),
    OddRequest("absolute form", request(target=f"http://{HOST}/"), 400, "accepts"),
    OddRequest("target *", request(target="*"), 400, "accepts"),
    OddRequest("target host:port", request(target=f"{HOST}:443"), 400, "accepts"),
    # Odd, and an absolute path all the same (RFC 9112, 3.2.1).
    OddRequest("target //", request(target="//evil.example/"), 101),
    OddRequest("no target", request(target=""), 400),
    OddRequest("target with a fragment", request(target="/#x"), 400, "accepts"),
    OddRequest("target with a space", request(target="/a b"), 400),
    OddRequest("target not ASCII", request(target="/\xe9"), 400),
    OddRequest("target of 8,000 characters", request(target="/" + "x" * 7999), 101),
    # Lines.
    OddRequest("folded line", request(("X-Long", "one\r\n two")), 400, "accepts"),
    OddRequest("folded with a tab", request(("X-Long", "one\r\n\ttwo")), 400, "accepts"),
    OddRequest("LF only", request().replace(b"\r\n", b"\n") + b"\r\n\r\n", 400, "accepts"),
    OddRequest("one LF", request(("X-A", "1\nX-B: 2")), 400, "accepts"),
    OddRequest("bare CR", request(("X-A", "1\r2")), 400),
    OddRequest("NUL", request(("X-A", "1\0002")), 400),
    OddRequest("space before the colon", request(("X-A ", "1")), 400),
    OddRequest("no colon", request().replace(b"Host: ", b"Host "), 400),
    OddRequest("no name", request(("", "1")), 400),
    OddRequest("blank line first", b"\r\n" + request(), 400),
    # Origin.
    OddRequest("own origin", request(("Origin", f"https://{HOST}")), 101),
    OddRequest("other origin", request(("Origin", "https://evil.example")), 403, "accepts"),
    OddRequest("origin null", request(("Origin", "null")), 403, "accepts"),
    OddRequest("origin not ASCII", request(("Origin", "https://\xe9")), 403, "accepts"),
    OddRequest(
        "two origins", request(("Origin", f"https://{HOST}"), ("Origin", "null")), 400, "accepts"
    ),
    # Bodies.
    OddRequest("body of 5", request(("Content-Length", "5")) + b"hello", 400, "accepts"),
    OddRequest("body of 5 to come", request(("Content-Length", "5")), 400, "accepts"),
    OddRequest("body of 0", request(("Content-Length", "0")), 101),
    OddRequest("bodies of 0 and 0", request(*[("Content-Length", "0")] * 2), 101),
    OddRequest("bodies of 0 and 5", request(("Content-Length", "0"), ("Content-Length", "5")), 400),
    OddRequest("body of -1", request(("Content-Length", "-1")), 400),
    OddRequest("body of +5", request(("Content-Length", "+5")), 400),
    OddRequest("body of 5,000 digits", request(("Content-Length", "1" * 5000)), 400),
    OddRequest(
        "chunked body", request(("Transfer-Encoding", "chunked")) + b"0\r\n\r\n", 400, "accepts"
    ),
    OddRequest(
        "chunked body and a length",
        request(("Transfer-Encoding", "chunked"), ("Content-Length", "0")),
        400,
        "accepts",
    ),
    OddRequest("unknown coding", request(("Transfer-Encoding", "gzip")), 501),
    OddRequest("early frame", request() + frame(1, b"hi"), 101),
    # Size.
    OddRequest("head of 16,384 bytes", _long_head(16384), 101),
    OddRequest("head of 16,385 bytes", _long_head(16385), 431, "accepts"),
    OddRequest("head of 10 MB", _long_head(10_000_000), 431, "accepts"),
    OddRequest("100 lines", _with_lines(100), 101),
    OddRequest("101 lines", _with_lines(101), 431, "accepts"),
    OddRequest("5,004 lines", _with_lines(5004), 431, "accepts"),
    # Subprotocols and extensions.
    OddRequest("subprotocols", request(("Sec-WebSocket-Protocol", "chat, superchat")), 101),
    OddRequest("subprotocol twice", request(("Sec-WebSocket-Protocol", "a, a")), 400, "accepts"),
    OddRequest("subprotocol no token", request(("Sec-WebSocket-Protocol", "a b")), 400, "accepts"),
    OddRequest("subprotocol not ASCII", request(("Sec-WebSocket-Protocol", "\xe9")), 400, "raises"),
    OddRequest("extension not ASCII", request(("Sec-WebSocket-Extensions", "\xe9")), 400, "raises"),
    OddRequest("extension no token", request(("Sec-WebSocket-Extensions", "a b")), 400, "accepts"),
    # No HTTP at all.
    OddRequest("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), 400),
    OddRequest("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    OddRequest("a word", b"HELLO\r\n\r\n", 400),
    OddRequest("frames", frame(1, b"hi"), 400),
    OddRequest("blank lines", b"\r\n\r\n\r\n\r\n", 400),
)

_USUAL = "permessage-deflate; server_no_context_takeover; server_max_window_bits=12"

OFFERS: tuple[OddOffer, ...] = (
    OddOffer("plain", "permessage-deflate", _USUAL),
    OddOffer(
        "as browsers do",
        "permessage-deflate; client_max_window_bits",
        f"{_USUAL}; client_max_window_bits=12",
    ),
    OddOffer("bits abc", "permessage-deflate; client_max_window_bits=abc", None, plain="raises"),
    OddOffer(
        "bits in quotes",
        'permessage-deflate; client_max_window_bits="10"',
        f"{_USUAL}; client_max_window_bits=10",
        plain="raises",
    ),
    OddOffer(
        "bits empty", "permessage-deflate; server_max_window_bits=", None, 400, plain="raises"
    ),
    OddOffer(
        "bits of 5,000 digits",
        "permessage-deflate; server_max_window_bits=" + "1" * 5000,
        None,
        plain="raises",
    ),
    OddOffer("server bits without value", "permessage-deflate; server_max_window_bits", None),
    OddOffer("bits 7", "permessage-deflate; server_max_window_bits=7", None),
    OddOffer("bits 8", "permessage-deflate; server_max_window_bits=8", None),
    OddOffer("bits 16", "permessage-deflate; client_max_window_bits=16", None),
    OddOffer("bits 010", "permessage-deflate; server_max_window_bits=010", None, plain="accepts"),
    OddOffer(
        "client bits 8",
        "permessage-deflate; client_max_window_bits=8",
        f"{_USUAL}; client_max_window_bits=9",
    ),
    OddOffer("server bits 15", "permessage-deflate; server_max_window_bits=15", _USUAL),
    OddOffer(
        "server bits 10",
        "permessage-deflate; server_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
    ),
    OddOffer("unknown parameter", "permessage-deflate; x=1", None, plain="accepts"),
    OddOffer(
        "and_more",
        "permessage-deflate; client_max_window_bits_and_more=12",
        None,
        plain="accepts",
    ),
    OddOffer(
        "flag with a value",
        "permessage-deflate; server_no_context_takeover=1",
        None,
        plain="accepts",
    ),
    OddOffer(
        "flag twice",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        None,
        plain="accepts",
    ),
    OddOffer(
        "bits twice",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=12",
        None,
        plain="accepts",
    ),
    OddOffer(
        "two offers, the first good",
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
    ),
    OddOffer("two offers, the second good", "permessage-deflate; x, permessage-deflate", _USUAL),
    OddOffer("two lines", "x-other\npermessage-deflate", _USUAL),
    OddOffer("empty elements", ", ,permessage-deflate,", _USUAL),
    OddOffer("another extension", "x-webkit-deflate-frame", None),
    OddOffer("semicolon last", "permessage-deflate;", None, 400),
    OddOffer("open quote", 'permessage-deflate; client_max_window_bits="10', None, 400),
    OddOffer("bits not ASCII", "permessage-deflate; server_max_window_bits=1\xb2", None, 400),
    OddOffer(
        "client flag",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "server_max_window_bits=12",
    ),
)


def offer_request(offer: OddOffer) -> bytes:
    """The request that carries an offer."""
    return request(*[("Sec-WebSocket-Extensions", line) for line in offer.offer.split("\n")])
