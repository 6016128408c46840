"""An echo server on `websockets.trio`, as its manual writes it."""

from functools import partial

import trio
from websockets.trio.server import ServerConnection, serve


async def echo(connection: ServerConnection) -> None:
    """Send each message back."""
    async for message in connection:
        await connection.send(message)


async def main() -> None:
    """Serve until the process is ended."""
    async with trio.open_nursery() as nursery:
        # Like hubbub's default. Its other defaults bound much the same things.
        server = await nursery.start(partial(serve, echo, 0, host="127.0.0.1", compression=None))
        port = server.listeners[0].socket.getsockname()[1]
        print(f"websockets.trio echo listens on ws://127.0.0.1:{port}/", flush=True)


if __name__ == "__main__":
    trio.run(main)
