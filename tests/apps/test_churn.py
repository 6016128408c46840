"""Clients that come and go, half of them without a word: nothing of them stays in the server."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from pathlib import Path

import pytest

from support.memory import ResidentMemory
from support.programs import Program, serving
from support.wire import close, frame, request

CYCLES = 3000
AT_ONCE = 100
ALLOWED_GROWTH = 2 * 2**20
"""Bytes that the memory may grow in so many cycles, after as many before: 700 for each client."""

TRANSPORTS = {"asyncio": (), "trio": ("--transport", "trio")}

RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing the socket resets the connection."""


def _open(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.sendall(request())
    assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")
    return sock


def _come_and_go(port: int) -> None:
    """Of four clients two reset the connection, one closes it and one ends the stream."""
    for _ in range(CYCLES // AT_ONCE):
        for number, sock in enumerate([_open(port) for _ in range(AT_ONCE)]):
            with sock:
                if number % 2:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                elif number % 4:
                    sock.sendall(close(1000))
                    while sock.recv(4096):
                        pass


def _settled(program: Program, files: int | None = None) -> int:
    """How many files the server has open, with one client; talk to it until they are so many."""
    deadline = time.monotonic() + 10
    with _open(program.port) as sock:
        while True:
            sock.sendall(frame(0x1, b"here?"))
            assert sock.recv(4096) == b"\x81\x05here?"
            found = len(list(Path(f"/proc/{program.process.pid}/fd").iterdir()))
            if found == files or files is None or time.monotonic() > deadline:
                return found


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_three_thousand_clients_come_and_go(transport: str) -> None:
    """The server keeps no descriptor and next to no memory of them."""
    pytest.importorskip(f"hubbub.transports.{transport}")
    async with serving("echo", "--log-level", "warning", *TRANSPORTS[transport]) as program:
        files = await asyncio.to_thread(_settled, program)
        await asyncio.to_thread(_come_and_go, program.port)
        assert await asyncio.to_thread(_settled, program, files) == files
        memory = ResidentMemory(program.process.pid)
        await asyncio.to_thread(_come_and_go, program.port)
        assert await asyncio.to_thread(_settled, program, files) == files
        assert memory.growth <= ALLOWED_GROWTH
