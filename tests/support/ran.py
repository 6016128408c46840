"""The command line in this process, with descriptors of its own for what is typed and printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hubbub.apps.cli import main

__all__ = ["Ran", "Run", "runner"]


class Ran:
    """A command that has ended."""

    def __init__(self, code: int, out: str, errors: str) -> None:
        self.code = code
        self.out = out
        self.errors = errors

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The lines of its output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def last(self) -> str:
        """What it said at last."""
        return self.errors.splitlines()[-1]


Run = Callable[..., Ran]


def runner(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """What runs `hubbub` with arguments, and with what is typed."""
    monkeypatch.delenv("HUBBUB_TOKEN", raising=False)

    def ran(*arguments: str, typed: bytes = b"") -> Ran:
        (tmp_path / "typed").write_bytes(typed)
        with (tmp_path / "typed").open() as source:
            monkeypatch.setattr(sys, "stdin", source)
            monkeypatch.setattr(sys, "argv", ["hubbub", *arguments])
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        printed = capfd.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Ran(code or 0, printed.out, printed.err)

    return ran
