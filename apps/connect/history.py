"""What was typed at the prompt before, kept where the platform keeps such things."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

__all__ = ["open_history", "state_folder"]


def state_folder() -> Path:
    """The folder for a program's state on this platform.

    Raises:
        RuntimeError: the user has no home.
    """
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "hubbub"
    base = os.environ.get("XDG_STATE_HOME", "")
    # The XDG base directory specification: a relative path is to be ignored.
    folder = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return folder / "hubbub"


class _LenientHistory(FileHistory):
    """A file that need not be there: a history is no reason to fail."""

    def load_history_strings(self) -> Iterable[str]:
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        with suppress(OSError):
            super().store_string(string)


def open_history() -> History:
    """The history of all prompts, for the user's eyes only; of this one, if it can't be kept."""
    try:
        file = state_folder() / "history"
    except RuntimeError:
        return InMemoryHistory()
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)  # what is typed may be secret
    return _LenientHistory(file)
