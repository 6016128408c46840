"""From plain tables to Structs, with every mistake on the way and not only the first.

`msgspec.convert` stops at the first. So the tables are walked here, along the types of the Structs.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import inspect

from ...core.rules import Rule
from .places import Key
from .settings import JWTSettings, Settings, TokenSettings
from .settings_kinds import CHECK, FILE
from .settings_mistakes import Mistake, Source, dotted
from .settings_types import (
    extras_of,
    fields_of,
    is_list,
    is_table,
    literals_of,
    may_be_none,
    may_hold_secret,
    option_for,
    plain,
    suggest,
    what,
    words,
)

__all__ = ["DEFAULT", "Reading"]

DEFAULT: Final = Source("default")

_STAND_INS: Final[Mapping[type, Mapping[str, object]]] = {
    JWTSettings: {"algorithms": ()},
    Rule: {"pattern": ">"},
    TokenSettings: {"hash": "", "user": ""},
}
"""What stands for a needed value that is wrong, so that the rest of its table can be looked at."""


class Reading:
    """One pass over all that was configured.

    Args:
        sources: where each value came from; what is not in it came with the table it stands in.
    """

    def __init__(self, sources: Mapping[Key, Source]) -> None:
        self.sources = sources
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []
        self._wrong: set[Key] = set()

    def source(self, path: Key) -> Source:
        """Where a value came from, or the table that it stands in, or should."""
        while path:
            if path in self.sources:
                return self.sources[path]
            path = path[:-1]
        return self.sources.get((), DEFAULT)

    def wrong(self, path: Key, text: str) -> None:
        """Note a mistake."""
        self.mistakes.append(Mistake(self.source(path), text, dotted(path)))
        self._wrong.add(path)

    def warn(self, path: Key, text: str) -> None:
        """Note what may be no mistake."""
        self.warnings.append(Mistake(self.source(path), text, dotted(path)))

    def good(self, *paths: Key) -> bool:
        """Whether nothing is wrong with these, in them, or around them."""
        return not any(
            wrong[: len(path)] == path or path[: len(wrong)] == wrong
            for path in paths
            for wrong in self._wrong
        )

    def read(self, values: Mapping[str, object]) -> Settings:
        """The settings. What is wrong with them is noted, and has its default instead."""
        made = self._struct(Settings, values, ())
        assert isinstance(made, Settings)
        return made

    def look_at(self, kind: inspect.Type, value: object, path: Key) -> None:
        """Note what is wrong with one value, that another one has replaced."""
        self._value(kind, value, path)

    def _value(self, kind: inspect.Type, value: object, path: Key) -> object:
        """The value as its type wants it; `_NOTHING` if it can't be that."""
        option = option_for(kind, value)
        extras = extras_of(option)
        match None if option is None else plain(option):
            case None:
                return self._unfit(kind, value, path)
            case inspect.StructType() as found if is_table(value):
                return self._struct(found.cls, value, path)
            case inspect.DictType() as found if is_table(value):
                pairs = {
                    name: self._value(found.value_type, item, (*path, name))
                    for name, item in value.items()
                }
                return {name: item for name, item in pairs.items() if item is not _NOTHING}
            case inspect.VarTupleType() as found if is_list(value):
                items = [
                    self._value(found.item_type, item, (*path, number))
                    for number, item in enumerate(value)
                ]
                return tuple(item for item in items if item is not _NOTHING)
            case inspect.DateTimeType():
                return self._moment(value, path)
            case inspect.FloatType():
                assert isinstance(value, int | float)
                return None if value == 0 and may_be_none(kind) else float(value)
            case inspect.StrType():
                assert isinstance(value, str)
                return self._text(value, extras, path)
            case _:
                return value

    def _unfit(self, kind: inspect.Type, value: object, path: Key) -> object:
        hidden = may_hold_secret(kind)
        literals = literals_of(kind)
        hint = suggest(value, literals) if isinstance(value, str) and literals else ""
        self.wrong(path, f"is {what(value, hidden=hidden)}; write {words(kind)}{hint}")
        return _NOTHING

    def _text(self, value: str, extras: Mapping[str, Any], path: Key) -> object:
        check: Callable[[str], None] | None = extras.get(CHECK)
        if check is not None:
            try:
                check(value)
            except ValueError as error:
                self.wrong(path, str(error))
                return _NOTHING
        source = self.source(path)
        if extras.get(FILE) and source.kind == "file":
            return str(Path(source.name).parent / value)
        return value

    def _moment(self, value: object, path: Key) -> object:
        if isinstance(value, datetime):
            if value.tzinfo is None:
                self.wrong(path, f"has no zone; write {value.isoformat()}Z if that is UTC")
                return _NOTHING
            return value.astimezone(UTC)
        assert isinstance(value, date)
        return datetime.combine(value, time(), UTC)

    def _struct(self, cls: type[msgspec.Struct], values: Mapping[str, object], path: Key) -> object:
        kinds = {field.name: field for field in fields_of(cls)}
        for name in values:
            if name not in kinds:
                self.wrong((*path, name), f"is not known here{_meant(name, kinds, path)}")
        given: dict[str, object] = {}
        for name, field in kinds.items():
            if name in values:
                value = self._value(field.type, values[name], (*path, name))
                if value is not _NOTHING:
                    given[name] = value
            elif field.required:
                self.wrong((*path, name), f"is missing; write {words(field.type)}")
        return self._made(cls, given, path)

    def _made(self, cls: type[msgspec.Struct], given: dict[str, object], path: Key) -> object:
        """The Struct, without the values that it refuses."""
        stand_ins = _STAND_INS.get(cls, {})
        while True:
            try:
                return cls(**{**stand_ins, **given})
            except ValueError as error:
                text = str(error)
            # Of two that don't fit together the message begins with one, and names the other behind it.
            names = [name for name in re.findall(r"\w+", text) if name in given]
            if names:
                self.wrong((*path, names[0]), _reworded(text, names[0]))
                del given[names[0]]
            else:
                assert given, text  # it takes what stands in
                self.wrong(path, text)
                given = {}


_NOTHING: Final = object()


def _meant(name: str, kinds: Mapping[str, inspect.Field], path: Key) -> str:
    """What to do about a key that is not known."""
    if path == ("api",) and name == "key":
        return (
            "; the key itself does not belong in this file: write its key_hash, name a key_file, "
            "or set HUBBUB_API_KEY"
        )
    close = suggest(name, list(kinds))
    if close:
        return close
    sections = {field.name: plain(field.type) for field in fields_of(Settings)}
    for section, kind in sections.items():
        names = (
            [field.name for field in kind.fields] if isinstance(kind, inspect.StructType) else []
        )
        if name in names and path != (section,):
            return f"; it belongs in [{section}]"
    return f"; known are {', '.join(kinds)}" if len(kinds) <= 12 else ""


_MISFIT: Final = re.compile(r"\w+(?:=(?P<value>[^:]*))?: (?P<text>.*)", re.DOTALL)


def _reworded(text: str, name: str) -> str:
    """A Struct's `name=5: must be …`, as one says it of a setting."""
    found = _MISFIT.fullmatch(text)
    if found is None or not text.startswith(name):
        return f"does not fit: {text}"
    what = found["text"].replace("None switches", "0 switches")
    return what if found["value"] is None else f"is {found['value']}; {what}"
