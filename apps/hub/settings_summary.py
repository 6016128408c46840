"""A configuration in a few lines."""

from collections.abc import Iterator

from .settings import Settings

__all__ = ["summary"]


def summary(settings: Settings) -> Iterator[tuple[str, str]]:
    """What a person wants to see before it is used: titles and texts."""
    server = settings.server
    where = f"{server.host} port {server.port}" if server.unix is None else f"unix:{server.unix}"
    secure = "wss and https" if server.tls_cert is not None else "without TLS"
    yield "listens on", f"{where}, {secure}"
    yield "may enter", "; ".join(_doors(settings))
    yield "rules", f"{len(settings.rules)}, and the default ones behind them"
    limits = settings.limits
    size = "any size" if limits.max_size is None else f"{limits.max_size:,} bytes"
    yield "limits", f"{limits.max_connections:,} sessions, messages of {size}"
    if settings.store.path is not None:
        yield "store", settings.store.path
    keyed = settings.api.key_hash is not None or settings.api.key_file is not None
    yield "HTTP API", "with its key" if keyed else "closed, since it has no key"
    yield "metrics", _metrics(settings, keyed=keyed)


def _doors(settings: Settings) -> Iterator[str]:
    access = settings.anonymous
    if access is not None:
        all_topics = access.read == access.write == (">",)
        limited = "" if all_topics else ", to some topics"
        yield f"everybody, under a name of their choice{limited}"
    if settings.tokens:
        users = len({token.user for token in settings.tokens})
        yield f"{_count(len(settings.tokens), 'token')} of {_count(users, 'user')}"
    if settings.auth.jwt is not None:
        yield f"JWTs signed with {' or '.join(settings.auth.jwt.algorithms)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _metrics(settings: Settings, *, keyed: bool) -> str:
    if not settings.metrics.enabled:
        return "off"
    ways = ["from this machine"] if settings.metrics.loopback else []
    ways += ["with the API key"] if keyed else []
    return " or ".join(ways) or "closed, since there is no API key"
