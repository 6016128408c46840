"""Which cases exist, and which of them a run takes.

The list of all cases is the runner's own; the number of them is fixed here, so that a version of
the runner that has lost cases cannot pass for a complete one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

CASE_COUNT = 517
"""How many cases Autobahn's suite has."""

ALL = ("*",)
"""The pattern of the whole suite."""

# Sections 1 to 7 and 10 take seconds, 9 takes twenty of them, and 12 and 13 take many minutes. 9
# sends large messages, in one frame, in fragments and in small writes; 12 and 13 send 18 sizes of
# message for each of 5 kinds of data and 7 sets of parameters, a thousand messages each. The share
# has the largest message and the most fragmented one, every kind of data with the smallest
# message, every set of parameters with a message that is larger than the smallest window (9 bits)
# and than ours (12), and compressed fragments.
SHARE = (
    *("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"),
    *("9.1.*", "9.2.*", "9.3.1", "9.4.5", "9.5.*", "9.6.*", "9.7.1", "9.8.6"),
    *("12.*.1", "12.1.6", "12.1.11"),
    *("13.*.6", "13.5.1", "13.3.11", "13.5.11"),
)
"""The patterns of the part that takes about a quarter minute."""

SHARE_COUNT = 292
"""How many cases the share has."""


def all_case_ids() -> list[str]:
    """Return every case id that the runner knows, in the order of the suite.

    Raises RuntimeError if they are not as many as the suite has.
    """
    # Imported here and not above: importing the runner's cases changes `binascii` and
    # `sys.path`, which a process that only judges reports is spared.
    from kosoku.cases import CASES

    if len(CASES) != CASE_COUNT:
        raise RuntimeError(f"the runner knows {len(CASES)} cases, the suite has {CASE_COUNT}")
    return sorted(CASES, key=case_order)


def choose(case_ids: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return the ids that match any of the patterns, in the order of the suite, each once.

    Raises ValueError for a pattern that matches none: it would silently shrink the run.
    """
    known = list(case_ids)
    chosen: set[str] = set()
    for pattern in patterns:
        matching = {case_id for case_id in known if fnmatchcase(case_id, pattern)}
        if not matching:
            raise ValueError(f"no case matches {pattern!r}")
        chosen |= matching
    return sorted(chosen, key=case_order)


def case_order(case_id: str) -> tuple[int, ...]:
    """Return the key that sorts case ids in the order of the suite."""
    return tuple(int(part) for part in case_id.split("."))


def section_of(case_id: str) -> int:
    """Return the number of the section that a case belongs to."""
    return case_order(case_id)[0]


def by_section(case_ids: Iterable[str]) -> dict[int, list[str]]:
    """Return the ids grouped by section, in the order given."""
    sections: dict[int, list[str]] = {}
    for case_id in case_ids:
        sections.setdefault(section_of(case_id), []).append(case_id)
    return sections
