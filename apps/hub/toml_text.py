"""Values as TOML."""

import json
import re
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from .settings_types import is_list, is_table

__all__ = ["toml_key", "toml_value"]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def toml_value(value: object) -> str:
    """A value in one line.

    Raises:
        TypeError: TOML has no such value.
    """
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if is_list(value):
        return f"[{', '.join(map(toml_value, value))}]"
    if is_table(value):
        pairs = (f"{toml_key(name)} = {toml_value(item)}" for name, item in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    match value:
        case str():
            # JSON lets DEL stand as it is, TOML does not.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case _:
            raise TypeError(f"{value!r} can't be written as TOML")


def toml_key(name: str) -> str:
    """A key, in quotes where it needs them."""
    return name if _BARE.fullmatch(name) else toml_value(name)
