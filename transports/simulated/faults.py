"""What can go wrong, as data: each kind of fault, and how often a run has it."""

from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import Final

__all__ = ["Fault", "Faults", "some_faults"]


class Fault(StrEnum):
    """A kind of fault."""

    # Of the network, for each connection.
    LATENCY = "latency"
    """Pieces are under way for up to some hundred milliseconds."""
    PIECES = "partial writes"
    """The network cuts the stream into small pieces."""
    NARROW = "narrow window"
    """The network takes little before it blocks."""
    # Of the network and of clients, among the actions.
    CUT = "cut"
    """A connection is lost, and both sides learn it."""
    SILENCE = "silence"
    """Everything that is sent begins to vanish, and nobody is told."""
    STALL = "slow reader"
    """A client reads and writes nothing for some seconds."""
    FLOOD = "flood"
    """Many requests at once."""
    PING_FLOOD = "flood of pings"
    """Many control frames at once."""
    OVERSIZED = "oversized message"
    HOSTILE = "hostile JSON"
    BINARY = "binary message"
    BAD_FRAME = "broken frame"
    """Bytes that are no frame."""
    BAD_TEXT = "text that is none"
    """A text message that is not UTF-8."""
    UNFINISHED = "unfinished message"
    """A message is begun and not ended."""
    MUTE = "mute socket"
    """A socket is opened, and nothing is said."""
    # Of time.
    CLOCK_FORWARD = "clock set forward"
    CLOCK_BACK = "clock set back"
    LAG = "lag"
    """The server's loop is late, with its timers too."""
    EXPIRY = "short tokens"
    """Tokens end after some seconds."""
    # Of the operator.
    KICK = "operator's disconnect"
    REVOKE = "operator's revoke"
    # Of the authenticator, for each time that it is asked.
    SLOW_AUTH = "slow authentication"
    FAILED_AUTH = "failed authentication"
    REFUSED_AUTH = "refused authentication"
    LATE_AUTH = "late authentication"
    """The answer comes when nobody waits for it any more."""
    # Of users' hooks, likewise.
    SLOW_HOOK = "slow hook"
    FAILED_HOOK = "failed hook"
    REFUSING_HOOK = "refusing hook"
    LATE_HOOK = "late hook"
    DOUBLE_ANSWER = "doubled answer"
    """Whoever is asked answers twice."""


Faults = Mapping[Fault, float]
"""How often: from 0 to 1 for each connection or each question, or a weight among the actions."""

OF_ACTIONS: Final = (
    Fault.CUT,
    Fault.SILENCE,
    Fault.STALL,
    Fault.FLOOD,
    Fault.PING_FLOOD,
    Fault.OVERSIZED,
    Fault.HOSTILE,
    Fault.BINARY,
    Fault.BAD_FRAME,
    Fault.BAD_TEXT,
    Fault.UNFINISHED,
    Fault.MUTE,
    Fault.CLOCK_FORWARD,
    Fault.CLOCK_BACK,
    Fault.KICK,
    Fault.REVOKE,
)
"""Those that a client, the network or an operator does of its own accord."""


def some_faults(random: Random) -> dict[Fault, float]:
    """A choice of kinds, three at least, each with how often.

    Few kinds at a time find more than all at once: some hide others.
    """
    kinds = random.sample(tuple(Fault), random.randint(3, len(Fault) * 2 // 3))
    return {kind: random.choice((0.1, 0.3, 0.6)) for kind in sorted(kinds)}
