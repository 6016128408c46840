"""`hubbub serve`: its options, and which program they are for."""

import os
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from ..core.extensions import Deflate
from ..core.forwarded import TrustedProxies
from ..core.handshake import HEALTHZ, ServerOptions
from ..transports.server import BaseServer
from ..transports.server_connection import Handler
from ..transports.server_life import ServerLife
from .chat import Chat, chat_routes
from .echo import echo
from .logs import set_up_logging
from .options import limits_of
from .serving import Binding, Service, connections, run, urls
from .serving_options import (
    HOST,
    PORT,
    Anonymous,
    ApiKeyFile,
    CloseTimeout,
    Compression,
    ConfigFile,
    FastPath,
    Heartbeat,
    Host,
    LogFormatOption,
    LogLevel,
    MaxConnections,
    MaxFragments,
    MaxMessage,
    OpenTimeout,
    Origin,
    PingEvery,
    PingTimeout,
    Port,
    Store,
    TlsCert,
    TlsKey,
    TransportOption,
    TrustedProxy,
    Unix,
    Uvloop,
)

__all__ = ["ProgramName", "serve"]

S = TypeVar("S", bound=ServerLife)


class ProgramName(StrEnum):
    """What `hubbub serve` can run."""

    HUB = "hub"
    NOTIFY = "notify"
    CHAT = "chat"
    ECHO = "echo"


ProgramArgument = Annotated[
    ProgramName, typer.Argument(help="What to run.", show_default=ProgramName.HUB.value)
]


def serve(
    program: ProgramArgument = ProgramName.HUB,
    config: ConfigFile = None,
    host: Host = None,
    port: Port = None,
    unix: Unix = None,
    anonymous: Anonymous = None,
    origin: Origin = None,
    trusted_proxy: TrustedProxy = None,
    store: Store = None,
    api_key_file: ApiKeyFile = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    transport: TransportOption = None,
    uvloop: Uvloop = None,
    max_connections: MaxConnections = None,
    max_size: MaxMessage = None,
    max_fragments: MaxFragments = None,
    ping_interval: PingEvery = None,
    ping_timeout: PingTimeout = None,
    open_timeout: OpenTimeout = None,
    close_timeout: CloseTimeout = None,
    compression: Compression = None,
    fast_path: FastPath = True,
    heartbeat: Heartbeat = None,
    log_level: LogLevel = None,
    log_format: LogFormatOption = None,
) -> None:
    """Run a server until Ctrl-C.

    The hub has topics, rooms and a page; hubbub.toml says the rest. `notify` is a hub with a heartbeat,
    `chat` one room in plain text with a page, and `echo` sends every message back.
    """
    server: dict[str, object] = {
        "host": host,
        "port": port,
        "unix": unix,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "transport": transport,
        "uvloop": uvloop,
        "compression": compression,
        "trusted_proxies": trusted_proxy or None,
    }
    limits: dict[str, object] = {
        "ping_interval": ping_interval,
        "ping_timeout": ping_timeout,
        "open_timeout": open_timeout,
        "close_timeout": close_timeout,
        "max_size": max_size,
        "max_fragments": max_fragments,
    }
    if program is not ProgramName.NOTIFY:
        _only_for("notify", program, {"heartbeat": heartbeat})
    if program in (ProgramName.HUB, ProgramName.NOTIFY):
        flags = {f"server.{name}": value for name, value in server.items()}
        flags |= {f"limits.{name}": value for name, value in limits.items()}
        flags |= {
            "server.origins": _origins(origin),
            "auth.anonymous": anonymous,
            "limits.max_connections": max_connections,
            "store.path": store,
            "api.key_file": api_key_file,
            "log.level": log_level,
            "log.format": log_format,
        }
        # Here, since the others don't need it.
        from .hub.serve import serve_configured

        serve_configured(
            config,
            os.environ,
            flags,
            fast_path=fast_path,
            heartbeat=_heartbeat(heartbeat) if program is ProgramName.NOTIFY else None,
        )
        return
    _only_for(
        "hub",
        program,
        {
            "config": config,
            "anonymous": anonymous,
            "origin": origin or None,
            "store": store,
            "api_key_file": api_key_file,
            "max_connections": max_connections,
        },
    )
    set_up_logging(log_level or "info", log_format or "text")
    made = limits_of(_given(limits))
    if unix is not None and (host is not None or port is not None):
        raise typer.BadParameter("--unix has no --host and no --port: leave them out")
    if uvloop and transport == "trio":
        raise typer.BadParameter("--uvloop is a loop of asyncio: leave out --transport trio")
    chat = program is ProgramName.CHAT
    options = ServerOptions(
        limits=made,
        deflate=Deflate() if compression == "deflate" else None,
        routes=chat_routes() if chat else HEALTHZ,
        fast_path=fast_path,
    )
    binding = Binding(
        host=host if host is not None else HOST,
        port=port if port is not None else PORT,
        unix=unix,
        tls_cert=tls_cert,
        tls_key=tls_key,
        transport=transport or "asyncio",
        uvloop=bool(uvloop),
    )
    handler = Chat() if chat else echo
    run(_Simple(binding, program, handler, options, _proxies(trusted_proxy or []), page=chat))


class _Simple(Service):
    """A program that is one handler."""

    def __init__(
        self,
        binding: Binding,
        name: str,
        handler: Handler,
        options: ServerOptions,
        trusted_proxies: Sequence[str],
        *,
        page: bool,
    ) -> None:
        super().__init__(binding)
        self._name = name
        self._handler = handler
        self._options = options
        self._trusted_proxies = tuple(trusted_proxies)
        self._page = page

    def make(self, serve: Callable[..., S], serve_hub: Callable[..., S]) -> S:  # noqa: ARG002 - the shape is Service's
        return serve(
            self._handler,
            options=self._options,
            trusted_proxies=self._trusted_proxies,
            **self.binding.keywords(),
        )

    def lines(self, server: ServerLife) -> list[str]:
        url = urls(self.binding, server, "http" if self._page else "ws")[0]
        return [f"hubbub {self._name} listens on {url}"]

    def stopping(self, server: ServerLife) -> str:
        assert isinstance(server, BaseServer)
        return f"closing {connections(len(server.connections))}"


def _given(limits: Mapping[str, object]) -> dict[str, object]:
    """Limits that were given. Where 0 switches one off it is None."""
    optional = {"ping_interval", "ping_timeout", "open_timeout"}
    return {
        name: None if name in optional and not value else value
        for name, value in limits.items()
        if value is not None
    }


def _only_for(program: str, asked: ProgramName, options: Mapping[str, object]) -> None:
    """Refuse options that the program does not have: who gives one expects that it does something."""
    for name, value in options.items():
        if value is not None:
            option = name.replace("_", "-")
            raise typer.BadParameter(f"--{option} is for {program}: leave it out for {asked}")


def _origins(given: list[str] | None) -> object:
    """What the settings call it."""
    if given in (["any"], ["same-host"]):
        return given[0]
    return given or None


def _heartbeat(given: float | None) -> float:
    seconds = 30.0 if given is None else given
    if not 0 < seconds < float("inf"):
        raise typer.BadParameter(f"--heartbeat={seconds:g}: must be a number above 0")
    return seconds


def _proxies(entries: list[str]) -> list[str]:
    try:
        TrustedProxies(entries)
    except ValueError as error:
        raise typer.BadParameter(
            str(error).replace("trusted proxies:", "--trusted-proxy")
        ) from error
    return entries
