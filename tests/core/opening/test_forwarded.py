"""Who the client is behind trusted proxies, and that nobody else can say so."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.core import Headers
from hubbub.core.forwarded import MAX_HOPS, PeerAddress, TrustedProxies

PROXIES = TrustedProxies(("10.0.0.0/8", "::1", "2001:db8:f::/48", "unix"))
PROXY = ("10.0.0.1", 4000)


def told(*lines: str) -> Headers:
    """Headers with these `X-Forwarded-For` lines."""
    return Headers([("Host", "a"), *(("x-Forwarded-for", line) for line in lines)])


# One case each.


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        # An untrusted peer, whatever it says.
        (("192.0.2.1", 5), [], ("192.0.2.1", 5)),
        (("192.0.2.1", 5), ["6.6.6.6"], ("192.0.2.1", 5)),
        (("::ffff:192.0.2.1", 5, 0, 0), ["6.6.6.6"], ("192.0.2.1", 5)),
        (("2001:DB8:0::1", 5, 0, 0), ["6.6.6.6"], ("2001:db8::1", 5)),
        (("fe80::1%eth0", 5, 0, 2), ["6.6.6.6"], ("fe80::1%eth0", 5)),
        (("client", 5), ["6.6.6.6"], ("client", 5)),
        (("192.0.2.1",), [], ("192.0.2.1", 0)),
        ((3, 5), ["6.6.6.6"], None),
        ((), ["6.6.6.6"], None),
        # A trusted one.
        (PROXY, [], PROXY),
        (PROXY, ["1.2.3.4"], ("1.2.3.4", 0)),
        (PROXY, ["1.2.3.4:567"], ("1.2.3.4", 567)),
        (PROXY, ["2001:DB8::1"], ("2001:db8::1", 0)),
        (PROXY, ["[2001:db8::1]"], ("2001:db8::1", 0)),
        (PROXY, ["[2001:db8::1]:80"], ("2001:db8::1", 80)),
        (PROXY, ["::ffff:1.2.3.4"], ("1.2.3.4", 0)),
        (PROXY, ["[::ffff:1.2.3.4]:9"], ("1.2.3.4", 9)),
        (("::ffff:10.0.0.1", 5, 0, 0), ["1.2.3.4"], ("1.2.3.4", 0)),
        (("::1", 5, 0, 0), ["1.2.3.4"], ("1.2.3.4", 0)),
        ("", ["1.2.3.4"], ("1.2.3.4", 0)),
        (None, ["1.2.3.4"], ("1.2.3.4", 0)),
        ("/run/x.sock", ["1.2.3.4"], ("1.2.3.4", 0)),
        (b"\0abstract", ["1.2.3.4"], ("1.2.3.4", 0)),
        ("", [], None),
        # What the client itself wrote stands to the left.
        (PROXY, ["6.6.6.6, 1.2.3.4"], ("1.2.3.4", 0)),
        (PROXY, ["10.0.0.9, 1.2.3.4"], ("1.2.3.4", 0)),
        (PROXY, ["6.6.6.6", "1.2.3.4"], ("1.2.3.4", 0)),
        (PROXY, ["6.6.6.6 ,\t1.2.3.4 , 10.0.0.2,::1"], ("1.2.3.4", 0)),
        (PROXY, ["6.6.6.6", "1.2.3.4, 10.0.0.2", "[2001:db8:f::7]:1"], ("1.2.3.4", 0)),
        # All are trusted: the leftmost.
        (PROXY, ["10.0.0.3, 10.0.0.2:8"], ("10.0.0.3", 0)),
        # What is no address ends the walk.
        (PROXY, [""], PROXY),
        (PROXY, ["unknown"], PROXY),
        (PROXY, ["1.2.3.4, unknown"], PROXY),
        (PROXY, ["1.2.3.4,"], PROXY),
        (PROXY, ["1.2.3.4, unix:, 10.0.0.2:8"], ("10.0.0.2", 8)),
        ("", ["1.2.3.4, x"], None),
        (PROXY, ["1.2.3.4:65536"], PROXY),
        (PROXY, ["1.2.3.4:"], PROXY),
        (PROXY, ["1.2.3.4:８"], PROXY),
        (PROXY, ["1.2.3"], PROXY),
        (PROXY, ["01.2.3.4"], PROXY),
        (PROXY, ["1.2.3.4/32"], PROXY),
        (PROXY, ["16909060"], PROXY),
        (PROXY, ["[1.2.3.4]"], PROXY),
        (PROXY, ["[::2"], PROXY),
        (PROXY, ["[::2]x"], PROXY),
        (PROXY, ["fe80::2%eth0"], PROXY),
        (PROXY, ["[fe80::2%eth0]:1"], PROXY),
        (PROXY, ['"1.2.3.4"'], PROXY),
        (PROXY, ["for=1.2.3.4"], PROXY),
    ],
    ids=str,
)
def test_the_address_to_report(
    peer: PeerAddress, lines: list[str], expected: tuple[str, int] | None
) -> None:
    """The first untrusted address from the right is the client's, if the peer is trusted at all."""
    assert PROXIES.client_address(peer, told(*lines)) == expected


def test_nobody_is_trusted_at_first() -> None:
    """Without entries the header means nothing, on a Unix socket either."""
    nobody = TrustedProxies()
    assert nobody.client_address(("127.0.0.1", 1), told("1.2.3.4")) == ("127.0.0.1", 1)
    assert nobody.client_address("", told("1.2.3.4")) is None
    assert nobody.client_address(None, told("1.2.3.4")) is None


def test_other_headers_mean_nothing() -> None:
    """`Forwarded` and its kin are not read."""
    headers = Headers([("Forwarded", "for=1.2.3.4"), ("X-Real-IP", "1.2.3.4")])
    assert PROXIES.client_address(PROXY, headers) == PROXY


