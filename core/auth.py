"""Who is there: tokens and names, what they grant, and where a request carries them."""

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Final, Protocol
from urllib.parse import unquote_plus

import msgspec

from .grants import Grant
from .hub_limits import HubLimits

__all__ = [
    "AnonymousAccess",
    "Credentials",
    "External",
    "OpeningRequest",
    "TokenAuth",
    "TokenEntry",
    "check_name",
    "credentials_in",
    "hash_token",
    "name_key",
    "new_token",
]

# Tokens.

_ENTROPY: Final = 32
"""Bytes of entropy in a token of ours: nobody finds 256 bits by trying."""

_MILLISECONDS: Final = 1e11
"""As seconds it is the year 5138; what is above it, was meant as milliseconds."""

_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")


def new_token(entropy: Callable[[int], bytes]) -> str:
    """A token that nobody can guess: `hub_` and 43 characters that need no escaping anywhere.

    Args:
        entropy: where unpredictable bytes come from, such as `os.urandom`.

    Raises:
        ValueError: `entropy` gave fewer bytes than it was asked for.
    """
    given = entropy(_ENTROPY)
    if len(given) != _ENTROPY:
        raise ValueError(f"entropy({_ENTROPY}) gave {len(given)} bytes")
    return "hub_" + base64.urlsafe_b64encode(given).rstrip(b"=").decode()


def hash_token(token: str) -> str:
    """What to keep of a token: `sha256:` and 64 hexadecimal digits.

    Plain SHA-256 is right for tokens with much entropy, such as `new_token` makes, and only for
    them: whoever steals the hashes can try billions of guesses a second, which is nothing against
    256 random bits, and enough for any password that a person can remember. A slow hash would let a
    stranger spend our time instead.
    """
    return "sha256:" + _digest(token).hex()


def _digest(token: str) -> bytes:
    # A peer's text may hold a lone surrogate, which plain UTF-8 cannot encode.
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


class TokenEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One token, by its hash, and what its holder may do: an entry of the configuration.

    Raises:
        ValueError: a field cannot work; the message names it and says what can.
    """

    hash: str
    """What `hash_token` gives for it."""
    user: str
    """Its holder's name. Several tokens may have one user."""
    read: tuple[str, ...] = ()
    """Patterns of the topics that it may subscribe to."""
    write: tuple[str, ...] = ()
    """Patterns of the topics that it may publish to."""
    admin: bool = False
    """Whether it may do what operators do."""
    until: float | None = None
    """When it ends, in seconds since 1970 (UTC); None is never."""

    def __post_init__(self) -> None:
        # What stands in the wrong place may be the token itself, so `hash` is not shown.
        if not _HASH.fullmatch(self.hash):
            raise ValueError("hash: must be 'sha256:' and 64 hexadecimal digits in lower case")
        if self.hash == _OF_NOTHING:
            raise ValueError("hash: is that of an empty token")
        try:
            _check_spelling(self.user)
        except ValueError as error:
            raise ValueError(f"user: {error}") from None
        Grant(user=self.user, read=self.read, write=self.write)  # which checks the patterns
        if self.until is not None and not 0 < self.until < _MILLISECONDS:
            raise ValueError(f"until={self.until!r}: must be in seconds since 1970, or left out")

    @property
    def grant(self) -> Grant:
        """What its holder may do."""
        return Grant(
            user=self.user, read=self.read, write=self.write, admin=self.admin, until=self.until
        )


_OF_NOTHING: Final = hash_token("")

_IN_A_ROW: Final = 4
"""Hashes that lie in one row on average. The longest row then has a dozen, of 10,000 hashes."""


