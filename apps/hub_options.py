"""How the commands that are clients of a hub reach it: what their options mean."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import LocalProtocolError
from ..core.limits import Limits
from ..core.uri import InvalidURI, parse_uri
from .connect.addresses import context_of, header_of, uri_of
from .failure import Failure
from .options import limits_of

if TYPE_CHECKING:
    from ..transports.asyncio import RemoteHub

__all__ = [
    "OPEN_TIMEOUT",
    "Ca",
    "Header",
    "Name",
    "Origin",
    "Retry",
    "Timeout",
    "Token",
    "TokenFile",
    "Url",
    "hub_at",
]

OPEN_TIMEOUT = Limits().open_timeout or 0
"""Seconds; what `--timeout` is if left out."""

Url = Annotated[
    str, typer.Argument(help="ws:// or wss://; ws:// if there is neither.", show_default=False)
]
Token = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        envvar="HUBBUB_TOKEN",
        help="Who you are. Other users of the machine can see it here, not in the variable.",
        show_default=False,
        show_envvar=True,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The same, read before each connection.", show_default=False),
]
Name = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="What to be called, where no token is needed.", show_default=False
    ),
]
Header = Annotated[
    list[str] | None,
    typer.Option(
        metavar="'NAME: VALUE'", help="Add it to the request. May be repeated.", show_default=False
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
Retry = Annotated[
    bool, typer.Option("--retry", help="Try the first connection, too, again and again.")
]


def hub_at(
    url: str,
    *,
    token: str | None,
    token_file: Path | None,
    name: str | None,
    header: list[str] | None,
    origin: str | None,
    ca: str | None,
    timeout: float,
    retry: bool = False,
    **others: Any,  # keywords of `connect`
) -> "RemoteHub":
    """A client of the hub at `url`, not connected yet.

    Raises:
        BadParameter: an option can't work, or contradicts another.
        Failure: a file can't be read.
    """
    # Here, because asyncio and what builds on it are not needed for --help.
    from ..transports.asyncio import connect_hub

    if token is not None and token_file is not None:
        raise typer.BadParameter("--token-file: there is a token already; give one of the two")
    if name is not None and (token is not None or token_file is not None):
        raise typer.BadParameter("--name: the token says who you are; leave one of the two out")
    limits = limits_of({"open_timeout": timeout or None}, {"open_timeout": "timeout"})
    keywords: dict[str, Any] = others | {
        "open_timeout": limits.open_timeout,
        "additional_headers": [header_of(line) for line in header or ()],
    }
    if origin is not None:
        keywords["origin"] = origin
    uri = uri_of(url)
    try:
        secure = parse_uri(uri).secure
        if ca is not None:
            if not secure:
                raise typer.BadParameter("--ca needs a wss:// URL: without TLS nothing is checked")
            keywords["ssl"] = context_of(ca)
        return connect_hub(
            uri,
            token=token if token_file is None else _reads(token_file),
            name=name,
            patient=retry,
            **keywords,
        )
    except (InvalidURI, LocalProtocolError) as error:
        raise typer.BadParameter(str(error)) from error
    except ValueError as error:
        raise typer.BadParameter(f"--{error}") from error


def _reads(file: Path) -> Callable[[], str]:
    """A function that reads a token, so that a newer one in the file is found."""

    def read() -> str:
        try:
            token = file.read_text().strip()
        except OSError as error:
            number = error.errno
            why = os.strerror(number).lower() if number is not None else str(error)
            raise Failure(f"--token-file {file}: {why}") from error
        except UnicodeDecodeError as error:
            raise Failure(f"--token-file {file}: not UTF-8") from error
        if not token:
            raise Failure(f"--token-file {file}: is empty")
        return token

    read()  # what can't work is told before anything is sent
    return read
