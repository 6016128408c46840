"""What a run found, and the condition under which it passed.

Nothing here knows where the outcomes come from: a run in which the fuzzer is the client and one
in which it is the server are judged alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from .cases import section_of

INFORMATIONAL_CASES = frozenset({"7.1.6", "7.13.1", "7.13.2"})
"""The cases that can have no verdict but INFORMATIONAL: the protocol leaves them open."""


class Verdict(StrEnum):
    """What became of the exchange of messages of one case."""

    OK = "OK"
    NON_STRICT = "NON-STRICT"
    INFORMATIONAL = "INFORMATIONAL"
    FAILED = "FAILED"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    ERROR = "ERROR"
    """The case could not be run to its end, for want of a connection for example."""
    MISSING = "missing"
    """The case was chosen and nothing was reported of it."""


GOOD_CLOSES = frozenset({"OK", "INFORMATIONAL"})
"""The verdicts on the closing handshake that are no fault."""

_LISTED = 40


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was reported of one case."""

    case_id: str
    verdict: Verdict
    close: str
    """The verdict on the closing handshake, in Autobahn's words."""
    expected: str
    actual: str
    explanation: str
    milliseconds: int = 0

    @property
    def section(self) -> int:
        """The section that the case belongs to."""
        return section_of(self.case_id)

    @property
    def spotless(self) -> bool:
        """Whether there is nothing to say about this case."""
        return self.verdict is Verdict.OK and self.close == "OK"


@dataclass(frozen=True, slots=True)
class Report:
    """What a run was to do and what came of it."""

    label: str
    chosen: Sequence[str]
    """The ids of all the cases that the run was to take."""
    outcomes: Sequence[Outcome]
    seconds: dict[int, float] = field(default_factory=dict)
    """How long each section took."""
    faults: Sequence[str] = ()
    """What went wrong beside the cases: a server that died, a run out of time."""

    def complete(self) -> list[Outcome]:
        """Return one outcome for each chosen case; an unreported one is MISSING."""
        reported = {outcome.case_id: outcome for outcome in self.outcomes}
        return [reported.get(case_id) or _missing(case_id) for case_id in self.chosen]

    def counts(self) -> dict[int, Counter[Verdict]]:
        """Return the number of chosen cases by section and verdict."""
        counts: dict[int, Counter[Verdict]] = {}
        for outcome in self.complete():
            counts.setdefault(outcome.section, Counter())[outcome.verdict] += 1
        return counts


def judge(report: Report) -> list[str]:
    """Return the reasons why the run did not pass; none of them means that it passed.

    It passed if it chose any case at all, each of them has exactly one outcome and no other case
    has one, every verdict is OK but for the cases that can only be INFORMATIONAL and are just
    that, no closing handshake was at fault, and nothing went wrong beside the cases.
    """
    reasons = list(report.faults)
    if not report.chosen:
        reasons.append("no case was chosen")
    chosen = set(report.chosen)
    times = Counter(outcome.case_id for outcome in report.outcomes)
    strange = [case_id for case_id in times if case_id not in chosen]
    reasons += _reason("reported but not chosen", strange)
    reasons += _reason("reported more than once", [i for i, n in times.items() if n > 1])
    # All the outcomes of a case that has several, and not the last of them only.
    outcomes = [*report.outcomes, *(o for o in report.complete() if o.verdict is Verdict.MISSING)]
    for verdict in Verdict:
        if verdict not in {Verdict.OK, Verdict.INFORMATIONAL}:
            reasons += _reason(verdict, [o.case_id for o in outcomes if o.verdict is verdict])
    reasons += _reason(
        "INFORMATIONAL, and the protocol is not open there",
        [
            o.case_id
            for o in outcomes
            if o.verdict is Verdict.INFORMATIONAL and o.case_id not in INFORMATIONAL_CASES
        ],
    )
    reasons += _reason(
        "OK, and can only be INFORMATIONAL",
        [
            o.case_id
            for o in outcomes
            if o.verdict is Verdict.OK and o.case_id in INFORMATIONAL_CASES
        ],
    )
    reasons += _reason(
        "closed wrongly",
        [
            o.case_id
            for o in outcomes
            if o.verdict is not Verdict.MISSING and o.close not in GOOD_CLOSES
        ],
    )
    return reasons


def _missing(case_id: str) -> Outcome:
    return Outcome(case_id, Verdict.MISSING, "-", "-", "-", "nothing was reported")


def _reason(what: str, case_ids: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(case_ids))
    if not found:
        return []
    number = "1 case" if len(found) == 1 else f"{len(found)} cases"
    rest = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return [f"{number} {what}: {', '.join(found[:_LISTED])}{rest}"]
