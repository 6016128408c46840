"""The command must fail for a peer that is dead, dying or silent, and pass for one that is well.

These tests use servers and clients that are not this repository's.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

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


# The tests change one of its lines.
CLIENT = """
import asyncio, signal, sys
from websockets.asyncio.client import connect

async def main(url):
    def open(target):
        return connect(url + target, max_size=None, ping_interval=None, proxy=None)
    async with open("/getCaseCount") as connection:
        count = int(await connection.recv())
    for number in range(1, count + 1):
        async with open(f"/runCase?case={number}&agent=test") as connection:
            async for message in connection:
                await connection.send(message)
    async with open("/updateReports") as connection:
        await connection.wait_closed()

asyncio.run(main(sys.argv[1]))
"""


def client(old: str, new: str) -> str:
    """Return the client with something else in one place."""
    before, found, after = CLIENT.partition(old)
    assert found
    return before + new + after


# What the command does with this repository's programs, and with no other.
SILENT = f"""
import asyncio, os, sys
sys.path[0] = {str(RUN.parent.parent)!r}
from conformance.runner import run_against_client, run_against_server
from conformance.verdicts import judge
run = run_against_server if sys.argv[1] == "server" else run_against_client
command = [sys.executable, "-c", sys.argv[2]]
print(judge(asyncio.run(run("a run", command, ["1.1.1"], 60.0, silent=True))), flush=True)
os._exit(0)  # as the command does
"""


def python(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, since the runner changes `sys.path` and `binascii`."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def run(
    script: str, *options: str, side: str = "server", cases: Sequence[str] = FIRST
) -> tuple[int, str]:
    """Run cases against what a script is; return the exit status and the output."""
    command = shlex.join([sys.executable, "-c", script])
    chosen = [option for case_id in cases for option in ("--cases", case_id)]
    finished = python(RUN, f"--{side}-command", command, *chosen, *options)
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


def test_an_echo_client_passes() -> None:
    """A client that is well makes the exit status 0 too."""
    status, output = run(CLIENT, side="client")
    assert (status, output.splitlines()[-1]) == (0, "given client: passed"), output


def test_a_client_that_answers_wrongly_fails() -> None:
    """The verdicts are the fuzzer's, whatever the client thinks of itself."""
    wrong = client("send(message)", "send(message[:-1] + message[:1])")
    status, output = run(wrong, side="client", cases=["12.1.1", "12.2.1"])
    assert status == 1
    assert "2 cases FAILED: 12.1.1, 12.2.1" in output


def test_a_client_that_leaves_out_a_case_fails() -> None:
    """It may ask for the reports and end with status 0: what it did not run is missing."""
    status, output = run(client("range(1,", "range(2,"), side="client")
    assert status == 1
    assert "1 case missing: 1.1.1" in output


def test_a_client_that_tries_again_fails() -> None:
    """A second attempt must not hide the first."""
    status, output = run(client("range(1, count + 1)", "[1, 1, 2]"), side="client")
    assert status == 1
    assert "1 case reported more than once: 1.1.1" in output


def test_a_client_that_dies_fails_and_keeps_what_it_did() -> None:
    """The report says how it ended, what it said last, and how the cases before went."""
    dying = client("1, count + 1):", "1, count + 1):\n        number == 2 and sys.exit('no more')")
    status, output = run(dying, side="client")
    assert status == 1
    assert "the client ended with status 1; it wrote:\nno more" in output
    assert "1 case missing: 1.1.2" in output


def test_a_client_that_hangs_fails_when_the_time_is_over() -> None:
    """A hung client costs the time limit and no more, and the cases that it owes are missing."""
    hanging = client("await connection.send(message)", "signal.pause()")
    status, output = run(hanging, "--time-limit", "1", side="client")
    assert status == 1
    assert "broken off, out of time" in output
    # How far it came by then is for the machine to say.
    assert "missing: 1.1.2" in output or "missing: 1.1.1, 1.1.2" in output


def test_a_client_that_does_nothing_fails() -> None:
    """Its status may be 0: no case was run."""
    status, output = run("", side="client")
    assert status == 1
    assert "2 cases missing: 1.1.1, 1.1.2" in output


def test_a_client_that_does_not_start_fails() -> None:
    """There is a report all the same."""
    finished = python(RUN, "--client-command", "/no/such/program", "--cases", "1.1.1")
    assert finished.returncode == 1
    assert "the client did not start: /no/such/program: " in finished.stdout
    assert "1 case missing: 1.1.1" in finished.stdout


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("words", ["", "a traceback"])
def test_a_program_that_should_be_silent_and_is_not_fails(side: str, words: str) -> None:
    """An error that it logs may leave every verdict as it is, and is a fault all the same."""
    script = f"import sys; sys.stderr.write({words!r})\n{ECHO if side == 'server' else CLIENT}"
    finished = python("-c", SILENT, side, script)
    faults = [f"the {side} complained; it wrote:\n{words}"] if words else []
    assert (finished.returncode, finished.stdout) == (0, f"{faults}\n"), finished.stderr


def test_a_given_program_is_not_one_of_ours() -> None:
    """Options that choose among this repository's programs cannot be meant then."""
    for option in (["--side", "server"], ["--transport", "trio"], ["--fast-path", "on"]):
        status, output = run(ECHO, *option)
        assert status == 2
        assert "choose among this repository's programs" in output
    status, output = run(CLIENT, "--at-once", "2", side="client")
    assert status == 2
    assert "a given client decides by itself" in output


def test_a_pattern_without_a_case_is_a_usage_error() -> None:
    """The command takes no pattern that would test nothing."""
    status, output = run(ECHO, "--cases", "99.*")
    assert status == 2
    assert "no case matches '99.*'" in output
