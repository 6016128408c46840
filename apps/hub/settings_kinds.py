"""Kinds of text in a configuration, with what makes a good one.

A check raises ValueError with what is wrong and what to write; the reader of settings says where.
"""

from typing import Annotated, Final

from msgspec import Meta

from ...core.auth import TokenEntry
from ...core.errors import LocalProtocolError
from ...core.forwarded import TrustedProxies
from ...core.handshake import ServerOptions
from ...core.topics import check_pattern

__all__ = [
    "CHECK",
    "FILE",
    "HIDDEN",
    "FileName",
    "Hash",
    "Host",
    "Origin",
    "Pattern",
    "Proxy",
    "Secret",
]

CHECK: Final = "check"
"""In a kind's extras: the function that checks it."""

FILE: Final = "file"
"""In a kind's extras: it names a file, counted from the folder of the file that it stands in."""

HIDDEN: Final = "hidden"
"""In a kind's extras: it is not shown."""


def _check_pattern(pattern: str) -> None:
    check_pattern(pattern)


def _check_hash(text: str) -> None:
    try:
        TokenEntry(hash=text, user="anybody")
    except ValueError as error:
        raise ValueError(str(error).removeprefix("hash: ")) from None


def _check_not_empty(text: str) -> None:
    if not text or "\0" in text:
        raise ValueError("is empty; leave it out, or write what it should be")


def _check_origin(origin: str) -> None:
    try:
        ServerOptions(origins=(origin,))
    except LocalProtocolError as error:
        raise ValueError(str(error).removeprefix("origins: ")) from None


def _check_proxy(entry: str) -> None:
    try:
        TrustedProxies((entry,))
    except ValueError as error:
        raise ValueError(str(error).removeprefix("trusted proxies: ")) from None


Pattern = Annotated[str, Meta(extra={CHECK: _check_pattern})]
"""A topic, or a pattern of topics."""

Hash = Annotated[str, Meta(extra={CHECK: _check_hash, HIDDEN: True})]
"""What is kept of a token or an API key."""

Secret = Annotated[str, Meta(extra={CHECK: _check_not_empty, HIDDEN: True})]
"""What nobody may see."""

FileName = Annotated[str, Meta(extra={CHECK: _check_not_empty, FILE: True})]
"""A file's path."""

Host = Annotated[str, Meta(extra={CHECK: _check_not_empty})]
"""An address or the name of one."""

Origin = Annotated[str, Meta(extra={CHECK: _check_origin})]
"""Whose pages may connect."""

Proxy = Annotated[str, Meta(extra={CHECK: _check_proxy})]
"""A proxy, a network of them, or `unix`."""
