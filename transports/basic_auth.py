"""HTTP Basic authentication for `serve` (RFC 7617)."""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import Any, cast

from ..core.errors import LocalProtocolError
from ..core.http import Request, Response, text_response

__all__ = ["CheckCredentials", "basic_auth"]

CheckCredentials = Callable[[str, str], Awaitable[bool] | bool]
"""Called with a user's name and password; says whether they are right. It may be a coroutine function."""


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
    check_credentials: CheckCredentials | None = None,
) -> Callable[[Any, Request], Awaitable[Response | None]]:
    """A `process_request` that lets in whose name and password are right, and sends 401 to others.

    The name is the connection's `username` then. Browsers ask their user; use it with TLS only, since
    the password is sent as it is.

    Args:
        realm: what the password is for, in ASCII, shown by browsers.
        credentials: a name and a password, or several such pairs.
        check_credentials: decides instead, for example from a database.

    Raises:
        ValueError: not exactly one of the two is given.
        TypeError: `credentials` are no pairs of text.
        LocalProtocolError: the realm can't be sent.
    """
    if (credentials is None) is (check_credentials is None):
        raise ValueError("give credentials or check_credentials, one of the two")
    if not (realm.isascii() and realm.isprintable()):
        raise LocalProtocolError(f"realm={realm!r}: must be printable ASCII")
    check = check_credentials if check_credentials is not None else _checker(credentials)
    quoted = realm.replace("\\", "\\\\").replace('"', '\\"')
    challenge = [("WWW-Authenticate", f'Basic realm="{quoted}", charset="UTF-8"')]

    async def process_request(connection: Any, request: Request) -> Response | None:
        pair = _credentials_of(request)
        if pair is None:
            return text_response(401, "A name and a password are needed", challenge)
        verdict = check(*pair)
        if not (await verdict if isawaitable(verdict) else verdict):
            return text_response(401, "The name or the password is wrong", challenge)
        connection.username = pair[0]
        return None

    return process_request


def _checker(credentials: object) -> CheckCredentials:
    one = isinstance(credentials, tuple) and len(cast("tuple[object, ...]", credentials)) == 2
    if one and all(isinstance(part, str) for part in cast("tuple[object, object]", credentials)):
        pairs: list[Any] = [credentials]
    else:
        pairs = list(cast("Iterable[Any]", credentials))
    known: dict[str, bytes] = {}
    for pair in pairs:
        match pair:
            case (str(user), str(password)):
                known[user] = password.encode(errors="surrogateescape")
            case _:
                raise TypeError("credentials must be a pair of name and password, or several pairs")

    def check(user: str, password: str) -> bool:
        # The comparison is made for unknown names too, so that its time tells nothing.
        expected = known.get(user)
        given = password.encode(errors="surrogateescape")
        equal = hmac.compare_digest(given if expected is None else expected, given)
        return equal and expected is not None

    return check


def _credentials_of(request: Request) -> tuple[str, str] | None:
    lines = request.headers.get_all("Authorization")
    if len(lines) != 1:
        return None
    scheme, _, encoded = lines[0].partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    user, colon, password = decoded.partition(":")
    return (user, password) if colon else None
