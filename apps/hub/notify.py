"""The heartbeat of `hubbub serve notify`."""

from typing import Final

from ...transports.hub_server import BaseHubServer
from ..serving import Sleep

__all__ = ["HEARTBEAT", "TOPIC", "beat"]

TOPIC: Final = "system"
HEARTBEAT: Final = "Heartbeat check - all systems normal"
"""The topic and the words that the tutorial's clients know."""


async def beat(server: BaseHubServer, every: float, sleep: Sleep) -> None:
    """Tell those who watch the system that it is there, again and again until it ends.

    Args:
        server: the hub's.
        every: seconds between two heartbeats; the first comes after as many.
        sleep: lets them pass.
    """
    while True:
        await sleep(every)
        if server.hub.draining:
            return
        await server.publish(TOPIC, HEARTBEAT)
