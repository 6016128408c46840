"""The script behind the test command: what it hands to pytest, and when it installs again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import run

from support.tree import ROOT, folder_of, listed_packages


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ([], ["-m", "not browser"]),
        (["-x", "-m", "slow or fast"], ["-x", "-m", "(slow or fast) and not browser"]),
        (["-mslow", "tests/a.py"], ["tests/a.py", "-m", "(slow) and not browser"]),
    ],
)
def test_without_browser(given: list[str], passed: list[str]) -> None:
    """Leaving out the browser keeps the caller's own choice of marks."""
    assert run.without_browser(given) == passed


def test_paths_are_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is looked up where the caller stands, a test inside it is kept, an option left alone."""
    (tmp_path / "test_a.py").touch()
    monkeypatch.chdir(tmp_path)
    assert run.absolute("test_a.py::test_b") == f"{tmp_path}/test_a.py::test_b"
    assert run.absolute("tests/core") == "tests/core"
    assert run.absolute("-x") == "-x"


def test_installs_again_only_when_needed(tmp_path: Path) -> None:
    """A new module, a new data file or a new pyproject.toml calls for an install; an edit doesn't."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in listed_packages():
        folder = tmp_path / folder_of(package).relative_to(ROOT)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    seen = [run.fingerprint(tmp_path, "a")]
    (tmp_path / "core" / "__init__.py").write_text('"""Edited."""')
    (tmp_path / "core" / "__pycache__").mkdir()
    (tmp_path / "core" / "__pycache__" / "x.pyc").touch()
    assert run.fingerprint(tmp_path, "a") == seen[0]
    (tmp_path / "core" / "new.py").touch()
    seen.append(run.fingerprint(tmp_path, "a"))
    (tmp_path / "apps" / "pages").mkdir()
    (tmp_path / "apps" / "pages" / "new.html").touch()
    seen.append(run.fingerprint(tmp_path, "a"))
    with (tmp_path / "pyproject.toml").open("a") as file:
        file.write("\n")
    seen.extend([run.fingerprint(tmp_path, "a"), run.fingerprint(tmp_path, "b")])
    assert len(set(seen)) == len(seen)
