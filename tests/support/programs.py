"""hubbub's programs as processes of their own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect

HUBBUB = (str(Path(sys.executable).parent / "hubbub"),)
MODULE = (sys.executable, "-m", "hubbub")

STARTING = 30.0
STOPPING = 15.0
"""Seconds that a process may take, at most."""


@dataclass(frozen=True)
class Program:
    """A server that has said where it listens."""

    process: asyncio.subprocess.Process
    line: str
    """The one line that it printed."""
    errors: Path
    """What it wrote to its standard error."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.line.split()[-1]

    @property
    def port(self) -> int:
        """The port of that."""
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.errors.read_text()

    def client(self, path: str = "", **arguments: Any) -> connect:
        """A `websockets` client that sends nothing of its own accord."""
        scheme, colon, rest = self.url.partition("://")
        url = scheme.replace("http", "ws") + colon + rest + path
        quiet: dict[str, Any] = {"compression": None, "ping_interval": None, "proxy": None}
        return connect(url, **(quiet | arguments))

    async def ends(self) -> int:
        """Wait until it has ended; its status."""
        return await asyncio.wait_for(self.process.wait(), STOPPING)

    async def rest_of_output(self) -> str:
        """What it printed behind its line."""
        assert self.process.stdout is not None
        return (await self.process.stdout.read()).decode()


def _environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    # What a user has set must not change what the tests see; colours neither.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HUBBUB_")}
    return {**ours, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", **(more or {})}


@asynccontextmanager
async def running(
    *arguments: str,
    command: tuple[str, ...] = HUBBUB,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Program]:
    """Run `hubbub` with these arguments until the block ends.

    Args:
        arguments: of the command.
        command: another one.
        folder: where it runs; one of its own if left out.
        environ: variables besides those that there are.
    """
    with tempfile.TemporaryDirectory() as own:
        errors = Path(own, "stderr")
        descriptor = os.open(errors, os.O_CREAT | os.O_WRONLY)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=descriptor,
                env=_environment(environ),
                cwd=folder if folder is not None else own,
            )
        finally:
            os.close(descriptor)
        try:
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), STARTING)
            program = Program(process, line.decode().rstrip("\n"), errors)
            assert line.endswith(b"\n"), f"no line: {program.log}"
            yield program
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def serving(program: str, *options: str) -> AbstractAsyncContextManager[Program]:
    """Run `hubbub serve` on a free port."""
    return running("serve", program, "--port", "0", *options)


def finished(
    *arguments: str, command: tuple[str, ...] = HUBBUB, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `hubbub` with arguments that make it end by itself; its status and output."""
    return subprocess.run(
        [*command, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STARTING,
        env=_environment(),
        cwd=folder,
        check=False,
    )
