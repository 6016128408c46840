"""Serving on trio."""

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import trio

from ..transports.trio import serve, serve_hub
from ..transports.trio.server_life import TrioServerLife
from .serving import Service, accompany, announce, cannot_listen, stop, stop_at_once, stopped

__all__ = ["run_on_trio"]


def run_on_trio(service: Service) -> None:
    """See `run`."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            try:
                server: TrioServerLife = service.make(serve, serve_hub)
                await stack.enter_async_context(server)
            except (OSError, UnicodeError) as error:
                raise cannot_listen(service.binding, error) from error
            # Before the lines: who reads them may send a signal at once.
            signals = stack.enter_context(trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM))
            announce(service, server)
            async with trio.open_nursery() as nursery:
                for one in service.companions(server):
                    nursery.start_soon(accompany, one, trio.sleep)
                await anext(signals)
                stop(service, server)
                nursery.start_soon(_end_at_next, signals)
                await server.wait_closed()
                stopped()
                nursery.cancel_scope.cancel()

    trio.run(main)


async def _end_at_next(signals: AsyncIterator[int]) -> None:
    await anext(signals)
    stop_at_once()
