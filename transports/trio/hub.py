"""`serve_hub(config)` on trio."""

from ..hub_server import BaseHubServer
from .server_life import TrioServerLife

__all__ = ["HubServer", "serve_hub"]


class HubServer(TrioServerLife, BaseHubServer):
    """A hub on trio; the arguments are those of `BaseHubServer`. `serve_hub` is another name for it.

    Use it as `async with serve_hub(config, host, port) as server:`, or as
    `server = await nursery.start(serve_hub(config, host, port).run)`. Where the block or the task is
    cancelled, connections are still drained and closed with 1001, and tasks of hooks are cancelled.
    """


serve_hub = HubServer
