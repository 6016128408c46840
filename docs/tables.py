"""Write the reference pages that are made from the code: `python docs/tables.py`.

`tests/docs/test_tables.py` checks that they are current.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from hubbub.apps.hub import settings
from hubbub.apps.hub.settings_layers import variables
from hubbub.apps.hub.settings_types import fields_of, may_be_none, words
from hubbub.apps.hub.toml_text import toml_value
from hubbub.core import Limits, limits
from hubbub.core.client_states import CLIENT, ClientState, ClientStep
from hubbub.core.hub_limits import HubLimits
from hubbub.core.rules import DEFAULT_RULES, Rule
from hubbub.core.session_states import SESSION, SessionState, SessionStep
from hubbub.core.states import CLOSING, OPENING, Closing, ClosingInput, Opening, OpeningInput

REFERENCE = Path(__file__).parent / "reference"


def limits_page() -> str:
    """Every limit with its default and its reason."""
    lines = [
        "# Limits",
        "",
        "The fields of `hubbub.core.Limits`, which are also keywords of `serve` and `connect`. Sizes",
        "are bytes unless said otherwise; durations are seconds. `None` switches off what may be",
        "switched off. `worst_case_bytes(connections)` adds the sizes up. Made from the code by",
        "`docs/tables.py`.",
        "",
        "| limit | default | what and why |",
        "|---|---|---|",
    ]
    defaults = Limits()
    for name, text in _field_docs(inspect.getsource(limits), "Limits"):
        lines.append(f"| `{name}` | {getattr(defaults, name):,} | {text} |")
    return "\n".join(lines) + "\n"


def _field_docs(source: str, class_name: str) -> list[tuple[str, str]]:
    """The fields of a class and the strings below them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            pairs = zip(node.body, node.body[1:], strict=False)
            return [
                (field.target.id, " ".join(ast.literal_eval(doc.value).split()))
                for field, doc in pairs
                if isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(doc, ast.Expr)
            ]
    raise LookupError(class_name)


def states_page() -> str:
    """The transition tables of a connection, a session and a client."""
    return "\n".join(
        [
            "# States",
            "",
            "In a connection two small machines run side by side, its opening and its closing; a",
            "session of a hub is a third one around them, and so is a client of a hub. A cell says where",
            "an input leads; an empty one cannot happen. Made from the code by `docs/tables.py`.",
            "",
            "## Opening",
            "",
            *_table(Opening, OpeningInput, OPENING),
            "",
            "## Closing",
            "",
            *_table(Closing, ClosingInput, CLOSING),
            "",
            "## A session",
            "",
            *_table(SessionState, SessionStep, SESSION),
            "",
            *_meanings(SessionState, "state", "where the session stands"),
            "",
            *_meanings(SessionStep, "step", "what moved it"),
            "",
            "## A client of a hub",
            "",
            *_table(ClientState, ClientStep, CLIENT),
            "",
            *_meanings(ClientState, "state", "where the client stands"),
            "",
            *_meanings(ClientStep, "step", "what moved it"),
            "",
        ]
    )


def _table(
    states: type[Enum], inputs: type[Enum], table: Mapping[tuple[Any, Any], Enum]
) -> list[str]:
    lines = [
        "| | " + " | ".join(step.value for step in inputs) + " |",
        "|---" * (1 + len(inputs)) + "|",
    ]
    for state in states:
        cells = [table.get((state, step)) for step in inputs]
        texts = " | ".join("" if cell is None else cell.value for cell in cells)
        lines.append(f"| **{state.value}** | {texts} |")
    return lines


def _meanings(members: type[Enum], what: str, meaning: str) -> list[str]:
    """What each member of an enum means, by the string below it."""
    texts = dict(_member_docs(members))
    rows = [f"| **{one.value}** | {texts[one.name]} |" for one in members]
    return [f"| {what} | {meaning} |", "|---|---|", *rows]


