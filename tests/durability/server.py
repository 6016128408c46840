"""A server as a process of its own, which can be killed."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from hubbub.core.auth import hash_token

from .wire import Message, connect

__all__ = ["Server", "settings", "token_of"]

_RULES = """
[[rules]]
pattern = "kept.*"
history = 10000000
durable = true

[[rules]]
pattern = "trimmed.*"
history = 300
durable = true

[[rules]]
pattern = "memory.*"
history = 1000000

[limits]
max_connections_per_user = 20000
max_connections_per_address = 20000
durable_memory = 200
request_rate = 1e6
request_burst = 1000000
error_rate = 1e6
error_burst = 1000000
"""

_PATIENCE = 30.0
"""Seconds that a server may take to begin, before the machine counts as stuck."""


def token_of(user: str) -> str:
    """Of a user, what proves it."""
    return f"token-of-{user}-which-nobody-else-knows"


def settings(users: list[str]) -> str:
    """What `hubbub.toml` says."""
    tokens = [
        f'[[tokens]]\nuser = "{user}"\nhash = "{hash_token(token_of(user))}"\n'
        'read = [">"]\nwrite = [">"]\n'
        for user in users
    ]
    return "\n".join([*tokens, _RULES])


class Server:
    """`hubbub serve` with a store, on a port that stays the same.

    Args:
        folder: where its files are.
        transport: which event loop it runs on.
        users: who may come in.
    """

    def __init__(self, folder: Path, transport: str, users: list[str]) -> None:
        self.store = folder / "hub.db"
        self.log = folder / "log"
        self._folder = folder
        self._transport = transport
        self._probe = token_of(users[0])
        self._process: asyncio.subprocess.Process | None = None
        self._began = 0.0
        (folder / "hubbub.toml").write_text(settings(users))
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port: int = sock.getsockname()[1]

    @property
    def cpu(self) -> float | None:
        """Seconds of CPU that the process has used, where the system says so."""
        assert self._process is not None
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def start(self) -> None:
        """Begin a process; it does not serve yet."""
        self._began = time.monotonic()
        environ = {name: text for name, text in os.environ.items() if not name.startswith("HUBBUB")}
        if environ.pop("PYTHONDONTWRITEBYTECODE", None):
            # What is installed was compiled then; else each start would compile it all.
            environ["PYTHONPYCACHEPREFIX"] = str(self._folder / "bytecode")
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "hubbub", "serve", "--log-level", "warning"),
                *("--transport", self._transport, "--port", str(self.port)),
                *("--store", str(self.store)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
                cwd=self._folder,
                env=environ,
            )

    async def serving(self) -> tuple[float, float | None]:
        """Wait until a request is answered; the seconds since the process began, and those of its CPU.

        Raises:
            RuntimeError: it has ended by itself, or takes too long.
        """
        assert self._process is not None
        while time.monotonic() < self._began + _PATIENCE:
            if self._process.returncode is not None:
                raise RuntimeError(f"the server has ended: {self.log.read_text()[-2000:]}")
            answered = asyncio.Event()

            def receive(message: Message, answered: asyncio.Event = answered) -> None:
                if message["type"] == "pong":
                    answered.set()

            wire = await connect(self.port, self._probe, receive)
            if wire is not None:
                wire.send(action="ping")
                waiting = asyncio.create_task(answered.wait())
                wire.lost.add_done_callback(partial(_cancel, waiting))
                await asyncio.wait({waiting})
                wire.abort()
                if answered.is_set():
                    return time.monotonic() - self._began, self.cpu
            await asyncio.sleep(0.01)
        raise RuntimeError(f"the server does not serve: {self.log.read_text()[-2000:]}")

    async def kill(self) -> None:
        """End it at once: SIGKILL, which no process can do anything about."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> int:
        """End it in good order; its status."""
        assert self._process is not None
        self._process.terminate()
        return await asyncio.wait_for(self._process.wait(), _PATIENCE)


def _cancel(task: asyncio.Task[Any], _: asyncio.Future[None]) -> None:
    task.cancel()
