"""What trio alone costs: a task and a socket for each connection, and no protocol at all.

It answers the first read of a connection with a 101 response, a Close frame with another, and
anything else with one echo of the benchmark's frame. trio's own sockets are its cheapest way; its
streams cost a little more.
"""

import trio

RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
CLOSE = b"\x88\x02\x03\xe8"
ECHO = b"\x81\x40" + 64 * b"a"


async def answer(stream: trio.SocketStream) -> None:
    """Serve one connection."""
    sock = stream.socket
    buffer = bytearray(4096)
    await sock.recv_into(buffer)
    await sock.send(RESPONSE)
    while await sock.recv_into(buffer):
        if buffer[0] == CLOSE[0]:
            await sock.send(CLOSE)
            return
        await sock.send(ECHO)


async def main() -> None:
    """Serve until the process is ended."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
    port = listeners[0].socket.getsockname()[1]
    print(f"ready bytes on ws://127.0.0.1:{port}/", flush=True)
    await trio.serve_listeners(answer, listeners)


if __name__ == "__main__":
    trio.run(main)
