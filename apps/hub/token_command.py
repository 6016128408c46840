"""`hubbub token`: makes tokens, and the hashes by which a hub knows them."""

import getpass
import os
import sys
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

import typer

from ..failure import Failure
from .printing import print_json, print_line

__all__ = ["token"]

token = typer.Typer(
    help="Make tokens, and the hashes by which a hub knows them.",
    no_args_is_help=True,
    add_completion=False,
)

User = Annotated[str, typer.Argument(help="Who its bearer is.", show_default=False)]
Read = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN", help="Topics it may subscribe to. May be repeated.", show_default=False
    ),
]
Write = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN", help="Topics it may publish to. May be repeated.", show_default=False
    ),
]
Admin = Annotated[bool, typer.Option("--admin", help="It may do what operators do.")]
Until = Annotated[
    str | None,
    typer.Option(
        metavar="DATE",
        help="When it ends: 2027-01-31, as that day begins (UTC), or 2027-01-31T18:00:00Z.",
        show_default=False,
    ),
]
Days = Annotated[
    float | None,
    typer.Option(metavar="DAYS", help="It ends so many days from now.", show_default=False),
]
AsJSON = Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")]

_MAX_DAYS = 36_525.0
"""A hundred years."""


@token.command()
def create(
    user: User,
    read: Read = None,
    write: Write = None,
    admin: Admin = False,
    until: Until = None,
    days: Days = None,
    as_json: AsJSON = False,
) -> None:
    """Print a new token, this once, and its entry for hubbub.toml, which holds only a hash of it.

    In a pipe the token is the first line, and the entry what follows the empty second one.
    """
    # Here, because --help does not need it.
    from ...core.auth import hash_token, new_token
    from .toml_text import toml_value

    end = _end(until, days)
    _check(user, read or [], write or [])
    made = new_token(os.urandom)
    values: dict[str, object] = {"hash": hash_token(made), "user": user}
    values |= {"read": read} if read else {}
    values |= {"write": write} if write else {}
    values |= {"admin": True} if admin else {}
    values |= {"until": end} if end is not None else {}
    entry = "".join(f"{name} = {toml_value(value)}\n" for name, value in values.items())
    entry = f"[[tokens]]\n{entry}"
    if as_json:
        said = {"read": read or [], "write": write or [], "admin": admin}
        print_json({"token": made, **values, **said, "until": end, "entry": entry})
        return
    people = sys.stdout is not None and sys.stdout.isatty()
    if people:
        print_line("The token, which is shown only this once:", "dim")
    print_line(made, "bold")
    print_line("")
    if people:
        print_line("Its entry for hubbub.toml:", "dim")
    for line in entry.splitlines():
        print_line(line)
    if not (read or write or admin):
        sys.stderr.write("hubbub: it may read and write nothing: see --read and --write\n")


@token.command(name="hash")
def print_hash() -> None:
    """Read a token or an API key from standard input, and print its hash."""
    from ...core.auth import hash_token

    if sys.stdin is None:
        raise Failure("standard input is closed: pipe the key in")
    if sys.stdin.isatty():
        key = getpass.getpass("Token or key, which is not shown: ")
    else:
        try:
            key = sys.stdin.read(_MAX_KEY + 1).rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise Failure("standard input is not text", 2) from error
    if not key:
        raise Failure("there was nothing to hash: pipe the key in", 2)
    if len(key) > _MAX_KEY or "\n" in key:
        raise Failure(f"a key is one line of at most {_MAX_KEY} characters", 2)
    print_line(hash_token(key))


_MAX_KEY = 8192
"""Characters of a token; the default of the limit `max_token`."""


def _check(user: str, read: list[str], write: list[str]) -> None:
    from ...core.auth import check_name
    from ...core.hub_limits import HubLimits
    from ...core.topics import check_pattern

    try:
        check_name(user, HubLimits())
    except ValueError as error:
        raise typer.BadParameter(f"{user!r}: {error}") from error
    for option, patterns in (("--read", read), ("--write", write)):
        for pattern in patterns:
            try:
                check_pattern(pattern)
            except ValueError as error:
                raise typer.BadParameter(f"{option}: {error}") from error


def _end(until: str | None, days: float | None) -> date | datetime | None:
    """When the token ends, as it was said.

    Raises:
        BadParameter: it was said wrongly, or is over.
    """
    now = datetime.now(UTC)
    if days is not None:
        if until is not None:
            raise typer.BadParameter("--until and --days say the same: leave one of them out")
        if not 0 < days <= _MAX_DAYS:
            raise typer.BadParameter(f"--days={days:g}: must be above 0 and at most {_MAX_DAYS:g}")
        return (now + timedelta(days=days)).replace(microsecond=0)
    if until is None:
        return None
    try:
        end: date | datetime = (
            date.fromisoformat(until) if len(until) == 10 else datetime.fromisoformat(until)
        )
    except ValueError as error:
        raise typer.BadParameter(
            f"--until={until!r}: write 2027-01-31 or 2027-01-31T18:00:00Z"
        ) from error
    moment = end if isinstance(end, datetime) else datetime.combine(end, time(), UTC)
    if moment.tzinfo is None:
        raise typer.BadParameter(f"--until={until!r}: has no zone; add a Z if that is UTC")
    if moment <= now:
        raise typer.BadParameter(f"--until={until}: is over already")
    return end
