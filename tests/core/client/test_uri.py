"""URIs, what errors show of them, and where redirects lead."""

from __future__ import annotations

import pickle
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.core import ClientOptions, Limits, LocalProtocolError, WebSocket
from hubbub.core.http_parser import read_request
from hubbub.core.uri import (
    URI,
    InvalidURI,
    authority_of,
    basic_auth,
    keeps_credentials,
    may_follow,
    parse_uri,
    redirect_target,
)
from support.machines import counting_entropy, output

# What is read.


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("ws://example.com", URI(False, "example.com", 80, "/")),
        ("wss://example.com", URI(True, "example.com", 443, "/")),
        ("WSS://Example.COM/Chat", URI(True, "example.com", 443, "/Chat")),
        ("ws://example.com:8765/a/b?x=1&y", URI(False, "example.com", 8765, "/a/b?x=1&y")),
        ("ws://example.com?x=1", URI(False, "example.com", 80, "/?x=1")),
        ("ws://example.com/?", URI(False, "example.com", 80, "/")),
        ("ws://example.com/a??b", URI(False, "example.com", 80, "/a??b")),
        ("ws://example.com:", URI(False, "example.com", 80, "/")),
        ("ws://example.com:00443/", URI(False, "example.com", 443, "/")),
        ("ws://example.com./", URI(False, "example.com.", 80, "/")),
        ("ws://my_service-1/", URI(False, "my_service-1", 80, "/")),
        ("ws://192.0.2.1:81", URI(False, "192.0.2.1", 81, "/")),
        ("ws://[2001:DB8:0::1]", URI(False, "2001:db8::1", 80, "/")),
        ("wss://[::1]:8443/x", URI(True, "::1", 8443, "/x")),
        ("ws://u:p@example.com", URI(False, "example.com", 80, "/", "u", "p")),
        ("ws://u@example.com", URI(False, "example.com", 80, "/", "u")),
        ("ws://u:@example.com", URI(False, "example.com", 80, "/", "u", "")),
        ("ws://@example.com", URI(False, "example.com", 80, "/")),
        ("ws://u%40x:p%3A%2F:é@example.com", URI(False, "example.com", 80, "/", "u@x", "p:/:é")),
        (
            "ws://bücher.example/ü?ä=%20€",
            URI(False, "xn--bcher-kva.example", 80, "/%C3%BC?%C3%A4=%20%E2%82%AC"),
        ),
        ("ws://BÜCHER。example", URI(False, "xn--bcher-kva.example", 80, "/")),
        ('ws://a/{"x"}?<|>', URI(False, "a", 80, "/%7B%22x%22%7D?%3C%7C%3E")),
        ("ws://a/100%/%zz/%e2", URI(False, "a", 80, "/100%/%zz/%e2")),
        ("ws://a/../x", URI(False, "a", 80, "/../x")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_uri_is_taken_apart(uri: str, expected: URI) -> None:
    """Each part of a URI is read as RFC 3986 and 3987 ask, and brought into one form."""
    assert parse_uri(uri) == expected


@pytest.mark.parametrize(
    ("uri", "header"),
    [
        ("ws://a", "a"),
        ("ws://a:80", "a"),
        ("ws://a:443", "a:443"),
        ("wss://a:443", "a"),
        ("wss://a:80", "a:80"),
        ("ws://[::1]", "[::1]"),
        ("ws://[::1]:8000", "[::1]:8000"),
    ],
)
def test_the_host_header(uri: str, header: str) -> None:
    """The Host header leaves the scheme's own port out and has an IPv6 address in brackets."""
    assert parse_uri(uri).host_header == header


# What is refused.


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "scheme must be ws:// or wss://"),
        ("example.com", "scheme"),
        ("example.com:80/x", "scheme"),
        ("http://a.example", "scheme"),
        ("https://a.example", "scheme"),
        ("ws:/a", "scheme"),
        ("ws:a", "scheme"),
        ("//a", "scheme"),
        ("ws://a/#x", "fragment"),
        ("ws://a#", "fragment"),
        ("ws://a/?x#y", "fragment"),
        ("ws://", "host is missing"),
        ("ws:///path", "host is missing"),
        ("ws://:80", "host is missing"),
        ("ws://u:p@/x", "host is missing"),
        ("ws://a..b", "host must be a name"),
        ("ws://.a", "host must be a name"),
        ("ws://a%2eb", "host must be a name"),
        ("ws://a,b", "host must be a name"),
        ("ws://" + "a" * 64, "host must be a name"),
        ("ws://" + "a." * 128, "host must be a name"),
        ("ws://" + "é" * 100_000, "host must be a name"),
        ("ws://\N{ACCOUNT OF}.example", "host must be a name"),
        ("ws://é..b", "IDNA"),
        ("ws://::1/", "brackets"),
        ("ws://a:1:2", "brackets"),
        ("ws://[::1", r"\[address\]"),
        ("ws://[::1]x", r"\[address\]"),
        ("ws://[1.2.3.4]", "IPv6"),
        ("ws://[v1.x]", "IPv6"),
        ("ws://[]", "IPv6"),
        ("ws://[fe80::1%25eth0]", "IPv6"),
        ("ws://[fe80::1%eth0]", "zone"),
        ("ws://a:0", "port"),
        ("ws://a:65536", "port"),
        ("ws://a:999999", "port"),
        ("ws://a:-1", "port"),
        ("ws://a:+80", "port"),
        ("ws://a:８０", "port"),
        ("ws://a:http", "port"),
        ("ws://u@v@a", "%40"),
        ("ws://u:%@a", "%25"),
        ("ws://u:%ff@a", "UTF-8"),
        ("ws://u%3Av:p@a", "colon"),
        ("ws://u:%0A@a", "control"),
        ("ws://a/b c", "%20"),
        ("ws://a/\n", "%0A"),
        ("ws://a\t/", "%09"),
        (" ws://a", "%20"),
        ("ws://a\\@b", "%5C"),
        ("ws://a/\ud800", "leave it out"),
    ],
)
def test_a_wrong_uri_is_told(uri: str, why: str) -> None:
    """A URI that cannot be used raises a ValueError that names the part and the fix."""
    with pytest.raises(InvalidURI, match=why):
        parse_uri(uri)


