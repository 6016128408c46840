"""Why there is no connection, and how one ended, each in one line."""

import os
import re
import ssl
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from ...core.events import Close, Closed
from ...core.frames import CloseCode
from ...core.http import Response
from ...core.uri import parse_uri
from ...transports.exceptions import InvalidStatus, closed_exception

__all__ = ["ending", "place", "why"]

_PRIVATE: Final = frozenset({18, 19, 20, 21})
"""OpenSSL's numbers for a certificate whose issuer is not known here."""

_ERRNO: Final = re.compile(r"\[Errno ([0-9]+)\]")

_BODY: Final = 200
"""Characters of a refusal's text that are told."""


def place(uri: str) -> str:
    """A URI without what may be secret: its user, password and query."""
    parts = parse_uri(uri)
    return f"{parts.scheme}://{parts.host_header}{parts.target.partition('?')[0]}"


def why(error: Exception) -> str:
    """Why there is no connection."""
    if isinstance(error, InvalidStatus):
        return _refusal(error.response)
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "; --ca FILE trusts a CA of your own" if error.verify_code in _PRIVATE else ""
        return f"its certificate is not trusted: {error.verify_message.rstrip('.')}{hint}"
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or str(error)).lower().replace("_", " ")
        hint = "; does it speak ws://?" if error.reason == "WRONG_VERSION_NUMBER" else ""
        return f"no TLS: {reason}{hint}"
    if isinstance(error, OSError):
        return _system(error)
    return str(error)


def _system(error: OSError) -> str:
    if error.errno is not None:
        # What failed to resolve has a negative number and words of its own.
        return (os.strerror(error.errno) if error.errno > 0 else error.strerror or "").lower()
    # A host with several addresses fails once for each; mostly all for one reason.
    numbers = dict.fromkeys(int(number) for number in _ERRNO.findall(str(error)))
    return ", ".join(os.strerror(number).lower() for number in numbers) or str(error)


def _refusal(response: Response) -> str:
    words = f"HTTP {response.status}"
    with suppress(ValueError):  # a number may have no name
        words += f" {HTTPStatus(response.status).phrase}"
    if response.headers.get("Content-Type", "").startswith("text/plain"):
        text = response.body.decode(errors="replace").strip().partition("\n")[0]
        words += f": {text[:_BODY]}" if text else ""
    return words


def ending(closed: Closed, uri: str) -> tuple[int, str]:
    """The exit code for how a connection ended, and a line that says how."""
    received, sent = closed.received, closed.sent
    fine = closed_exception(closed).ok
    if fine and not closed.received_first:
        return 0, "closed"
    if sent is not None and sent.code != CloseCode.NORMAL_CLOSURE and not closed.received_first:
        return 1, f"closed the connection to {place(uri)} with {_named(sent)}"
    if received is not None:
        return (0 if fine else 1), f"{place(uri)} closed the connection: {_named(received)}"
    return 1, f"lost the connection to {place(uri)}: {closed.cause}"


def _named(close: Close) -> str:
    if close.code is None:
        return "no code"
    try:
        meaning = f" ({CloseCode(close.code).name.lower().replace('_', ' ')})"
    except ValueError:
        meaning = ""
    return f"{close.code}{meaning}{' ' + repr(close.reason) if close.reason else ''}"
