"""`hubbub token`: tokens, and the entries by which a hub knows them."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from hubbub.apps.hub.settings_loading import load
from hubbub.core.auth import TokenAuth, hash_token
from hubbub.core.grants import Grant
from support.command import Answer, answer_of

Hubbub = Callable[..., Answer]
ALICE = ("token", "create", "alice", "--read", "alerts.>", "--write", "room.lobby")


@pytest.fixture
def hubbub(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hubbub:
    """The command line."""
    return lambda *arguments: answer_of(monkeypatch, capsys, *arguments)


def test_a_token_and_its_entry(
    hubbub: Hubbub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The token is the first line, the entry what follows, and a hub with it lets the token's bearer in."""
    caplog.set_level(logging.DEBUG)
    answer = hubbub(*ALICE)
    assert (answer.code, answer.errors) == (0, "")
    token, empty, *entry = answer.lines
    assert empty == ""
    assert entry == [
        "[[tokens]]",
        f'hash = "{hash_token(token)}"',
        'user = "alice"',
        'read = ["alerts.>"]',
        'write = ["room.lobby"]',
    ]
    assert answer.output.count(token) == 1
    assert caplog.records == []
    monkeypatch.chdir(tmp_path)
    Path("hubbub.toml").write_text("\n".join(entry))
    auth = load(None, {}, {}).settings.hub_config().auth
    assert isinstance(auth, TokenAuth)
    assert auth.authenticate(token, 0.0) == Grant(
        user="alice", read=("alerts.>",), write=("room.lobby",)
    )


def test_every_token_is_another(hubbub: Hubbub) -> None:
    """Two calls give two tokens."""
    assert hubbub(*ALICE).lines[0] != hubbub(*ALICE).lines[0]


def test_as_json(hubbub: Hubbub) -> None:
    """Programs get the token, the fields and the entry in one object."""
    answer = hubbub(*ALICE, "--admin", "--until", "2099-01-31", "--json")
    found = json.loads(answer.output)
    (entry,) = tomllib.loads(found.pop("entry"))["tokens"]
    token = found.pop("token")
    assert found == {
        "hash": hash_token(token),
        "user": "alice",
        "read": ["alerts.>"],
        "write": ["room.lobby"],
        "admin": True,
        "until": "2099-01-31",
    }
    assert entry == {**found, "until": date(2099, 1, 31)}


def test_when_it_ends(hubbub: Hubbub) -> None:
    """A date, a moment in any zone, or days from now."""

    def until(*options: str) -> object:
        (entry,) = tomllib.loads("\n".join(hubbub(*ALICE, *options).lines[2:]))["tokens"]
        return entry["until"]

    assert until("--until", "2099-01-31") == date(2099, 1, 31)
    moment = datetime(2099, 1, 31, 17, tzinfo=UTC)
    assert until("--until", "2099-01-31T18:00:00+01:00") == moment
    before = datetime.now(UTC)
    end = until("--days", "30")
    assert isinstance(end, datetime)
    assert (
        timedelta(0)
        <= end - before - timedelta(days=30) + timedelta(seconds=1)
        <= timedelta(minutes=1)
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--read", "a..b"], "--read: the pattern 'a..b' has an empty token"),
        (["--write", "room*"], "--write: the pattern 'room*' has a wildcard inside"),
        (["--until", "tomorrow"], "--until='tomorrow': write 2027-01-31 or 2027-01-31T18:00:00Z"),
        (["--until", "2099-01-31T18:00:00"], "has no zone; add a Z if that is UTC"),
        (["--until", "2020-01-01"], "--until=2020-01-01: is over already"),
        (["--until", "2099-01-01", "--days", "1"], "--until and --days say the same"),
        (["--days", "0"], "--days=0: must be above 0 and at most 36525"),
        (["--days", "nan"], "--days=nan: must be above 0"),
        (["--days", "1e400"], "--days=inf: must be above 0"),
    ],
)
def test_what_makes_no_sense(hubbub: Hubbub, arguments: list[str], said: str) -> None:
    """It is said in one line what is wrong, and there is no token."""
    answer = hubbub("token", "create", "alice", *arguments)
    assert answer.code == 2
    assert answer.output == ""
    assert said in answer.errors
    assert answer.errors.endswith("; see hubbub token --help\n")


@pytest.mark.parametrize("name", ["", "x" * 65, "a\u202eb", " alice", "a\n[[tokens]]"])
def test_names_that_nobody_may_have(hubbub: Hubbub, name: str) -> None:
    """A name is checked as the hub would, and shown without control characters."""
    answer = hubbub("token", "create", name)
    assert answer.code == 2
    assert answer.output == ""
    assert answer.errors.count("\n") == 1
    assert "a name " in answer.errors


def test_a_token_for_nothing(hubbub: Hubbub) -> None:
    """That it may do nothing is said, but it is made."""
    answer = hubbub("token", "create", "alice")
    assert answer.code == 0
    assert answer.lines[0].startswith("hub_")
    assert answer.errors == "hubbub: it may read and write nothing: see --read and --write\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_at_a_terminal(hubbub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    """People are told what is what, and that the token is shown this once."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    hubbub(*ALICE)
    lines = terminal.getvalue().splitlines()
    assert lines[0] == "The token, which is shown only this once:"
    assert lines[3] == "Its entry for hubbub.toml:"
    assert f'hash = "{hash_token(lines[1])}"' in lines


def test_the_hash_of_a_key(hubbub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes from standard input is hashed without the end of its line, and not repeated."""
    for text in ("a key", "a key\n", "a key\r\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        answer = hubbub("token", "hash")
        assert (answer.code, answer.output) == (0, f"{hash_token('a key')}\n")
    for text, said in (("", "nothing to hash"), ("two\nlines", "one line"), ("x" * 9000, "8192")):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        answer = hubbub("token", "hash")
        assert (answer.code, answer.output) == (2, "")
        assert said in answer.errors


def test_entropy_is_the_systems(hubbub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token comes from os.urandom."""
    monkeypatch.setattr(os, "urandom", bytes)
    assert hubbub(*ALICE).lines[0] == "hub_" + "A" * 43
