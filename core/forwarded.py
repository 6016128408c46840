"""Who the client is behind trusted reverse proxies: `X-Forwarded-For`, read from its trusted end.

Each proxy appends the address that it was reached from. A client may send the header too, so whatever
stands left of the entry that the first trusted proxy wrote is the client's own invention. Hence the
entries are read from the right, and only as long as a trusted proxy vouches for them.

`Forwarded` (RFC 7239) is not read: with two headers a client could fill the one that the proxy leaves
alone.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from .http import Headers

__all__ = ["MAX_HOPS", "PeerAddress", "TrustedProxies", "client_of"]

PeerAddress = tuple[object, ...] | str | bytes | None
"""What a socket calls its peer: a tuple of host, port and perhaps more, or, for a Unix socket, its
path, "" or None."""

MAX_HOPS: Final = 32
"""Entries of `X-Forwarded-For` that are looked at. Chains have two or three."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
"""IPv4 addresses as a socket for both families shows them (RFC 4291, 2.5.5.2)."""


def client_of(proxies: "TrustedProxies | None", peer: PeerAddress, headers: Headers) -> PeerAddress:
    """The client's address: what trusted proxies say, or the socket's own where none is trusted or knows."""
    return peer if proxies is None else proxies.client_address(peer, headers) or peer


class TrustedProxies:
    """The reverse proxies whose word about their client is taken.

    List the proxies themselves: every host in a trusted network may claim any address. An IPv4 address
    that comes mapped into IPv6 counts as IPv4, so `::/0` does not cover it.

    Args:
        entries: IP addresses, networks such as `10.0.0.0/8`, and `unix` for whoever connects through a
            Unix socket. None at all means that nobody is trusted.

    Raises:
        ValueError: an entry is none of these; the message names it.
    """

    __slots__ = ("_networks", "_unix", "entries")

    def __init__(self, entries: Iterable[str] = ()) -> None:
        if isinstance(entries, str):
            raise ValueError(f"trusted proxies: {entries!r}: write a tuple, ({entries!r},)")  # noqa: TRY004 - as the others
        self.entries = tuple(entries)
        self._unix = "unix" in self.entries
        self._networks = tuple(_network(entry) for entry in self.entries if entry != "unix")

    def __repr__(self) -> str:
        return f"TrustedProxies({self.entries!r})"

    def trusts(self, peer: PeerAddress) -> bool:
        """Whether a socket's peer is one of the proxies, so that many clients come through it."""
        if not isinstance(peer, tuple):
            return self._unix
        found = _own(peer)
        return found is not None and self._trusts(_ip(found[0]))

    def client_address(self, peer: PeerAddress, headers: Headers) -> tuple[str, int] | None:
        """The address to report as the client's.

        The peer's own, unless it is trusted. Else the first entry from the right of all
        `X-Forwarded-For` lines that is not a trusted address. The walk ends early, at the last address
        that was read, where an entry is empty or no IP address, and after `MAX_HOPS` entries; it ends
        at the leftmost entry if all are trusted.

        Args:
            peer: the socket's. Whatever is no tuple counts as a Unix socket, so an adapter that lost
                the name of another one should pass `()`.
            headers: the request's.

        Returns:
            The address, as short as it can be written, an IPv4 address never mapped into IPv6; and the
            port, 0 where it is not known. None for a Unix socket about which no more is known.
        """
        found = _own(peer)
        if not self.trusts(peer):
            return found
        lines = headers.get_all("x-forwarded-for")
        if not lines:
            return found
        # What is left of the last comma that counts stays in one piece, and is never looked at.
        entries = ",".join(lines).rsplit(",", MAX_HOPS)[-MAX_HOPS:]
        for entry in reversed(entries):
            hop = _hop(entry.strip(" \t"))
            if hop is None:
                return found
            found = str(hop[0]), hop[1]
            if not self._trusts(hop[0]):
                return found
        return found

    def _trusts(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _network(entry: str) -> _Network:
    if not isinstance(entry, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"trusted proxies: {entry!r}: must be text, such as '10.0.0.0/8'")  # noqa: TRY004 - as the others
    try:
        network = ipaddress.ip_network(entry, strict=False)
        exact = ipaddress.ip_interface(entry).ip == network.network_address
    except ValueError:
        fix = "must be an IP address, a network such as '10.0.0.0/8', or 'unix'"
        raise ValueError(f"trusted proxies: {entry!r}: {fix}") from None
    if "%" in entry:
        raise ValueError(f"trusted proxies: {entry!r}: leave the IPv6 zone out")
    if not exact:
        fix = f"the address is inside the network: write '{network}' for the whole of it"
        raise ValueError(f"trusted proxies: {entry!r}: {fix}")
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        assert mapped is not None  # it lies in the network of these
        return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED.prefixlen))
    return network


def _own(peer: PeerAddress) -> tuple[str, int] | None:
    """The peer's own address, or None for a Unix socket or a family without hosts."""
    if not isinstance(peer, tuple) or not peer or not isinstance(peer[0], str):
        return None
    host = peer[0]
    address = _ip(host)
    port = peer[1] if len(peer) > 1 and isinstance(peer[1], int) else 0
    return (host if address is None or "%" in host else str(address)), port


def _ip(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


_WITH_PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]*)\]|([0-9.]+))(?::([0-9]{1,5}))?")


def _hop(entry: str) -> tuple[_Address, int] | None:
    """An entry's address and port; None if it is no IP address. `%` is in none of them."""
    match = _WITH_PORT.fullmatch(entry)
    if match is None:
        address = None if "%" in entry else _ip(entry)
        return None if address is None else (address, 0)
    in_brackets, plain, digits = match.groups()
    if in_brackets is not None and ":" not in in_brackets:
        return None
    address, port = _ip(in_brackets or plain or ""), int(digits or "0")
    return None if address is None or port > 65535 else (address, port)
