"""Reads what a hub was told, from all places, and says all that is wrong with it."""

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from ...core.auth import hash_token
from .places import Key, find_places
from .settings import Settings
from .settings_checks import check, warn_of_short_key
from .settings_layers import API_KEY, CONFIG, Layers, variables
from .settings_mistakes import Mistake, Mistakes, Source
from .settings_reading import DEFAULT, Reading

__all__ = ["IMPLICIT", "Loaded", "load"]

IMPLICIT: Final = "hubbub.toml"
"""The file that is read if none is named and it is there."""

_MAX_FILE: Final = 16 * 2**20
"""Bytes of a file. A hundred thousand tokens have as many."""

_RANKS: Final = {"default": 0, "file": 1, "environment": 2, "flag": 3}

_RIVALS: Final[tuple[tuple[tuple[Key, ...], ...], ...]] = (
    ((("server", "unix"),), (("server", "host"), ("server", "port"))),
    ((("api", "key_hash"),), (("api", "key_file"),)),
    (
        (("auth", "jwt", "key"),),
        (("auth", "jwt", "key_file"),),
        (("auth", "jwt", "keys"), ("auth", "jwt", "key_files")),
    ),
)
"""Groups of settings of which one takes the place of the others: one that comes from a stronger place
replaces those from weaker ones, as if they were one setting."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that can be used."""

    settings: Settings
    sources: Mapping[Key, Source]
    """Where each value came from; those that are not in it are defaults."""
    warnings: tuple[Mistake, ...]
    """What may be no mistake, and should be said."""
    file: str | None
    """The file that was read, as it was named."""

    def source(self, *path: str | int) -> Source:
        """Where one value came from, such as `source("server", "port")`."""
        return self.sources.get(path, DEFAULT)


def load(
    config_path: str | Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    *,
    now: datetime | None = None,
) -> Loaded:
    """Read and check the configuration. Flags count before variables, variables before the file.

    The files that it names are looked at too: certificates and keys.

    Args:
        config_path: the file, as `--config` named it. None: the one that `HUBBUB_CONFIG` names, or
            `hubbub.toml` in the working directory if it is there and is ours.
        environ: the variables, such as `os.environ`.
        flags: by key, such as `server.port`; None stands for a flag that was not given.
        now: for what ends some day. None: the system's time.

    Raises:
        Mistakes: it can't be used. All that is wrong is in it.
        LookupError: a flag's key is no setting.
    """
    name, implicit = _file_name(config_path, environ)
    values: dict[str, object] = {}
    sources: dict[Key, Source] = {}
    mistakes: list[Mistake] = []
    readable = True
    if name is not None:
        try:
            values, sources = _read_file(name, implicit=implicit)
        except _Unreadable as error:
            mistakes.append(error.mistake)
            readable = False
    layers = Layers(values, sources)
    layers.add_environment(environ)
    if environ.get(API_KEY):
        _add_api_key(layers, environ[API_KEY])
    layers.add_flags(flags)
    for rivals in _RIVALS:
        _settle(layers, rivals)
    mistakes += layers.mistakes
    reading = Reading(layers.sources)
    if readable:
        settings = reading.read(layers.values)
        check(settings, reading, now or datetime.now(UTC))
        mistakes += reading.mistakes + _replaced(layers)
    else:
        settings = Settings()  # nothing is known of what the file meant to say
    warnings = sorted([*layers.warnings, *reading.warnings], key=_order)
    if mistakes:
        raise Mistakes(sorted(mistakes, key=_order), warnings)
    return Loaded(settings=settings, sources=layers.sources, warnings=tuple(warnings), file=name)


def _replaced(layers: Layers) -> list[Mistake]:
    """What is wrong with values that do not count: one day they will."""
    kinds = dict(variables().values())
    mistakes: list[Mistake] = []
    for path, value, source in layers.replaced:
        if path in kinds:
            reading = Reading({path: source})
            reading.look_at(kinds[path], value, path)
            mistakes += reading.mistakes
    return mistakes


def _order(mistake: Mistake) -> tuple[int, int, int]:
    source = mistake.source
    return _RANKS[source.kind], source.line or 0, source.column or 0


class _Unreadable(Exception):
    """A file can't be read at all."""

    def __init__(
        self, name: str, text: str, line: int | None = None, column: int | None = None
    ) -> None:
        self.mistake = Mistake(Source("file", name, line, column), text)
        super().__init__(text)


def _file_name(
    config_path: str | Path | None, environ: Mapping[str, str]
) -> tuple[str | None, bool]:
    """The file to read, and whether nobody named it."""
    if config_path is not None:
        return str(Path(config_path)), False  # an empty one is a folder, and not nothing
    if environ.get(CONFIG):
        return environ[CONFIG], False
    return (IMPLICIT, True) if Path(IMPLICIT).is_file() else (None, True)


def _read_file(name: str, *, implicit: bool) -> tuple[dict[str, object], dict[Key, Source]]:
    try:
        with Path(name).open("rb") as file:
            # Who starts a server in a folder of somebody else should not run what that one wrote.
            if implicit and os.fstat(file.fileno()).st_uid not in {0, os.geteuid()}:
                raise _Unreadable(
                    name, f"belongs to another user; name it with --config {name} if you trust it"
                )
            data = file.read(_MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "cannot be read"
        raise _Unreadable(name, reason.lower()) from None
    if len(data) > _MAX_FILE:
        raise _Unreadable(name, f"has more than {_MAX_FILE} bytes")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _Unreadable(name, "is not UTF-8; save it so", line) from None
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise _Unreadable(name, "is nested too deep") from None
    except ValueError as error:
        raise _syntax(name, str(error), text) from None
    sources = {
        path: Source("file", name, place.line, place.column)
        for path, place in find_places(text).items()
    }
    return values, {(): Source("file", name), **sources}


_AT: Final = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


def _syntax(name: str, error: str, text: str) -> _Unreadable:
    found = _AT.fullmatch(error)
    if found is None:
        return _Unreadable(name, f"is no TOML: {error}")
    what = _NAMES.sub(_joined, f"{found[1][:1].lower()}{found[1][1:]}")
    if what == "invalid value":
        what += "; text needs quotes, and true and false have small letters"
    if found[2] is None:
        last = text.rstrip("\n").count("\n") + 1
        return _Unreadable(name, f"is no TOML at the end of the file: {what}", last)
    return _Unreadable(
        name, f"is no TOML at column {found[3]}: {what}", int(found[2]), int(found[3])
    )


_NAMES: Final = re.compile(r"\(('[^']*')(?:, ('[^']*'))*,?\)")
"""How `tomllib` shows a key: as a tuple."""


def _joined(names: re.Match[str]) -> str:
    return ".".join(re.findall(r"'([^']*)'", names[0]))


def _add_api_key(layers: Layers, key: str) -> None:
    source = Source("environment", API_KEY)
    path: Key = ("api", "key_hash")
    before = layers.sources.get(path)
    if before is not None and before.kind == "environment":
        layers.mistakes.append(Mistake(source, f"{before} is set too; leave one of them out"))
        return
    warn_of_short_key(key, lambda text: layers.warnings.append(Mistake(source, text)))
    layers.put(path, hash_token(key), source)


def _settle(layers: Layers, rivals: tuple[tuple[Key, ...], ...]) -> None:
    ranks = [
        max(
            (_RANKS[layers.sources[path].kind] for path in group if path in layers.sources),
            default=0,
        )
        for group in rivals
    ]
    for group, rank in zip(rivals, ranks, strict=True):
        if rank < max(ranks):
            for path in group:
                layers.remove(path)
