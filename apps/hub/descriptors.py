"""How many sockets the system lets this process have."""

import resource
from typing import Final

import msgspec

from ...core.hub_limits import HubLimits

__all__ = ["Descriptors", "raise_limit"]

_OTHERS: Final = 100
"""Descriptors for what is no connection: listeners, pollers, logs, stores, and some in reserve."""


class Descriptors(msgspec.Struct, frozen=True):
    """What was found, and what was done."""

    needed: int
    before: int
    now: int

    def told(self) -> str | None:
        """What to say; None where there was nothing to do."""
        told = f"{self.now:,}"
        if self.now > self.before:
            told += f", raised from {self.before:,}"
        elif self.now >= self.needed:
            return None
        if self.now < self.needed:
            connections = max(0, self.now - _OTHERS)
            told += (
                f", enough for {connections:,} connections: raise the hard limit "
                f"(ulimit -Hn, or LimitNOFILE of systemd) to {self.needed:,}"
            )
        return told


def raise_limit(limits: HubLimits) -> Descriptors:
    """Let this process have as many descriptors as its limits of connections ask for, if it may."""
    needed = limits.max_connections + limits.max_opening + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return Descriptors(needed, needed, needed)
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):
        wanted = soft  # macOS has a lower limit that getrlimit doesn't tell
    return Descriptors(needed, soft, wanted)
