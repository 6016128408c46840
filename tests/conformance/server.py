"""Start the server under test as a process of its own, and stop it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO

STARTING_SECONDS = 30.0
STOPPING_SECONDS = 10.0
_TAIL = 2000


class NotStartedError(Exception):
    """The command did not become a server that says where it listens."""


def echo_command(*, fast_path: bool) -> list[str]:
    """Return the command that starts this repository's echo server for the cases.

    The limits are those that the suite needs: its largest message has 16 MiB, and its most
    fragmented one 65,536 fragments.
    """
    command = [sys.executable, "-m", "hubbub", "serve", "echo"]
    command += ["--host", "127.0.0.1", "--port", "0", "--compression", "deflate"]
    command += ["--max-size", str(32 * 1024 * 1024), "--max-fragments", "100000"]
    # The suite takes a ping for an answer, and its longest cases take more than 20 seconds.
    command += ["--ping-interval", "0"]
    return command if fast_path else [*command, "--no-fast-path"]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens."""

    url: str
    process: asyncio.subprocess.Process
    errors: IO[bytes]

    async def died(self) -> str:
        """Wait for the process to end, and say how it did."""
        status = await self.process.wait()
        return f"the server ended with status {status}{_said(self.errors)}"


@asynccontextmanager
async def serving(command: Sequence[str]) -> AsyncIterator[Server]:
    """Run the command for as long as the block takes.

    The first line that it prints must end with its URL. Raises NotStartedError if it does not
    come, with what the process wrote to its standard error.
    """
    with tempfile.TemporaryFile() as errors:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        except OSError as error:
            raise NotStartedError(f"{command[0]}: {error}") from error
        assert process.stdout is not None
        drain: asyncio.Task[None] | None = None
        try:
            url = await _first_url(process, errors)
            # Whatever else it prints is read, so that a full pipe cannot stop it.
            drain = asyncio.create_task(_discard(process.stdout))
            yield Server(url, process, errors)
        finally:
            await _stop(process)
            if drain is not None:
                drain.cancel()


async def _first_url(process: asyncio.subprocess.Process, errors: IO[bytes]) -> str:
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), STARTING_SECONDS)
        if not line:
            # Nothing more can come. Most likely it has ended, and its status is worth telling.
            await asyncio.wait_for(process.wait(), STOPPING_SECONDS)
    except TimeoutError:
        raise NotStartedError(f"the server printed no line in time{_said(errors)}") from None
    words = line.decode(errors="replace").split()
    if process.returncode is not None:
        status = process.returncode
        raise NotStartedError(f"the server ended at once, with status {status}{_said(errors)}")
    if not words or not words[-1].startswith(("ws://", "wss://")):
        raise NotStartedError(f"the first line, {line!r}, ends with no URL{_said(errors)}")
    return words[-1]


async def _discard(output: asyncio.StreamReader) -> None:
    while await output.read(65536):
        pass


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOPPING_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _said(errors: IO[bytes]) -> str:
    """Return the end of what the process wrote to its standard error, if anything."""
    errors.seek(0, 2)
    errors.seek(max(0, errors.tell() - _TAIL))
    text = errors.read().decode(errors="replace").strip()
    return f"; it wrote:\n{text}" if text else ""
