"""An echo server: every message comes back. Run it with a port, or on 8765."""

import sys

import trio

from hubbub.transports.trio import ServerConnection, serve

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8765


async def echo(connection: ServerConnection) -> None:
    """Answer text with text and bytes with bytes, until the peer leaves."""
    async for message in connection:
        print("received", repr(message))
        if isinstance(message, str):
            await connection.send(f"Echo: {message}")
        else:
            await connection.send(b"Echo: " + message)


async def main() -> None:
    async with serve(echo, "localhost", PORT) as server:
        print(f"echo server at ws://localhost:{server.sockets[0].getsockname()[1]}")
        await server.serve_forever()


try:
    trio.run(main)
except* KeyboardInterrupt:
    pass
