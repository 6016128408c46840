"""Machines on virtual time, from one seed: two and a link between them, or a whole hub with its clients.

`SimulatedLink` does to two links what real adapters and a real network do: it cuts the stream into any
pieces, delays them, holds them back, loses the connection. One integer seed decides everything, so a
failure is replayed by its seed. Time jumps to the next moment at which something happens.
"""

from .agenda import Stuck
from .link import Endpoint, SimulatedLink, seeded_entropy
from .network import PERFECT, Network

__all__ = ["PERFECT", "Endpoint", "Network", "SimulatedLink", "Stuck", "seeded_entropy"]
