"""A client for the terminal: sends what is typed, prints what comes. Give it a port, or 8765."""

import contextlib
import sys

import trio

from hubbub.transports.trio import (
    ClientConnection,
    ConnectionClosed,
    ConnectionClosedError,
    connect,
)

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8765


async def talk(connection: ClientConnection) -> None:
    """Send line after line, and close at the end of the input.

    `input` runs in a thread, because it blocks: pings are answered while the user thinks.
    """
    with contextlib.suppress(ConnectionClosed):  # main() sees that too
        try:
            while True:
                await connection.send(await trio.to_thread.run_sync(input, abandon_on_cancel=True))
        except EOFError:
            await connection.close()


async def main() -> None:
    async with (
        connect(f"ws://localhost:{PORT}") as connection,
        trio.open_nursery() as nursery,
    ):
        print("Connected. Type messages; Ctrl-D ends.")
        await connection.send("Hello from hubbub!")
        nursery.start_soon(talk, connection)
        try:
            async for message in connection:
                print("Server says:", message)
        except ConnectionClosedError as error:
            print("The connection broke:", error)
        nursery.cancel_scope.cancel()


try:
    trio.run(main)
except* KeyboardInterrupt:
    pass
