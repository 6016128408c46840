"""The simulation of crashes can fail: bugs are planted into the hub, and each must be found.

Without this its silence would prove little.
"""

import pytest

from hubbub.transports.simulated import simulate_crashes
from support.planted_crash_bugs import CRASH_BUGS, CrashBug

SEEDS = range(5)
"""Of which one must find it."""


@pytest.mark.parametrize("bug", CRASH_BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_planted_bug_is_found(bug: CrashBug, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub with this bug breaks the promise that it should, in one of a few runs."""
    bug.plant(monkeypatch)
    for seed in SEEDS:
        found = simulate_crashes(seed).found
        if found is not None:
            print(f"seed {seed}: {found.invariant}: {found.text}")
            assert found.invariant in bug.breaks
            return
    pytest.fail(f"not found in {len(SEEDS)} seeds")
