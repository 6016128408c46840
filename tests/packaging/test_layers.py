"""core imports nothing that does I/O or knows the time: import-linter's contract, read again.

import-linter sees the installed package and obeys its configuration. This reads the files
themselves, and holds its own list, so that a contract that was weakened or does not match is noticed.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from support.tree import ROOT, pyproject

BANNED = {
    "anyio",
    "asyncio",
    "hypothesis",
    "importlib",
    "logging",
    "os",
    "random",
    "secrets",
    "select",
    "selectors",
    "socket",
    "ssl",
    "threading",
    "time",
    "trio",
    "uuid",
}
CORE = sorted((ROOT / "core").rglob("*.py"))
STRATEGIES = ROOT / "core" / "strategies"


def imported(path: Path) -> set[str]:
    """Return the dotted names that a file imports anywhere, relative ones made absolute."""
    package = ["hubbub", *path.relative_to(ROOT).parent.parts]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_core_imports_nothing_impure(path: Path) -> None:
    """No file of core imports a banned module, at the top, in a function or for types only."""
    roots = {name.partition(".")[0] for name in imported(path)}
    allowed: set[str] = {"hypothesis"} if path.parent == STRATEGIES else set()
    assert (roots & BANNED) - allowed == set()


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_core_imports_nothing_above_it(path: Path) -> None:
    """No file of core imports the adapters or the programs, nor the strategies made for tests."""
    above = ["hubbub.transports", "hubbub.apps"]
    if path.parent != STRATEGIES:
        above.append("hubbub.core.strategies")
    assert {name for name in imported(path) if name.startswith(tuple(above))} == set()


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_core_calls_nothing_that_hides_an_import(path: Path) -> None:
    """No file of core opens files or imports by name, which the other tests could not see."""
    called = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called & {"__import__", "eval", "exec", "input", "open", "print"} == set()


def test_the_contract_bans_as_much() -> None:
    """The contract of import-linter forbids what this file forbids."""
    contracts = pyproject()["tool"]["importlinter"]["contracts"]
    (forbidden,) = (each for each in contracts if each["type"] == "forbidden")
    assert forbidden["source_modules"] == ["hubbub.core"]
    # import-linter has no use for this one: it is how a module could be imported by name.
    assert BANNED - set(forbidden["forbidden_modules"]) == {"importlib"}
