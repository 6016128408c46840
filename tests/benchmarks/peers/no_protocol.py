"""What the event loop alone costs: ready bytes for each read, and no protocol at all.

It answers the first read of a connection with a 101 response, a Close frame with another, and
anything else with one echo of the benchmark's frame. `--uvloop` runs it on uvloop. All reads go to
one buffer: a new one of 256 KiB for each, which a plain protocol gets, is costly to the kernel.
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
ECHO = b"\x81\x40" + 64 * b"a"

BUFFER = memoryview(bytearray(65536))


class Ready(asyncio.BufferedProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.open = False

    def get_buffer(self, sizehint: int) -> memoryview:
        return BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        if not self.open:
            self.open = True
            self.transport.write(RESPONSE)
        elif BUFFER[0] == CLOSE[0]:
            self.transport.write(CLOSE)
            self.transport.close()
        else:
            self.transport.write(ECHO)


async def main() -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Ready, "127.0.0.1", 0, backlog=1024)
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
