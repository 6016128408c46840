"""A server for bad peers and bad days: limits, timeouts, logs and signals. Port 8765 or as given."""

import asyncio
import logging
import signal
import sys

from hubbub.transports.asyncio import ConnectionClosedError, ServerConnection, serve

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
LONGEST = 10_000

logging.basicConfig(level=logging.INFO)
logger = logging.getLogger("robust")


async def process(connection: ServerConnection) -> None:
    """Answer each message. Whatever is raised here closes this connection only, with 1011."""
    try:
        async for message in connection:
            if len(message) > LONGEST:
                await connection.send(f"Error: a message may have at most {LONGEST} characters")
            else:
                await connection.send(f"Processed: {message!s}")
    except ConnectionClosedError as error:
        # No need to catch it, unless the end of a connection means something to you.
        logger.warning("%s is gone: %s", connection.remote_address, error)


async def main() -> None:
    async with serve(
        process,
        "localhost",
        PORT,
        max_size=2**20,  # bytes; a longer message is refused at its first bytes, with 1009
        ping_interval=20,  # seconds between keepalive pings
        ping_timeout=10,  # of silence after one: the peer is dead
        write_timeout=30,  # for a peer to take anything of what waits for it
        close_timeout=5,  # for it to answer our Close frame
    ) as server:
        print(f"robust server at ws://localhost:{server.sockets[0].getsockname()[1]}")
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.close)
        await server.serve_forever()
    logger.info("every connection is closed")


asyncio.run(main())
