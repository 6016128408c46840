"""What the commands' options have in common."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
import typer

from ..core.limits import Limits

__all__ = ["MaxSize", "PingInterval", "limits_of"]

MaxSize = Annotated[int, typer.Option(metavar="BYTES", help="Longest message that is accepted.")]
PingInterval = Annotated[
    float, typer.Option(metavar="SECONDS", help="Between keepalive pings; 0 sends none.")
]


def limits_of(values: Mapping[str, object], names: Mapping[str, str] | None = None) -> Limits:
    """Limits from options.

    Args:
        values: fields of `Limits`.
        names: the options of those fields that are not called as they are.

    Raises:
        BadParameter: a value can't work; the message names the option.
    """
    try:
        return msgspec.convert(values, Limits)
    except (ValueError, msgspec.ValidationError) as error:
        field, equals, text = str(error).partition("=")
        option = (names or {}).get(field, field).replace("_", "-")
        text = text.replace("None switches", "0 switches")
        raise typer.BadParameter(f"--{option}{equals}{text}") from error
