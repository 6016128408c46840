"""The commands of the docs that run a server, as they are written, on a free port."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.certificates import make_certificate

SERVING = [
    "hubbub serve echo",
    "hubbub serve chat --port 8765",
    "hubbub serve chat --host 0.0.0.0 --port 8765",
    "hubbub serve echo --port 0 --compression deflate --log-format json",
    "hubbub serve chat --host 0.0.0.0 --tls-cert fullchain.pem --tls-key key.pem",
]


@pytest.mark.parametrize("command", SERVING)
def test_a_command_that_serves(command: str, tmp_path: Path) -> None:
    """The server says where it listens, and ends with 0 when asked to."""
    make_certificate(tmp_path).certificate.rename(tmp_path / "fullchain.pem")
    program, *arguments = shlex.split(command)
    with subprocess.Popen(
        # The last --port counts, so that the tests can share a machine.
        [Path(sys.executable).parent / program, *arguments, "--port", "0"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert " listens on " in process.stdout.readline()
        finally:
            process.terminate()
        assert process.wait(timeout=20) == 0


def test_the_command_that_helps() -> None:
    """`hubbub serve --help` names every option of the page on running a server."""
    hubbub = Path(sys.executable).parent / "hubbub"
    answer = subprocess.run([hubbub, "serve", "--help"], capture_output=True, text=True, check=True)
    page = (Path(__file__).parents[2] / "docs" / "howto" / "run.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `--")]
    options = [word.strip("`,") for row in rows for word in row.split("|")[1].split()]
    assert [option for option in options if option not in answer.stdout] == []
