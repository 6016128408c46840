"""The options of `hubbub serve`. None stands for one that was not given."""

from typing import Annotated, Literal

import typer

from ..core.hub_limits import HubLimits
from ..core.limits import Limits
from .logs import LogFormat
from .serving import Transport

__all__ = [
    "HOST",
    "PORT",
    "Anonymous",
    "ApiKeyFile",
    "CloseTimeout",
    "Compression",
    "ConfigFile",
    "FastPath",
    "Heartbeat",
    "Host",
    "LogFormatOption",
    "LogLevel",
    "MaxConnections",
    "MaxFragments",
    "MaxMessage",
    "OpenTimeout",
    "Origin",
    "PingEvery",
    "PingTimeout",
    "Port",
    "Store",
    "TlsCert",
    "TlsKey",
    "TransportOption",
    "TrustedProxy",
    "Unix",
    "Uvloop",
]

HOST = "127.0.0.1"
PORT = 8765

_LIMITS = Limits()
_HUB = HubLimits()


def _seconds(value: float | None) -> str:
    return f"{value or 0:g}"


ConfigFile = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Hub: its configuration; else the file that HUBBUB_CONFIG names, or hubbub.toml.",
        show_default=False,
    ),
]
Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default=HOST)]
Port = Annotated[
    int | None,
    typer.Option(
        min=0, max=65535, help="Port to listen on; 0 picks a free one.", show_default=str(PORT)
    ),
]
Unix = Annotated[
    str | None, typer.Option(metavar="PATH", help="Listen on a Unix socket there instead.")
]
Anonymous = Annotated[
    bool | None,
    typer.Option(
        "--anonymous/--no-anonymous",
        help="Hub: whether people may enter under a name that they choose.",
        show_default="only on this machine, and without tokens",
    ),
]
Origin = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ORIGIN",
        help="Hub: whose pages may connect, such as https://example.org; or 'any'. May be repeated.",
        show_default="those of the same host",
    ),
]
Store = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Hub: a file for durable topics, which end with the process without one.",
    ),
]
ApiKeyFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="Hub: holds the key of its HTTP API, which is off without one."
    ),
]
MaxConnections = Annotated[
    int | None,
    typer.Option(
        metavar="SESSIONS", help="Hub: how many at most.", show_default=f"{_HUB.max_connections}"
    ),
]
Heartbeat = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", help="Notify: between two on the topic 'system'.", show_default="30"
    ),
]
TrustedProxy = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR",
        help="Believe X-Forwarded-For from this address or network, or from 'unix' sockets. "
        "May be repeated.",
        show_default=False,
    ),
]
TransportOption = Annotated[
    Transport | None, typer.Option(help="Event loop to run on.", show_default="asyncio")
]
Uvloop = Annotated[
    bool | None,
    typer.Option(
        "--uvloop/--no-uvloop",
        help="Run asyncio on uvloop, if it is installed.",
        show_default="no-uvloop",
    ),
]
TlsCert = Annotated[
    str | None, typer.Option(metavar="FILE", help="Certificate chain (PEM): serve wss and https.")
]
TlsKey = Annotated[
    str | None, typer.Option(metavar="FILE", help="Private key (PEM), if not in --tls-cert.")
]
PingEvery = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Between keepalive pings; 0 sends none.",
        show_default=_seconds(_LIMITS.ping_interval),
    ),
]
PingTimeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Silence after a ping that ends a connection; 0: none.",
        show_default=_seconds(_LIMITS.ping_timeout),
    ),
]
CloseTimeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="For a peer to answer our Close frame.",
        show_default=_seconds(_LIMITS.close_timeout),
    ),
]
OpenTimeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="For the opening handshake; 0 waits for ever.",
        show_default=_seconds(_LIMITS.open_timeout),
    ),
]
MaxMessage = Annotated[
    int | None,
    typer.Option(
        metavar="BYTES",
        help="Longest message that is accepted.",
        show_default=f"{_HUB.max_size}; {_LIMITS.max_size} for echo and chat",
    ),
]
MaxFragments = Annotated[
    int | None,
    typer.Option(
        metavar="FRAMES",
        help="Most frames of one message.",
        show_default=f"{_LIMITS.max_fragments}",
    ),
]
Compression = Annotated[
    Literal["none", "deflate"] | None,
    typer.Option(help="Offer permessage-deflate (RFC 7692).", show_default="none"),
]
FastPath = Annotated[
    bool,
    typer.Option("--fast-path/--no-fast-path", help="Read simple frames without wsproto's parser."),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"] | None,
    typer.Option(help="Least level that is logged.", show_default="info"),
]
LogFormatOption = Annotated[
    LogFormat | None,
    typer.Option(help="Lines for people or for machines.", show_default="text"),
]
