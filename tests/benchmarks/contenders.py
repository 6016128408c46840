"""Who is compared: each server by its name and its loop, and the command that starts it."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

_PEERS = Path(__file__).parent / "peers"

LOOPS = ("asyncio", "uvloop", "trio")
FLOOR = "no protocol"
"""The name of the servers that only move ready bytes."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A server to measure: who it is, on which loop, and how to start it."""

    name: str
    loop: str
    command: tuple[str, ...]
    needs: str = ""
    """An import without which it cannot run."""

    def __str__(self) -> str:
        return f"{self.name}, {self.loop}"

    @property
    def ours(self) -> bool:
        """Whether it is this repository's."""
        return self.name == "hubbub"

    def with_options(self, *options: str) -> Contender:
        """Return the same with more on its command line."""
        return replace(self, command=(*self.command, *options))


def _peer(program: str, *options: str) -> tuple[str, ...]:
    return (sys.executable, str(_PEERS / program), *options)


def _hubbub_echo(*options: str) -> tuple[str, ...]:
    # A line in the log for each connection would be measured too, and the peers write none.
    quiet = ("serve", "echo", "--port", "0", "--log-level", "warning")
    return (sys.executable, "-m", "hubbub", *quiet, *options)


_OUR_TRIO = "from hubbub.transports.trio import serve"

# On each loop `websockets` comes first: the others are told as ratios to it.
_ECHO = (
    Contender("websockets", "asyncio", _peer("websockets_echo.py")),
    Contender("hubbub", "asyncio", _hubbub_echo()),
    Contender(FLOOR, "asyncio", _peer("no_protocol.py")),
    Contender("websockets", "uvloop", _peer("websockets_echo.py", "--uvloop"), "import uvloop"),
    Contender("hubbub", "uvloop", _hubbub_echo("--uvloop"), "import uvloop"),
    Contender(FLOOR, "uvloop", _peer("no_protocol.py", "--uvloop"), "import uvloop"),
    Contender(
        "websockets", "trio", _peer("websockets_trio_echo.py"), "from websockets.trio import server"
    ),
    Contender("trio-websocket", "trio", _peer("trio_websocket_echo.py"), "import trio_websocket"),
    Contender("hubbub", "trio", _hubbub_echo("--transport", "trio"), _OUR_TRIO),
    Contender(FLOOR, "trio", _peer("no_protocol_trio.py"), "import trio"),
)

_OURS = "hubbub_broadcast.py"
_BROADCAST = (
    Contender("websockets", "asyncio", _peer("websockets_broadcast.py")),
    Contender(
        "websockets",
        "trio",
        _peer("websockets_trio_broadcast.py"),
        "from websockets.trio import server",
    ),
    Contender("hubbub", "asyncio", _peer(_OURS)),
    Contender("hubbub", "uvloop", _peer(_OURS, "--uvloop"), "import uvloop"),
    Contender("hubbub", "trio", _peer(_OURS, "--transport", "trio"), _OUR_TRIO),
    Contender("socketify", "libuv", _peer("socketify_broadcast.py"), "import socketify"),
    Contender(FLOOR, "asyncio", _peer("no_protocol_broadcast.py")),
)

_HUB = "hub_server.py"
_HUBS = (
    Contender("hubbub", "asyncio", _peer(_HUB)),
    Contender("hubbub", "trio", _peer(_HUB, "--transport", "trio"), _OUR_TRIO),
)


def echo_servers(
    *, loops: Sequence[str] = LOOPS, names: Collection[str] | None = None
) -> list[Contender]:
    """Return the servers that send each message back, of all names or of these."""
    return _that_can_run(
        one for one in _ECHO if one.loop in loops and (names is None or one.name in names)
    )


def broadcast_servers() -> list[Contender]:
    """Return the servers that send each message to all."""
    return _that_can_run(_BROADCAST)


def hub_servers() -> list[Contender]:
    """Return hubs, with the options of `peers/hub_server.py` still to be chosen."""
    return _that_can_run(_HUBS)


def fan_out_servers() -> list[Contender]:
    """Return hubs, and the servers that they are compared with."""
    beside = {FLOOR, "socketify"}
    return _that_can_run((*_HUBS, *(one for one in _BROADCAST if one.name in beside)))


def _that_can_run(wanted: Iterable[Contender]) -> list[Contender]:
    return [one for one in wanted if not one.needs or _can_run(one)]


@functools.cache
def _can_run(one: Contender) -> bool:
    """Try the import in a process of its own, as the server will; say once what is left out."""
    trial = subprocess.run(
        [sys.executable, "-c", one.needs],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if trial.returncode:
        why = trial.stderr.strip().rpartition("\n")[2]
        print(f"left out: {one}: {why}", file=sys.stderr, flush=True)
    return trial.returncode == 0
