"""What only shows when settings are seen together, or when the files that they name are read."""

import ipaddress
import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, NoReturn

from ...core.auth import check_name
from ...core.topics import contains
from .places import Key
from .settings import JWTSettings, Settings
from .settings_reading import Reading
from .settings_secrets import read_secret

__all__ = ["check", "is_loopback"]

_JWT: Final[Key] = ("auth", "jwt")


def check(settings: Settings, reading: Reading, now: datetime) -> None:
    """Note every mistake that the reading could not see, and what may be one.

    What was found wrong before is not judged again: its default stands in its place.
    """
    _check_server(settings, reading)
    _check_tls(settings, reading)
    _check_doors(settings, reading)
    _check_tokens(settings, reading, now)
    if settings.auth.jwt is not None:
        _check_jwt(settings.auth.jwt, reading)
    _check_rules(settings, reading)
    _check_store(settings, reading)
    _check_api(settings, reading)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_server(settings: Settings, reading: Reading) -> None:
    server = settings.server
    if server.unix is not None:
        for name in ("host", "port"):
            if ("server", name) in reading.sources:
                reading.wrong(("server", name), "a Unix socket has none; leave it or unix out")
    if server.uvloop and server.transport != "asyncio":
        reading.wrong(
            ("server", "uvloop"),
            f"is a loop of asyncio, and transport is {server.transport}; leave one of them out",
        )


def _check_tls(settings: Settings, reading: Reading) -> None:
    cert_path: Key = ("server", "tls_cert")
    key_path: Key = ("server", "tls_key")
    cert, key = settings.server.tls_cert, settings.server.tls_key
    if not reading.good(cert_path, key_path):
        return
    if cert is None:
        if key is not None:
            reading.wrong(key_path, "is there without a certificate; set tls_cert too")
        return
    for path, name in ((cert_path, cert), (key_path, key)):
        if name is not None:
            try:
                Path(name).open("rb").close()
            except OSError as error:
                reading.wrong(path, f"{name}: {(error.strerror or 'cannot be read').lower()}")
    if not reading.good(cert_path, key_path):
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, _no_password)
    except _Encrypted:
        reading.wrong(
            key_path if key is not None else cert_path,
            "the private key is encrypted; name a file with one that is not",
        )
    except (ssl.SSLError, OSError):
        reading.wrong(
            cert_path,
            f"{cert}: not a PEM certificate with its private key; name the key's file as tls_key",
        )


class _Encrypted(Exception):
    """A private key needs a password."""


def _no_password() -> NoReturn:
    raise _Encrypted  # without this OpenSSL asks at the terminal


def _check_doors(settings: Settings, reading: Reading) -> None:
    """Somebody must be able to enter, and not everybody by accident."""
    if not reading.good(("auth",), ("tokens",)):
        return
    if settings.anonymous is None and not settings.tokens and settings.auth.jwt is None:
        reading.wrong(
            ("auth", "anonymous"),
            "nobody could enter: it is off, and there are no tokens and no [auth.jwt]; "
            "add one of these, or write true",
        )
    everybody = settings.anonymous is not None and settings.auth.anonymous is None
    server = settings.server
    near = server.unix is not None or is_loopback(server.host)
    if everybody and not near and reading.good(("server", "host")):
        reading.wrong(
            ("server", "host"),
            f"{server.host} can be reached from other machines, and everybody could enter, "
            "since there are no tokens and no [auth.jwt]; add one of these, "
            "or set auth.anonymous to true (--anonymous) if that is meant",
        )


def _check_tokens(settings: Settings, reading: Reading, now: datetime) -> None:
    seen: dict[str, int] = {}
    for number, token in enumerate(settings.tokens):
        path: Key = ("tokens", number)
        if reading.good((*path, "user")):
            try:
                check_name(token.user, settings.limits)
            except ValueError as error:
                reading.wrong((*path, "user"), str(error))
        if reading.good((*path, "hash")):
            first = seen.setdefault(token.hash, number)
            if first != number:
                where = reading.source(("tokens", first, "hash"))
                reading.wrong((*path, "hash"), f"is the same as at {where}; remove one of them")
        if token.until is not None and token.until <= now:
            reading.warn((*path, "until"), f"{token.user}'s token has ended; remove it")
        if not (token.read or token.write or token.admin) and reading.good(path):
            reading.warn(path, f"{token.user} may read and write nothing")


def _check_jwt(jwt: JWTSettings, reading: Reading) -> None:
    algorithms: Key = (*_JWT, "algorithms")
    if reading.good(algorithms):
        for number, name in enumerate(jwt.algorithms):
            _try_jwt((*algorithms, number), "algorithms", reading, "", [name])
    if reading.good(algorithms):
        _try_jwt(algorithms, "algorithms", reading, "", list(jwt.algorithms))
    for name in ("audience", "issuer"):
        value = getattr(jwt, name)
        if value is not None and (not value or not all(value)):
            reading.wrong((*_JWT, name), "is empty; leave it out, or write what it must be")
    keys = _keys(jwt, reading)
    if reading.good(algorithms):
        for path, key in keys:
            _try_jwt(path, "key", reading, key, list(jwt.algorithms))


