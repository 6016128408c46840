"""On `websockets.trio`: what anyone says goes to all, by the library's `broadcast`."""

from functools import partial

import trio
from websockets.trio.server import Server, ServerConnection, broadcast, serve


async def main() -> None:
    """Serve until the process is ended."""

    async def publish(connection: ServerConnection) -> None:
        async for message in connection:
            await broadcast(server.connections, message)

    async with trio.open_nursery() as nursery:
        # Like hubbub's default. Its other defaults bound much the same things.
        start = partial(serve, publish, 0, host="127.0.0.1", compression=None)
        server: Server = await nursery.start(start)
        port = server.listeners[0].socket.getsockname()[1]
        print(f"websockets.trio broadcast listens on ws://127.0.0.1:{port}/", flush=True)


if __name__ == "__main__":
    trio.run(main)
