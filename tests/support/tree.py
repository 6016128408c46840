"""The source tree as the tests see it: its root, its files, its list of packages."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[2]


def source_files() -> list[Path]:
    """Return every file that git tracks, or would once it is added."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # A file that was deleted and not yet committed is still listed.
    return sorted(path for name in listing.split("\0") if name and (path := ROOT / name).is_file())


def pyproject() -> dict[str, Any]:
    """Return what pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def listed_packages() -> list[str]:
    """Return the names of the packages that are installed."""
    return cast("list[str]", pyproject()["tool"]["setuptools"]["packages"])


def folder_of(package: str) -> Path:
    """Return the folder of a package: `hubbub` is the root."""
    return ROOT.joinpath(*package.split(".")[1:])


def package_modules() -> dict[str, Path]:
    """Return every module that is installed, by name, with its file in the tree."""
    modules: dict[str, Path] = {}
    for package in listed_packages():
        for path in folder_of(package).glob("*.py"):
            name = package if path.stem == "__init__" else f"{package}.{path.stem}"
            modules[name] = path
    return modules


def package_data() -> dict[str, Path]:
    """Return every data file that is installed, by its path in the wheel."""
    globs = cast("dict[str, list[str]]", pyproject()["tool"]["setuptools"]["package-data"])
    return {
        f"{package.replace('.', '/')}/{path.relative_to(folder_of(package)).as_posix()}": path
        for package, patterns in globs.items()
        for pattern in patterns
        for path in folder_of(package).glob(pattern)
    }
