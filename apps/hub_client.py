"""A command that is a client of a hub, from its first connection to its exit code."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from ..transports.asyncio import ClientState, HubClosed, HubError, RemoteHub
from ..transports.exceptions import WebSocketException
from .connect.session import TERMINATED, tell
from .connect.words import place, why
from .failure import Failure

__all__ = ["run_client"]

_GOODBYE: Final = 1.0
"""Seconds that a hub has to end the connection of a command that failed."""


def run_client(hub: RemoteHub, uri: str, work: Callable[[RemoteHub], Awaitable[int]]) -> int:
    """Connect, do the work, leave; the exit code.

    Args:
        hub: the client.
        uri: where the hub is, for people.
        work: what the command does; its exit code.

    Raises:
        Failure: there is no connection, or the hub refused something, or ended it.
        KeyboardInterrupt: Ctrl-C.
    """
    # What it logs is told here, in words of our own.
    logging.getLogger("hubbub.client").addHandler(logging.NullHandler())
    client = _Client(hub, uri, work)
    try:
        with asyncio.Runner() as runner:
            return runner.run(client.main())
    except asyncio.CancelledError:
        return TERMINATED


class _Client:
    def __init__(
        self, hub: RemoteHub, uri: str, work: Callable[[RemoteHub], Awaitable[int]]
    ) -> None:
        self._hub = hub
        self._place = place(uri)
        self._work = work
        self._connected = False

    async def main(self) -> int:
        """All of it."""
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            return await self._use()
        except Failure:
            # A loop that ended now would leave sockets open that have not said goodbye.
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await self._hub.close()
            raise

    async def _use(self) -> int:
        try:
            async with self._hub as hub:
                self._connected = True
                who = f" as {hub.username}" if hub.username is not None else ""
                tell(f"connected to {self._place}{who}")
                watching = asyncio.create_task(self._watch())
                try:
                    return await self._work(hub)
                finally:
                    watching.cancel()
        except HubClosed as error:
            cause = error.__cause__
            if isinstance(cause, Failure):
                raise cause from error
            words = "gave up" if self._connected else "cannot connect to"
            reason = why(cause) if isinstance(cause, Exception) else error.message
            raise Failure(f"{words} {self._place}: {reason}") from error
        except HubError as error:
            raise Failure(str(error)) from error
        except (OSError, WebSocketException) as error:
            raise Failure(f"cannot connect to {self._place}: {why(error)}") from error

    async def _watch(self) -> None:
        """Say what happens to the connection."""
        lost = False
        async for change in self._hub.states():
            if change.state is ClientState.WAITING:
                lost = True
                when = f"in {change.delay:.1f} s" if change.delay else "now"
                tell(f"{self._place}: {change.reason}; connecting again {when}")
            elif change.state is ClientState.READY and lost:
                tell(f"connected to {self._place} again")
