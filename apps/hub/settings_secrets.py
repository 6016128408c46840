"""Keys that stand in files of their own, and what they open."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...core.auth import hash_token
from ...core.grants import Grant
from ...core.hub_limits import HubLimits
from .settings import ApiSettings, JWTSettings, Settings

if TYPE_CHECKING:
    from ...transports.authenticators.jwt import JWTAuthenticator

__all__ = [
    "api_key_hash",
    "authenticator",
    "jwt_authenticator",
    "jwt_keys",
    "read_secret",
]

_MAX_SECRET: Final = 2**20
"""Bytes of a file with a key. Keys have 32 bytes to some KiB."""


def read_secret(path: str) -> str:
    """What stands in a file, without the line's end behind it.

    Raises:
        ValueError: it can't be read, or holds nothing that could be a key; the message says so.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_SECRET + 1)
    except OSError as error:
        raise ValueError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    if len(data) > _MAX_SECRET:
        raise ValueError(f"{path}: has more than {_MAX_SECRET} bytes; it is no key")
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not UTF-8; write the key as text") from None
    if not text:
        raise ValueError(f"{path}: is empty; write the key into it")
    return text


def api_key_hash(settings: ApiSettings) -> str | None:
    """What `hash_token` must make of the API key; None if no key was configured.

    Raises:
        ValueError: the key's file can't be read.
    """
    if settings.key_file is not None:
        return hash_token(read_secret(settings.key_file))
    return settings.key_hash


def jwt_keys(settings: JWTSettings) -> str | dict[str, str]:
    """The key, or several by their `kid`.

    Raises:
        ValueError: a key's file can't be read.
    """
    if settings.key is not None:
        return settings.key
    if settings.key_file is not None:
        return read_secret(settings.key_file)
    files = {kid: read_secret(path) for kid, path in settings.key_files.items()}
    return {**settings.keys, **files}


def jwt_authenticator(settings: JWTSettings, limits: HubLimits) -> "JWTAuthenticator":
    """What believes the JWTs that were configured.

    Raises:
        ValueError: it can't work so, or a key's file can't be read.
    """
    # Here, because PyJWT and what it needs take a fifth of a server's start.
    from ...transports.authenticators.jwt import JWTAuthenticator

    return JWTAuthenticator(
        jwt_keys(settings),
        algorithms=settings.algorithms,
        audience=settings.audience,
        issuer=settings.issuer,
        leeway=settings.leeway,
        user_claim=settings.claims.user,
        read_claim=settings.claims.read,
        write_claim=settings.claims.write,
        admin_claim=settings.claims.admin,
        require_expiry=settings.require_expiry,
        limits=limits,
    )


def authenticator(
    settings: Settings, clock: Callable[[], float] = time.time
) -> Callable[[str], Grant | None] | None:
    """What answers the hub's `Authenticate` effects; None where the hub knows all tokens itself.

    A token is looked for among `[[tokens]]` first; the others are for the issuer of JWTs to vouch for.

    Args:
        settings: what `load` gave.
        clock: gives the seconds since 1970.

    Raises:
        ValueError: a key's file can't be read any more.
    """
    if settings.auth.jwt is None:
        return None
    believed = jwt_authenticator(settings.auth.jwt, settings.limits)
    if not settings.tokens:
        return believed
    known = settings.token_auth()

    def look(token: str) -> Grant | None:
        return known.authenticate(token, clock()) or believed(token)

    return look
