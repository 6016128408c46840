"""`serve_hub(config)` on trio."""

from ..hub_server import BaseHubServer
from .server_life import TrioServerLife

__all__ = ["HubServer", "serve_hub"]


class HubServer(TrioServerLife, BaseHubServer):
    """A hub on trio; the arguments are those of `BaseHubServer`. `serve_hub` is another name for it.

    Use it as `async with serve_hub(config, host, port) as server:`, or as
    `server = await nursery.start(serve_hub(config, host, port).run)`. Where the block or the task is
    cancelled, the hub is still drained as by `close()`, and hooks may finish meanwhile.
    """

    _shields_tasks = True


serve_hub = HubServer
