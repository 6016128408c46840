"""Programs at a terminal of their own, a real pty."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from support.programs import HUBBUB

__all__ = ["CTRL_C", "CTRL_D", "DEADLINE", "ENTER", "UP", "Terminal", "at_terminal"]

DEADLINE = 20.0

SEQUENCES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[=>])")
"""What a prompt says to its terminal besides text."""

CTRL_C, CTRL_D, ENTER, UP = "\x03", "\x04", "\r", "\x1b[A"


class Terminal:
    """A program at a terminal."""

    def __init__(self, process: asyncio.subprocess.Process, master: int, slave: int) -> None:
        self.process = process
        self.raw = ""
        """All that was written to the terminal."""
        self._master = master
        self._slave = slave
        self._seen = 0
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        with suppress(OSError):  # EIO: nobody has it open any more
            self.raw += os.read(self._master, 65536).decode()
        self._more.set()

    @property
    def text(self) -> str:
        """The same without what is no text."""
        return SEQUENCES.sub("", self.raw).replace("\r", "")

    async def shows(self, words: str) -> str:
        """Wait until `words` appear behind those that were waited for last; what came up to them."""
        async with asyncio.timeout(DEADLINE):
            while (at := self.text.find(words, self._seen)) < 0:
                self._more.clear()
                await self._more.wait()
        begun, self._seen = self._seen, at + len(words)
        return self.text[begun : self._seen]

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    async def ends(self) -> int:
        """Wait until the program has ended, and all that it wrote is here; its exit code."""
        code = await asyncio.wait_for(self.process.wait(), DEADLINE)
        self._read()
        return code

    @property
    def modes(self) -> list[object]:
        """How the terminal treats its input and output."""
        return list(termios.tcgetattr(self._slave))

    def close(self) -> None:
        """Hang up."""
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@asynccontextmanager
async def at_terminal(
    *arguments: str, state: Path, typed: bytes | None = None
) -> AsyncIterator[Terminal]:
    """Run `hubbub connect` at a terminal of its own.

    Args:
        arguments: of the command.
        state: the folder for programs' state.
        typed: what is piped into it; None is the terminal.
    """
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    os.set_blocking(master, False)
    # PROMPT_TOOLKIT_NO_CPR: this terminal would not answer the question where its cursor is.
    environment = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    process = await asyncio.create_subprocess_exec(
        *HUBBUB,
        "connect",
        *arguments,
        stdin=slave if typed is None else asyncio.subprocess.PIPE,
        stdout=slave,
        stderr=slave,
        env={**environment, "XDG_STATE_HOME": str(state)},
        start_new_session=True,
        preexec_fn=_take_terminal if typed is None else None,
    )
    terminal = Terminal(process, master, slave)
    try:
        if process.stdin is not None:
            process.stdin.write(typed or b"")
            process.stdin.close()
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        terminal.close()
