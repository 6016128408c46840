"""A hub with a store keeps its promises, whatever crashes: its process, its store, its network, its clients."""

from collections import Counter
from typing import Final

import pytest

from hubbub.transports.simulated import CrashFault, Outcome, simulate_crashes, simulate_many
from support.seeds import nothing_found

CHUNK: Final = 250
"""Seeds of one test; several processes of pytest share them."""

OFTEN: Final = 5
"""So often must every fault occur in each chunk: in a thousand seeds 20 times."""

AGAIN: Final = 10
"""One seed of so many is played a second time, in a process that hashes texts differently."""


def check(outcome: Outcome) -> None:
    """Nothing was found, and there was something to find it in."""
    nothing_found(outcome)
    assert outcome.occurred["answer published"] > 50


@pytest.mark.parametrize("seed", range(10))
def test_a_seed(seed: int) -> None:
    """Hundreds of actions of eight clients or more, with crashes, break no promise."""
    check(simulate_crashes(seed))


def test_a_seed_replays() -> None:
    """A seed gives the same bytes, events and times again, and another seed others."""
    digests = [simulate_crashes(seed).digest for seed in (3, 3, 4)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 1000, CHUNK))
def test_a_thousand_seeds(first: int) -> None:
    """Nothing that was answered is lost or doubled, and all that is missing is told, in a thousand seeds.

    Together they have every fault many times, and a seed that is played again gives the same bytes.
    """
    digests: dict[int, str] = {}
    occurred: Counter[str] = Counter()
    for seed in range(first, first + CHUNK):
        outcome = simulate_crashes(seed)
        check(outcome)
        digests[seed] = outcome.digest
        occurred += Counter(outcome.occurred)
    wanted = [
        *(f"fault {fault}" for fault in CrashFault),
        *("StoreFailed", "StoreReopened", "damages told", "read from the store"),
        *("gap", "resumed", "not resumed", "redelivery", "publication repeated"),
        "unsubscribed, replaced",
    ]
    for what, count in sorted(occurred.items()):
        print(f"{count:9,}  {what}")
    assert {what: occurred[what] for what in wanted if occurred[what] < OFTEN} == {}
    again = range(first, first + CHUNK, AGAIN)
    for outcome in simulate_many(again, processes=2, times=1, play=simulate_crashes):
        assert outcome.digest == digests[outcome.seed], outcome.seed
