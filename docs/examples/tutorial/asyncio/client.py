"""A client for the terminal: sends what is typed, prints what comes. Give it a port, or 8765."""

import asyncio
import contextlib
import sys
import threading
from collections.abc import Coroutine

from hubbub.transports.asyncio import (
    ClientConnection,
    ConnectionClosed,
    ConnectionClosedError,
    connect,
)

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8765


def talk(connection: ClientConnection, loop: asyncio.AbstractEventLoop) -> None:
    """Send line after line, and close at the end of the input.

    It runs in a thread, because `input` blocks: pings are answered while the user thinks.
    """

    def do(coroutine: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    with contextlib.suppress(ConnectionClosed):  # main() sees that too
        try:
            while True:
                do(connection.send(input()))
        except EOFError:
            do(connection.close())


async def main() -> None:
    async with connect(f"ws://localhost:{PORT}") as connection:
        print("Connected. Type messages; Ctrl-D ends.")
        await connection.send("Hello from hubbub!")
        loop = asyncio.get_running_loop()
        threading.Thread(target=talk, args=(connection, loop), daemon=True).start()
        try:
            async for message in connection:
                print("Server says:", message)
        except ConnectionClosedError as error:
            print("The connection broke:", error)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
