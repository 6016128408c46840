"""What a hub can be told by `hubbub.toml`, by the environment and by flags."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from ...core.auth import AnonymousAccess, External, TokenAuth, TokenEntry
from ...core.extensions import Deflate
from ...core.forwarded import TrustedProxies
from ...core.handshake import HEALTHZ, ServerOptions
from ...core.http import Response
from ...core.hub_config import HubConfig
from ...core.hub_limits import HubLimits
from ...core.rules import DEFAULT_RULES, Rule
from ..logs import LogFormat
from .settings_kinds import FileName, Hash, Host, Origin, Pattern, Proxy, Secret

__all__ = [
    "AnonymousSettings",
    "ApiSettings",
    "AuthSettings",
    "ClaimSettings",
    "JWTSettings",
    "LogSettings",
    "MetricsSettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "TokenSettings",
]

LogLevel = Literal["debug", "info", "warning", "error"]


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where it listens, and for whom."""

    host: Host = "127.0.0.1"
    """Address to listen on."""

    port: int = 8765
    """Port to listen on; 0 picks a free one."""

    unix: FileName | None = None
    """Path of a Unix socket to listen on, instead of host and port."""

    transport: Literal["asyncio", "trio"] = "asyncio"
    """Event loop to run on. trio needs the extra `trio`."""

    uvloop: bool = False
    """Run asyncio on uvloop, which needs the extra `uvloop`."""

    tls_cert: FileName | None = None
    """Certificate chain (PEM): serve wss and https."""

    tls_key: FileName | None = None
    """Private key (PEM), if it is not in the file of `tls_cert`."""

    origins: Literal["same-host", "any"] | tuple[Origin, ...] = "same-host"
    """Whose pages may connect: those of our own host, any, or those listed as `scheme://host`."""

    trusted_proxies: tuple[Proxy, ...] = ()
    """Addresses and networks whose `X-Forwarded-For` is believed; `unix` for those that come by a Unix
    socket."""

    compression: Literal["none", "deflate"] = "none"
    """`deflate` offers permessage-deflate. It costs memory, CPU, and secrecy."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port={self.port!r}: must be 0 to 65535")


class AnonymousSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people may do who come under a name that they choose."""

    read: tuple[Pattern, ...] = (">",)
    """Topics that they may subscribe to."""

    write: tuple[Pattern, ...] = (">",)
    """Topics that they may publish to."""


class ClaimSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims of a JWT that say who its bearer is and what it may do."""

    user: str = "sub"
    """Its name."""

    read: str = "read"
    """A list of topics that it may subscribe to."""

    write: str = "write"
    """A list of topics that it may publish to."""

    admin: str = "admin"
    """Whether it may do what operators do."""


class JWTSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose JWTs are believed. One of `key`, `key_file`, `keys` and `key_files` is needed."""

    algorithms: tuple[str, ...]
    """Those that a JWT may be signed with, such as `["RS256"]`. All must be of one kind: with one secret
    for both sides (HS256 …), or with a public key."""

    key: Secret | None = None
    """The secret, or the public key (PEM)."""

    key_file: FileName | None = None
    """A file that holds it."""

    keys: dict[str, Secret] = {}
    """Several keys: each under the `kid` that a JWT's header names."""

    key_files: dict[str, FileName] = {}
    """Files that hold them."""

    audience: str | tuple[str, ...] | None = None
    """What `aud` must be or hold; of several, any."""

    issuer: str | tuple[str, ...] | None = None
    """What `iss` must be; of several, any."""

    leeway: float = 0.0
    """Seconds that our clock and the issuer's may differ by."""

    require_expiry: bool = True
    """Whether a JWT must say when it ends, in `exp`."""

    claims: ClaimSettings = ClaimSettings()
    """Names of the claims."""

    def __post_init__(self) -> None:
        if not 0 <= self.leeway <= 3600:
            raise ValueError(f"leeway={self.leeway!r}: must be 0 to 3600 seconds")

    def __repr__(self) -> str:
        return "JWTSettings(…)"  # keys don't belong into logs


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may enter, besides the bearers of `[[tokens]]`."""

    anonymous: bool | AnonymousSettings | None = None
    """Whether people may enter under a name that they choose. Left out, they may where there are neither
    tokens nor a `[auth.jwt]`. A table with `read` and `write` says what they may do, otherwise
    everything but an operator's work."""

    jwt: JWTSettings | None = None
    """Whose JWTs are believed."""


class TokenSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token that is known by its hash; `hubbub token create` makes both."""

    hash: Hash
    """`sha256:` and 64 hex digits. The token itself stands nowhere."""

    user: str
    """Who its bearer is. Several tokens may name the same user."""

    read: tuple[Pattern, ...] = ()
    """Topics that it may subscribe to."""

    write: tuple[Pattern, ...] = ()
    """Topics that it may publish to."""

    admin: bool = False
    """Whether it may do what operators do."""

    until: datetime | None = None
    """When it ends, such as `2027-01-31` (as that day begins, UTC) or `2027-01-31T18:00:00Z`."""

    @property
    def entry(self) -> TokenEntry:
        """The same for `TokenAuth`."""
        return TokenEntry(
            hash=self.hash,
            user=self.user,
            read=self.read,
            write=self.write,
            admin=self.admin,
            until=None if self.until is None else self.until.timestamp(),
        )


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where topics whose rule says `durable` are kept."""

    path: FileName | None = None
    """A file, which is made if there is none, on a local disk. Without one such topics live in memory,
    and end with the process."""


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may use the HTTP interface. Without a key nobody may."""

    key_hash: Hash | None = None
    """`sha256:` and 64 hex digits, as `hubbub token hash` prints them. The key itself may only stand in
    the variable `HUBBUB_API_KEY`."""

    key_file: FileName | None = None
    """A file that holds the key."""


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`/metrics`, for Prometheus."""

    enabled: bool = True
    """Whether it is there."""

    loopback: bool = True
    """Whether a request from this machine, that no proxy handed on, needs no API key."""


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is logged to standard error."""

    level: LogLevel = "info"
    """Least level that is logged."""

    format: LogFormat = "text"
    """Lines for people, or `json`: one object a line."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it. Files are read, and files and settings are checked, by `load`."""

    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    tokens: tuple[TokenSettings, ...] = ()
    rules: tuple[Rule, ...] = ()
    """The first that matches a topic is its rule. The default rules stand behind them."""
    limits: HubLimits = HubLimits()
    store: StoreSettings = StoreSettings()
    api: ApiSettings = ApiSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()

    @property
    def anonymous(self) -> AnonymousSettings | None:
        """What people may do who come under a name that they choose; None where they may not enter."""
        access = self.auth.anonymous
        if access is None:
            access = not self.tokens and self.auth.jwt is None
        if isinstance(access, bool):
            return AnonymousSettings() if access else None
        return access

    @property
    def effective_rules(self) -> tuple[Rule, ...]:
        """The rules in the order in which they count: ours, then the default ones."""
        return (*self.rules, *DEFAULT_RULES)

    def token_auth(self) -> TokenAuth:
        """What knows the tokens by their hashes."""
        return TokenAuth(token.entry for token in self.tokens)

    def hub_config(self, routes: Mapping[str, Response] = HEALTHZ) -> HubConfig:
        """What to make the hub with. With JWTs its adapter must be given the `authenticator`, too.

        Args:
            routes: ordinary HTTP requests with a fixed answer.
        """
        server, access = self.server, self.anonymous
        auth: TokenAuth | External | None = None
        if self.auth.jwt is not None:
            auth = External()
        elif self.tokens:
            auth = self.token_auth()
        return HubConfig(
            options=ServerOptions(
                limits=self.limits,
                deflate=Deflate() if server.compression == "deflate" else None,
                origins=None if server.origins == "any" else server.origins,
                routes=routes,
            ),
            rules=self.effective_rules,
            auth=auth,
            anonymous=None
            if access is None
            else AnonymousAccess(read=access.read, write=access.write),
            trusted_proxies=TrustedProxies(server.trusted_proxies)
            if server.trusted_proxies
            else None,
        )
