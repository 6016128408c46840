"""Machines on virtual time, from one seed: two and a link between them, or a whole hub with its clients.

`SimulatedLink` does to two links what real adapters and a real network do: it cuts the stream into any
pieces, delays them, holds them back, loses the connection. `SimulatedHub` joins a real hub with many real
clients by such links, and checks all that the hub does against a plain model of one. One integer seed
decides everything, so a failure is replayed by its seed. Time jumps to the next moment at which something
happens.

`simulate_crashes` plays one with a store, whose process crashes.

`HubUnderTest` is for users' tests of their own hubs: there their own functions are asked, and they say what
must hold.
"""

from .agenda import Stuck
from .client import SimulatedClient
from .crashes import CrashFault, simulate_crashes
from .faults import Fault
from .hub import SimulatedHub
from .link import Endpoint, SimulatedLink, seeded_entropy
from .loopless import HookFunctions, LoopNeeded, without_loop
from .many import simulate_many
from .network import PERFECT, Network
from .playing import Found, Outcome, simulate
from .under_test import HubUnderTest
from .violation import Violation
from .visitor import Visitor

__all__ = [
    "PERFECT",
    "CrashFault",
    "Endpoint",
    "Fault",
    "Found",
    "HookFunctions",
    "HubUnderTest",
    "LoopNeeded",
    "Network",
    "Outcome",
    "SimulatedClient",
    "SimulatedHub",
    "SimulatedLink",
    "Stuck",
    "Violation",
    "Visitor",
    "seeded_entropy",
    "simulate",
    "simulate_crashes",
    "simulate_many",
    "without_loop",
]
