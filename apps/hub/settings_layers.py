"""Flags over environment over file: one tree of plain values, and where each came from."""

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from msgspec import inspect

from .places import Key
from .settings import Settings
from .settings_mistakes import Mistake, Source
from .settings_types import fields_of, is_table, options_of, plain, suggest, words

__all__ = ["API_KEY", "CONFIG", "PREFIX", "Layers", "flag_of", "variable_of", "variables"]

PREFIX: Final = "HUBBUB_"
CONFIG: Final = "HUBBUB_CONFIG"
API_KEY: Final = "HUBBUB_API_KEY"

_FLAGS: Final[Mapping[Key, str]] = {
    ("server", "trusted_proxies"): "--trusted-proxy",
    ("server", "origins"): "--origin",
    ("store", "path"): "--store",
    ("api", "key_file"): "--api-key-file",
    ("log", "level"): "--log-level",
    ("log", "format"): "--log-format",
}
"""Those that are not called as the last part of the key."""

_ORCHESTRATED: Final = re.compile(f"{PREFIX}(?:SERVICE|PORT)(?:_|$)")
"""What Kubernetes sets in every container beside a service that is called hubbub."""

_YES: Final = frozenset({"true", "yes", "on", "1"})
_NO: Final = frozenset({"false", "no", "off", "0"})


def flag_of(path: Key) -> str:
    """The flag that sets a key."""
    return _FLAGS.get(path, f"--{str(path[-1]).replace('_', '-')}")


def variable_of(path: Key) -> str:
    """The variable that sets a key."""
    return PREFIX + "_".join(str(part) for part in path).upper()


@cache
def variables() -> Mapping[str, tuple[Key, inspect.Type]]:
    """Every variable, the key that it sets, and its type. Tables that repeat have none."""
    return {variable_of(path): (path, kind) for path, kind in _leaves(Settings, ())}


def _leaves(cls: type, path: Key) -> Iterator[tuple[Key, inspect.Type]]:
    for field in fields_of(cls):
        here = (*path, field.name)
        simple = False
        for option in options_of(field.type):
            kind = plain(option)
            if isinstance(kind, inspect.StructType):
                yield from _leaves(kind.cls, here)
            elif not isinstance(kind, inspect.DictType) and not (
                isinstance(kind, inspect.VarTupleType)
                and isinstance(kind.item_type, inspect.StructType)
            ):
                simple = True
        if simple:
            yield here, field.type


class Layers:
    """The tree, to which layer after layer is added, the weakest first.

    Args:
        values: those of the file.
        sources: where they stand.
    """

    def __init__(self, values: dict[str, object], sources: dict[Key, Source]) -> None:
        self.values = values
        self.sources = sources
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []
        self.replaced: list[tuple[Key, object, Source]] = []
        """What does not count because something stronger was said."""

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """Add what variables say. An empty one counts as not set."""
        known = variables()
        sections = tuple(f"{PREFIX}{field.name.upper()}_" for field in fields_of(Settings))
        for name in sorted(environ):
            text = environ[name]
            if not name.startswith(PREFIX) or name in {CONFIG, API_KEY} or not text:
                continue
            source = Source("environment", name)
            if name in known:
                path, kind = known[name]
                try:
                    value = _parsed(kind, text)
                except ValueError:
                    self._wrong(source, f"is {text[:60]!r}; write {_written(kind)}")
                    continue
                self.put(path, value, source)
            elif name.startswith((f"{PREFIX}TOKENS", f"{PREFIX}RULES")):
                self._wrong(source, "tokens and rules can only stand in a file")
            elif name.startswith(sections):
                self._wrong(source, f"is not known{suggest(name, [*known, API_KEY])}")
            elif _ORCHESTRATED.match(name):
                pass
            elif difflib.get_close_matches(name, known, n=1, cutoff=0.85):
                question = suggest(name, list(known))
                self.warnings.append(Mistake(source, f"is not known, and left alone{question}"))

    def add_flags(self, flags: Mapping[str, object]) -> None:
        """Add what flags say; None is a flag that was not given.

        Raises:
            LookupError: a key is none.
        """
        keys = {path for path, _ in variables().values()}
        for key, value in flags.items():
            path = tuple(key.split("."))
            if path not in keys:
                raise LookupError(f"no setting is called {key!r}")
            if value is not None:
                self.put(path, value, Source("flag", flag_of(path)))

    def put(self, path: Key, value: object, source: Source) -> None:
        """Set one key, and take away all that stood below it."""
        table = self.values
        for number, name in enumerate(path[:-1], start=1):
            inner = table.get(str(name))
            if not is_table(inner):
                above = self.sources.get(path[:number])
                if inner is not None and above is not None:
                    if above.kind == source.kind:
                        text = f"{above} says something else; leave one of them out"
                        self.mistakes.append(Mistake(source, text))
                        return
                    if variable_of(path[:number]) not in variables():
                        return  # no table where one must be: the reader says so
                    self.replaced.append((path[:number], inner, above))
                inner = {}
                table[str(name)] = inner
                self.sources[path[:number]] = source
            table = inner
        self._replace(path, table)
        table[str(path[-1])] = value
        self.sources[path] = source

    def remove(self, path: Key) -> None:
        """Take one key away, if it is there."""
        if path not in self.sources:
            return
        table = self.values
        for name in path[:-1]:
            inner = table.get(str(name))
            if not is_table(inner):
                return
            table = inner
        self._replace(path, table)

    def _replace(self, path: Key, table: dict[str, object]) -> None:
        if path in self.sources:
            before = table.pop(str(path[-1]), None)
            self.replaced.append((path, before, self.sources[path]))
        for key in [key for key in self.sources if key[: len(path)] == path]:
            del self.sources[key]

    def _wrong(self, source: Source, text: str) -> None:
        self.mistakes.append(Mistake(source, text))


def _parsed(kind: inspect.Type, text: str) -> object:
    """The value that a variable's text stands for.

    Raises:
        ValueError: it stands for none of this type.
    """
    options = [plain(option) for option in options_of(kind)]
    listed = any(isinstance(option, inspect.VarTupleType) for option in options)
    for option in options:
        match option:
            case inspect.BoolType() if text.lower() in _YES | _NO:
                return text.lower() in _YES
            case inspect.IntType() if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
                return int(text)
            case inspect.FloatType():
                return float(text)
            case inspect.LiteralType() if text in option.values:
                return text
            case inspect.StrType() if not (listed and "," in text):
                return text
            case inspect.VarTupleType():
                return [part.strip() for part in text.split(",") if part.strip()]
            case _:
                pass
    raise ValueError(text)


def _written(kind: inspect.Type) -> str:
    """What to write for a type, without the quotes that only a file needs."""
    text = words(kind).replace('"', "").replace(" in quotes", "").replace(" or a table", "")
    return text.replace("a list of texts", "texts with commas between them")
