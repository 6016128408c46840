"""What a hub says of itself when it listens: where, for whom, and what was configured."""

from collections.abc import Iterator, Sequence

from .descriptors import Descriptors
from .settings import Settings
from .settings_checks import is_loopback
from .settings_loading import Loaded
from .settings_summary import summary

__all__ = ["banner"]


def banner(
    name: str,
    loaded: Loaded,
    descriptors: Descriptors,
    *,
    sockets: Sequence[str],
    http: Sequence[str],
    page: bool,
) -> list[str]:
    """The lines. The first ends with a URL: of the page, if there is one.

    Args:
        name: of the program.
        loaded: what was configured.
        descriptors: how many there may be.
        sockets: where clients connect.
        http: the same for HTTP.
        page: whether browsers find a page there.
    """
    first = http[0] if page else sockets[0]
    rows = _rows(loaded, descriptors, sockets, http, page=page)
    return [f"{name} listens on {first}", *(f"  {title:12} {text}" for title, text in rows)]


def _rows(
    loaded: Loaded,
    descriptors: Descriptors,
    sockets: Sequence[str],
    http: Sequence[str],
    *,
    page: bool,
) -> Iterator[tuple[str, str]]:
    settings = loaded.settings
    said = dict(summary(settings))
    if page:
        yield "page", "  ".join(http)
    yield "WebSocket", "  ".join(sockets)
    yield "may enter", said["may enter"] + _from_where(settings)
    if "store" in said:
        yield "store", said["store"]
    keyed = settings.api.key_hash is not None or settings.api.key_file is not None
    hint = "" if keyed else " (api.key_file, --api-key-file or HUBBUB_API_KEY)"
    yield "HTTP API", f"{said['HTTP API']}{hint}"
    by_tcp = settings.server.unix is None
    where = f"{http[0]}metrics, " if settings.metrics.enabled and by_tcp else ""
    yield "metrics", f"{where}{said['metrics']}"
    yield "settings", "; ".join(_sources(loaded))
    told = descriptors.told()
    if told is not None:
        yield "descriptors", told


def _sources(loaded: Loaded) -> Iterator[str]:
    """The file, and variables that count: they are easily forgotten."""
    yield loaded.file or "the defaults, since there is no hubbub.toml"
    names = {source.name for source in loaded.sources.values() if source.kind == "environment"}
    if names:
        yield ", ".join(sorted(names))


def _from_where(settings: Settings) -> str:
    """How far the door is from the street."""
    server = settings.server
    if server.unix is not None or is_loopback(server.host):
        behind = ", and whom a trusted proxy lets through" if server.trusted_proxies else ""
        return f" (this machine only{behind})"
    return " (from other machines too)" if settings.anonymous is not None else ""
