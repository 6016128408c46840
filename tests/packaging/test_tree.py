"""The tree is what its list of packages says, and the installation is what the tree says."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from support.tree import (
    ROOT,
    folder_of,
    listed_packages,
    package_data,
    package_modules,
    source_files,
)

STALE = "stale install: run `pip install -e .` again"

# The three rooms of the house. What else stands at the root isn't installed.
ROOMS = ("core", "transports", "apps")


def installed_root() -> Path:
    """Return the folder from which `hubbub` is imported."""
    spec = importlib.util.find_spec("hubbub")
    assert spec is not None, STALE
    assert spec.origin is not None
    return Path(spec.origin).parent


def test_what_is_imported_is_what_is_in_the_tree() -> None:
    """Every module and data file of the tree is installed, with the same content, and no other."""
    where = installed_root()
    # From inside the root itself `hubbub` would be importable without any installation.
    assert where != ROOT
    expected = package_data()
    for path in package_modules().values():
        expected[f"hubbub/{path.relative_to(ROOT).as_posix()}"] = path
    found = {
        f"hubbub/{path.relative_to(where).as_posix()}": path
        for path in where.rglob("*")
        if not path.is_dir() and "__pycache__" not in path.parts
    }
    assert sorted(found) == sorted(expected), STALE
    differing = [
        name
        for name, path in expected.items()
        if not found[name].exists() or found[name].read_bytes() != path.read_bytes()
    ]
    assert differing == [], STALE


def test_packages_are_listed() -> None:
    """The list of packages in pyproject.toml equals the folders that hold Python files."""
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    names = {".".join(("hubbub", *folder.relative_to(ROOT).parts)) for folder in folders}
    assert sorted(listed_packages()) == sorted({"hubbub", *names})


def test_packages_are_packages() -> None:
    """Every folder of a package has an `__init__.py` with a docstring."""
    for package in listed_packages():
        path = folder_of(package) / "__init__.py"
        assert path.is_file(), package
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_only_two_modules_at_the_root() -> None:
    """Any other Python file at the root would be shipped as a module of hubbub."""
    assert sorted(path.name for path in ROOT.glob("*.py")) == ["__init__.py", "__main__.py"]


def test_the_root_module_is_a_docstring() -> None:
    """pytest imports the root's `__init__.py` by another name, so nothing may happen in it."""
    (docstring,) = ast.parse((ROOT / "__init__.py").read_text()).body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(docstring.value, ast.Constant)


def test_the_main_module_has_two_lines() -> None:
    """`python -m hubbub` imports the command line and calls it, no more."""
    lines = [line for line in (ROOT / "__main__.py").read_text().splitlines() if line]
    assert lines == ["from hubbub.apps.cli import main", "main()"]


def test_the_main_module_runs() -> None:
    """`python -m hubbub --help` is the command line's help."""
    command = [sys.executable, "-m", "hubbub", "--help"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "serve" in answer.stdout


@pytest.mark.parametrize("name", ["hubbub", "hubbub.core"])
def test_importing_is_light(name: str) -> None:
    """Importing the package or its core imports no loop, no command line, no test library."""
    heavy = {"trio", "anyio", "asyncio", "typer", "rich", "prompt_toolkit", "uvloop", "hypothesis"}
    code = f"import sys, {name}; print(*sys.modules, sep='\\n')"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    modules = set(answer.stdout.split())
    assert name in modules
    assert heavy & modules == set()


def test_test_functions_say_what_must_hold() -> None:
    """Every test function has a docstring, and its first line is a sentence."""
    for path in source_files():
        if path.suffix != ".py" or not path.name.startswith("test_"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_"):
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                assert first.endswith((".", "?", "!", ":")), f"{path}:{node.lineno} {node.name}"