def test_a_mapped_network_is_an_ipv4_network() -> None:
    """An IPv4 network written as IPv6 covers the IPv4 addresses; `::/0` covers none."""
    mapped = TrustedProxies(("::ffff:10.0.0.0/104",))
    assert mapped.client_address(PROXY, told("1.2.3.4")) == ("1.2.3.4", 0)
    assert mapped.client_address(("11.0.0.1", 1), told("1.2.3.4")) == ("11.0.0.1", 1)
    assert TrustedProxies(("::/0",)).client_address(PROXY, told("1.2.3.4")) == PROXY


def test_the_walk_is_bounded() -> None:
    """After `MAX_HOPS` trusted entries the walk ends at the last one read."""
    hops = ["1.2.3.4", *(f"10.0.0.{n}" for n in range(MAX_HOPS))]
    assert PROXIES.client_address(PROXY, told(", ".join(hops))) == ("10.0.0.0", 0)
    assert PROXIES.client_address(PROXY, told(", ".join(hops[:-1]))) == ("1.2.3.4", 0)


@pytest.mark.parametrize("text", ["," * 10**6, "1" * 10**6, "[" * 10**6, ":" * 10**6, "1." * 10**6])
def test_a_huge_header_is_answered(text: str) -> None:
    """Not even a header far beyond what a request may hold takes more than linear time."""
    assert PROXIES.client_address(PROXY, told(text)) == PROXY


# What may be trusted.


@pytest.mark.parametrize(
    ("entry", "fix"),
    [
        ("", "must be an IP address"),
        ("localhost", "must be an IP address"),
        ("*", "must be an IP address"),
        ("Unix", "must be an IP address"),
        ("10.0.0.0/33", "must be an IP address"),
        ("10.0.0.1:80", "must be an IP address"),
        ("[::1]", "must be an IP address"),
        ("10.0.0.1/8", "write '10.0.0.0/8'"),
        ("2001:db8::1/32", "write '2001:db8::/32'"),
        ("fe80::1%eth0", "zone"),
        (10, "must be text"),
    ],
)
def test_a_wrong_entry_is_told(entry: Any, fix: str) -> None:
    """An entry that cannot work raises when it is set; the message shows it and what can."""
    with pytest.raises(ValueError, match=fix) as caught:
        TrustedProxies(("10.0.0.0/8", entry))
    assert repr(entry) in str(caught.value)


def test_a_lone_entry_is_told() -> None:
    """Text instead of a tuple is not read letter by letter."""
    with pytest.raises(ValueError, match="tuple"):
        TrustedProxies("10.0.0.0/8")


def test_the_entries_are_shown() -> None:
    """The repr says who is trusted."""
    assert repr(TrustedProxies(["::1"])) == "TrustedProxies(('::1',))"


# For every input.

TRUSTED_NETWORKS = [ipaddress.ip_network(e) for e in ("10.0.0.0/8", "2001:db8:f::/48")]
addresses = st.ip_addresses()


def is_trusted(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """As `PROXIES` says, by other means."""
    mapped = getattr(address, "ipv4_mapped", None) or address
    return str(mapped) == "::1" or any(mapped in network for network in TRUSTED_NETWORKS)


untrusted = addresses.filter(lambda address: not is_trusted(address))
trusted = st.one_of([st.ip_addresses(network=network) for network in TRUSTED_NETWORKS])
junk = st.lists(st.text(max_size=60) | addresses.map(str), max_size=5)
ports = st.integers(1, 65535)


def plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """As it is reported."""
    return str(getattr(address, "ipv4_mapped", None) or address)


@given(untrusted, ports, junk)
@example(ipaddress.ip_address("::ffff:192.0.2.1"), 1, ["10.0.0.1"])
def test_an_untrusted_peer_cannot_change_its_address(
    peer: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, lines: list[str]
) -> None:
    """Whatever an untrusted peer sends, its own address is reported."""
    assert PROXIES.client_address((str(peer), port), told(*lines)) == (plain(peer), port)


@st.composite
def entries(draw: st.DrawFn, source: st.SearchStrategy[Any]) -> tuple[str, tuple[str, int]]:
    """An address as one proxy or another writes it, and as it is reported."""
    address = draw(source)
    port = draw(st.just(0) | ports)
    bracketed = f"[{address}]" if address.version == 6 else str(address)
    written = f"{bracketed}:{port}" if port else draw(st.sampled_from([str(address), bracketed]))
    return written, (plain(address), port)


@given(junk, entries(untrusted), st.lists(entries(trusted), max_size=MAX_HOPS - 1), st.data())
def test_a_trusted_chain_gives_the_first_untrusted(
    forged: list[str],
    client: tuple[str, tuple[str, int]],
    hops: list[tuple[str, tuple[str, int]]],
    data: st.DataObject,
) -> None:
    """Behind any chain of trusted proxies, what the client itself wrote changes nothing."""
    chain = [*forged, client[0], *(written for written, _ in hops)]
    lines = [chain[0]]
    for entry in chain[1:]:  # each proxy adds to the last line, or a line of its own
        if data.draw(st.booleans()):
            lines.append(entry)
        else:
            lines[-1] += ", " + entry
    peer = data.draw(st.sampled_from([PROXY, "", None, ("::1", 1, 0, 0)]))
    assert PROXIES.client_address(peer, told(*lines)) == client[1]


@given(st.lists(st.text(max_size=80), max_size=5))
def test_any_header_gives_an_ip_address(lines: list[str]) -> None:
    """Whatever stands in the header, what is reported is an IP address and a port."""
    found = PROXIES.client_address(PROXY, told(*lines))
    assert found is not None
    ipaddress.ip_address(found[0])
    assert 0 <= found[1] <= 65535
