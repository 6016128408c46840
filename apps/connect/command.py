"""`hubbub connect`: its options."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ...core.errors import LocalProtocolError
from ...core.handshake import ClientOptions
from ...core.http import encode_headers
from ...core.limits import Limits
from ...core.uri import InvalidURI, parse_uri
from ..hub_options import hub_at
from ..options import MaxSize, PingInterval, limits_of
from .addresses import context_of, header_of, uri_of

__all__ = ["connect"]

_LIMITS = Limits()

Url = Annotated[
    str, typer.Argument(help="ws:// or wss://; ws:// if there is neither.", show_default=False)
]
Binary = Annotated[
    bool, typer.Option("--binary", help="Send binary messages, typed as hex digits: 00 ff 7a.")
]
Header = Annotated[
    list[str] | None,
    typer.Option(
        metavar="'NAME: VALUE'", help="Add it to the request. May be repeated.", show_default=False
    ),
]
Subprotocol = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Offer it; the first is preferred. May be repeated.",
        show_default=False,
    ),
]
Origin = Annotated[
    str | None, typer.Option(metavar="ORIGIN", help="Send this Origin, as a page there would.")
]
Ca = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Trust these CAs (PEM) instead of the system's."),
]
Timeout = Annotated[
    float, typer.Option(metavar="SECONDS", help="For the opening handshake; 0 waits for ever.")
]
Wait = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="Piped: silence after the end of the input that ends the connection; inf: none does.",
    ),
]
Room = Annotated[
    str | None,
    typer.Option(
        metavar="TOPIC",
        help="Talk in this room of a hub, such as room.lobby.",
        show_default=False,
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="With --room: what to be called, where no token is needed.",
        show_default=False,
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        envvar="HUBBUB_TOKEN",
        help="With --room: who you are. Other users of the machine can see it here.",
        show_default=False,
        show_envvar=True,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="With --room: the same, read before each connection.",
        show_default=False,
    ),
]


def connect(
    url: Url,
    room: Room = None,
    name: Name = None,
    token: Token = None,
    token_file: TokenFile = None,
    binary: Binary = False,
    header: Header = None,
    subprotocol: Subprotocol = None,
    origin: Origin = None,
    ca: Ca = None,
    timeout: Timeout = _LIMITS.open_timeout or 0,
    ping_interval: PingInterval = _LIMITS.ping_interval or 0,
    max_size: MaxSize = _LIMITS.max_size or 0,
    wait: Wait = 1.0,
) -> int:
    """Talk to a server: at a terminal with a prompt, in a pipe line by line."""
    # Here, because asyncio and what builds on it are not needed for --help.
    from ...transports.asyncio import connect as connecting
    from .session import Session, tell

    if not wait >= 0:
        raise typer.BadParameter(f"--wait={wait}: must be a number of at least 0, or inf")
    limits = limits_of(
        {
            "ping_interval": ping_interval or None,
            "open_timeout": timeout or None,
            "max_size": max_size,
        },
        {"open_timeout": "timeout"},
    )
    uri = uri_of(url)
    if room is not None:
        if binary or subprotocol:
            raise typer.BadParameter("--room: goes with neither --binary nor --subprotocol")
        from ..hub_client import run_client
        from .room import RoomTalk

        hub = hub_at(
            url,
            token=token,
            token_file=token_file,
            name=name,
            header=header,
            origin=origin,
            ca=ca,
            timeout=timeout,
            ping_interval=limits.ping_interval,
            max_size=limits.max_size,
        )
        return run_client(hub, uri, RoomTalk(room, wait=wait).run)
    if name is not None or token_file is not None:
        option = "--name" if name is not None else "--token-file"
        raise typer.BadParameter(f"{option}: is for --room")
    try:
        parsed = parse_uri(uri)
        encode_headers([("Origin", origin or "")])  # nobody else looks at it before it is sent
        options = ClientOptions(
            host=parsed.host_header,
            limits=limits,
            subprotocols=tuple(subprotocol or ()),
            origin=origin,
        )
        keywords: dict[str, Any] = {
            "additional_headers": [header_of(line) for line in header or ()]
        }
        if ca is not None:
            if not parsed.secure:
                raise typer.BadParameter("--ca needs a wss:// URL: without TLS nothing is checked")
            keywords["ssl"] = context_of(ca)
        made = connecting(uri, options=options, **keywords)
    except (InvalidURI, LocalProtocolError) as error:
        raise typer.BadParameter(str(error)) from error
    if uri != url and "://" in url:
        tell(
            f"WebSocket has schemes of its own: taking {url.partition(':')[0]}:// as {parsed.scheme}://"
        )
    return Session(made, binary=binary, wait=wait).run()
