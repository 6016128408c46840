"""The command line in this process: quicker than a program of its own where nothing is served."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from hubbub.apps.cli import main


@dataclass(frozen=True)
class Answer:
    """What a command printed, and how it ended."""

    code: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """Those of standard output."""
        return self.output.splitlines()


def answer_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> Answer:
    """Run `hubbub` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["hubbub", *arguments])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return Answer(code or 0, printed.out, printed.err)
