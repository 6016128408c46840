"""What can go wrong around a hub with a store, and how often a run has it."""

from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import Final

__all__ = ["CrashFault", "CrashFaults", "Store", "some_crash_faults"]


class CrashFault(StrEnum):
    """A kind of fault."""

    # Of the process.
    CRASH = "crash of the server"
    """All connections end without a Close frame, and all that was in memory is gone."""
    # What a crash does to an append that is under way.
    APPEND_LOST = "append lost in a crash"
    APPEND_STORED = "append stored in a crash, and not answered"
    APPEND_TORN = "append torn in a crash"
    """A record of it is damaged: the log ends before it."""
    # What the next start finds.
    DAMAGE = "damaged record"
    """Of those that were answered; the store says so."""
    LOST_COMMITS = "commits lost without a trace"
    """The newest of those that were answered; nobody says so."""
    # Of the store, for a while.
    SLOW = "slow store"
    LATE = "store that answers too late"
    """Nobody waits for the answer any more."""
    FAILS_BEFORE = "append failed, not stored"
    FAILS_AFTER = "append failed, stored all the same"
    FULL = "full disk"
    """Nothing can be stored, nor the store opened."""
    READ_ERROR = "failed read"
    # Of the network.
    CUT = "cut"
    RECONNECT_STORM = "reconnect storm"
    """Everybody is cut at once."""
    STALL = "slow reader"
    LATENCY = "latency"
    PIECES = "partial writes"
    NARROW = "narrow window"
    # Of clients, and of time.
    CLIENT_CRASH = "crash of a client"
    """It forgets what it was told, and has acknowledged what it has acknowledged."""
    TAKEOVER = "takeover of a consumer's name"
    CLOCK = "clock set"


CrashFaults = Mapping[CrashFault, float]
"""How often: a weight among the actions, or from 0 to 1 of the connections or of the crashes."""


class Store(StrEnum):
    """How the store is for a while."""

    WELL = "well"
    SLOW = "slow"
    LATE = "late"
    FAILS_BEFORE = "fails before it stores"
    FAILS_AFTER = "fails after it has stored"
    FULL = "full"
    UNREADABLE = "unreadable"


_ALWAYS: Final = (CrashFault.CRASH,)

_KINDS: Final = tuple(
    kind
    for kind in CrashFault
    if kind
    not in (CrashFault.APPEND_LOST, CrashFault.APPEND_STORED, CrashFault.APPEND_TORN, *_ALWAYS)
)


def some_crash_faults(random: Random) -> dict[CrashFault, float]:
    """Crashes, and a choice of other kinds, three at least, each with how often.

    Few kinds at a time find more than all at once: some hide others.
    """
    kinds = random.sample(_KINDS, random.randint(3, len(_KINDS) * 2 // 3))
    chosen = (*_ALWAYS, *sorted(kinds))
    return {kind: random.choice((0.1, 0.3, 0.6)) for kind in chosen}
