"""The page on the design names every module of core in its layer, and every dependency in its place."""

import re
import tomllib
from typing import Any

from support.tree import ROOT

PAGE = (ROOT / "docs" / "design.md").read_text()
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def rows(heading: str) -> list[list[str]]:
    """The rows of the table with this first column, without its head."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def test_the_layers_are_those_of_the_contract() -> None:
    """Each row of the table is one layer of core, or several that follow each other; none is left out."""
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    (layers,) = (one["layers"] for one in contracts if one.get("containers") == ["hubbub.core"])
    contract = [set(re.findall(r"\w+", layer)) for layer in layers]
    for _, modules in rows("layers"):
        named = re.findall(r"`(\w+)`", modules)
        while named:
            assert contract, f"{named} stand in no layer that is left"
            layer = contract.pop(0)
            assert layer <= set(named), f"{sorted(layer)} is the next layer, and {named} is left"
            named = [name for name in named if name not in layer]
    assert contract == []


def test_every_dependency_has_its_reason() -> None:
    """The table has each package that is needed for anything but checks, under the extra that names it."""
    project = PYPROJECT["project"]

    def packages(requirements: list[str]) -> set[str]:
        names = {re.split(r"[\[>=<;, ]", one)[0] for one in requirements}
        return {name.lower() for name in names - {"hubbub"}}

    extras = {name: packages(found) for name, found in project["optional-dependencies"].items()}
    # Those that check, and those that make the pages, are named where they are configured.
    extras["dev"] -= {"coverage", "furo", "import-linter", "markdown-it-py", "mypy", "myst-parser"}
    extras["dev"] -= {"pyright", "ruff", "setuptools", "sphinx"}
    shown: dict[str, set[str]] = {name: set() for name in ("base", *extras)}
    for names, _, where in rows("package"):
        extra = re.search(r"extra `(\w+)`", where)
        found = {name.lower() for name in names.split(", ")}
        shown[extra[1] if extra else "base"] |= found
    assert shown.pop("base") - {"h11"} == packages(project["dependencies"])
    assert shown == extras
