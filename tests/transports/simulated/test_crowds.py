"""A hub writes to thousands in another way than to a few. Here one is many."""

from collections import Counter

import pytest

from hubbub.core import publishing
from hubbub.transports.simulated import simulate


@pytest.mark.slow
def test_what_is_said_to_many_keeps_every_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queues that sessions share, and parts of fan-outs that come later, lose, double and reorder nothing."""
    monkeypatch.setattr(publishing, "MANY", 1)
    occurred: Counter[str] = Counter()
    for seed in range(60):
        outcome = simulate(seed)
        assert outcome.found is None, (seed, outcome.found)
        occurred += Counter(outcome.occurred)
    assert occurred["written to as one of many"] > 500
