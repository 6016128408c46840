"""Where an opening request carries a token or a name."""

from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core import Headers, Request
from hubbub.core.auth import Credentials, credentials_in, new_token
from hubbub.transports.simulated import seeded_entropy

TOKEN = new_token(seeded_entropy(1))

# Whatever a header or a query may become, lone surrogates included.
ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=60)


def _with_header(*values: str, query: str = "") -> Request:
    lines = [("Host", "example.com"), *(("authorization", value) for value in values)]
    return Request("GET", f"/?{query}" if query else "/", Headers(lines))


def _with_query(query: str) -> Request:
    return _with_header(query=query)


NOTHING = Credentials()
TWO = Credentials(fault="more than one token or name")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (_with_header(), NOTHING),
        (Request("GET", "/?", Headers()), NOTHING),
        (_with_header("Bearer abc"), Credentials(token="abc")),
        (_with_header("bEARER   a.b-c_d~e+f/g=="), Credentials(token="a.b-c_d~e+f/g==")),
        (_with_header("Basic YW5uOnB3"), NOTHING),
        (_with_header("Bearerabc"), NOTHING),
        (_with_header(""), NOTHING),
        (_with_query("token=abc"), Credentials(token="abc")),
        (_with_query("name=ann"), Credentials(name="ann")),
        (_with_query("name=Ann+B%20C"), Credentials(name="Ann B C")),
        (_with_query("name=Jos%C3%A9"), Credentials(name="José")),
        (_with_query("token=a%2Bb"), Credentials(token="a+b")),
        (_with_query("token=a=b"), Credentials(token="a=b")),
        (_with_query("token="), Credentials(token="")),
        (_with_query("name"), Credentials(name="")),
        (_with_query("x=%zz&y=%ff&token=abc&&Token=no"), Credentials(token="abc")),
        (_with_query("tokens=abc&%zzname=x"), NOTHING),
        (_with_header("Basic YW5uOnB3", query="token=abc"), Credentials(token="abc")),
        # More than one.
        (_with_query("token=abc&token=abc"), TWO),
        (_with_query("token=abc&to%6ben=def"), TWO),
        (_with_query("name=ann&name=bob"), TWO),
        (_with_query("name=ann&token=abc"), TWO),
        (_with_header("Bearer abc", query="token=abc"), TWO),
        (_with_header("Bearer abc", query="name=ann"), TWO),
        (_with_header("Bearer abc", query="token="), TWO),
        # Malformed.
        *(
            (request, Credentials(fault="more than one Authorization header"))
            for request in (
                _with_header("Bearer abc", "Bearer abc"),
                _with_header("Basic YW5uOnB3", "Bearer abc"),
            )
        ),
        *(
            (
                _with_header(value),
                Credentials(fault="no token behind Bearer in the Authorization header"),
            )
            for value in (
                "Bearer",
                "bearer ",
                "Bearer a b",
                "Bearer a, Bearer b",
                "Bearer péché",
                "Bearer =",
                "Bearer a=b",
                'Bearer realm="x"',
            )
        ),
        *(
            (
                _with_query(query),
                Credentials(fault="the parameter name has a % that begins no escape"),
            )
            for query in ("name=%", "name=%a", "name=%zz", "name=100%25%", "name=%+20")
        ),
        *(
            (_with_query(query), Credentials(fault="the parameter token is not UTF-8"))
            for query in ("token=%ff", "token=%ed%a0%80", "token=%C3", "token=%c0%af")
        ),
    ],
)
def test_credentials(request_: Request, expected: Credentials) -> None:
    """What is clear is found; what could be read in two ways is a fault, with no token and no name."""
    assert credentials_in(request_) == expected


@given(st.text(st.characters(codec="utf-8")), st.sampled_from(["token", "name"]))
def test_what_is_escaped_comes_through(text: str, kind: str) -> None:
    """Any text is read as it was meant, in each of the ways in which browsers and scripts escape it."""
    expected = Credentials(**{kind: text})
    for query in (urlencode({kind: text}), f"{kind}={quote(text, safe='')}"):
        assert credentials_in(_with_query(query)) == expected


PIECES = st.sampled_from(
    ["token", "name", "=", "&", "%", "%4", "%41", "%ff", "+", "a", "\ud800", "?", ";"]
)


@given(
    st.lists(st.one_of(PIECES, ANY_TEXT), max_size=12).map("".join), st.lists(ANY_TEXT, max_size=2)
)
def test_no_request_raises(query: str, values: list[str]) -> None:
    """Whatever a request holds, the outcome is nothing, one token, one name, or one fault."""
    found = credentials_in(_with_header(*(f"Bearer {value}" for value in values), query=query))
    assert sum(each is not None for each in (found.token, found.name, found.fault)) <= 1


def test_a_token_is_not_shown() -> None:
    """Credentials may be logged: the token in them is hidden, a fault repeats nothing."""
    assert repr(Credentials(token=TOKEN)) == "Credentials(token=…, name=None, fault=None)"
    assert repr(Credentials(name="ann")) == "Credentials(name='ann', fault=None)"
    assert TOKEN not in repr(credentials_in(_with_query(f"token={TOKEN}%")))


@given(st.binary(min_size=32, max_size=32))
def test_a_token_needs_no_escaping(entropy: bytes) -> None:
    """A token of ours comes through a header and a query as it is."""
    token = new_token(lambda size: entropy)
    assert token == quote(token) == quote_plus(token)
    assert credentials_in(_with_header(f"Bearer {token}")) == Credentials(token=token)
