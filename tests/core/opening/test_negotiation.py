"""permessage-deflate's negotiation (RFC 7692, 7.1): whatever is offered, and whatever is answered."""

from __future__ import annotations

import contextlib

from hypothesis import assume, example, given
from hypothesis import strategies as st

from hubbub.core import Deflate
from hubbub.core.extensions import Agreement, agree, confirm, offer, parse_extensions

bits = st.integers(9, 15)
ours = st.builds(
    Deflate,
    server_max_window_bits=bits,
    client_max_window_bits=bits,
    client_no_context_takeover=st.booleans(),
)

FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
WINDOWS = ("server_max_window_bits", "client_max_window_bits")

names = st.sampled_from([*FLAGS, *WINDOWS]) | st.sampled_from(
    ["x", "client_max_window_bits_and_more", "SERVER_MAX_WINDOW_BITS", ""]
)
values = (
    st.none()
    | st.integers(8, 15).map(str)
    | st.integers(-1, 10**20).map(str)
    | st.sampled_from(["", "abc", "010", "+9", "9.0", '"10"', "１２", "1" * 5000])
    | st.text(max_size=4)
)
offers = st.lists(
    st.tuples(
        st.sampled_from(["permessage-deflate"] * 4 + ["x-other", ""]),
        st.lists(st.tuples(names, values), max_size=4),
    ),
    max_size=4,
)


def legal(parameters: list[tuple[str, str | None]]) -> bool:
    """Whether RFC 7692, 7.1 allows these parameters in an offer. Written anew, from its text."""
    seen = [name for name, _ in parameters]
    if len(set(seen)) != len(seen):
        return False
    for name, value in parameters:
        if name in FLAGS:
            if value is not None:
                return False
        elif name in WINDOWS:
            if value is None:
                if name == "server_max_window_bits":
                    return False
            elif value not in {"8", "9", "10", "11", "12", "13", "14", "15"}:
                return False
        else:
            return False
    return True


@given(offers=offers, deflate=ours)
@example([("permessage-deflate", [("client_max_window_bits", "8")])], Deflate())
@example([("permessage-deflate", [("server_max_window_bits", "8")])], Deflate())
def test_what_is_agreed_was_offered(
    offers: list[tuple[str, list[tuple[str, str | None]]]], deflate: Deflate
) -> None:
    """`agree` never raises; it takes the first legal offer that we can keep, and stays within it."""
    agreement = agree(offers, deflate)
    possible = [
        dict(parameters)
        for name, parameters in offers
        if name == "permessage-deflate"
        and legal(parameters)
        and dict(parameters).get("server_max_window_bits") != "8"
    ]
    assert (agreement is not None) is bool(possible)
    if agreement is None:
        return
    offered = possible[0]
    assert 9 <= agreement.server_max_window_bits <= deflate.server_max_window_bits
    assert agreement.server_max_window_bits <= int(offered.get("server_max_window_bits") or 15)
    if "client_max_window_bits" in offered:
        assert 9 <= agreement.client_max_window_bits <= deflate.client_max_window_bits
    else:
        # RFC 7692, 7.1.2.2: then the response must not name it.
        assert "client_max_window_bits" not in agreement.header
        assert agreement.client_max_window_bits == 15
    # What a client asks of the server must be promised; what it promises may be believed.
    assert agreement.server_no_context_takeover
    if deflate.client_no_context_takeover:
        assert agreement.client_no_context_takeover


@given(deflate=ours, theirs=ours)
def test_both_sides_agree_on_the_same(deflate: Deflate, theirs: Deflate) -> None:
    """Our client confirms what our server agrees to, and both compress as the other expects."""
    asked = parse_extensions([offer(theirs)])
    served = agree(asked, deflate)
    assert served is not None
    confirmed = confirm(parse_extensions([served.header]), theirs)
    assert confirmed is not None
    assert confirmed.server_max_window_bits == served.server_max_window_bits
    assert confirmed.server_max_window_bits <= theirs.server_max_window_bits
    # A sender may use a smaller window than the receiver keeps, never a larger one.
    assert confirmed.client_max_window_bits <= served.client_max_window_bits
    assert confirmed.server_no_context_takeover == served.server_no_context_takeover
    assert confirmed.client_no_context_takeover


@given(offers=offers, deflate=ours)
def test_a_confirmation_is_within_the_offer(
    offers: list[tuple[str, list[tuple[str, str | None]]]], deflate: Deflate
) -> None:
    """`confirm` raises only ValueError, and what it returns never passes what we offered."""
    try:
        confirmed = confirm(offers, deflate)
    except ValueError:
        return
    if confirmed is None:
        assert offers == []
        return
    ((name, parameters),) = offers
    answered = dict(parameters)
    assert name == "permessage-deflate"
    assert legal(parameters)
    assert confirmed.server_max_window_bits <= deflate.server_max_window_bits
    assert confirmed.client_max_window_bits <= deflate.client_max_window_bits
    # Our inflating window must hold what the server may compress with, ours what it can inflate.
    assert confirmed.server_max_window_bits >= int(answered.get("server_max_window_bits") or 15)
    assert confirmed.client_max_window_bits <= int(answered.get("client_max_window_bits") or 15)
    assert confirmed.server_no_context_takeover is ("server_no_context_takeover" in answered)


@given(offers=offers)
def test_nothing_is_confirmed_that_was_not_offered(
    offers: list[tuple[str, list[tuple[str, str | None]]]],
) -> None:
    """Without `deflate` any extension in the response is an error."""
    assume(offers)
    with contextlib.suppress(ValueError):
        confirm(offers, None)
        raise AssertionError(offers)


@given(
    st.lists(
        st.text()
        | st.text('permessage-deflate;,= \t"x019', max_size=40)
        | st.text(st.characters(codec="latin-1"), max_size=20),
        max_size=4,
    )
)
@example(['permessage-deflate; x="'])
@example(['a; b="c,d"'])
@example([";"])
@example(["a;=b"])
@example(["a;b=c=d"])
def test_any_text_is_parsed_or_refused(lines: list[str]) -> None:
    """`parse_extensions` raises nothing but ValueError, and returns tokens only."""
    try:
        parsed = parse_extensions(lines)
    except ValueError:
        return
    allowed = frozenset(
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    )
    for name, parameters in parsed:
        for word in (name, *(key for key, _ in parameters)):
            assert word
            assert allowed.issuperset(word)
        for _, value in parameters:
            assert value is None or (value and allowed.issuperset(value))


@given(
    st.builds(
        Agreement,
        server_max_window_bits=bits,
        client_max_window_bits=bits,
        server_no_context_takeover=st.booleans(),
        client_no_context_takeover=st.booleans(),
    )
)
def test_a_header_says_what_was_agreed(agreement: Agreement) -> None:
    """The response's header, parsed again, is the agreement."""
    ((name, parameters),) = parse_extensions([agreement.header])
    assert name == "permessage-deflate"
    assert legal(parameters)
    told = dict(parameters)
    assert (
        Agreement(
            server_max_window_bits=int(told.get("server_max_window_bits") or 15),
            client_max_window_bits=int(told.get("client_max_window_bits") or 15),
            server_no_context_takeover="server_no_context_takeover" in told,
            client_no_context_takeover="client_no_context_takeover" in told,
        )
        == agreement
    )
