"""The page on configuring a hub is true: its files, its commands, and what they print."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from hubbub.apps.hub.settings_loading import load
from hubbub.core.auth import hash_token
from support.certificates import make_certificate
from support.command import Answer, answer_of
from support.tree import ROOT

PAGE = (ROOT / "docs" / "howto" / "configure.md").read_text()
FILE, ANONYMOUS = re.findall("```toml\n(.*?)```", PAGE, re.DOTALL)
CONSOLES = [
    block.split("\n", 1) for block in re.findall("```console\n\\$ (.*?)```", PAGE, re.DOTALL)
]
KEY = "q0ZzVx0mJv2Qn7v4s6w8y"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the file of the page, and the files that it names."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("HUBBUB_"):
            monkeypatch.delenv(name)
    (tmp_path / "hubbub.toml").write_text(FILE)
    made = make_certificate(tmp_path)
    made.certificate.rename(tmp_path / "fullchain.pem")
    (tmp_path / "issuer.key").write_text("0123456789abcdef" * 2)
    (tmp_path / "api.key").write_text(f"{KEY}1\n")
    return tmp_path


def run(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Answer:
    """Run a command of the page, with its variables and what it reads."""
    words = shlex.split(command)
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        monkeypatch.setenv(name, value)
    if "<" in words:
        at = words.index("<")
        monkeypatch.setattr(sys, "stdin", io.StringIO(Path(words[at + 1]).read_text()))
        del words[at:]
    assert words.pop(0) == "hubbub"
    return answer_of(monkeypatch, capsys, *words)


def test_the_file_of_the_page(folder: Path) -> None:
    """It can be used, nothing is to be warned of, and each of its values is read."""
    found = load(None, {}, {})
    assert found.warnings == ()
    assert found.settings.limits.ping_interval == 30
    assert [rule.pattern for rule in found.settings.rules] == ["alerts.*", "position.>"]
    assert found.settings.hub_config().auth is not None


def test_the_table_for_anonymous(folder: Path) -> None:
    """It says what people may do who have no token."""
    (folder / "hubbub.toml").write_text(ANONYMOUS)
    access = load(None, {}, {}).settings.anonymous
    assert access is not None
    assert access.write == ("room.>",)


@pytest.mark.parametrize("command", [command for command, _ in CONSOLES])
def test_a_command_of_the_page(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does what the page says, with the file of the page."""
    answer = run(command, monkeypatch, capsys)
    assert (answer.code, answer.errors) == (0, "")
    if "HUBBUB_SERVER_PORT" in command:
        assert re.search(r"^port = 9000 +# HUBBUB_SERVER_PORT$", answer.output, re.MULTILINE)
    if "create" in command:
        assert answer.lines[0].startswith("hub_")
        assert answer.lines[2] == "[[tokens]]"
    if "hash" in command:
        assert answer.output == f"{hash_token(KEY + '1')}\n"


def test_what_show_prints(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rule of a topic begins with the lines that the page shows."""
    ((command, shown),) = [pair for pair in CONSOLES if "show alerts" in pair[0]]
    assert run(command, monkeypatch, capsys).output.startswith(shown)


def test_what_check_prints(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file with such mistakes gives the lines that the page shows."""
    wrong = "[server]\nprot = 1\n\n[auth]\nanonymous = false\n\n[limits]\nmax_size = '64k'\n"
    (folder / "hubbub.toml").write_text(wrong)
    ((command, shown),) = [pair for pair in CONSOLES if "check" in pair[0]]
    assert run(command, monkeypatch, capsys).output == shown