SECRETS = [
    "ws://user:SECRET@example.com#x",
    "ws://user:SECRET@",
    "http://user:SECRET@example.com",
    "ws:/user:SECRET@example.com",
    "user:SECRET@example.com",
    "user:x://SECRET@example.com",
    "ws://user:SECRET/1@example.com",
    "ws://user:SECRET?1@example.com",
    "ws://user:SECRET#1@example.com",
    "ws://user:SECRET@1@example.com",
    "ws://user:SECRET%@example.com",
    "ws://user:SECRET%ff@example.com",
    "ws://user:SECRET%00@example.com",
    "ws://user:SECRET 1@example.com",
    "ws://user:SECRET\\1@example.com",
    "ws://example.com:0/?token=SECRET",
]


@pytest.mark.parametrize("uri", SECRETS)
def test_an_error_shows_no_secret(uri: str) -> None:
    """No form of the error shows a password or a query, however malformed the URI is."""
    with pytest.raises(InvalidURI) as caught:
        parse_uri(uri)
    again = pickle.loads(pickle.dumps(caught.value))
    for error in (caught.value, again):
        assert "SECRET" not in f"{error} {error!r} {error.args} {error.uri} {error.why}"
        assert str(error) == str(caught.value)


def test_an_error_is_short() -> None:
    """Of a long URI an error shows the beginning."""
    with pytest.raises(InvalidURI) as caught:
        parse_uri("ws://a:0/" + "x" * 100_000)
    assert len(str(caught.value)) < 300


def test_a_uri_shows_no_secret() -> None:
    """The repr of a URI, which ends up in logs, leaves the user, the password and the query out."""
    parts = authority_of("wss://user:SECRET@example.com/?token=SECRET", {"wss": 443})
    assert repr(parts) == "Authority(wss://example.com:443)"
    uri = parse_uri("wss://user:SECRET@example.com:81/chat?token=SECRET")
    assert repr(uri) == "URI(wss://example.com:81/chat?…)"
    assert repr(parse_uri("ws://a/")) == "URI(ws://a/)"


# For every input.


uris = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["ws", "wss", "WS"]),
    st.sampled_from(["", "u:p@", "ü@", ":@"]),
    st.sampled_from(["a", "example.com:81", "[::1]:8000", "bücher.example"]) | st.text(max_size=10),
    st.text(max_size=20).map("/".__add__) | st.text(max_size=20),
)


@given(uris | st.text(max_size=40))
@example("ws://a/\x85\xa0")
def test_any_text_is_a_uri_that_can_be_sent_or_an_error(uri: str) -> None:
    """Whatever is given either raises InvalidURI or makes a request that our own server can read."""
    try:
        parsed = parse_uri(uri)
    except InvalidURI:
        return
    assert 1 <= parsed.port <= 65535
    options = ClientOptions(host=parsed.host_header, target=parsed.target)
    ws = WebSocket(options, now=0.0, entropy=counting_entropy())
    request = read_request(output(ws), Limits())
    assert (request.headers["host"], request.target) == (parsed.host_header, parsed.target)


@given(uris)
def test_a_parsed_uri_parses_alike(uri: str) -> None:
    """Written anew from its parts, a URI says the same."""
    try:
        parsed = parse_uri(uri)
    except InvalidURI:
        return
    again = parse_uri(f"{parsed.scheme}://{parsed.host_header}{parsed.target}")
    assert again == URI(parsed.secure, parsed.host, parsed.port, parsed.target)


