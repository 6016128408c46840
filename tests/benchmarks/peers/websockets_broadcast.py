"""On `websockets`: what anyone says goes to all, by the library's `broadcast`."""

import asyncio

from websockets.asyncio.server import ServerConnection, broadcast, serve


async def main() -> None:
    """Serve until the process is ended."""

    async def publish(connection: ServerConnection) -> None:
        async for message in connection:
            broadcast(server.connections, message)

    # Like hubbub's default. Its other defaults bound much the same things.
    async with serve(publish, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"websockets broadcast listens on ws://127.0.0.1:{port}/", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
