"""What runs of the simulation are held against."""

from __future__ import annotations

import pytest

from hubbub.transports.simulated import Outcome

__all__ = ["nothing_found"]


def nothing_found(outcome: Outcome) -> None:
    """Nothing was found, in hundreds of actions."""
    found = outcome.found
    if found is not None:
        lines = "\n".join(found.lines)
        pytest.fail(f"seed {outcome.seed}: {found.invariant}: {found.text}\n{lines}")
    assert outcome.actions >= 300