def _try_jwt(path: Key, about: str, reading: Reading, key: str, algorithms: list[str]) -> None:
    """Note what the authenticator says against these, if it is about that one."""
    # Here, because PyJWT and what it needs take a fifth of a server's start.
    from ...transports.authenticators.jwt import JWTAuthenticator

    try:
        JWTAuthenticator(key, algorithms=algorithms)
    except ValueError as error:
        name, _, text = str(error).partition(": ")
        if name == about:
            reading.wrong(path, text)


def _keys(jwt: JWTSettings, reading: Reading) -> list[tuple[Key, str]]:
    """All keys, and where they were configured."""
    names = ("key", "key_file", "keys", "key_files")
    given = [name for name in names if (*_JWT, name) in reading.sources]
    if not given:
        reading.wrong(_JWT, "has no key; write key_file, key, keys or key_files")
    if len(given) > 1 and given != ["keys", "key_files"]:
        reading.wrong((*_JWT, given[1]), f"{given[0]} is there too; leave one of them out")
    twice = sorted(jwt.keys.keys() & jwt.key_files.keys())
    for kid in twice:
        reading.wrong((*_JWT, "key_files", kid), "is among keys too; leave one of them out")
    found: list[tuple[Key, str]] = []
    if jwt.key is not None:
        found.append(((*_JWT, "key"), jwt.key))
    found += [((*_JWT, "keys", kid), key) for kid, key in jwt.keys.items()]
    files: list[tuple[Key, str]] = []
    if jwt.key_file is not None:
        files.append(((*_JWT, "key_file"), jwt.key_file))
    files += [((*_JWT, "key_files", kid), name) for kid, name in jwt.key_files.items()]
    for path, name in files:
        key = _read(path, name, reading)
        if key is not None:
            found.append((path, key))
    for name, keys in (("keys", jwt.keys), ("key_files", jwt.key_files)):
        path = (*_JWT, name)
        if path in reading.sources and not keys and reading.good(path):
            reading.wrong(path, 'is empty; write a key as "kid" = …')
    return found


def _read(path: Key, name: str, reading: Reading) -> str | None:
    try:
        return read_secret(name)
    except ValueError as error:
        reading.wrong(path, str(error))
        return None


def _check_rules(settings: Settings, reading: Reading) -> None:
    patterns: list[tuple[int, str]] = []
    for number, rule in enumerate(settings.rules):
        path: Key = ("rules", number)
        if not reading.good((*path, "pattern")):
            continue
        for earlier, pattern in patterns:
            if contains(pattern, rule.pattern):
                where = reading.source(("rules", earlier))
                reading.warn(
                    (*path, "pattern"),
                    f"{rule.pattern} never counts: {pattern}, at {where}, matches all of it and "
                    "stands before it; write the narrower one first",
                )
                break
        else:
            patterns.append((number, rule.pattern))
        longest = settings.limits.max_size
        if rule.max_message is not None and longest is not None and rule.max_message > longest:
            reading.warn(
                (*path, "max_message"),
                f"{rule.max_message} never counts: limits.max_size, {longest}, is less",
            )


def _check_store(settings: Settings, reading: Reading) -> None:
    path = settings.store.path
    if path is not None:
        folder = Path(path).absolute().parent
        if reading.good(("store", "path")) and not folder.is_dir():
            reading.wrong(("store", "path"), f"there is no folder {folder}; make it first")
        return
    for number, rule in enumerate(settings.rules):
        if rule.durable and reading.good(("rules", number), ("store",)):
            reading.warn(
                ("rules", number, "durable"),
                "what is published there ends with the process, since there is no store; "
                "name a file as store.path (--store)",
            )


def _check_api(settings: Settings, reading: Reading) -> None:
    api = settings.api
    if api.key_hash is not None and api.key_file is not None:
        reading.wrong(("api", "key_file"), "key_hash is there too; leave one of them out")
    elif api.key_file is not None:
        key = _read(("api", "key_file"), api.key_file, reading)
        if key is not None:
            warn_of_short_key(key, lambda text: reading.warn(("api", "key_file"), text))
    metrics = settings.metrics
    closed = not metrics.loopback and api.key_hash is None and api.key_file is None
    if metrics.enabled and closed and reading.good(("api",)):
        reading.warn(
            ("metrics", "loopback"),
            "nobody can read /metrics: it is off, and there is no API key; "
            "add one, or set metrics.enabled to false",
        )


_SHORT_KEY: Final = 22
"""Characters below which an API key is called short: 22 of base64 have 128 bits."""


def warn_of_short_key(key: str, warn: Callable[[str], None]) -> None:
    """Say so if a key could be guessed from its hash."""
    if len(key) < _SHORT_KEY:
        warn(f"the API key has {len(key)} characters; {_SHORT_KEY} random ones are hard to guess")