def _member_docs(members: type[Enum]) -> Iterator[tuple[str, str]]:
    """The members of an enum and the strings below them."""
    (node,) = ast.parse(inspect.getsource(members)).body
    assert isinstance(node, ast.ClassDef)
    for member, doc in pairwise(node.body):
        match member, doc:
            case (
                ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, " ".join(text.split())
            case _:
                pass


SECTIONS: list[tuple[str, type[msgspec.Struct]]] = [
    ("[server]", settings.ServerSettings),
    ("[auth]", settings.AuthSettings),
    ("[auth.anonymous]", settings.AnonymousSettings),
    ("[auth.jwt]", settings.JWTSettings),
    ("[auth.jwt.claims]", settings.ClaimSettings),
    ("[[tokens]]", settings.TokenSettings),
    ("[[rules]]", Rule),
    ("[limits]", HubLimits),
    ("[store]", settings.StoreSettings),
    ("[api]", settings.ApiSettings),
    ("[metrics]", settings.MetricsSettings),
    ("[log]", settings.LogSettings),
]


def settings_page() -> str:
    """Every setting of a hub, with its default, its variable and what it is for."""
    lines = [
        "# Settings of a hub",
        "",
        "What `hubbub.toml` can say; [Configure a hub](../howto/configure.md) explains it. Sizes are",
        "bytes unless said otherwise; durations are seconds. Without a default a setting is left out,",
        "which texts call None. Made from the code by `docs/tables.py`.",
    ]
    for title, cls in SECTIONS:
        lines += ["", f"## `{title}`", "", _first_line(cls), ""]
        lines += ["| setting | default | what it is for |", "|---|---|---|"]
        lines += _settings_of(cls)
    rules = [
        f"`{rule.pattern}` with `presence` and `announce`"
        for rule in DEFAULT_RULES
        if rule == Rule(pattern=rule.pattern, presence=True, announce=True)
    ]
    assert len(rules) == len(DEFAULT_RULES)
    lines += [
        "",
        "## Default rules",
        "",
        f"Behind the configured rules stands {' and '.join(rules)}: rooms.",
        "",
        "## Variables",
        "",
        "| variable | setting | what to write |",
        "|---|---|---|",
        "| `HUBBUB_CONFIG` | | the name of the file |",
        "| `HUBBUB_API_KEY` | `api.key_hash` | the key itself, which is kept as a hash |",
        "| `HUBBUB_LIMITS_MAX_SIZE`, and so on | `limits.max_size`, and so on | a number |",
    ]
    for name, (key, kind) in variables().items():
        if key[0] == "limits":
            continue
        text = words(kind).replace('"', "`").replace(" in quotes", "").replace(" or a table", "")
        text = text.replace("a list of texts", "texts with commas between them")
        lines.append(f"| `{name}` | `{'.'.join(map(str, key))}` | {text} |")
    return "\n".join(lines) + "\n"


def _settings_of(cls: type[msgspec.Struct]) -> Iterator[str]:
    texts = dict(_all_field_docs(cls))
    for field in fields_of(cls):
        assert field.name in texts, (cls, field.name)
        default = "needed" if field.required else _default(field)
        text = texts[field.name].replace("|", "\\|")
        if may_be_none(field.type) and isinstance(field.default, float):
            text += " 0 switches it off."
        yield f"| `{field.name}` | {default} | {text} |"


def _default(field: Any) -> str:
    made = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if made is None or isinstance(made, msgspec.Struct) or made == {}:
        return ""
    return f"`{toml_value(made)}`"


def _all_field_docs(cls: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    for base in reversed(cls.__mro__):
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            yield from _field_docs(inspect.getsource(sys.modules[base.__module__]), base.__name__)


def _first_line(cls: type[msgspec.Struct]) -> str:
    assert cls.__doc__ is not None
    return cls.__doc__.partition("\n")[0]


PAGES = {"limits.md": limits_page, "settings.md": settings_page, "states.md": states_page}


if __name__ == "__main__":
    for page, make in PAGES.items():
        (REFERENCE / page).write_text(make())
