"""Choosing cases must be exact: a pattern that takes too few would let a run pass untested."""

from __future__ import annotations

import pytest

from .cases import SHARE, by_section, choose

IDS = ["1.1.1", "1.1.2", "2.1", "10.1.1", "12.1.1", "12.1.10", "12.1.11", "12.2.1"]


def test_a_pattern_stands_for_whole_parts_of_an_id() -> None:
    """Section 1 is not section 10 or 12, and case 1 of a group is not case 11."""
    assert choose(IDS, ["1.*"]) == ["1.1.1", "1.1.2"]
    assert choose(IDS, ["12.*.1"]) == ["12.1.1", "12.2.1"]


def test_cases_are_chosen_once_and_in_the_order_of_the_suite() -> None:
    """Overlapping patterns take a case once, and 10 comes after 2."""
    assert choose(reversed(IDS), ["10.*", "*.1.1", "2.1"]) == ["1.1.1", "2.1", "10.1.1", "12.1.1"]


def test_a_pattern_without_a_case_is_an_error() -> None:
    """A mistyped pattern must not make the run smaller in silence."""
    with pytest.raises(ValueError, match=r"'99\.\*'"):
        choose(IDS, ["1.*", "99.*"])


def test_the_share_names_every_section() -> None:
    """All sections are there, the short ones whole, the long ones with every group."""
    ids = [
        f"{section}.{group}.{case}"
        for section in range(1, 14)
        for group in range(1, 9)
        for case in range(1, 19)
        if section not in {8, 11}
        and not (section == 12 and group > 5)
        and not (section == 13 and group > 7)
    ]
    chosen = by_section(choose(ids, SHARE))
    every = by_section(ids)
    assert list(chosen) == list(every)
    for section in (1, 2, 3, 4, 5, 6, 7, 10):
        assert chosen[section] == every[section]
    for section in (9, 12, 13):
        groups = [{case_id.split(".")[1] for case_id in of[section]} for of in (chosen, every)]
        assert groups[0] == groups[1]
