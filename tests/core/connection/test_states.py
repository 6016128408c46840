"""The transition tables: every pair of state and input is either in them or an error."""

from itertools import product

import pytest

from hubbub.core.states import CLOSING, OPENING, Closing, ClosingInput, Opening, OpeningInput

LEGAL_CLOSING = {
    "none": {"send close": "sent", "receive close": "due", "fail": "due", "end": "ended"},
    "sent": {"receive close": "over", "fail": "over", "end": "ended"},
    "due": {"answer": "over", "end": "ended"},
    "over": {"end": "ended"},
    "ended": {"end": "ended"},
}

LEGAL_OPENING = {
    "waiting": {"request": "deciding", "accept": "done", "refuse": "refused"},
    "deciding": {"accept": "done", "refuse": "refused"},
    "done": {},
    "refused": {},
}


@pytest.mark.parametrize(("state", "step"), list(product(Closing, ClosingInput)))
def test_closing_moves_as_the_table_says(state: Closing, step: ClosingInput) -> None:
    """Each input in each closing state leads where this file says, or nowhere."""
    found = CLOSING.get((state, step))
    expected = LEGAL_CLOSING[state.value].get(step.value)
    assert (found.value if found else None) == expected


@pytest.mark.parametrize(("state", "step"), list(product(Opening, OpeningInput)))
def test_opening_moves_as_the_table_says(state: Opening, step: OpeningInput) -> None:
    """Each input in each opening state leads where this file says, or nowhere."""
    found = OPENING.get((state, step))
    expected = LEGAL_OPENING[state.value].get(step.value)
    assert (found.value if found else None) == expected


def test_every_state_can_end() -> None:
    """From every closing state the end is one step away: no connection can get stuck in one."""
    assert all(CLOSING[state, ClosingInput.END] is Closing.ENDED for state in Closing)


def test_every_state_is_reached() -> None:
    """No state of the tables is unreachable."""
    assert {Closing.NONE, *CLOSING.values()} == set(Closing)
    assert {Opening.WAITING, *OPENING.values()} == set(Opening)
