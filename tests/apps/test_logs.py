"""The log: one line each, for people and for machines, and nothing in it that a peer can misuse."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from datetime import datetime

import pytest

from support.programs import Program, serving
from support.wire import head, request

TEXT_LINE = re.compile(r"\S+T\S+\+00:00 (debug|info|warning|error) +[\w.]+: .*")


HOSTILE = "a\nfake line\r\x1b[31mred\x07\u2028\u202e\x85\x00\ud800 end"

PROGRAM = """
import logging, sys
from hubbub.apps.logs import set_up_logging

hostile = eval(sys.argv[2])
set_up_logging("info", sys.argv[1])
logger = logging.getLogger("hubbub.test")
logger.debug("too low")
logger.info("said %s", hostile)
try:
    raise RuntimeError(hostile)
except RuntimeError:
    logger.exception("it failed")
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_is_logged_is_escaped(form: str) -> None:
    """Each record is one printable line, an exception with its type, text and place; levels count."""
    program = [sys.executable, "-c", PROGRAM, form, ascii(HOSTILE)]
    answer = subprocess.run(program, capture_output=True, text=True, timeout=30, check=True)
    said, failed = answer.stderr.removesuffix("\n").split("\n")
    for line in (said, failed):
        assert line.isprintable()
    if form == "json":
        said, failed = json.loads(said)["message"], json.loads(failed)["message"]
    assert "said a\\nfake line\\r\\x1b[31mred" in said
    assert re.search(r"it failed: RuntimeError: a\\nfake line.* at <string>:\d+$", failed)


async def _use(program: Program) -> str:
    """Do all that is logged, with a secret in every target; the log."""
    async with program.client("?token=SECRET") as peer:
        await peer.send("hello")
    plain = request(without=["Upgrade"], target="/nowhere?token=SECRET")
    late = request(target="/?token=SECRET", sec_websocket_version="8")
    broken = head("GET /?token=SECRET\x1b[31m HTTP/1.1", [("Host", "localhost")])
    await _answer(program, plain)
    await _answer(program, late)
    await _answer(program, broken)
    program.process.terminate()
    assert await program.ends() == 0
    return program.log


async def _answer(program: Program, data: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", program.port)
    writer.write(data)
    assert (await reader.read()).startswith(b"HTTP/1.1 4")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("form", ["text", "json"])
async def test_a_servers_log(form: str) -> None:
    """Every line has the form asked for, and the query of a target is in none of them."""
    async with serving("echo", "--log-level", "debug", "--log-format", form) as program:
        lines = (await _use(program)).splitlines()
    assert any("open 127.0.0.1:" in line for line in lines)
    assert any("close 127.0.0.1:" in line for line in lines)
    assert any("/nowhere" in line for line in lines)
    for line in lines:
        assert line.isprintable()
        assert "SECRET" not in line
        if form == "text":
            assert TEXT_LINE.fullmatch(line)
        else:
            entry = json.loads(line)
            assert set(entry) == {"time", "level", "logger", "message"}
            assert datetime.fromisoformat(entry["time"]).tzinfo is not None


@pytest.mark.parametrize("level", ["warning", "error"])
async def test_a_quiet_log(level: str) -> None:
    """At these levels nothing is said about peers that come, go and ask for nonsense."""
    async with serving("echo", "--log-level", level) as program:
        assert await _use(program) == ""
