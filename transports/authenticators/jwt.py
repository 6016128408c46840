"""JSON Web Tokens (RFC 7519), checked by PyJWT. Needs the extra `server`."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any, Final, cast

import jwt

from ...core.auth import check_name
from ...core.grants import Grant
from ...core.hub_limits import HubLimits

__all__ = ["JWTAuthenticator", "Key"]

Key = str | bytes | jwt.PyJWK
"""A secret for the HS algorithms, a public key in PEM form for the others, or either as a JWK that PyJWT
has read."""

_SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""What the secret must have at least (RFC 7518, 3.2)."""

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_PUBLIC: Final = (*_RSA, "ES256", "ES256K", "ES384", "ES512", "EdDSA")
_RSA_BITS: Final = 2048
"""What an RSA key must have at least (RFC 7518, 3.3)."""

_LOOKS_PUBLIC: Final = re.compile(rb"\s*(?:-----BEGIN |---- BEGIN |ssh-|ecdsa-)")

_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""RFC 7515, 7.1, and no padding."""

_Prepared = tuple[Any, list[str]]
"""A key as PyJWT's algorithms take it, whose classes depend on what is installed; and which of the
allowed algorithms it is for."""


class JWTAuthenticator:
    """Calling it with a token gives what the token grants, or None: it proves nothing here.

    A token's signature is checked before any of its claims is looked at, with one of the algorithms
    that are allowed here, and with a key that is known here: where a token names a key's address, or
    brings a key of its own, that is not read. None is also the answer to a token that has expired or
    is not valid yet, has the wrong audience or issuer (also: an audience where none is expected, RFC
    7519, 4.1.3), lacks a claim that is needed, has a claim of a wrong type, or demands an extension
    (`crit`). Nothing that is sent makes it raise, and nothing of it is logged.

    Args:
        key: the secret, or the public key, of who issues the tokens. Or a mapping of several, by the
            `kid` that tokens then must name.
        algorithms: which may sign, such as `["HS256"]`. Those with a secret (HS256, HS384, HS512) and
            those with a public key (RS, PS, ES, EdDSA; the package `cryptography` checks them) cannot be
            mixed: else the public key, which everybody knows, could be taken for the secret.
        audience: who tokens must be meant for, in their claim `aud`; several where any will do.
        issuer: who must have issued them, in `iss`; several where any will do.
        leeway: seconds that `exp` and `nbf` may be missed by, where clocks differ.
        user_claim: holds the user's name, which `check_name` must allow.
        read_claim: holds a list of patterns of topics, or is missing for none.
        write_claim: likewise.
        admin_claim: holds true or false, or is missing for false.
        require_expiry: whether a token must say when it expires.
        limits: `max_token` and `max_name` of these are kept.
        clock: gives the seconds since 1970.

    Raises:
        ValueError: it cannot work so; the message says what to do.
    """

    def __init__(
        self,
        key: Key | Mapping[str, Key],
        *,
        algorithms: Iterable[str],
        audience: str | Iterable[str] | None = None,
        issuer: str | Iterable[str] | None = None,
        leeway: float = 0.0,
        user_claim: str = "sub",
        read_claim: str = "read",
        write_claim: str = "write",
        admin_claim: str = "admin",
        require_expiry: bool = True,
        limits: HubLimits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._algorithms = _check_algorithms(algorithms)
        self._key: _Prepared | None = None
        self._keys: dict[object, _Prepared] = {}
        if isinstance(key, Mapping):
            if not key:
                raise ValueError("key: an empty mapping; give at least one key by its kid")
            if "kty" in key:
                raise ValueError(
                    "key: is a JWK as JSON; make it one that PyJWT has read, jwt.PyJWK(…)"
                )
            self._keys = {
                kid: _prepare(f"key {kid!r}", one, self._algorithms) for kid, one in key.items()
            }
        else:
            self._key = _prepare("key", key, self._algorithms)
        self._audience = _names("audience", audience)
        self._issuer = _names("issuer", issuer)
        if not 0 <= leeway < float("inf"):
            raise ValueError(f"leeway={leeway!r}: must be a number of seconds from 0")
        self._leeway = leeway
        self._user_claim = user_claim
        self._read_claim = read_claim
        self._write_claim = write_claim
        self._admin_claim = admin_claim
        self._require_expiry = require_expiry
        self._limits = HubLimits() if limits is None else limits
        self._clock = clock

    def __repr__(self) -> str:
        return f"JWTAuthenticator(algorithms={self._algorithms!r})"  # and never a key

    def __call__(self, token: str) -> Grant | None:
        """What `token` grants, or None."""
        if len(token) > self._limits.max_token or not _FORM.fullmatch(token):
            return None
        claims = self._verified(token)
        if claims is None:
            return None
        try:
            return self._grant(claims)
        except ValueError:
            return None

    def _verified(self, token: str) -> dict[str, Any] | None:
        """The claims of a token whose signature, audience and issuer are right."""
        try:
            header = jwt.get_unverified_header(token)
            if "crit" in header:
                return None  # RFC 7515, 4.1.11: we understand no extension
            prepared = self._key or self._keys.get(header.get("kid"))
            if prepared is None:
                return None
            key, algorithms = prepared
            # The time is checked by our own clock, and more strictly: PyJWT takes "1" and true too.
            untimed: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
            return jwt.decode(  # pyright: ignore[reportUnknownMemberType] - keys are unknown without cryptography
                token,
                key,
                algorithms=algorithms,
                audience=self._audience,
                issuer=self._issuer,
                options=untimed,
            )
        except Exception:  # noqa: BLE001 - a stranger's token, through the parsers of three packages
            return None

    def _grant(self, claims: dict[str, Any]) -> Grant:
        """What verified claims say. Raises ValueError if they are wrong."""
        now = self._clock()
        until = _moment(claims, "exp")
        if until is None:
            if self._require_expiry:
                raise ValueError("no exp")
        else:
            until += self._leeway
            if until <= now:
                raise ValueError("expired")
        begin = _moment(claims, "nbf")
        if begin is not None and begin - self._leeway > now:
            raise ValueError("not valid yet")
        _moment(claims, "iat")
        user = claims.get(self._user_claim)
        if not isinstance(user, str):
            raise ValueError("no user")  # noqa: TRY004 - the claim is what is wrong
        check_name(user, self._limits)
        admin = claims.get(self._admin_claim, False)
        if not isinstance(admin, bool):
            raise ValueError("admin is neither true nor false")  # noqa: TRY004
        return Grant(
            user=user,
            read=_patterns(claims, self._read_claim),
            write=_patterns(claims, self._write_claim),
            admin=admin,
            until=until,
        )


def _moment(claims: dict[str, Any], name: str) -> float | None:
    """A claim that is a number of seconds since 1970."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} is no number")  # noqa: TRY004 - the claim is what is wrong
    try:
        moment = float(value)
    except OverflowError:
        raise ValueError(f"{name} is beyond all time") from None
    if not isfinite(moment):
        raise ValueError(f"{name} is beyond all time")
    return moment


