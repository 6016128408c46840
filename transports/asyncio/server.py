"""`serve(handler)` on asyncio."""

import os
from typing import Any

from ..server import BaseServer
from ..server_connection import Handler
from .server_life import AsyncioServerLife

__all__ = ["Server", "serve", "unix_serve"]


class Server(AsyncioServerLife, BaseServer):
    """A server on asyncio; the arguments are those of `BaseServer`. `serve` is another name for it.

    Use it as `async with serve(handler, host, port) as server:`, or
    `server = await serve(handler, host, port)`.
    """


serve = Server


def unix_serve(handler: Handler, path: "str | os.PathLike[str]", **keywords: Any) -> Server:
    """Serve on a Unix socket, for a proxy on the same machine; the keywords are those of `serve`."""
    return Server(handler, path=path, **keywords)
