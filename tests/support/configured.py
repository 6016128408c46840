"""What a hub makes of a configuration; `hubbub.toml` is written into the working directory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hubbub.apps.hub.settings import Settings
from hubbub.apps.hub.settings_loading import Loaded, load
from hubbub.apps.hub.settings_mistakes import Mistakes

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def loaded(
    text: str = "",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Loaded:
    """What a file with this text comes to."""
    Path("hubbub.toml").write_text(text)
    return load(None, environ or {}, flags or {}, now=NOW)


def settings(text: str = "", **environ: str) -> Settings:
    """The settings alone."""
    return loaded(text, environ).settings


def mistakes(
    text: str = "",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> list[str]:
    """All that is said against it."""
    with pytest.raises(Mistakes) as raised:
        loaded(text, environ, flags)
    return [str(mistake) for mistake in raised.value.mistakes]


def mistake(text: str = "", environ: Mapping[str, str] | None = None) -> str:
    """The one thing that is said against it."""
    (line,) = mistakes(text, environ)
    return line


def warnings(text: str) -> list[str]:
    """What is said, though it can be used."""
    return [str(warning) for warning in loaded(text).warnings]
