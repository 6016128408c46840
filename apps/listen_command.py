"""`hubbub listen`: what is published on topics, as lines of JSON."""

import sys
from typing import Annotated

import typer

from ..core.messages import Position
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

__all__ = ["listen"]

Topics = Annotated[
    list[str], typer.Argument(metavar="TOPIC...", help="Topics or patterns.", show_default=False)
]
Since = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[TOPIC=]EPOCH:OFFSET",
        help="Begin behind this publication. May be repeated, for several topics.",
        show_default=False,
    ),
]
Last = Annotated[
    int | None,
    typer.Option(metavar="N", help="Begin with the last N publications.", show_default=False),
]
Ack = Annotated[
    bool,
    typer.Option("--ack", help="Acknowledge each line once it is written. Needs a token."),
]
Consumer = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="With --ack: tells your programs apart.", show_default=False),
]
Presence = Annotated[bool, typer.Option("--presence", help="Tell who comes and goes.")]
Count = Annotated[
    int | None,
    typer.Option(metavar="N", help="End after N publications.", show_default=False, min=1),
]


def listen(
    url: Url,
    topics: Topics,
    token: Token = None,
    token_file: TokenFile = None,
    name: Name = None,
    since: Since = None,
    last: Last = None,
    ack: Ack = False,
    consumer: Consumer = None,
    presence: Presence = False,
    count: Count = None,
    header: Header = None,
    origin: Origin = None,
    ca: Ca = None,
    timeout: Timeout = OPEN_TIMEOUT,
    retry: Retry = False,
) -> int:
    """Print what is published on topics, as one JSON object on each line."""
    # Here, because asyncio and what builds on it are not needed for --help.
    from .hub_client import run_client
    from .listening import Listening

    if sys.stdout is None:
        raise Failure("standard output is closed: there is no place for what comes")
    if consumer is not None and not ack:
        raise typer.BadParameter("--consumer: is for --ack")
    positions = _positions(since or (), topics)
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

    listening = Listening(
        tuple(topics),
        since=positions,
        last=last,
        ack=ack,
        consumer=consumer,
        presence=presence,
        count=count,
    )
    return run_client(hub, uri_of(url), listening.run)


def _positions(given: "list[str] | tuple[str, ...]", topics: list[str]) -> dict[str, Position]:
    found: dict[str, Position] = {}
    for text in given:
        topic, equals, position = text.rpartition("=")
        if not equals:
            if len(topics) != 1:
                raise typer.BadParameter(f"--since {text}: say of which topic, TOPIC=EPOCH:OFFSET")
            topic = topics[0]
        epoch, _, offset = position.rpartition(":")
        if not epoch or not (offset.isascii() and offset.isdecimal()):
            text = f"--since {text}: write the epoch and the offset of a publication, EPOCH:OFFSET"
            raise typer.BadParameter(text)
        found[topic] = Position(int(offset), epoch)
    return found
