"""A hub in a thread of its own, for tests that run the command line in this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hubbub.core.hub_config import HubConfig
from hubbub.transports.asyncio import HubServer, serve_hub
from support.net import url

__all__ = ["Served"]


class Served:
    """A hub that runs in a thread of its own."""

    def __init__(self, config: HubConfig, port: int = 0) -> None:
        self._config = config
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._up = threading.Event()
        self.ended = threading.Event()
        """Set when it is gone."""
        self.server: HubServer

    async def _serve(self) -> None:
        async with serve_hub(self._config, "127.0.0.1", self._port) as self.server:
            self._up.set()
            await self._done.wait()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())
        self.ended.set()

    @contextmanager
    def running(self) -> Iterator[Served]:
        """Run it until the block ends."""
        thread = threading.Thread(target=self._run)
        thread.start()
        assert self._up.wait(10)
        try:
            yield self
        finally:
            self.stop()
            thread.join(20)
            assert not thread.is_alive()

    def stop(self) -> None:
        """Drain it."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._done.set)

    @property
    def url(self) -> str:
        """Where it is."""
        return url(self.server)

    def publish(self, topic: str, *messages: Any) -> None:
        """Publish from the server."""
        for message in messages:
            asking = self.server.publish(topic, message)
            asyncio.run_coroutine_threadsafe(asking, self._loop).result(10)

    def disconnect(self, user: str) -> None:
        """End all sessions of a user."""
        asyncio.run_coroutine_threadsafe(self.server.disconnect(user), self._loop).result(10)
