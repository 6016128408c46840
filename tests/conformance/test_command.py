"""The command must fail for a server that is dead, dying or silent, and pass for one that is well.

These tests use servers that are not this repository's.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

RUN = Path(__file__).with_name("run.py")
FIRST = ("1.1.1", "1.1.2")

# It compresses no answer, or changes the last of 16 characters or bytes, or neither.
ECHO = """
PLAIN = WRONG = False
import asyncio
from websockets.asyncio.server import serve

async def echo(connection):
    if PLAIN:
        for extension in connection.protocol.extensions:
            extension.encode = lambda frame: frame
    async for message in connection:
        if WRONG and len(message) == 16:
            message = message[:-1] + message[:1]
        await connection.send(message)

async def main():
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"echoes on ws://127.0.0.1:{port}/", flush=True)
        await server.serve_forever()

asyncio.run(main())
"""

# Bound, so that nothing else can be at the port. It listens, or refuses every connection.
DEAF = """
import signal, socket
bound = socket.socket()
bound.bind(("127.0.0.1", 0))
if LISTENS:
    bound.listen()
print(f"ws://127.0.0.1:{bound.getsockname()[1]}/", flush=True)
signal.pause()
"""

DYING = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(f"ws://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
listener.accept()
sys.exit("no more")
"""


def run(script: str, *options: str, cases: Sequence[str] = FIRST) -> tuple[int, str]:
    """Run cases against the server that a script is; return the exit status and the output."""
    command = shlex.join([sys.executable, "-c", script])
    chosen = [option for case_id in cases for option in ("--cases", case_id)]
    finished = subprocess.run(
        [sys.executable, RUN, "--server-command", command, *chosen, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return finished.returncode, finished.stderr + finished.stdout


def test_an_echo_server_passes() -> None:
    """The exit status is 0 if, and only if, all is well; this is the `if`."""
    status, output = run(ECHO)
    assert (status, output.splitlines()[-1]) == (0, "given server: passed"), output


def test_answers_that_are_not_compressed_pass() -> None:
    """Compression that was negotiated need not be used; text and binary come back all the same."""
    plain = ECHO.replace("PLAIN = WRONG", "PLAIN = True; WRONG")
    status, output = run(plain, cases=["12.1.1", "12.2.1"])
    assert (status, output.splitlines()[-1]) == (0, "given server: passed"), output


def test_wrong_answers_fail_compressed_or_not() -> None:
    """The repair of the runner's cases must not make them blind."""
    for plain in (True, False):
        wrong = ECHO.replace("PLAIN = WRONG = False", f"PLAIN = {plain}; WRONG = True")
        status, output = run(wrong, cases=["12.1.1", "12.2.1"])
        assert status == 1
        assert "2 cases FAILED: 12.1.1, 12.2.1" in output


def test_a_server_that_cannot_be_reached_fails() -> None:
    """Each case is an error, and so is the run."""
    status, output = run(DEAF.replace("LISTENS", "False"))
    assert status == 1
    assert "2 cases ERROR: 1.1.1, 1.1.2" in output


def test_a_server_that_never_answers_fails_when_the_time_is_over() -> None:
    """A hung server costs the time limit and no more, and its cases are missing."""
    status, output = run(DEAF.replace("LISTENS", "True"), "--time-limit", "0.2")
    assert status == 1
    assert "section 1: broken off, out of time" in output
    assert "2 cases missing: 1.1.1, 1.1.2" in output


def test_a_server_that_dies_under_a_case_fails() -> None:
    """The report says how it ended and what it said last."""
    status, output = run(DYING)
    assert status == 1
    assert "the server ended with status 1; it wrote:\nno more" in output
    assert "given server: not passed" in output


def test_a_server_that_does_not_start_fails() -> None:
    """What it wrote is in the report, since nothing else can explain it."""
    status, output = run("raise SystemExit('no such thing')")
    assert status == 1
    assert "the server ended at once, with status 1; it wrote:\nno such thing" in output


def test_a_pattern_without_a_case_is_a_usage_error() -> None:
    """The command takes no pattern that would test nothing."""
    status, output = run(ECHO, "--cases", "99.*")
    assert status == 2
    assert "no case matches '99.*'" in output
