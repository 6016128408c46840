"""How a report is shown: as a table for people, and as an object for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .verdicts import Report, Verdict, judge

_NUMBER = 6
_GAP = 2


def render(report: Report) -> str:
    """Return the table of the counts, every case that is not OK, and the reasons of a failure."""
    return "\n".join([*_counts(report), *_exceptions(report), *_conclusion(report)])


def as_json(report: Report) -> dict[str, object]:
    """Return the report as what a JSON document can hold."""
    reasons = judge(report)
    return {
        "label": report.label,
        "passed": not reasons,
        "reasons": reasons,
        "seconds": {str(section): round(taken, 3) for section, taken in report.seconds.items()},
        "counts": {
            str(section): {str(verdict): number for verdict, number in found.items()}
            for section, found in report.counts().items()
        },
        "cases": {
            outcome.case_id: {
                "verdict": str(outcome.verdict),
                "close": outcome.close,
                "milliseconds": outcome.milliseconds,
                "explanation": outcome.explanation,
            }
            for outcome in report.complete()
        },
    }


def _counts(report: Report) -> Iterator[str]:
    headings = ["cases", *(str(verdict) for verdict in Verdict), "seconds"]
    widths = [max(len(heading), _NUMBER) + _GAP for heading in headings]

    def line(name: object, *cells: object) -> str:
        columns = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        return f"{name:<7}" + "".join(columns)

    yield line("section", *headings)
    counts = report.counts()
    for section, found in counts.items():
        numbers = (found[verdict] for verdict in Verdict)
        taken = report.seconds.get(section, 0.0)
        yield line(str(section), found.total(), *numbers, f"{taken:.1f}")
    total = sum(counts.values(), Counter[Verdict]())
    numbers = (total[verdict] for verdict in Verdict)
    yield line("total", total.total(), *numbers, f"{sum(report.seconds.values()):.1f}")


def _exceptions(report: Report) -> Iterator[str]:
    for outcome in report.complete():
        # The missing ones have nothing to tell, and the conclusion names them.
        if not outcome.spotless and outcome.verdict is not Verdict.MISSING:
            yield f"{outcome.case_id}: {outcome.verdict}, close {outcome.close}"
            yield f"    {outcome.explanation}"
            yield f"    expected {outcome.expected}"
            yield f"    actual   {outcome.actual}"


def _conclusion(report: Report) -> Iterator[str]:
    reasons = judge(report)
    yield f"{report.label}: {'not passed' if reasons else 'passed'}"
    for reason in reasons:
        yield f"  - {reason}"
