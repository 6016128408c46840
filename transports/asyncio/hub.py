"""`serve_hub(config)` on asyncio."""

from ..hub_server import BaseHubServer
from .server_life import AsyncioServerLife

__all__ = ["HubServer", "serve_hub"]


class HubServer(AsyncioServerLife, BaseHubServer):
    """A hub on asyncio; the arguments are those of `BaseHubServer`. `serve_hub` is another name for it.

    Use it as `async with serve_hub(config, host, port) as server:`, or
    `server = await serve_hub(config, host, port)`.
    """


serve_hub = HubServer
