"""Serving on asyncio, and on uvloop."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from ..transports.asyncio import serve
from .failure import Failure
from .serving import Binding, Program, announce, cannot_listen, stopping

__all__ = ["run_on_asyncio"]


def _loop_factory(binding: Binding) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not binding.uvloop:
        return None
    try:
        import uvloop
    except ImportError as error:
        raise Failure("--uvloop: not installed; add the extra 'uvloop'") from error
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def run_on_asyncio(program: Program, binding: Binding, keywords: dict[str, Any]) -> None:
    """See `run`; the keywords are those of `serve`."""

    async def main() -> None:
        try:
            server = await serve(program.handler, **keywords)
        except (OSError, UnicodeError) as error:
            raise cannot_listen(binding, error) from error
        # Before the line: who reads it may send a signal at once.
        asked = _signalled()
        announce(program, binding, server)
        await asked.wait()
        stopping(server)
        await server.wait_closed()

    with asyncio.Runner(loop_factory=_loop_factory(binding)) as runner:
        runner.run(main())


def _signalled() -> asyncio.Event:
    """What SIGINT and SIGTERM set; a second one ends the process."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def on_signal() -> None:
        if asked.is_set():
            os._exit(1)  # asked twice: nothing that still hangs may keep us
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return asked
