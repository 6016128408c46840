"""An echo client for the cases. It asks the fuzzer how many there are, and runs each of them.

`python client.py --transport trio [--no-fast-path] [--at-once 4] ws://127.0.0.1:9001`

What becomes of a case is for the fuzzer to say. The status is 1 if anything was raised that a
user of `connect` should not see, whatever the fuzzer says.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

import anyio

from hubbub.core import ClientOptions

AGENT = "hubbub"

# What the suite needs: its largest message has 16 MiB, its most fragmented one 65,536 fragments,
# it takes a ping for an answer, and its longest cases take more than 20 seconds.
KEYWORDS = {
    "compression": "deflate",
    "max_size": 64 * 2**20,
    "max_fragments": 100_000,
    "ping_interval": None,
    "proxy": None,
}


class Client:
    """The cases of one fuzzer, as a client on one event loop goes through them."""

    def __init__(self, url: str, transport: str, fast_path: bool) -> None:
        loop = import_module(f"hubbub.transports.{transport}")
        # The host is not looked at.
        options = ClientOptions(host="localhost", fast_path=fast_path)
        self._url = url.rstrip("/")
        self._connect = partial(loop.connect, options=options, **KEYWORDS)
        self._closed: type[Exception] = loop.ConnectionClosed
        self.failed = False
        """Whether anything was raised that should not be."""

    async def run(self, at_once: int) -> None:
        """Run all cases, a number of them at once, and ask the fuzzer for its reports."""
        async with self._open("/getCaseCount") as connection:
            count = int(await connection.recv())
        numbers = iter(range(1, count + 1))
        async with anyio.create_task_group() as tasks:
            for _ in range(at_once):
                tasks.start_soon(self._take, numbers)
        async with self._open(f"/updateReports?agent={AGENT}") as connection:
            await connection.wait_closed()

    async def _take(self, numbers: Iterator[int]) -> None:
        """Run the next case until there is none; others take from the same numbers."""
        for number in numbers:
            try:
                await self._echo(number)
            except Exception:  # noqa: BLE001 - whatever it is, the other cases are worth running
                self.failed = True
                print(f"case {number}:\n{traceback.format_exc()}", file=sys.stderr)

    async def _echo(self, number: int) -> None:
        async with self._open(f"/runCase?case={number}&agent={AGENT}") as connection:
            try:
                async for message in connection:
                    await connection.send(message)
            except self._closed:
                pass  # Most cases end so, and the fuzzer knows which should.

    def _open(self, target: str) -> Any:
        return self._connect(self._url + target)


def main() -> int:
    """Do what the arguments say, and return the exit status."""
    parser = argparse.ArgumentParser(description="Go through a fuzzer's cases with an echo.")
    parser.add_argument("--transport", choices=["asyncio", "trio"], required=True)
    parser.add_argument("--fast-path", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="cases; default: 1")
    parser.add_argument("url", help="the fuzzer's")
    given = parser.parse_args()
    client = Client(given.url, given.transport, given.fast_path)
    anyio.run(client.run, given.at_once, backend=given.transport)
    return 1 if client.failed else 0


if __name__ == "__main__":
    sys.exit(main())
