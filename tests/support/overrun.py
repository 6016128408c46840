"""A program: an echo server that may open only a few descriptors more, until its standard input ends.

    python overrun.py BACKEND DESCRIPTORS

It prints its port, then logs to its standard error.
"""

from __future__ import annotations

import logging
import resource
import sys

import anyio

from hubbub.apps.echo import echo
from support.loops import descriptors, run
from support.net import adapter, address, serving


async def _serve(backend: str, more: int) -> None:
    async with serving(adapter(backend), echo) as server:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # `descriptors` opened one itself to look.
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() - 1 + more, hard))
        print(address(server)[1], flush=True)
        await anyio.wait_readable(sys.stdin.fileno())


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    run(sys.argv[1], lambda: _serve(sys.argv[1], int(sys.argv[2])))
