"""Start a program under test as a process of its own, watch it, and stop it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO

STARTING_SECONDS = 30.0
STOPPING_SECONDS = 10.0
_TAIL = 2000


class NotStartedError(Exception):
    """The command did not become what it should have."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that runs, and what it is called in a report."""

    name: str
    process: asyncio.subprocess.Process
    first_line: asyncio.Future[bytes]
    errors: IO[bytes]

    async def died(self) -> str:
        """Wait for the process to end, and say how it did."""
        status = await self.process.wait()
        return f"the {self.name} ended with status {status}{self.last_words()}"

    async def url(self) -> str:
        """Return the URL that ends the first line of its output.

        Raises NotStartedError if it does not come, with what the process wrote to its standard
        error.
        """
        try:
            line = await asyncio.wait_for(self.first_line, STARTING_SECONDS)
            if not line:
                # Nothing more can come. Most likely it has ended, and its status is worth telling.
                await asyncio.wait_for(self.process.wait(), STOPPING_SECONDS)
        except TimeoutError:
            raise self._not_started("printed no line in time") from None
        words = line.decode(errors="replace").split()
        status = self.process.returncode
        if status is not None:
            raise self._not_started(f"ended at once, with status {status}")
        if not words or not words[-1].startswith(("ws://", "wss://")):
            raise self._not_started(f"began with {line!r}, which ends with no URL")
        return words[-1]

    def last_words(self) -> str:
        """Return the end of what the process wrote to its standard error, if anything."""
        self.errors.seek(0, 2)
        self.errors.seek(max(0, self.errors.tell() - _TAIL))
        text = self.errors.read().decode(errors="replace").strip()
        return f"; it wrote:\n{text}" if text else ""

    def _not_started(self, why: str) -> NotStartedError:
        return NotStartedError(f"the {self.name} {why}{self.last_words()}")


@asynccontextmanager
async def running(name: str, command: Sequence[str]) -> AsyncIterator[Program]:
    """Run the command for as long as the block takes.

    Raises NotStartedError if there is no such program.
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
            raise NotStartedError(f"the {name} did not start: {command[0]}: {error}") from error
        assert process.stdout is not None
        first_line: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        reading = asyncio.create_task(_read(process.stdout, first_line))
        try:
            yield Program(name, process, first_line, errors)
        finally:
            await _stop(process)
            reading.cancel()


async def _read(output: asyncio.StreamReader, first_line: asyncio.Future[bytes]) -> None:
    line = await output.readline()
    if not first_line.done():
        first_line.set_result(line)
    # Whatever else it prints is read, so that a full pipe cannot stop it.
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
