"""What is counted in a run, and what was found to be wrong."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

__all__ = ["Account", "spread"]

_SHOWN = 20


@dataclass
class Account:
    """Of one run."""

    title: str
    seconds: float = 0.0
    kills: int = 0
    kills_while_starting: int = 0
    drops: int = 0
    """Connections that clients gave up."""
    resumes: int = 0
    """Subscriptions that went on at a position."""
    published: int = 0
    """Publications that were acknowledged."""
    repeats: int = 0
    """Of these, those answered as published before."""
    deliveries: int = 0
    redelivered: int = 0
    gaps_told: int = 0
    not_recovered: int = 0
    """Resumes that were told that not everything follows."""
    lost: int = 0
    """Publications that were acknowledged and are not there."""
    untold: int = 0
    """Places where something is missing and nobody said so."""
    doubled: int = 0
    """Publications that are there, or came, twice."""
    disordered: int = 0
    """Publications that came in another order than that in which they were published."""
    others: int = 0
    """Whatever else was wrong."""
    serving: list[float] = field(default_factory=list)
    """Seconds from the start of each process to the first answer."""
    serving_cpu: list[float] = field(default_factory=list)
    """Seconds of CPU that the process took for that: what it would be on an idle machine, at least."""
    faults: list[str] = field(default_factory=list)
    """The first of all that was wrong, in words."""

    def fault(self, kind: str, text: str) -> None:
        """Something is wrong."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.faults) < _SHOWN:
            self.faults.append(f"{kind}: {text[:200]}")

    @property
    def wrong(self) -> int:
        """How much was."""
        return self.lost + self.untold + self.doubled + self.disordered + self.others

    def served(self, seconds: float, cpu: float | None) -> None:
        """A process served so long after it began."""
        self.serving.append(seconds)
        if cpu is not None:
            self.serving_cpu.append(cpu)


def spread(seconds: list[float]) -> str:
    """The median and the most."""
    return f"{statistics.median(seconds):.2f}, {max(seconds):.2f}" if seconds else "?"
