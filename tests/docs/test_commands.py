"""The commands of the docs that run a server, as they are written, on a free port."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.certificates import make_certificate

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "run.md").read_text()

SERVING = [
    "hubbub serve",
    "hubbub serve notify",
    "hubbub serve --config hubbub.toml --log-format json",
    "hubbub serve --host 0.0.0.0 --anonymous --origin https://example.org",
    "hubbub serve --unix hub.sock --trusted-proxy unix --transport trio",
    "hubbub serve echo",
    "hubbub serve chat --host 0.0.0.0 --port 8765",
    "hubbub serve --host 0.0.0.0 --anonymous --tls-cert fullchain.pem --tls-key key.pem",
]


@pytest.mark.parametrize("command", SERVING)
def test_a_command_that_serves(command: str, tmp_path: Path) -> None:
    """The server says where it listens, and ends with 0 when asked to."""
    make_certificate(tmp_path).certificate.rename(tmp_path / "fullchain.pem")
    (tmp_path / "hubbub.toml").write_text("[limits]\nmax_size = 1000\n")
    program, *arguments = shlex.split(command)
    # The last --port counts, so that the tests can share a machine.
    free = [] if "--unix" in arguments else ["--port", "0"]
    with subprocess.Popen(
        [Path(sys.executable).parent / program, *arguments, *free],
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


def test_what_a_hub_prints(tmp_path: Path) -> None:
    """It is what the page on running a server shows, but for the port."""
    shown = PAGE.partition("$ hubbub serve\n")[2].partition("```")[0].splitlines()
    with subprocess.Popen(
        [Path(sys.executable).parent / "hubbub", "serve", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        port = first.rstrip("/\n").rpartition(":")[2]
        process.terminate()
        printed = f"{first}{process.stdout.read()}".replace(port, "8765").splitlines()
    # What is said of descriptors is the machine's.
    assert [line for line in printed if not line.startswith("  descriptors")] == shown


def test_the_command_that_helps() -> None:
    """`hubbub serve --help` names every option of the page on running a server."""
    hubbub = Path(sys.executable).parent / "hubbub"
    answer = subprocess.run([hubbub, "serve", "--help"], capture_output=True, text=True, check=True)
    rows = [line for line in PAGE.splitlines() if line.startswith("| `--")]
    options = [word.strip("`,") for row in rows for word in row.split("|")[1].split()]
    assert [option for option in options if option not in answer.stdout] == []
    told = set(re.findall(r"--[a-z-]+", answer.stdout))
    other = {"--help", "--no-uvloop", "--fast-path", "--no-anonymous"}
    assert told - set(options) == other
