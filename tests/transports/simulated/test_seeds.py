"""A hub keeps its promises, whatever its clients, its network and its users' functions do."""

import os
import resource
import sys
from collections import Counter
from typing import Final

import pytest

from hubbub.core import CloseCode
from hubbub.transports.simulated import Fault, Outcome, simulate, simulate_many
from support.seeds import nothing_found

CLOSE_CODES: Final = (1000, 1001, 1002, 1007, 1008, 1009, 1011, 1013, 4001, 4003, 4008, 4029)
"""All that a hub sends. 1003 and the others are not among them: a binary message is an error."""

OFTEN: Final = 20
"""So often must everything occur in a thousand seeds."""

SECONDS: Final = 120.0
"""What a thousand seeds, each played twice, may take on two cores."""


def check(outcome: Outcome) -> None:
    """Nothing was found, and there was something to find it in."""
    nothing_found(outcome)
    faults = [what for what in outcome.occurred if what.startswith("fault")]
    assert len(faults) >= 3, outcome.seed


@pytest.mark.parametrize("seed", range(20))
def test_a_seed(seed: int) -> None:
    """Hundreds of actions of eight clients or more, with three kinds of fault or more, break no promise."""
    check(simulate(seed))


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_replays(seed: int) -> None:
    """A seed gives the same bytes, events and times again, and another seed others."""
    assert simulate(seed).digest == simulate(seed).digest != simulate(seed + 1).digest


@pytest.mark.slow
def test_several_processes_give_what_one_gives() -> None:
    """Each seed comes as often as asked, in whatever order, with the digest that it has alone."""
    outcomes = list(simulate_many((4, 5, 6), processes=2))
    assert sorted(outcome.seed for outcome in outcomes) == [4, 4, 5, 5, 6, 6]
    for outcome in outcomes:
        assert outcome.digest == simulate(outcome.seed).digest


@pytest.mark.slow
def test_a_thousand_seeds() -> None:
    """Each played twice, in two processes that hash texts differently, gives the same bytes and breaks nothing.

    Together they have every fault, every policy and every close code many times.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcomes: dict[int, Outcome] = {}
    occurred: Counter[str] = Counter()
    for outcome in simulate_many(range(1000), processes=2):
        check(outcome)
        first = outcomes.setdefault(outcome.seed, outcome)
        assert first.digest == outcome.digest, outcome.seed
        if first is outcome:
            occurred += Counter(outcome.occurred)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for what, count in sorted(occurred.items()):
        print(f"{count:9,}  {what}")
    wanted = [
        *(f"fault {fault}" for fault in Fault),
        *(f"close {code}" for code in CLOSE_CODES),
        *(f"policy {policy}" for policy in ("disconnect", "drop-oldest", "latest")),
        *(f"priority {priority}" for priority in ("high", "normal", "low")),
        *(f"push {kind}" for kind in ("chat", "notification", "system", "presence", "direct")),
        "answer result",
        "publication repeated",
        "by overlapping patterns",
        "to a compressed connection",
        "no credentials in time",
    ]
    assert {what: occurred[what] for what in wanted if occurred[what] < OFTEN} == {}
    # Processor time, since others may be busy on the same cores; then that is longer too.
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    busy = max(1.0, os.getloadavg()[0] / 4)
    print(f"{used:.0f} s of processor time")
    if sys.gettrace() is None:
        assert used / 2 <= SECONDS * busy


def test_the_close_codes_are_those_that_there_are() -> None:
    """What the simulation waits for are close codes of hubbub."""
    assert set(CLOSE_CODES) <= set(CloseCode)
