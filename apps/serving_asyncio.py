"""Serving on asyncio, and on uvloop."""

import asyncio
import signal
from collections.abc import Callable

from ..transports.asyncio import serve, serve_hub
from ..transports.asyncio.server_life import AsyncioServerLife
from .failure import Failure
from .serving import (
    Binding,
    Service,
    accompany,
    announce,
    cannot_listen,
    stop,
    stop_at_once,
    stopped,
)

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


def run_on_asyncio(service: Service) -> None:
    """See `run`."""

    async def main() -> None:
        try:
            server: AsyncioServerLife = await service.make(serve, serve_hub)
        except (OSError, UnicodeError) as error:
            raise cannot_listen(service.binding, error) from error
        # Before the lines: who reads them may send a signal at once.
        asked = _signalled()
        announce(service, server)
        companions = [
            asyncio.create_task(accompany(one, asyncio.sleep)) for one in service.companions(server)
        ]
        await asked.wait()
        stop(service, server)
        await server.wait_closed()
        stopped()
        for task in companions:
            task.cancel()

    with asyncio.Runner(loop_factory=_loop_factory(service.binding)) as runner:
        runner.run(main())


def _signalled() -> asyncio.Event:
    """What SIGINT and SIGTERM set; a second one ends the process."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def on_signal() -> None:
        if asked.is_set():
            stop_at_once()
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return asked
