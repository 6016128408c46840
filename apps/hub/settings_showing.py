"""The whole configuration as it counts, line by line, with where each value came from. No secrets."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import inspect

from ...core.rules import DEFAULT_RULES, Rule
from ...core.topics import Patterns
from .places import Key
from .settings_kinds import HIDDEN
from .settings_loading import Loaded
from .settings_mistakes import Source, dotted
from .settings_reading import DEFAULT
from .settings_types import extras_of, fields_of, is_list, is_table, options_of
from .toml_text import toml_key, toml_value

__all__ = ["Row", "RuleFor", "as_toml", "default_rules", "rows", "rule_for"]

_COMMENT: Final = 36
"""Column at which it is said where a value came from."""


class Row(msgspec.Struct, frozen=True):
    """One value."""

    path: Key
    value: object
    """As it would be written in a file, with secrets hidden; None where it is not set."""
    source: Source

    @property
    def key(self) -> str:
        """Its path as people write it."""
        return dotted(self.path)


def rows(loaded: Loaded) -> list[Row]:
    """Every setting, those of a table before those of the tables inside it."""
    return list(_struct_rows(loaded.settings, (), loaded.sources))


def _struct_rows(made: msgspec.Struct, path: Key, sources: Mapping[Key, Source]) -> Iterator[Row]:
    """The values of one table and of those inside it."""
    inner: list[tuple[Key, msgspec.Struct]] = []
    for field in fields_of(type(made)):
        value: object = getattr(made, field.name)
        here = (*path, field.name)
        items = value if is_list(value) else ()
        if isinstance(value, msgspec.Struct):
            inner.append((here, value))
        elif items and isinstance(items[0], msgspec.Struct):
            inner += [
                ((*here, number), item)
                for number, item in enumerate(items)
                if isinstance(item, msgspec.Struct)
            ]
        else:
            if value is None and isinstance(field.default, float):
                value = 0  # as it is written where it is switched off
            yield Row(here, _shown(field.type, value), sources.get(here, DEFAULT))
    for here, table in inner:
        yield from _struct_rows(table, here, sources)


def _shown(kind: inspect.Type, value: object) -> object:
    for option in options_of(kind):
        if isinstance(option, inspect.DictType) and is_table(value):
            if not value:
                return None
            return {name: _shown(option.value_type, item) for name, item in value.items()}
        if isinstance(value, str) and HIDDEN in extras_of(option):
            return _hidden(value)
    return value


def _hidden(secret: str) -> str:
    """Enough of a hash to find it among others, and nothing of a key."""
    return f"{secret[:13]}…" if secret.startswith("sha256:") else "…"


def as_toml(shown: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Lines in the form of a file, each with the comment behind it."""
    table: Key | None = None
    for row in shown:
        if row.path[:-1] != table:
            table = row.path[:-1]
            if table:
                yield "", ""
                yield _header(table), ""
        name = toml_key(str(row.path[-1]))
        if row.value is None:
            yield f"# {name} is not set", ""
            continue
        line = f"{name} = {toml_value(row.value)}"
        yield line, f"{' ' * max(2, _COMMENT - len(line))}# {row.source}"


def _header(table: Key) -> str:
    names = ".".join(toml_key(part) for part in table if isinstance(part, str))
    return f"[[{names}]]" if isinstance(table[-1], int) else f"[{names}]"


class RuleFor(msgspec.Struct, frozen=True):
    """The rule of one topic."""

    number: int | None
    """Which of the configured ones it is, from 1; None for a default rule, or none at all."""
    source: Source
    described: str
    rows: tuple[Row, ...]


def rule_for(topic: str, loaded: Loaded) -> RuleFor:
    """The rule that applies to a topic, with all of its values.

    Args:
        topic: a checked one.
        loaded: the configuration.
    """
    rules = loaded.settings.effective_rules
    index = Patterns(rule.pattern for rule in rules).first(topic)
    if index is None:
        return RuleFor(
            number=None,
            source=DEFAULT,
            described="no rule matches, so it is a plain topic",
            rows=tuple(_struct_rows(Rule(pattern=">"), ("rules", len(rules)), {})),
        )
    number, path = index + 1, ("rules", index)
    configured = index < len(loaded.settings.rules)
    source = loaded.source(*path) if configured else DEFAULT
    return RuleFor(
        number=number if configured else None,
        source=source,
        described=f"rule {number}, at {source}" if configured else "a default rule",
        rows=tuple(_struct_rows(rules[index], path, loaded.sources if configured else {})),
    )


def default_rules() -> Iterator[str]:
    """The rules that stand behind all that are configured, as comments."""
    yield "Behind all rules stand the default ones:"
    for rule in DEFAULT_RULES:
        plain = Rule(pattern=rule.pattern)
        said = {
            field: getattr(rule, field)
            for field in rule.__struct_fields__
            if field == "pattern" or getattr(rule, field) != getattr(plain, field)
        }
        yield ", ".join(f"{name} = {toml_value(value)}" for name, value in said.items())
