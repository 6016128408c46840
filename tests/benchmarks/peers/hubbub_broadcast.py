"""On hubbub: what anyone says goes to all, by the library's `broadcast`.

`--transport asyncio` is the default, `--transport trio` the other; `--uvloop` goes with asyncio.
"""

import argparse
import asyncio
import importlib
from collections.abc import Callable
from typing import Any


async def main(transport: Any) -> None:
    """Serve until the process is ended; the transports have the same names."""

    async def publish(connection: Any) -> None:
        async for message in connection:
            transport.broadcast(server.connections, message)

    async with transport.serve(publish, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"hubbub broadcast listens on ws://127.0.0.1:{port}/", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transport", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--uvloop", action="store_true")
    options = parser.parse_args()
    module = importlib.import_module(f"hubbub.transports.{options.transport}")
    if options.transport == "trio":
        import trio

        trio.run(main, module)
    else:
        factory: Callable[[], asyncio.AbstractEventLoop] | None = None
        if options.uvloop:
            import uvloop

            factory = uvloop.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main(module))
