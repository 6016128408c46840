"""The servers that are compared, each a process of its own on the server's core."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .machine import pinned

_PEERS = Path(__file__).parent / "peers"
_STOPPING_SECONDS = 10.0


class NotStartedError(Exception):
    """A program did not become a server that says where it listens."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A server to measure: who it is, on which loop, and how to start it."""

    name: str
    loop: str
    command: tuple[str, ...]

    @property
    def ours(self) -> bool:
        """Whether it is this repository's."""
        return self.name == "hubbub"


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens."""

    contender: Contender
    pid: int
    port: int


def contenders(*, loops: Sequence[str] = ("asyncio", "uvloop"), floor: bool) -> list[Contender]:
    """Return who is compared; `floor` adds the event loop with no protocol on it.

    On each loop `websockets` comes first: the others are told as ratios to it.
    """
    programs: dict[str, tuple[str, ...]] = {"websockets": (str(_PEERS / "websockets_echo.py"),)}
    # A line in the log for each connection would be measured too, and the peers write none.
    programs["hubbub"] = ("-m", "hubbub", "serve", "echo", "--port", "0", "--log-level", "warning")
    if floor:
        programs["no protocol"] = (str(_PEERS / "no_protocol.py"),)
    found: list[Contender] = []
    for loop in loops:
        if loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
            continue
        option = ("--uvloop",) if loop == "uvloop" else ()
        for name, program in programs.items():
            found.append(Contender(name, loop, (sys.executable, *program, *option)))
    return found


@contextmanager
def serving(contender: Contender, core: int) -> Iterator[Server]:
    """Run a server on one core for as long as the block takes."""
    with tempfile.TemporaryFile() as errors:
        with pinned(core):
            process = subprocess.Popen(
                contender.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            port = urlsplit(words[-1]).port if words else None
            if port is None:
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()
                raise NotStartedError(f"{' '.join(contender.command)}: {said or words}")
            yield Server(contender, process.pid, port)
        finally:
            _stop(process)


@contextmanager
def all_serving(wanted: Sequence[Contender], core: int) -> Iterator[list[Server]]:
    """Run several servers on one core; those that are not being measured wait."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving(contender, core)) for contender in wanted]


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOPPING_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
