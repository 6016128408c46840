#!/usr/bin/env python3
"""Run the tests: make a virtual environment if there is none, install, run pytest.

    python3 tests/run.py                  all tests, in two processes
    python3 tests/run.py tests/core -x    whatever pytest takes
    python3 tests/run.py --prepare        install only

`--venv NAME` uses another environment than `.venv`. Only the standard library is
needed to start. With the variable CI set, a missing Chromium or nginx is a failure;
without it their tests are left out, and a line says so.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = "hubbub.stamp"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OLDEST = (3, 11)
ALL = ("-n", "2", "--dist", "worksteal")
"""What pytest gets where nothing is asked for: two processes, of which the idle takes from the busy."""


def say(text: str) -> None:
    """Print one line now, also when the output is a pipe."""
    print(f"tests/run.py: {text}", flush=True)


def fingerprint(root: Path, python: str) -> str:
    """Return a hash of all that an installation depends on.

    An editable install is a tree of links, one for each file, so it depends on which
    files there are, and not on what is in the modules.
    """
    import tomllib  # Here, so that an older Python gets as far as the message in main.

    pyproject = (root / "pyproject.toml").read_bytes()
    parts = [python.encode(), str(root).encode(), pyproject]
    for package in tomllib.loads(pyproject.decode())["tool"]["setuptools"]["packages"]:
        folder = root.joinpath(*package.split(".")[1:])
        # The root package's own folder holds much else, and its files never change.
        data = folder.rglob("*") if folder != root else root.glob("*.py")
        parts += sorted(
            path.relative_to(root).as_posix().encode()
            for path in data
            if path.suffix not in {"", ".pyc"}
        )
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def read(path: Path) -> str:
    """Return the text of a file, or nothing where there is none."""
    return path.read_text() if path.exists() else ""


def run(*command: str | Path, env: dict[str, str] | None = None) -> int:
    """Run a command that must not wait for a terminal; return its status."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, env=env, check=False).returncode


def on_debian_as_root() -> bool:
    """Say whether packages can be installed with apt-get here."""
    release = read(Path("/etc/os-release")).splitlines()
    return "ID=debian" in release and os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(package: str) -> bool:
    """Install one package of the system; say what is done, and whether it worked."""
    say(f"installing {package} with apt-get")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-q", env=env)
    install = ("apt-get", "install", "-q", "-y", "--no-install-recommends", package)
    return run(*install, env=env) == 0


def make_venv(folder: Path) -> Path:
    """Return the python of the environment, made if it is missing, broken or of another version."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    version = "import sys; print(*sys.version_info[:2])"
    if python.exists():
        answer = subprocess.run(
            [python, "-c", version], capture_output=True, text=True, check=False
        ).stdout
        if answer.split() == [str(part) for part in sys.version_info[:2]]:
            return python
    say(f"making {folder.name} with Python {sys.version.split()[0]}")
    symlinks = os.name != "nt"
    try:
        venv.create(folder, with_pip=True, clear=True, symlinks=symlinks)
    except subprocess.CalledProcessError:
        # Debian ships pip's installer in a package of its own.
        if not (on_debian_as_root() and apt_install("python3-venv")):
            sys.exit("tests/run.py: this Python cannot make virtual environments (ensurepip fails)")
        venv.create(folder, with_pip=True, clear=True, symlinks=symlinks)
    return python


def install(folder: Path, python: Path) -> None:
    """Install the package and the tools, unless nothing has changed since the last time."""
    wanted = fingerprint(ROOT, f"{folder.name} {sys.version}")
    # All environments share the links in build/, so these have a stamp too: the list of
    # files that they were made for.
    tree = fingerprint(ROOT, "")
    stamp, tree_stamp = folder / STAMP, ROOT / "build" / STAMP
    if read(stamp) == wanted and read(tree_stamp) == tree:
        return
    say("installing hubbub and its tools, editable")
    stamp.unlink(missing_ok=True)
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--no-input")
    # Twice quiet: errors only. pip's warnings are about the machine's settings.
    if run(*pip, "install", "-qq", "-e", f"{ROOT}[dev]") != 0:
        sys.exit("tests/run.py: the installation failed")
    tree_stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted)
    tree_stamp.write_text(tree)


def find_browser() -> str | None:
    """Return the path of Chromium."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def find_nginx() -> str | None:
    """Return the path of nginx, which may stand where only root looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin")


def have(name: str, package: str, find: Callable[[], str | None]) -> bool:
    """Return whether a program is here, after trying to install it where that is possible."""
    if find() or (on_debian_as_root() and apt_install(package) and find()):
        return True
    if os.environ.get("CI"):
        sys.exit(f"tests/run.py: {name} is missing and cannot be installed; CI needs it")
    say(f"{name} is missing and cannot be installed: its tests are left out")
    return False


def without_browser(arguments: list[str]) -> list[str]:
    """Add `not browser` to pytest's arguments; pytest obeys only the last -m."""
    kept: list[str] = []
    marks = ["not browser"]
    words = iter(arguments)
    for word in words:
        if word == "-m":
            marks.append(f"({next(words, '')})")
        elif word.startswith("-m") and not word.startswith("--"):
            marks.append(f"({word[2:]})")
        else:
            kept.append(word)
    return [*kept, "-m", " and ".join(reversed(marks))]


def absolute(argument: str) -> str:
    """Resolve a path that the caller meant from where they stand; pytest runs in the root."""
    path, colons, rest = argument.partition("::")
    if path.startswith("-") or not Path(path).exists():
        return argument
    return f"{Path(path).resolve()}{colons}{rest}"


def main(arguments: list[str]) -> int:
    """Do it all; return pytest's status."""
    if sys.version_info < OLDEST:
        sys.exit(f"tests/run.py: needs Python 3.11 or later, and this is {sys.version.split()[0]}")
    name = ".venv"
    if "--venv" in arguments:
        at = arguments.index("--venv")
        name = arguments[at + 1]
        del arguments[at : at + 2]
    folder = ROOT / name
    python = make_venv(folder)
    install(folder, python)
    if "--prepare" in arguments:
        return 0
    arguments = [absolute(argument) for argument in arguments] or [*ALL]
    have("nginx", "nginx-light", find_nginx)
    if not have("Chromium", "chromium", find_browser):
        arguments = without_browser(arguments)
    os.chdir(ROOT)
    return run(python, "-m", "pytest", *arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
