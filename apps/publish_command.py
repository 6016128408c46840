"""`hubbub publish`: messages from the command line or from lines, and the hub's answers as JSON."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from .connect.addresses import uri_of
from .failure import Failure
from .hub_options import (
    OPEN_TIMEOUT,
    Ca,
    Header,
    Name,
    Origin,
    Retry,
    Timeout,
    Token,
    TokenFile,
    Url,
    hub_at,
)

if TYPE_CHECKING:
    from ..transports.asyncio import RemoteHub

__all__ = ["publish"]

Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="Where to.", show_default=False)]
Message = Annotated[
    str,
    typer.Argument(
        metavar="[MESSAGE]",
        help="JSON, or any other text, which is sent as it is; left out, or -, each line of "
        "standard input is a message.",
        show_default=False,
    ),
]
AsText = Annotated[
    bool, typer.Option("--text", help="Messages are text, also where they look like JSON.")
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="What it is about, for topics that keep the latest of each.",
        show_default=False,
    ),
]
IdempotencyKey = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="A name for the message: with the same it is not published again within two minutes.",
        show_default=False,
    ),
]


def publish(
    url: Url,
    topic: Topic,
    message: Message = "-",
    text: AsText = False,
    key: Key = None,
    idempotency_key: IdempotencyKey = None,
    token: Token = None,
    token_file: TokenFile = None,
    name: Name = None,
    header: Header = None,
    origin: Origin = None,
    ca: Ca = None,
    timeout: Timeout = OPEN_TIMEOUT,
    retry: Retry = False,
) -> int:
    """Publish a message, or each line of standard input; print the hub's answers."""
    # Here, because asyncio and what builds on it are not needed for --help.
    from .hub_client import run_client
    from .publishing import Publishing

    if sys.stdout is None:
        raise Failure("standard output is closed: there is no place for what comes")
    if message == "-" and idempotency_key is not None:
        raise typer.BadParameter("--idempotency-key: is for one message, not for lines")
    hub = hub_at(
        url,
        token=token,
        token_file=token_file,
        name=name,
        header=header,
        origin=origin,
        ca=ca,
        timeout=timeout,
        retry=retry,
    )

    publishing = Publishing(topic, key=key, text=text)

    async def one(hub: "RemoteHub") -> int:
        return await publishing.one(hub, message, idempotency_key)

    return run_client(hub, uri_of(url), publishing.lines if message == "-" else one)
