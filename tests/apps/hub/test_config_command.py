"""`hubbub config`: all mistakes with their places, the rule of a topic, and where values came from."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hubbub.apps.hub.settings import Settings
from hubbub.apps.hub.settings_loading import load
from hubbub.core.auth import hash_token
from hubbub.core.rules import Rule
from support.command import Answer, answer_of

HASH = hash_token("alice's token")
SECRET = "0123456789abcdef" * 4
Hubbub = Callable[..., Answer]

GOOD = f"""
[server]
port = 9000
trusted_proxies = ["10.0.0.0/8"]

[auth]
anonymous = {{ read = ["room.>"] }}

[auth.jwt]
algorithms = ["HS256"]
keys = {{ "2026 a" = "{SECRET}" }}

[[tokens]]
hash = "{HASH}"
user = 'alice "the first"'
read = ["alerts.>"]
until = 2099-01-01

[[rules]]
pattern = "alerts.*"
slow = "latest"

[[rules]]
pattern = "alerts.>"
max_message = 100

[limits]
ping_interval = 0
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no variables of ours."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("HUBBUB_"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def hubbub(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hubbub:
    """The command line."""
    return lambda *arguments: answer_of(monkeypatch, capsys, *arguments)


def test_check_tells_all_mistakes(hubbub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a line on standard output that begins with its place; the exit code is 1."""
    Path("my.toml").write_text(
        "[limits]\nmax_size = 0\n[[rules]]\npattern = 'a'\n[[rules]]\npattern='a'"
    )
    monkeypatch.setenv("HUBBUB_LOG_LEVEL", "loud\n")
    answer = hubbub("config", "check", "--config", "my.toml")
    assert answer.code == 1
    assert answer.errors == ""
    assert answer.lines == [
        "my.toml:2: limits.max_size: is 0; must be a whole number of at least 1",
        r"HUBBUB_LOG_LEVEL: is 'loud\n'; write debug or error or info or warning",
        (
            "my.toml:6: warning: rules[2].pattern: a never counts: a, at my.toml:3, matches all of "
            "it and stands before it; write the narrower one first"
        ),
    ]


def test_check_says_ok(hubbub: Hubbub) -> None:
    """A configuration that can be used is summed up; the exit code is 0."""
    Path("hubbub.toml").write_text(GOOD)
    answer = hubbub("config", "check")
    assert (answer.code, answer.errors) == (0, "")
    assert answer.lines == [
        "ok: hubbub.toml",
        "  listens on    127.0.0.1 port 9000, without TLS",
        (
            "  may enter     everybody, under a name of their choice, to some topics; "
            "1 token of 1 user; JWTs signed with HS256"
        ),
        "  rules         2, and the default ones behind them",
        "  limits        20,000 sessions, messages of 65,536 bytes",
        "  HTTP API      closed, since it has no key",
        "  metrics       from this machine",
    ]


def test_check_without_a_file(hubbub: Hubbub) -> None:
    """That there is none is said, and is no mistake."""
    answer = hubbub("config", "check")
    assert answer.code == 0
    assert answer.lines[0] == "ok: there is no file, so the defaults hold"


def test_check_as_json(hubbub: Hubbub) -> None:
    """Programs get the same as one object: places in parts, and the lines."""
    Path("hubbub.toml").write_text("[limits]\n  max_size = 0\n")
    answer = hubbub("config", "check", "--json")
    assert answer.code == 1
    found = json.loads(answer.output)
    assert not found["ok"]
    assert found["warnings"] == []
    assert found["mistakes"] == [
        {
            "source": {"kind": "file", "name": "hubbub.toml", "line": 2, "column": 3},
            "key": "limits.max_size",
            "text": "is 0; must be a whole number of at least 1",
            "message": "hubbub.toml:2: limits.max_size: is 0; must be a whole number of at least 1",
        }
    ]
    Path("hubbub.toml").write_text(GOOD)
    answer = hubbub("config", "check", "--json")
    assert answer.code == 0
    assert json.loads(answer.output) == {
        "ok": True,
        "mistakes": [],
        "warnings": [],
        "file": "hubbub.toml",
    }


def test_show_the_rule_of_a_topic(hubbub: Hubbub) -> None:
    """The first rule that matches is shown with its place and all values, those of the file marked so."""
    Path("hubbub.toml").write_text(GOOD)
    answer = hubbub("config", "show", "alerts.fire.now")
    assert (answer.code, answer.errors) == (0, "")
    assert answer.lines[:5] == [
        "# alerts.fire.now: rule 2, at hubbub.toml:23",
        "",
        "[[rules]]",
        'pattern = "alerts.>"                # hubbub.toml:24',
        "presence = false                    # default",
    ]
    assert "max_message = 100                   # hubbub.toml:25" in answer.lines
    for line, field in zip(answer.lines[3:], Rule.__struct_fields__, strict=True):
        assert re.match(rf"{field} = .*# (default|hubbub\.toml:\d+)$|# {field} is not set$", line)
    assert hubbub("config", "show", "alerts.fire").lines[0].endswith("rule 1, at hubbub.toml:19")
    assert hubbub("config", "show", "room.lobby").lines[0] == "# room.lobby: a default rule"
    plain = hubbub("config", "show", "elsewhere")
    assert plain.lines[0] == "# elsewhere: no rule matches, so it is a plain topic"
    assert "# max_message is not set" in plain.lines


def test_show_a_rule_as_json(hubbub: Hubbub) -> None:
    """Programs get its number, its place, and each value with where it came from."""
    Path("hubbub.toml").write_text(GOOD)
    found = json.loads(hubbub("config", "show", "alerts.x.y", "--json").output)
    assert (found["topic"], found["rule"], found["source"]) == ("alerts.x.y", 2, "hubbub.toml:23")
    assert found["values"]["max_message"] == {"value": 100, "source": "hubbub.toml:25"}
    assert found["values"]["slow"] == {"value": "disconnect", "source": "default"}
    found = json.loads(hubbub("config", "show", "room.x", "--json").output)
    assert (found["rule"], found["source"]) == (None, "default")
    assert found["values"]["presence"]["value"] is True


@pytest.mark.parametrize("topic", ["room.*", "a..b", ""])
def test_show_of_no_topic(hubbub: Hubbub, topic: str) -> None:
    """What is no topic is asked for wrongly, and why is said."""
    answer = hubbub("config", "show", topic)
    assert answer.code == 2
    assert answer.output == ""
    assert re.fullmatch(r"hubbub: Invalid value: .*; see hubbub config --help\n", answer.errors)


def test_show_everything(hubbub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting stands there with where it came from, and no secret."""
    Path("hubbub.toml").write_text(GOOD)
    monkeypatch.setenv("HUBBUB_LIMITS_MAX_QUEUE", "5")
    answer = hubbub("config", "show")
    assert (answer.code, answer.errors) == (0, "")
    assert answer.lines[0] == "# hubbub.toml"
    assert re.search(r"^port = 9000 +# hubbub.toml:3$", answer.output, re.MULTILINE)
    assert re.search(r"^max_queue = 5 +# HUBBUB_LIMITS_MAX_QUEUE$", answer.output, re.MULTILINE)
    assert re.search(r'^host = "127.0.0.1" +# default$', answer.output, re.MULTILINE)
    assert "# tls_cert is not set" in answer.lines
    assert 'hash = "sha256:' in answer.output
    assert HASH not in answer.output
    assert SECRET not in answer.output
    for name in Settings().limits.__struct_fields__:
        assert re.search(rf"^{name} = ", answer.output, re.MULTILINE), name


def test_what_is_shown_can_be_read_again(hubbub: Hubbub) -> None:
    """What is printed is a file that says the same, but for the secrets that are left out."""
    Path("hubbub.toml").write_text(GOOD)
    wanted = load(None, {}, {}).settings
    shown = hubbub("config", "show").output
    found = tomllib.loads(shown)
    assert found["tokens"][0]["user"] == 'alice "the first"'
    repaired = re.sub(r'"sha256:[0-9a-f]*…"', f'"{HASH}"', shown).replace('"…"', f'"{SECRET}"')
    Path("hubbub.toml").write_text(repaired)
    assert load(None, {}, {}).settings == wanted


def test_show_everything_as_json(hubbub: Hubbub) -> None:
    """Programs get each setting by its dotted key, secrets hidden."""
    Path("hubbub.toml").write_text(GOOD)
    answer = hubbub("config", "show", "--json")
    found: dict[str, Any] = json.loads(answer.output)
    assert found["file"] == "hubbub.toml"
    values = found["settings"]
    assert values["server.port"] == {"value": 9000, "source": "hubbub.toml:3"}
    assert values["limits.ping_interval"]["value"] == 0
    assert values["rules[2].max_message"]["value"] == 100
    assert values["auth.jwt.keys"]["value"] == {"2026 a": "…"}
    assert values["api.key_hash"] == {"value": None, "source": "default"}
    assert SECRET not in answer.output


def test_show_of_what_cannot_be_used(hubbub: Hubbub) -> None:
    """All mistakes go to standard error, each with its place, and nothing is shown."""
    Path("hubbub.toml").write_text("[limits]\nmax_size = 0\nmax_name = 0\n")
    answer = hubbub("config", "show")
    assert (answer.code, answer.output) == (1, "")
    assert [line.split(": ")[1] for line in answer.errors.splitlines()] == [
        "hubbub.toml:2",
        "hubbub.toml:3",
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_at_a_terminal(hubbub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets colours, unless it wants none; a pipe never does."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    hubbub("config", "check")
    assert "\x1b[32mok: " in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.truncate(0)
    hubbub("config", "check")
    assert "\x1b[32m" not in terminal.getvalue()