# Basic authentication.


def test_basic_authentication_is_that_of_the_rfc() -> None:
    """The examples of RFC 7617, 2 and 2.1 come out, and no password is an empty one."""
    assert basic_auth("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert basic_auth("test", "123£") == "Basic dGVzdDoxMjPCow=="
    assert basic_auth("u", None) == basic_auth("u", "") == "Basic dTo="


@pytest.mark.parametrize("pair", [("a:b", "x"), ("a\n", "x"), ("a", "x\x7f"), ("a", "\ud800")])
def test_basic_authentication_that_cannot_be_written(pair: tuple[str, str]) -> None:
    """What the header cannot carry raises, and the error shows neither part."""
    with pytest.raises(LocalProtocolError) as caught:
        basic_auth(*pair)
    assert repr(pair[1])[1:-1] not in str(caught.value).split()


# Redirects.

BASE = "wss://user:p%40ss@example.com/a/b?x=1"
OURS = "wss://user:p%40ss@example.com"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/c", f"{OURS}/c"),
        ("c?y", f"{OURS}/a/c?y"),
        ("../c", f"{OURS}/c"),
        ("?y", f"{OURS}/a/b?y"),
        ("/c#part", f"{OURS}/c"),
        ("wss://example.com/c", f"{OURS}/c"),
        ("https://example.com/c", f"{OURS}/c"),
        ("HTTPS://EXAMPLE.com:443/c", f"{OURS}/c"),
        ("//example.com/c", f"{OURS}/c"),
        ("//other.example", "wss://other.example/"),
        ("wss://example.com:444/c", "wss://example.com:444/c"),
        ("ws://example.com/c", "ws://example.com/c"),
        ("http://example.com/c", "ws://example.com/c"),
        ("wss://evil:x@other.example/c", "wss://other.example/c"),
        ("wss://evil:x@example.com/c", f"{OURS}/c"),
        ("/é".encode().decode("latin-1"), f"{OURS}/%C3%A9"),
        ("http-x", f"{OURS}/a/http-x"),
        ("wss://[::1]:8443/", "wss://[::1]:8443/"),
    ],
)
def test_where_a_redirect_leads(location: str, expected: str) -> None:
    """A Location is resolved, and our user goes along to the same origin only."""
    assert redirect_target(BASE, location) == expected


@pytest.mark.parametrize(
    "location",
    [
        "",
        "#x",
        "ftp://a/",
        "mailto:a@example.com",
        "wss://",
        "wss://a:0",
        "wss://[::1",
        "wss://[x]/",
        "/a b",
        "/a\x00",
        "\\\\other.example",
        "/\t/other.example",
        "wss://é/".encode().decode("latin-1"),
    ],
)
def test_a_location_that_leads_nowhere(location: str) -> None:
    """A Location that is no URI for us raises, and the message says that it is the header's fault."""
    with pytest.raises(InvalidURI, match="Location") as caught:
        redirect_target(BASE, location)
    assert "p@ss" not in str(caught.value)
    assert "p%40ss" not in str(caught.value)


def test_a_redirect_without_a_password() -> None:
    """A user without a password stays one."""
    assert redirect_target("ws://u@a/", "/x") == "ws://u@a/x"


def test_no_redirect_leaves_tls() -> None:
    """From wss to ws is refused with a reason; every other way may be followed."""
    plain, secure = parse_uri("ws://a/?t=SECRET"), parse_uri("wss://b/")
    for old, new in [(plain, plain), (plain, secure), (secure, secure)]:
        may_follow(old, new)
    with pytest.raises(InvalidURI, match="wss:// to ws://") as caught:
        may_follow(secure, plain)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("new", "kept"),
    [
        ("wss://example.com/other?x", True),
        ("wss://u:p@EXAMPLE.com:443/", True),
        ("wss://example.com:444/", False),
        ("ws://example.com:443/", False),
        ("wss://www.example.com/", False),
    ],
)
def test_credentials_stay_at_their_origin(new: str, kept: bool) -> None:
    """Credentials are kept where scheme, host and port are the same, whatever path and user are."""
    assert keeps_credentials(parse_uri(BASE), parse_uri(new)) is kept


locations = st.text(max_size=30) | st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "//", "///", "http://", "wss://", "wss:", "/", "?", ".."]),
    st.sampled_from(["", "x:y@", "example.com", "evil.example", "example.com@evil.example"]),
    st.text(string.printable, max_size=12),
)


@given(locations)
def test_no_location_takes_our_password_elsewhere(location: str) -> None:
    """For every Location: an error, or a URI that holds our password only at our origin."""
    try:
        target = redirect_target(BASE, location)
    except InvalidURI:
        return
    new = parse_uri(target)
    same = keeps_credentials(parse_uri(BASE), new)
    assert (new.user, new.password) == (("user", "p@ss") if same else (None, None))