def _patterns(claims: dict[str, Any], name: str) -> tuple[str, ...]:
    """A claim that is a list of texts; `Grant` looks whether they are patterns."""
    value = claims.get(name, [])
    if not isinstance(value, list):
        raise ValueError(f"{name} is no list")  # noqa: TRY004 - the claim is what is wrong
    patterns = cast("list[object]", value)
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise ValueError(f"{name} is no list of texts")
    return tuple(cast("list[str]", patterns))


def _names(field: str, given: str | Iterable[str] | None) -> list[str] | None:
    """One text or several, as a list: PyJWT 2.10.0 took a part of a single issuer for the whole."""
    if given is None:
        return None
    names = [given] if isinstance(given, str) else list(given)
    if not names or not all(names):
        raise ValueError(f"{field}={given!r}: give a text that is not empty, or leave it out")
    return names


def _check_algorithms(given: Iterable[str]) -> list[str]:
    if isinstance(given, str):
        raise ValueError(f"algorithms={given!r}: write a list, [{given!r}]")  # noqa: TRY004
    names = list(given)
    if not names:
        raise ValueError("algorithms: name at least one, such as 'HS256'")
    for name in names:
        if name.lower() == "none":
            raise ValueError(f"algorithms: {name!r} lets anybody write tokens; leave it out")
        if name not in _SECRET_BYTES and name not in _PUBLIC:
            known = ", ".join([*_SECRET_BYTES, *_PUBLIC])
            raise ValueError(f"algorithms: {name!r} is none of {known}")
    if 0 < sum(name in _PUBLIC for name in names) < len(names):
        raise ValueError(
            "algorithms: those with a secret (HS…) and those with a public key can't be mixed, "
            "since the public key could be taken for the secret; make two authenticators"
        )
    return names


