"""Reading standard input and writing standard output without stopping the loop."""

import asyncio
import os
import select
from collections.abc import AsyncIterator
from typing import Final

__all__ = ["LineTooLong", "lines", "write"]

_READ: Final = 65536

_WRITE: Final = select.PIPE_BUF
"""What a pipe that is ready takes without waiting."""


class LineTooLong(Exception):
    """A line is longer than it may be."""


async def lines(descriptor: int, longest: int) -> AsyncIterator[bytes]:
    """Lines without their ends, LF or CRLF. A last one without an end counts too.

    Raises:
        LineTooLong: a line has more than `longest` bytes.
        OSError: nothing can be read.
    """
    rest = bytearray()
    while data := await _read(descriptor):
        start = len(rest)
        rest += data
        while (end := rest.find(b"\n", start)) >= 0:
            yield bytes(rest[:end]).removesuffix(b"\r")
            del rest[: end + 1]
            start = 0
        if len(rest) > longest:
            raise LineTooLong
    if rest:
        yield bytes(rest)


async def write(descriptor: int, data: bytes) -> None:
    """Write all of it.

    Raises:
        OSError: it can't be written.
    """
    view = memoryview(data)
    while view:
        await _ready(descriptor, writing=True)
        try:
            view = view[os.write(descriptor, view[:_WRITE]) :]
        except BlockingIOError:
            continue  # somebody shares it, and made it non-blocking


async def _read(descriptor: int) -> bytes:
    while True:
        await _ready(descriptor, writing=False)
        try:
            return os.read(descriptor, _READ)
        except BlockingIOError:
            continue


async def _ready(descriptor: int, *, writing: bool) -> None:
    """Wait until a read or write would not block."""
    # Files are always ready, and the loop would not take them.
    if writing:
        _, found, _ = select.select((), (descriptor,), (), 0)
    else:
        found, _, _ = select.select((descriptor,), (), (), 0)
    if found:
        return
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    if writing:
        loop.add_writer(descriptor, wake)
    else:
        loop.add_reader(descriptor, wake)
    try:
        await ready
    finally:
        if writing:
            loop.remove_writer(descriptor)
        else:
            loop.remove_reader(descriptor)
