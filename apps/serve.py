"""`hubbub serve`: its options."""

from enum import StrEnum
from typing import Annotated, Literal

import typer

from ..core.extensions import Deflate
from ..core.forwarded import TrustedProxies
from ..core.handshake import HEALTHZ, ServerOptions
from ..core.limits import Limits
from .chat import Chat, chat_routes
from .echo import echo
from .logs import LogFormat, set_up_logging
from .options import MaxSize, PingInterval, limits_of
from .serving import Binding, Program, Transport, run

__all__ = ["ProgramName", "serve"]


class ProgramName(StrEnum):
    """What `hubbub serve` can run."""

    ECHO = "echo"
    CHAT = "chat"


_LIMITS = Limits()
_HOST = "127.0.0.1"
_PORT = 8765

ProgramArgument = Annotated[ProgramName, typer.Argument(help="What to run.", show_default=False)]
# None where it is left out, because a Unix socket has neither.
Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default=_HOST)]
Port = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        help="Port to listen on; 0 picks a free one.",
        show_default=str(_PORT),
    ),
]
Unix = Annotated[
    str | None, typer.Option(metavar="PATH", help="Listen on a Unix socket there instead.")
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
TransportOption = Annotated[Transport, typer.Option(help="Event loop to run on.")]
Uvloop = Annotated[
    bool, typer.Option("--uvloop", help="Run asyncio on uvloop, if it is installed.")
]
TlsCert = Annotated[
    str | None, typer.Option(metavar="FILE", help="Certificate chain (PEM): serve wss and https.")
]
TlsKey = Annotated[
    str | None, typer.Option(metavar="FILE", help="Private key (PEM), if not in --tls-cert.")
]
PingTimeout = Annotated[
    float,
    typer.Option(metavar="SECONDS", help="Silence after a ping that ends a connection; 0: none."),
]
CloseTimeout = Annotated[
    float, typer.Option(metavar="SECONDS", help="For a peer to answer our Close frame.")
]
OpenTimeout = Annotated[
    float, typer.Option(metavar="SECONDS", help="For the opening handshake; 0 waits for ever.")
]
MaxFragments = Annotated[int, typer.Option(metavar="FRAMES", help="Most frames of one message.")]
Compression = Annotated[
    Literal["none", "deflate"], typer.Option(help="Offer permessage-deflate (RFC 7692).")
]
FastPath = Annotated[
    bool,
    typer.Option("--fast-path/--no-fast-path", help="Read simple frames without wsproto's parser."),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"], typer.Option(help="Least level that is logged.")
]
LogFormatOption = Annotated[LogFormat, typer.Option(help="Lines for people or for machines.")]


def serve(
    program: ProgramArgument,
    host: Host = None,
    port: Port = None,
    unix: Unix = None,
    trusted_proxy: TrustedProxy = None,
    transport: TransportOption = "asyncio",
    uvloop: Uvloop = False,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    ping_interval: PingInterval = _LIMITS.ping_interval or 0,
    ping_timeout: PingTimeout = _LIMITS.ping_timeout or 0,
    close_timeout: CloseTimeout = _LIMITS.close_timeout,
    open_timeout: OpenTimeout = _LIMITS.open_timeout or 0,
    max_size: MaxSize = _LIMITS.max_size or 0,
    max_fragments: MaxFragments = _LIMITS.max_fragments,
    compression: Compression = "none",
    fast_path: FastPath = True,
    log_level: LogLevel = "info",
    log_format: LogFormatOption = "text",
) -> None:
    """Run a server until Ctrl-C: echo sends every message back, chat is a room with a page."""
    set_up_logging(log_level, log_format)
    limits = limits_of(
        {
            "ping_interval": ping_interval or None,
            "ping_timeout": ping_timeout or None,
            "close_timeout": close_timeout,
            "open_timeout": open_timeout or None,
            "max_size": max_size,
            "max_fragments": max_fragments,
        }
    )
    if unix is not None and (host is not None or port is not None):
        raise typer.BadParameter("--unix has no --host and no --port: leave them out")
    if uvloop and transport != "asyncio":
        raise typer.BadParameter(
            f"--uvloop is a loop of asyncio: leave out --transport {transport}"
        )
    chat = program is ProgramName.CHAT
    options = ServerOptions(
        limits=limits,
        deflate=Deflate() if compression == "deflate" else None,
        routes=chat_routes() if chat else HEALTHZ,
        fast_path=fast_path,
    )
    binding = Binding(
        host=host if host is not None else _HOST,
        port=port if port is not None else _PORT,
        unix=unix,
        trusted_proxies=_proxies(trusted_proxy or []),
        tls_cert=tls_cert,
        tls_key=tls_key,
        transport=transport,
        uvloop=uvloop,
    )
    run(
        Program(name=program, handler=Chat() if chat else echo, options=options, page=chat), binding
    )


def _proxies(entries: list[str]) -> list[str]:
    try:
        TrustedProxies(entries)
    except ValueError as error:
        raise typer.BadParameter(
            str(error).replace("trusted proxies:", "--trusted-proxy")
        ) from error
    return entries
