"""An echo server on `trio-websocket`, as its manual writes it.

It offers no compression, sends no keepalive pings, and has no other defaults that cost something.
"""

from functools import partial

import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket


async def echo(request: WebSocketRequest) -> None:
    """Send each message back."""
    connection = await request.accept()
    while True:
        try:
            message = await connection.get_message()
            await connection.send_message(message)
        except ConnectionClosed:
            break


async def main() -> None:
    """Serve until the process is ended."""
    async with trio.open_nursery() as nursery:
        start = partial(serve_websocket, echo, "127.0.0.1", 0, ssl_context=None)
        server = await nursery.start(start)
        print(f"trio-websocket echo listens on ws://127.0.0.1:{server.port}/", flush=True)


if __name__ == "__main__":
    trio.run(main)
