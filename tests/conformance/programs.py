"""The commands that start this repository's echo programs for the cases."""

from __future__ import annotations

import sys
from pathlib import Path

CLIENT = Path(__file__).with_name("client.py")


def server_command(transport: str, *, fast_path: bool) -> list[str]:
    """Return the command of the echo server on this event loop.

    The limits are those that the suite needs: its largest message has 16 MiB, and its most
    fragmented one 65,536 fragments.
    """
    command = _python("-m", "hubbub", "serve", "echo", "--transport", transport)
    command += ["--host", "127.0.0.1", "--port", "0", "--compression", "deflate"]
    command += ["--max-size", str(64 * 2**20), "--max-fragments", "100000"]
    # The suite takes a ping for an answer, and its longest cases take more than 20 seconds.
    command += ["--ping-interval", "0"]
    # What is logged counts as a fault.
    command += ["--log-level", "warning"]
    return _with_fast_path(command, fast_path)


def client_command(transport: str, *, fast_path: bool, at_once: int = 1) -> list[str]:
    """Return the command of the echo client on this event loop, which lacks the fuzzer's URL."""
    # -P: the modules beside the program must not become top-level names.
    command = _python("-P", str(CLIENT), "--transport", transport, "--at-once", str(at_once))
    return _with_fast_path(command, fast_path)


def _python(*arguments: str) -> list[str]:
    # A warning is an error, as in all tests.
    return [sys.executable, "-W", "error", *arguments]


def _with_fast_path(command: list[str], fast_path: bool) -> list[str]:
    return command if fast_path else [*command, "--no-fast-path"]
