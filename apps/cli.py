"""The command line: `hubbub`, also as `python -m hubbub`."""

import sys
from importlib.metadata import version
from typing import Annotated, NoReturn

try:
    import typer
except ImportError:  # the base install has the library only
    sys.exit("hubbub: the command line needs the extra 'server': pip install '.[server]'")

from .connect.command import connect
from .escaping import escape
from .failure import Failure
from .hub.config_command import config, tell_mistakes
from .hub.settings_mistakes import Mistakes
from .hub.token_command import token
from .listen_command import listen
from .publish_command import publish
from .serve import serve
from .simulate_command import simulate_command
from .store_command import store

__all__ = ["app", "main"]

app = typer.Typer(
    help="Real-time messaging over WebSocket.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(connect)
app.command()(listen)
app.command()(publish)
app.command("simulate")(simulate_command)
app.add_typer(config, name="config")
app.add_typer(store, name="store")
app.add_typer(token, name="token")


_COMMANDS = ("config", "connect", "listen", "publish", "serve", "simulate", "store", "token")


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


def main() -> None:
    """Run the command line and exit: 0, 1 if something failed, 2 if it was asked for wrongly."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        message = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
        if not message:  # no arguments at all: the help was printed, and says it all
            sys.exit(error.exit_code)
        command = " ".join(word for word in sys.argv[1:2] if word in _COMMANDS)
        _fail(f"{message}; see hubbub {command} --help".replace("  ", " "), error.exit_code)
    except Mistakes as error:
        tell_mistakes(error)
        sys.exit(1)
    except Failure as error:
        _fail(str(error), error.code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    """One line on standard error, and out."""
    sys.stderr.write(f"hubbub: {escape(message)}\n")
    sys.exit(code)
