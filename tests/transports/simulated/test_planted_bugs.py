"""The simulation can fail: bugs are planted into the hub, and each must be found.

Without this its silence would prove little.
"""

import pytest

from hubbub.transports.simulated import simulate
from support.planted_hub_bugs import BUGS, Bug

SEEDS = range(40)
"""Of which one must find it."""


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub with this bug breaks a promise in one of a few dozen runs."""
    bug.plant(monkeypatch)
    for seed in SEEDS:
        found = simulate(seed).found
        if found is not None:
            print(f"seed {seed}: {found.invariant}: {found.text}")
            assert "raises" not in found.invariant
            return
    pytest.fail(f"not found in {len(SEEDS)} seeds")
