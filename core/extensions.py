"""Negotiating permessage-deflate (RFC 7692, section 7.1; RFC 6455, section 9.1).

wsproto believes any offer, lets it override our limits, and raises on some. Here an offer is read by its
grammar, and windows are the smaller of both sides' wishes.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from .http import TOKEN

__all__ = ["NAME", "Agreement", "Deflate", "agree", "confirm", "offer", "parse_extensions"]

NAME: Final = "permessage-deflate"
_MIN_BITS: Final = 9
"""zlib cannot write raw deflate with a window of 8 bits, so an offer that demands 8 is declined."""


class Deflate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What we agree to. The defaults cost 11 KiB for a connection that sends compressed messages.

    Raises:
        ValueError: a field cannot work; the message names it.
    """

    server_max_window_bits: int = 12
    """Base-two logarithm of the largest window the server compresses with, 9 to 15."""
    client_max_window_bits: int = 12
    """The same for the client; a client that cannot be told (no such offer) uses 15."""
    client_no_context_takeover: bool = False
    """Make clients start afresh with each message. A connection then keeps no window between two."""
    level: int = 6
    """zlib's level, 1 (fast) to 9 (small)."""
    mem_level: int = 5
    """zlib's memory level, 1 to 9: 5 with 12 bits takes 39 KiB while a message is compressed, 8 with 15 268."""
    threshold: int = 64
    """Messages shorter than this many bytes are sent as they are."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("server_max_window_bits", _MIN_BITS, 15),
            ("client_max_window_bits", _MIN_BITS, 15),
            ("level", 1, 9),
            ("mem_level", 1, 9),
            ("threshold", 0, 2**31),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be {low} to {high}")


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What both sides agreed on."""

    server_max_window_bits: int = 15
    client_max_window_bits: int = 15
    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False

    @property
    def header(self) -> str:
        """The value of the response's `Sec-WebSocket-Extensions`."""
        parts = [NAME]
        if self.server_no_context_takeover:
            parts.append("server_no_context_takeover")
        if self.client_no_context_takeover:
            parts.append("client_no_context_takeover")
        if self.server_max_window_bits < 15:
            parts.append(f"server_max_window_bits={self.server_max_window_bits}")
        if self.client_max_window_bits < 15:
            parts.append(f"client_max_window_bits={self.client_max_window_bits}")
        return "; ".join(parts)


Parameter = tuple[str, str | None]
_BITS = re.compile(r"[89]|1[0-5]")
_FLAGS = frozenset({"server_no_context_takeover", "client_no_context_takeover"})
_WINDOWS = frozenset({"server_max_window_bits", "client_max_window_bits"})


def parse_extensions(values: Iterable[str]) -> list[tuple[str, list[Parameter]]]:
    """The offers in the lines of a `Sec-WebSocket-Extensions` header (RFC 6455, 9.1).

    Raises:
        ValueError: the header does not follow its grammar.
    """
    offers: list[tuple[str, list[Parameter]]] = []
    for value in values:
        for element in value.split(","):
            if not element.strip(" \t"):
                continue  # an empty list element is legal (RFC 9110, 5.6.1.2)
            name, *rest = (part.strip(" \t") for part in element.split(";"))
            parameters: list[Parameter] = []
            for part in rest:
                key, equals, text = part.partition("=")
                key, text = key.rstrip(" \t"), text.lstrip(" \t")
                if len(text) >= 2 and text[0] == text[-1] == '"':
                    text = text[1:-1]  # a quoted value must be a token once unquoted
                if not TOKEN.fullmatch(key) or (equals and not TOKEN.fullmatch(text)):
                    raise ValueError("malformed Sec-WebSocket-Extensions")
                parameters.append((key, text if equals else None))
            if not TOKEN.fullmatch(name):
                raise ValueError("malformed Sec-WebSocket-Extensions")
            offers.append((name, parameters))
    return offers


def _read_parameters(
    parameters: Iterable[Parameter],
) -> dict[str, int | Literal[True]] | None:
    """Known parameters and their values, True for one without; None if any is unknown, twice or wrong."""
    found: dict[str, int | Literal[True]] = {}
    for name, text in parameters:
        if name in found:
            return None
        if text is None and (name in _FLAGS or name == "client_max_window_bits"):
            found[name] = True
        elif text is not None and name in _WINDOWS and _BITS.fullmatch(text):
            found[name] = int(text)
        else:
            return None
    return found


def agree(offers: Iterable[tuple[str, list[Parameter]]], deflate: Deflate) -> Agreement | None:
    """Server: accept the first offer that is valid and that we can keep, or none (RFC 7692, 7.1).

    Windows are the smaller of both sides' wishes; what the client did not offer is not asked of it.
    """
    for name, parameters in offers:
        found = _read_parameters(parameters) if name == NAME else None
        if found is None:
            continue
        server_bits = min(deflate.server_max_window_bits, found.get("server_max_window_bits", 15))
        if server_bits < _MIN_BITS:
            continue
        client_bits = 15
        if "client_max_window_bits" in found:
            wish = found["client_max_window_bits"]
            # Inflating with a larger window than agreed is always right, so 8 is no trouble here.
            client_bits = min(deflate.client_max_window_bits, 15 if wish is True else max(wish, 9))
        return Agreement(
            server_max_window_bits=server_bits,
            client_max_window_bits=client_bits,
            server_no_context_takeover=True,
            client_no_context_takeover=deflate.client_no_context_takeover
            or "client_no_context_takeover" in found,
        )
    return None


def offer(deflate: Deflate) -> str:
    """Client: the value of the request's `Sec-WebSocket-Extensions`."""
    wish = Agreement(
        server_max_window_bits=deflate.server_max_window_bits,
        client_no_context_takeover=True,
    )
    return f"{wish.header}; client_max_window_bits={deflate.client_max_window_bits}"


def confirm(
    accepted: Iterable[tuple[str, list[Parameter]]], deflate: Deflate | None
) -> Agreement | None:
    """Client: check what the server accepted against our offer.

    Raises:
        ValueError: it is not an answer to what we offered, or we cannot keep it (RFC 7692, 7.1.2).
    """
    accepted = list(accepted)
    if not accepted:
        return None
    if deflate is None or len(accepted) > 1 or accepted[0][0] != NAME:
        raise ValueError("the server accepted an extension that was not offered")
    found = _read_parameters(accepted[0][1])
    if found is None or found.get("client_max_window_bits") is True:
        raise ValueError("the server's parameters of permessage-deflate are not valid")
    server_bits = found.get("server_max_window_bits", 15)
    client_bits = min(found.get("client_max_window_bits", 15), deflate.client_max_window_bits)
    if server_bits > deflate.server_max_window_bits:
        raise ValueError("the server chose a larger compression window than we offered")
    if client_bits < _MIN_BITS:
        raise ValueError("the server asks for a compression window of 8 bits, which zlib has not")
    return Agreement(
        server_max_window_bits=max(server_bits, _MIN_BITS),
        client_max_window_bits=client_bits,
        server_no_context_takeover="server_no_context_takeover" in found,
        client_no_context_takeover=True,
    )