class TokenAuth:
    """Tokens that were given out, kept as hashes: what is stolen from here opens nothing.

    Every token of one length costs the same work, known or not, expired or not: one hash, and as many
    comparisons of hashes, each of which takes the same time wherever the two differ. For that the
    hashes lie in rows; a token is compared with all of the row that its own hash names, and every row
    is filled up to the same length. A dictionary would be twice as fast, but takes a tenth of a
    microsecond longer when it finds something.

    Args:
        entries: what the tokens grant.
        compare: says whether two hashes are equal, in a time that does not depend on where they
            differ.

    Raises:
        ValueError: two entries have one hash.
    """

    __slots__ = ("_compare", "_known", "_names", "_rows")

    def __init__(
        self,
        entries: Iterable[TokenEntry] = (),
        *,
        compare: Callable[[bytes, bytes], bool] = hmac.compare_digest,
    ) -> None:
        self._compare = compare
        known: dict[bytes, Grant] = {}
        for entry in entries:
            digest = bytes.fromhex(entry.hash.removeprefix("sha256:"))
            if digest in known:
                raise ValueError(
                    f"hash: {known[digest].user!r} and {entry.user!r} have the same token; "
                    "give each entry its own"
                )
            known[digest] = entry.grant
        self._fill(known)

    @classmethod
    def of_plain(
        cls,
        tokens: Mapping[str, Grant],
        *,
        compare: Callable[[bytes, bytes], bool] = hmac.compare_digest,
    ) -> "TokenAuth":
        """The same from the tokens themselves, for tests and examples. They are hashed at once.

        Any text is taken, also one that is easily guessed.
        """
        made = cls(compare=compare)
        made._fill({_digest(token): grant for token, grant in tokens.items()})
        return made

    def _fill(self, known: dict[bytes, Grant]) -> None:
        self._known = known
        self._names = {name_key(grant.user) for grant in known.values()}
        count = max(1, len(known) // _IN_A_ROW)
        rows: list[list[tuple[bytes, float]]] = [[] for _ in range(count)]
        for digest, grant in known.items():
            until = inf if grant.until is None else grant.until
            rows[_place(digest, count)].append((digest, until))
        longest = max(1, *map(len, rows))
        # Nobody knows a text with the hash that is added, and its time is over. All are copied, in
        # their order, so that real ones don't lie elsewhere in memory than those that were added.
        self._rows = [
            [
                (bytes(bytearray(digest)), until + 0.0)
                for digest, until in row + (longest - len(row)) * [(bytes(32), -inf)]
            ]
            for row in rows
        ]

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"TokenAuth({len(self)} tokens)"

    def authenticate(self, token: str, wall: float) -> Grant | None:
        """What a token grants, or None: it is unknown, or its time is over.

        Args:
            token: whatever a peer sent, of at most `max_token` characters.
            wall: now, in seconds since 1970 (UTC).
        """
        given = _digest(token)
        found = False
        for digest, until in self._rows[_place(given, len(self._rows))]:
            equal = self._compare(digest, given)
            live = wall < until
            found |= equal & live
        return self._known.get(given) if found else None

    def reserves(self, name: str) -> bool:
        """Whether a token's user, expired or not, is called so: nobody else may choose the name."""
        return name_key(name) in self._names


def _place(digest: bytes, rows: int) -> int:
    """The row of a hash."""
    return int.from_bytes(digest[:8], "big") % rows


class External(msgspec.Struct, frozen=True):
    """Whose token it is, is decided outside the machine, which asks with `Authenticate` effects.

    Such as by a user's own function, or a `JWTAuthenticator`.
    """


# Names.

_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Marks and letters that show nothing, though `isprintable` lets them through: those that Unicode lets
be ignored, and the empty Braille pattern."""


def check_name(name: str, limits: HubLimits) -> None:
    """Whether a user may be called so.

    A name has 1 to `max_name` characters that can be seen, in any script, and single spaces between
    them. Not allowed are control and format characters, those that turn the direction of writing
    included, other kinds of white space, characters without a glyph, and a combining mark that has
    nothing to combine with. It is written in Unicode's composed form (NFC), so that one name is
    one text.

    Letters of different scripts that look alike are not told apart: that Latin `a` is not Cyrillic
    `а` can be seen by no reader, yet names in either script are names. Whether somebody vouched for a
    name, a Grant's `anonymous` says.

    Raises:
        ValueError: it may not; the message says why, and does not repeat the name.
    """
    if not 1 <= len(name) <= limits.max_name:
        raise ValueError(f"a name has 1 to {limits.max_name} characters")
    _check_spelling(name)


def _check_spelling(name: str) -> None:
    if not name.isprintable() or _INVISIBLE.search(name):
        raise ValueError("a name has no control, format or invisible characters")
    for word in name.split(" "):
        if not word:
            raise ValueError("a name has single spaces, and only between other characters")
        if unicodedata.category(word[0]).startswith("M"):
            raise ValueError("a combining mark in a name has a character before it")
    if not unicodedata.is_normalized("NFC", name):
        raise ValueError("a name is written in Unicode's composed form (NFC)")


def name_key(name: str) -> str:
    """Names with equal keys are one name: "Ann", "ann" and "ＡＮＮ" may not be three people.

    Unicode's compatibility caseless match (chapter 3.13, D146).
    """
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", name).casefold())
    return unicodedata.normalize("NFKC", folded.casefold())


class AnonymousAccess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What peers without credentials may do, under a name that they choose.

    Raises:
        ValueError: a pattern is none; the message names it.
    """

    read: tuple[str, ...] = (">",)
    """Patterns of the topics that they may subscribe to. All, unless said otherwise."""
    write: tuple[str, ...] = (">",)
    """Patterns of the topics that they may publish to. All, unless said otherwise."""

    def __post_init__(self) -> None:
        self.grant("anybody")  # which checks the patterns

    def grant(self, name: str) -> Grant:
        """What the one who is called `name` may do. `check_name` says whether that is a name."""
        return Grant(user=name, read=self.read, write=self.write, anonymous=True)


# Where a request carries them.


class _HeaderLines(Protocol):
    def get_all(self, name: str, /) -> list[str]: ...


class OpeningRequest(Protocol):
    """What is looked at of the request that opens a WebSocket: `hubbub.core.Request` is one."""

    @property
    def headers(self) -> _HeaderLines:
        """Its header lines."""
        ...

    @property
    def query(self) -> str:
        """Its target's query, or an empty string."""
        ...


class Credentials(msgspec.Struct, frozen=True):
    """What an opening request says of who sends it: nothing, a token, a name, or nonsense."""

    token: str | None = None
    """A token; nobody knows yet whether it is worth anything."""
    name: str | None = None
    """A name that was asked for, not checked."""
    fault: str | None = None
    """Why what came cannot be used. Then there is no token and no name, and whoever sent it is refused as
    with a wrong token."""

    def __repr__(self) -> str:
        token = "" if self.token is None else "token=…, "  # tokens don't belong into logs
        return f"Credentials({token}name={self.name!r}, fault={self.fault!r})"


_BEARER: Final = re.compile(r"bearer(?: +(.*))?", re.IGNORECASE | re.DOTALL)
_B64TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750, 2.1."""

_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def credentials_in(request: OpeningRequest) -> Credentials:
    """The credentials of a request: `Authorization: Bearer …`, `?token=…` or `?name=…`.

    Strict, since what two readers could read in two ways is how one of them is fooled. It is a fault
    if there is more than one credential, equal or not, of one kind or of two; if the Authorization
    header stands on two lines; if what follows `Bearer` is no token (RFC 6750, 2.1); if a parameter
    has an escape that is none, or bytes that are not UTF-8. In a query `+` is a space, as browsers
    write it. Empty parameters count: they are a wrong token and a wrong name. Another scheme than
    Bearer is for somebody else, a proxy perhaps, and so are other parameters.
    """
    try:
        found = [*_bearer(request.headers.get_all("Authorization")), *_parameters(request.query)]
    except _Fault as fault:
        return Credentials(fault=str(fault))
    if len(found) > 1:
        return Credentials(fault="more than one token or name")
    return found[0] if found else Credentials()


class _Fault(Exception):
    """What makes credentials unusable."""


def _bearer(lines: list[str]) -> list[Credentials]:
    if len(lines) > 1:
        raise _Fault("more than one Authorization header")
    bearer = _BEARER.fullmatch(lines[0]) if lines else None
    if bearer is None:
        return []
    token = bearer[1] or ""
    if not _B64TOKEN.fullmatch(token):
        raise _Fault("no token behind Bearer in the Authorization header")
    return [Credentials(token=token)]


def _parameters(query: str) -> list[Credentials]:
    found: list[Credentials] = []
    for parameter in query.split("&"):
        raw_name, _, raw = parameter.partition("=")
        name = unquote_plus(raw_name)  # a bad escape stays as it is, and makes it another name
        if name not in {"token", "name"}:
            continue
        try:
            value = unquote_plus(raw, errors="strict")
        except UnicodeDecodeError:
            raise _Fault(f"the parameter {name} is not UTF-8") from None
        if _BAD_ESCAPE.search(raw):
            raise _Fault(f"the parameter {name} has a % that begins no escape")
        found.append(Credentials(token=value) if name == "token" else Credentials(name=value))
    return found
