"""What a hostile peer can make the echo server hold: the named limit acts, and memory stays flat."""

from __future__ import annotations

import asyncio
import re
import select
import socket
import time
import zlib

import pytest

from support.memory import ResidentMemory
from support.programs import Program, serving
from support.wire import close, frame, head, request

ALLOWED_GROWTH = 4 * 2**20
"""Bytes by which the resident memory may grow."""

OFFER = ("Sec-WebSocket-Extensions", "permessage-deflate")


def _deflated(size: int) -> bytes:
    """`size` zero bytes as permessage-deflate sends them."""
    compressor = zlib.compressobj(9, wbits=-15)
    data = compressor.compress(bytes(size)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(b"\x00\x00\xff\xff")


def _exchange(port: int, data: bytes, *, read_at_once: bool) -> bytes:
    """Send as much as the server takes, and return all that it sent.

    Without `read_at_once` nothing is read before the server takes no more.
    """
    received = bytearray()
    rest = memoryview(data)
    deadline = time.monotonic() + 30
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setblocking(False)
        try:
            while time.monotonic() < deadline:
                reading = read_at_once or not rest
                writing = [sock] if rest else []
                readable, writable, _ = select.select([sock] if reading else [], writing, [], 2)
                if writable:
                    rest = rest[sock.send(rest[:65536]) :]
                elif not readable:
                    read_at_once = True  # it takes no more
                if readable:
                    chunk = sock.recv(65536)
                    if not chunk:
                        break
                    received += chunk
        except ConnectionError:
            # It has closed the socket over what it did not want. What it said before is still here.
            while chunk := _rest(sock):
                received += chunk
    return bytes(received)


def _rest(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65536)
    except (BlockingIOError, ConnectionError):
        return b""


async def _attack(program: Program, data: bytes, *, read_at_once: bool = True) -> bytes:
    """What the server answers; its memory must not grow by more than is allowed."""
    async with program.client() as peer:  # so that all is loaded that a connection needs
        await peer.send("hello")
        assert await peer.recv() == "hello"
        memory = ResidentMemory(program.process.pid)
        answer = await asyncio.to_thread(_exchange, program.port, data, read_at_once=read_at_once)
        assert memory.growth <= ALLOWED_GROWTH
        await peer.send("still here?")
        assert await peer.recv() == "still here?"
    return answer


def _closes_with(answer: bytes, code: int) -> bool:
    """Whether the last frame is a Close frame with this code."""
    return (
        re.search(rb"\x88[\x02-\x7d]" + code.to_bytes(2, "big") + rb"[ -~]*$", answer) is not None
    )


async def test_an_inflate_bomb() -> None:
    """65 kB that would become 64 MiB are closed with 1009."""
    bomb = frame(0x2, _deflated(64 * 2**20), rsv=4)
    assert len(bomb) < 66_000
    async with serving("echo", "--compression", "deflate", "--max-size", str(2**20)) as program:
        assert _closes_with(await _attack(program, request(OFFER) + bomb), 1009)


async def test_ten_megabytes_of_headers() -> None:
    """They are answered with 431, be it one long line or many."""
    line = [("X-Long", "x" * 10_000_000)]
    lines = [(f"X-{number}", "x" * 90) for number in range(100_000)]
    async with serving("echo") as program:
        for headers in (line, lines):
            answer = await _attack(program, head("GET / HTTP/1.1", headers))
            assert answer.startswith(b"HTTP/1.1 431 ")


async def test_two_hundred_thousand_empty_fragments() -> None:
    """They are one message that never ends: 1009."""
    flood = frame(0x1, final=False) + frame(0x0, final=False) * 200_000
    async with serving("echo") as program:
        assert _closes_with(await _attack(program, request() + flood), 1009)


@pytest.mark.parametrize("read_at_once", [True, False], ids=["reading", "never reading"])
async def test_a_hundred_thousand_pings(read_at_once: bool) -> None:
    """They are closed with 4029, whether the pongs are read or not."""
    flood = frame(0x9, b"x" * 125) * 100_000
    async with serving("echo") as program:
        answer = await _attack(program, request() + flood, read_at_once=read_at_once)
        assert _closes_with(answer, 4029)


@pytest.mark.slow
async def test_messages_that_are_never_read_back() -> None:
    """A peer that sends and never reads is made to wait: its echoes do not pile up."""
    flood = frame(0x2, bytes(1000)) * 30_000 + close(1000)
    async with serving("echo") as program:
        answer = await _attack(program, request() + flood, read_at_once=False)
        assert len(answer) > 30_000_000
