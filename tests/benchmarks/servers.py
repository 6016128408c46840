"""Servers as processes of their own, all on the server's core."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from .contenders import Contender
from .machine import pinned

_STOPPING_SECONDS = 10.0


class NotStartedError(Exception):
    """A program did not become a server that says where it listens."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens."""

    contender: Contender
    pid: int
    port: int


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
