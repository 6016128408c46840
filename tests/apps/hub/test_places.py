"""Where each key of a TOML text stands."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hubbub.apps.hub.places import Key, find_places

SCALARS = [
    "1",
    "-1e5",
    "inf",
    "true",
    "1979-05-27 07:32:00",
    "2027-01-31",
    '"a # no comment ] } \\" \\\\"',
    "'literal \\ # ] }'",
    '"""\n[no.table]\nno = "key" # ""x\n\\""""',
    '"""two quotes at its end"""""',
    "'''\n[[no.table]]\nit''s = 1'''''",
    '""',
    "''",
    "[]",
    "{}",
    '[1, [2, # ] no end\n  "3, 4"],\n]',
]
NAMES = ["a", "b", "max_size", "1", "-", '"x y"', "'q.r'", '"\\u00fc"', "'\"'", '""', '"[#]"']
HEADERS = [["[{}]"], ["[[{}]]"], ["[[{}]]", "[[{}]]"]]
SPACES = ["", " ", "\t "]
BETWEEN = ["", "\n", "# [comment]\n", "  # \"\"\" '''\n\n"]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A valid document, in all the ways in which tables can be written."""

    def pick(choices: list[str]) -> str:
        return draw(st.sampled_from(choices))

    def some_names() -> list[str]:
        return draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))

    def pair(name: str, depth: int) -> str:
        key = pick(SPACES) + name
        if depth and draw(st.booleans()):
            key += f"{pick(SPACES)}.{pick(SPACES)}{pick(NAMES)}"
        return f"{key}{pick(SPACES)}={pick(SPACES)}{value(depth)}"

    def value(depth: int) -> str:
        form = draw(st.integers(0, 3)) if depth else 0
        if form == 1:
            return "{" + ", ".join(pair(name, 0) for name in some_names()) + "}"
        if form == 2:
            items = [value(depth - 1) for _ in range(draw(st.integers(0, 2)))]
            return f"[{pick(BETWEEN)}" + f",{pick(BETWEEN)}".join(items) + "]"
        return pick(SCALARS)

    def body() -> str:
        return "".join(f"{pair(name, 2)}{pick(SPACES)}\n{pick(BETWEEN)}" for name in some_names())

    def table(prefix: str, name: str, depth: int) -> str:
        path = f"{prefix}{name}"
        inner = [f"t{number}" for number in range(draw(st.integers(0, 2)))] if depth else []
        text = ""
        for header in draw(st.sampled_from(HEADERS)):
            gap = pick(SPACES)
            text += header.format(f"{gap}{path}{gap}")
            text += f"{pick(SPACES)}\n{pick(BETWEEN)}{body()}"
            text += "".join(table(f"{path} . ", one, depth - 1) for one in inner)
        return text

    tables = [f't{number}."x.{number}"' for number in range(draw(st.integers(0, 2)))]
    return body() + "".join(table("", name, 1) for name in tables)


def paths(value: Any, path: Key = ()) -> Iterator[Key]:
    """The paths of all tables, keys and elements."""
    if path:
        yield path
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for name, item in pairs:
        yield from paths(item, (*path, name))


@given(texts())
def test_every_key_has_its_place(text: str) -> None:
    """All that tomllib finds has a place and nothing else, and there its name or its header stands."""
    places = find_places(text)
    assert set(places) == set(paths(tomllib.loads(text)))
    lines = text.split("\n")
    for path, place in places.items():
        here = lines[place.line - 1][place.column - 1 :]
        assert here
        if isinstance(path[-1], str) and not here.startswith("["):
            assert here.startswith((path[-1], '"', "'")) or path[-1] == ""


def line_of(text: str, *path: str | int) -> int:
    """The line of one key."""
    return find_places(text)[path].line


def test_tables() -> None:
    """A key counts to the table whose header stands above it; a header is the place of its table."""
    text = 'a = 1\n[server]\nport = 1\n\n[auth.jwt]\n# key\n"key" = 2\n[auth]\nx = 3\n'
    assert line_of(text, "a") == 1
    assert line_of(text, "server") == 2
    assert line_of(text, "server", "port") == 3
    assert line_of(text, "auth", "jwt", "key") == 7
    assert line_of(text, "auth") == 8


def test_arrays_of_tables() -> None:
    """Each `[[header]]` begins one more, and a header below it belongs to the last."""
    text = "[[r]]\np = 1\n[r.sub]\nx = 1\n[[r]]\n[[r.deep]]\nk = 1\n[[r.deep]]\nk = 2\n"
    assert line_of(text, "r") == 1
    assert line_of(text, "r", 0, "sub", "x") == 4
    assert line_of(text, "r", 1) == 5
    assert line_of(text, "r", 1, "deep", 0, "k") == 7
    assert line_of(text, "r", 1, "deep", 1, "k") == 9


def test_inline_tables_and_lists() -> None:
    """What stands inside a line or over several has the line where it begins."""
    text = 'auth = { anonymous = { read = ["a",\n # ]\n "b"] }, x.y = 1 }\nz = 1\n'
    assert line_of(text, "auth", "anonymous", "read", 0) == 1
    assert line_of(text, "auth", "anonymous", "read", 1) == 3
    assert line_of(text, "auth", "x", "y") == 3
    assert line_of(text, "z") == 4


def test_dotted_and_quoted_keys() -> None:
    """Dots join keys unless quotes hold them, and blanks around them are none of their names."""
    text = "limits . max_size = 1\n'a.b'.\"c\\u0020d\" = 2\n"
    assert line_of(text, "limits", "max_size") == 1
    assert line_of(text, "a.b", "c d") == 2
    assert find_places(text)["limits", "max_size"].column == 10


def test_texts_of_many_lines() -> None:
    """What looks like a key inside a text is none, and lines behind it are counted on."""
    text = 'a = """\n[b]\nc = 1 \\"""\n"""""\nd = \'\'\'\ne = 1\'\'\'\nf = 1\n'
    assert find_places(text).keys() == {("a",), ("d",), ("f",)}
    assert line_of(text, "f") == 7
