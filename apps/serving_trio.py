"""Serving on trio."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import trio

from ..transports.trio import serve
from .serving import Binding, Program, announce, cannot_listen, stopping

__all__ = ["run_on_trio"]


def run_on_trio(program: Program, binding: Binding, keywords: dict[str, Any]) -> None:
    """See `run`; the keywords are those of `serve`."""

    async def main() -> None:
        async with AsyncExitStack() as stack:
            try:
                server = await stack.enter_async_context(serve(program.handler, **keywords))
            except (OSError, UnicodeError) as error:
                raise cannot_listen(binding, error) from error
            # Before the line: who reads it may send a signal at once.
            signals = stack.enter_context(trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM))
            announce(program, binding, server)
            await anext(signals)
            stopping(server)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_end_at_next, signals)
                await server.wait_closed()
                nursery.cancel_scope.cancel()

    trio.run(main)


async def _end_at_next(signals: AsyncIterator[int]) -> None:
    await anext(signals)
    os._exit(1)  # asked twice: nothing that still hangs may keep us
