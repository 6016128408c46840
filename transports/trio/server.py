"""`serve(handler)` on trio."""

import os
from typing import Any

from ..server import BaseServer
from ..server_connection import Handler
from .server_life import TrioServerLife

__all__ = ["Server", "serve", "unix_serve"]


class Server(TrioServerLife, BaseServer):
    """A server on trio; the arguments are those of `BaseServer`. `serve` is another name for it.

    Use it as `async with serve(handler, host, port) as server:`, or as
    `server = await nursery.start(serve(handler, host, port).run)`. Where the block or the task is
    cancelled, connections are still closed with 1001, which takes at most `close_timeout` and a few
    seconds.
    """


serve = Server


def unix_serve(handler: Handler, path: "str | os.PathLike[str]", **keywords: Any) -> Server:
    """Serve on a Unix socket, for a proxy on the same machine; the keywords are those of `serve`."""
    return Server(handler, path=path, **keywords)
