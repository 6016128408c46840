"""The README's first command, as a newcomer runs it: in a fresh copy, with nothing but Python."""

import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from support.tree import ROOT, source_files

COMMAND = "python3 -m venv .venv && .venv/bin/pip install '.[server]' && .venv/bin/hubbub serve"


@pytest.mark.slow
def test_the_first_command_serves_the_hub_and_its_page(tmp_path: Path) -> None:
    """The command that the README shows installs hubbub and serves a page at the URL it prints."""
    assert f"$ {COMMAND}\n" in (ROOT / "README.md").read_text()
    for source in source_files():
        copy = tmp_path / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy)
    # The python3 of the command is the one that runs this test.
    path = tmp_path / "bin"
    path.mkdir()
    (path / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    with subprocess.Popen(
        ["bash", "-c", f"{COMMAND} --port 0"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "PIP_QUIET": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = next((line for line in process.stdout if "listens on http://" in line), "")
            with urllib.request.urlopen(line.split()[-1], timeout=10) as page:
                assert b"<title>hubbub</title>" in page.read()
        finally:
            os.killpg(process.pid, 15)
        assert process.wait(timeout=20) == 0
