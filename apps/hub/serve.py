"""The hub as a program: what was configured, its server, and what runs beside it."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

import msgspec

from ...core.hub_config import HubConfig
from ...core.records import Heads
from ...transports.hub_server import BaseHubServer
from ...transports.server_life import ServerLife
from ...transports.stores.protocol import StoreUnavailable
from ...transports.stores.sqlite import SQLiteStore
from ..failure import Failure
from ..logs import set_up_logging
from ..serving import Binding, Companion, Service, Sleep, connections, run, urls
from .banner import banner
from .descriptors import raise_limit
from .http_api import HttpApi
from .metrics import Metrics
from .notify import beat
from .page import hub_routes
from .settings import Settings
from .settings_loading import Loaded, load
from .settings_secrets import api_key_hash, authenticator

__all__ = ["HubService", "serve_configured"]

S = TypeVar("S", bound=ServerLife)

logger = logging.getLogger("hubbub.server")

_PROGRESS_EVERY: Final = 1.0
"""Seconds between two lines that say how far the end is."""


def serve_configured(
    config: str | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    *,
    fast_path: bool = True,
    heartbeat: float | None = None,
) -> None:
    """Run a hub until a signal ends it.

    Args:
        config: see `load`; the next two as well.
        environ: variables.
        flags: by key; None is one that was not given.
        fast_path: False reads every frame with wsproto.
        heartbeat: seconds between two messages on the topic `system`; None sends none.

    Raises:
        Mistakes: the configuration can't be used.
        Failure: it cannot start.
    """
    loaded = load(config, environ, flags)
    set_up_logging(loaded.settings.log.level, loaded.settings.log.format)
    for warning in loaded.warnings:
        logger.warning("%s", warning)
    run(HubService(loaded, fast_path=fast_path, heartbeat=heartbeat))


class HubService(Service):
    """A hub that was configured.

    Args:
        loaded: what `load` gave.
        fast_path: see `serve_configured`.
        heartbeat: see `serve_configured`; with one it is the notification server, which has no page.

    Raises:
        Failure: a file with a key can't be read any more.
    """

    def __init__(
        self, loaded: Loaded, *, fast_path: bool = True, heartbeat: float | None = None
    ) -> None:
        settings = loaded.settings
        super().__init__(_binding(settings))
        self._loaded = loaded
        self._heartbeat = heartbeat
        self._page = heartbeat is None
        self._store = settings.store.path
        self._config = _hub_config(settings, page=self._page, fast_path=fast_path)
        self._metrics = Metrics() if settings.metrics.enabled else None
        try:
            key_hash = api_key_hash(settings.api)
            self._authenticate = authenticator(settings)
        except ValueError as error:
            raise Failure(str(error)) from error
        self._http = HttpApi(
            key_hash=key_hash,
            rules=self._config.rules,
            limits=self._config.limits,
            metrics=self._metrics,
            loopback=settings.metrics.loopback,
        )
        self._descriptors = raise_limit(self._config.limits)

    def make(self, serve: Callable[..., S], serve_hub: Callable[..., S]) -> S:  # noqa: ARG002 - the shape is Service's
        """See `Service`."""
        return serve_hub(
            self._config,
            authenticate=self._authenticate,
            store=None if self._store is None else _ConfiguredStore(self._store),
            http=self._http,
            clock=time.monotonic,  # that of the HTTP interface
            on_fan_out=None if self._metrics is None else self._metrics.fanned_out,
            **self.binding.keywords(),
        )

    def lines(self, server: ServerLife) -> Sequence[str]:
        """See `Service`."""
        self._http.serve(_hub_server(server))
        return banner(
            "hubbub" if self._page else "hubbub notify",
            self._loaded,
            self._descriptors,
            sockets=urls(self.binding, server, "ws"),
            http=urls(self.binding, server, "http"),
            page=self._page,
        )

    def companions(self, server: ServerLife) -> Sequence[Companion]:
        """See `Service`."""
        hub = _hub_server(server)
        companions: list[Companion] = [partial(_tell_progress, hub)]
        if self._metrics is not None:
            companions.append(self._metrics.measure_lag)
        if self._heartbeat is not None:
            companions.append(partial(beat, hub, self._heartbeat))
        return companions

    def stopping(self, server: ServerLife) -> str:
        """See `Service`."""
        links = connections(_hub_server(server).hub.links)
        delay = self._config.limits.drain_delay
        first = f"refusing newcomers for {delay:g} s, then " if delay else ""
        return f"{first}closing {links}; clients are told when to come back"


class _ConfiguredStore(SQLiteStore):
    """A store whose opening, should it fail, ends the program with a line about it."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._name = path

    async def open(self) -> Heads:
        """Open it.

        Raises:
            Failure: it can't be used.
        """
        try:
            return await super().open()
        except StoreUnavailable as error:
            raise Failure(f"--store {self._name}: {error.reason}") from error


async def _tell_progress(server: BaseHubServer, sleep: Sleep) -> None:
    """While it ends, say how far that is."""
    hub = server.hub
    while True:
        await sleep(_PROGRESS_EVERY)
        if hub.draining and not server.is_serving():
            logger.info(
                "stopping: %s left, for which %d bytes wait",
                connections(hub.links),
                hub.outbox_bytes,
            )


def _hub_server(server: ServerLife) -> BaseHubServer:
    assert isinstance(server, BaseHubServer)
    return server


def _binding(settings: Settings) -> Binding:
    server = settings.server
    return Binding(
        host=server.host,
        port=server.port,
        unix=server.unix,
        tls_cert=server.tls_cert,
        tls_key=server.tls_key,
        transport=server.transport,
        uvloop=server.uvloop,
    )


def _hub_config(settings: Settings, *, page: bool, fast_path: bool) -> HubConfig:
    config = settings.hub_config(hub_routes()) if page else settings.hub_config()
    options = msgspec.structs.replace(config.options, fast_path=fast_path)
    return msgspec.structs.replace(config, options=options)
