"""What is shipped is what is listed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from support.tree import ROOT, package_data, package_modules, pyproject, source_files


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel from a copy of the sources, so that no old build/ gets into it."""
    tree = tmp_path_factory.mktemp("tree")
    for path in source_files():
        copy = tree / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    wheels = tmp_path_factory.mktemp("wheels")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", str(wheels)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(tree)], check=True)
    (built,) = wheels.iterdir()
    return built


def test_the_wheel_holds_what_is_listed(wheel: Path) -> None:
    """The wheel holds every module of the listed packages, their data, and nothing else."""
    names = zipfile.ZipFile(wheel).namelist()
    shipped = sorted(name for name in names if ".dist-info/" not in name)
    modules = {f"hubbub/{path.relative_to(ROOT).as_posix()}" for path in package_modules().values()}
    assert shipped == sorted({*modules, *package_data()})
    assert "hubbub/py.typed" in shipped


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    """Without extras the wheel requires wsproto and msgspec only; it names its licence."""
    with zipfile.ZipFile(wheel) as archive:
        info = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = Parser().parsestr(archive.read(info).decode())
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
    required = metadata.get_all("Requires-Dist") or []
    base = [line for line in required if "extra ==" not in line]
    assert [line.replace(">", "<").partition("<")[0] for line in base] == ["wsproto", "msgspec"]
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Version"] == pyproject()["project"]["version"]


def test_the_wheel_runs_by_itself(wheel: Path, tmp_path: Path) -> None:
    """What the wheel holds can be imported from the wheel alone."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "import hubbub.core, hubbub.transports, hubbub.apps; print(hubbub.core.__file__)"
    env = {"PYTHONPATH": str(tmp_path)}
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(answer.stdout.strip()).is_relative_to(tmp_path)
