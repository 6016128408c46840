"""The command line: `hubbub`, also as `python -m hubbub`."""

import sys
from enum import StrEnum
from importlib.metadata import version
from typing import Annotated, Literal, NoReturn

import msgspec

from ..core.extensions import Deflate
from ..core.handshake import HEALTHZ, ServerOptions
from ..core.limits import Limits
from ..transports.asyncio import Handler

try:
    import typer
except ImportError:  # the base install has the library only
    sys.exit("hubbub: the command line needs the extra 'server': pip install '.[server]'")

from .chat import Chat, chat_routes
from .echo import echo
from .logs import LogFormat, set_up_logging
from .serving import Binding, StartError, run

__all__ = ["app", "main"]

app = typer.Typer(
    help="Real-time messaging over WebSocket.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"hubbub {version('hubbub')}")
        raise typer.Exit


@app.callback()
def hubbub(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Real-time messaging over WebSocket."""


class Program(StrEnum):
    """What `hubbub serve` can run."""

    ECHO = "echo"
    CHAT = "chat"


_LIMITS = Limits()

ProgramArgument = Annotated[Program, typer.Argument(help="What to run.", show_default=False)]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")]
Uvloop = Annotated[bool, typer.Option("--uvloop", help="Run on uvloop, if it is installed.")]
TlsCert = Annotated[
    str | None, typer.Option(metavar="FILE", help="Certificate chain (PEM): serve wss and https.")
]
TlsKey = Annotated[
    str | None, typer.Option(metavar="FILE", help="Private key (PEM), if not in --tls-cert.")
]
PingInterval = Annotated[
    float, typer.Option(metavar="SECONDS", help="Between keepalive pings; 0 sends none.")
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
MaxSize = Annotated[int, typer.Option(metavar="BYTES", help="Longest message that is accepted.")]
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


def _limits(**values: object) -> Limits:
    """Limits from options; a wrong one is told by the option's name."""
    try:
        return msgspec.convert(values, Limits)
    except (ValueError, msgspec.ValidationError) as error:
        field, equals, text = str(error).partition("=")
        text = text.replace("None switches", "0 switches")
        raise typer.BadParameter(f"--{field.replace('_', '-')}{equals}{text}") from error


@app.command()
def serve(
    program: ProgramArgument,
    host: Host = "127.0.0.1",
    port: Port = 8765,
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
    limits = _limits(
        ping_interval=ping_interval or None,
        ping_timeout=ping_timeout or None,
        close_timeout=close_timeout,
        open_timeout=open_timeout or None,
        max_size=max_size,
        max_fragments=max_fragments,
    )
    chat = program is Program.CHAT
    options = ServerOptions(
        limits=limits,
        deflate=Deflate() if compression == "deflate" else None,
        routes=chat_routes() if chat else HEALTHZ,
        fast_path=fast_path,
    )
    handler: Handler = Chat() if chat else echo
    binding = Binding(host=host, port=port, tls_cert=tls_cert, tls_key=tls_key, uvloop=uvloop)
    run(program, handler, options, binding, page=chat)


def main() -> None:
    """Run the command line and exit: 0, 1 if something failed, 2 if it was asked for wrongly."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        message = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
        if not message:  # no arguments at all: the help was printed, and says it all
            sys.exit(error.exit_code)
        command = " ".join(word for word in sys.argv[1:2] if word == "serve")
        _fail(f"{message}; see hubbub {command} --help".replace("  ", " "), error.exit_code)
    except StartError as error:
        _fail(str(error), 1)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    """One line on standard error, and out."""
    sys.stderr.write(f"hubbub: {message}\n")
    sys.exit(code)
