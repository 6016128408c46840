"""What writing to all costs on the event loop alone: ready bytes, and no protocol at all.

It answers the first read of a connection with a 101 response and a Close frame with another. Any
other read is of some of the benchmark's frames, each of which goes to all: in one write for each
connection, as many frames as the read had. `--uvloop` runs it on uvloop.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import cast

RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
CLOSE = b"\x88\x02\x03\xe8"
FRAME = b"\x81\x40" + 64 * b"a"
MASKED_SIZE = len(FRAME) + 4

BUFFER = memoryview(bytearray(65536))
RECEIVERS: set[asyncio.Transport] = set()


class Publisher(asyncio.BufferedProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        RECEIVERS.discard(self.transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if self.transport not in RECEIVERS:
            RECEIVERS.add(self.transport)
            self.transport.write(RESPONSE)
        elif BUFFER[0] == CLOSE[0]:
            self.transport.write(CLOSE)
            self.transport.close()
        else:
            # Frames are written whole, and so few that one read holds them all.
            frames = FRAME * (nbytes // MASKED_SIZE)
            for receiver in RECEIVERS:
                receiver.write(frames)


async def main() -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Publisher, "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    print(f"ready bytes on ws://127.0.0.1:{port}/", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if "--uvloop" in sys.argv:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
