"""The types of settings: which a value has, and how to say what one is."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import cache
from typing import Any, Final, TypeGuard

import msgspec
from msgspec import inspect

from .settings_kinds import HIDDEN

__all__ = [
    "extras_of",
    "fields_of",
    "is_list",
    "is_table",
    "literals_of",
    "may_be_none",
    "may_hold_secret",
    "option_for",
    "options_of",
    "plain",
    "suggest",
    "what",
    "words",
]

_SHOWN: Final = 60
"""Characters of a wrong value that are repeated."""


def is_table(value: object) -> TypeGuard[dict[str, object]]:
    """Whether a value is a table; `tomllib` has only texts as keys."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    """Whether a value is a list; those of flags may be tuples."""
    return isinstance(value, list | tuple)


@cache
def fields_of(cls: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    """The fields of a Struct, with their types."""
    kind = inspect.type_info(cls)
    assert isinstance(kind, inspect.StructType)
    return kind.fields


def plain(kind: inspect.Type) -> inspect.Type:
    """A type without its extras."""
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def extras_of(kind: inspect.Type | None) -> Mapping[str, Any]:
    """What a kind of text says of itself."""
    # `Metadata.extra` is a bare dict to type checkers; no other type has one.
    found: Mapping[str, Any] | None = getattr(kind, "extra", None)
    return found or {}


def options_of(kind: inspect.Type) -> Iterator[inspect.Type]:
    """The types that a union allows, None aside; of another type only itself."""
    if isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from options_of(one)
    elif not isinstance(kind, inspect.NoneType):
        yield kind


def may_hold_secret(kind: inspect.Type) -> bool:
    """Whether what was written instead may be a secret: where one is wanted, or tables that may hold one."""
    return any(
        HIDDEN in extras_of(option) or isinstance(option, inspect.StructType | inspect.DictType)
        for option in options_of(kind)
    )


def literals_of(kind: inspect.Type) -> list[str]:
    """The words that are allowed, if only some are."""
    return [
        str(value)
        for option in options_of(kind)
        if isinstance(option, inspect.LiteralType)
        for value in option.values
    ]


def may_be_none(kind: inspect.Type) -> bool:
    """Whether a setting can be left out, or switched off."""
    return isinstance(kind, inspect.UnionType) and any(
        isinstance(one, inspect.NoneType) for one in kind.types
    )


def option_for(kind: inspect.Type, value: object) -> inspect.Type | None:
    """Of the types that are allowed, the one that a value has; None if it has none of them."""
    return next((one for one in options_of(kind) if _fits(plain(one), value)), None)


def _fits(kind: inspect.Type, value: object) -> bool:
    match kind:
        case inspect.StructType() | inspect.DictType():
            return is_table(value)
        case inspect.VarTupleType():
            return is_list(value)
        case inspect.DateTimeType():
            return isinstance(value, date)  # and every datetime is one
        case inspect.LiteralType():
            return isinstance(value, str) and value in kind.values
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.FloatType():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            raise AssertionError(f"no setting has the type {kind}")


def words(kind: inspect.Type) -> str:
    """What to write for a type."""
    return " or ".join(_words(plain(one)) for one in options_of(kind))


def _words(kind: inspect.Type) -> str:
    match kind:
        case inspect.StructType() | inspect.DictType():
            return "a table"
        case inspect.VarTupleType():
            if isinstance(kind.item_type, inspect.StructType):
                return "a table under its own [[…]] for each"
            return "a list of texts"
        case inspect.DateTimeType():
            return (
                "a date such as 2027-01-31 or a moment such as 2027-01-31T18:00:00Z, without quotes"
            )
        case inspect.LiteralType():
            return " or ".join(f'"{value}"' for value in kind.values)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number"
        case inspect.FloatType():
            return "a number"
        case _:
            return "text in quotes"


def what(value: object, *, hidden: bool) -> str:
    """What somebody wrote; of a secret only its type."""
    if is_table(value):
        return "a table"
    if is_list(value):
        return "a list"
    if isinstance(value, str):
        shown = repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…")
        return "text" if hidden else f"the text {shown}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "a number" if hidden else str(value)[:_SHOWN]


def suggest(name: str, known: Iterable[str]) -> str:
    """A question whether another name was meant, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