def _prepare(what: str, key: object, algorithms: list[str]) -> _Prepared:
    """Look whether a key can serve, and for which of the algorithms. Its text is never shown."""
    material: Any = key
    if isinstance(key, jwt.PyJWK):
        material = key.key
        algorithms = [name for name in algorithms if name == key.algorithm_name]
        if not algorithms:
            raise ValueError(f"{what}: is for {key.algorithm_name}, which is not allowed here")
    elif not isinstance(key, (str, bytes)):
        raise ValueError(f"{what}: must be a secret, a public key in PEM form or a jwt.PyJWK")  # noqa: TRY004
    if algorithms[0] in _SECRET_BYTES:
        return _prepare_secret(what, material, algorithms)
    return _prepare_public(what, material, algorithms)


def _prepare_secret(what: str, secret: str | bytes, algorithms: list[str]) -> _Prepared:
    octets = secret.encode() if isinstance(secret, str) else secret
    if _LOOKS_PUBLIC.match(octets):
        raise ValueError(
            f"{what}: is no secret but a public or private key; "
            "name its algorithm instead, such as 'RS256' or 'ES256'"
        )
    needed = max(_SECRET_BYTES[name] for name in algorithms)
    if len(octets) < needed:
        raise ValueError(
            f"{what}: has {len(octets)} bytes, and {algorithms} need {needed} at least "
            "(RFC 7518, 3.2); take them from a random source"
        )
    try:
        prepared: Any = jwt.get_algorithm_by_name(algorithms[0]).prepare_key(octets)
    except jwt.InvalidKeyError as error:
        raise ValueError(f"{what}: {error}") from None
    return prepared, algorithms


def _prepare_public(what: str, key: Any, algorithms: list[str]) -> _Prepared:
    octets = key.encode() if isinstance(key, str) else key
    if isinstance(octets, bytes) and b"PRIVATE KEY" in octets:
        raise ValueError(f"{what}: is private; give its public key, which is enough to check")
    prepared: Any = None
    usable: list[str] = []
    for name in algorithms:
        try:
            algorithm = jwt.get_algorithm_by_name(name)
        except NotImplementedError:
            raise ValueError(
                f"algorithms: {name!r} needs the package cryptography; the extra server has it"
            ) from None
        try:
            prepared = algorithm.prepare_key(octets)
        except (jwt.InvalidKeyError, TypeError, ValueError):
            continue  # it is of another family
        usable.append(name)
    if not usable:
        raise ValueError(f"{what}: is no public key in PEM form for {algorithms}")
    if hasattr(prepared, "private_bytes"):
        raise ValueError(f"{what}: is private; give its public key, which is enough to check")
    if usable[0] in _RSA and prepared.key_size < _RSA_BITS:
        raise ValueError(f"{what}: has {prepared.key_size} bits, and needs {_RSA_BITS} at least")
    return prepared, usable
