"""The condition under which a conformance run passes must be able to fail, in each of its parts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .table import as_json, render
from .verdicts import INFORMATIONAL_CASES, Outcome, Report, Verdict, judge

CASES = ["1.1.1", "1.1.2", "7.1.5", "7.1.6", "7.13.1", "7.13.2", "12.1.1"]


def outcome(case_id: str) -> Outcome:
    """Return the best outcome that a case can have."""
    best = "INFORMATIONAL" if case_id in INFORMATIONAL_CASES else "OK"
    return Outcome(case_id, Verdict(best), best, "what is due", "what came", "As it was.", 2)


def report(*outcomes: Outcome, leave_out: str = "") -> Report:
    """Return a report that passes, but for the given outcomes and the one left out."""
    best = {case_id: outcome(case_id) for case_id in CASES if case_id != leave_out}
    best |= {changed.case_id: changed for changed in outcomes}
    return Report("a run", CASES, list(best.values()), {1: 0.25, 7: 0.5, 12: 1.0})


def test_a_run_passes_with_ok_and_the_three_informational_cases() -> None:
    """There is nothing to say against the best possible report."""
    assert judge(report()) == []
    assert render(report()).splitlines()[-1] == "a run: passed"


@pytest.mark.parametrize("case_id", CASES)
def test_a_missing_case_fails_the_run(case_id: str) -> None:
    """Each chosen case must be reported; a run that reached no case at all is not a pass."""
    assert judge(report(leave_out=case_id)) == [f"1 case missing: {case_id}"]


def test_an_empty_report_fails_the_run() -> None:
    """What a dead server leaves behind is all missing."""
    assert judge(Report("a run", CASES, [])) == [f"7 cases missing: {', '.join(CASES)}"]


def test_a_long_list_is_cut_and_still_counted() -> None:
    """A server that does not start must not fill the screen with the ids of all cases."""
    ids = [f"1.1.{number}" for number in range(1, 101)]
    (reason,) = judge(Report("a run", ids, []))
    assert reason.startswith("100 cases missing: 1.1.1, 1.1.2, ")
    assert reason.endswith(", 1.1.40 and 60 more")


def test_a_run_of_no_cases_fails() -> None:
    """Nothing chosen is nothing shown."""
    assert judge(Report("a run", [], [])) == ["no case was chosen"]


@pytest.mark.parametrize("case_id", ["1.1.2", "7.1.6"])
@pytest.mark.parametrize(
    "verdict", [Verdict.NON_STRICT, Verdict.FAILED, Verdict.UNIMPLEMENTED, Verdict.ERROR]
)
def test_a_bad_verdict_fails_the_run(case_id: str, verdict: Verdict) -> None:
    """NON-STRICT is a failure here, as every verdict that is neither OK nor INFORMATIONAL."""
    bad = replace(outcome(case_id), verdict=verdict)
    assert judge(report(bad)) == [f"1 case {verdict}: {case_id}"]


def test_informational_is_bad_where_the_protocol_is_not_open() -> None:
    """Only the three cases may be INFORMATIONAL."""
    odd = replace(outcome("1.1.1"), verdict=Verdict.INFORMATIONAL)
    assert judge(report(odd)) == ["1 case INFORMATIONAL, and the protocol is not open there: 1.1.1"]


@pytest.mark.parametrize("case_id", sorted(INFORMATIONAL_CASES))
def test_an_informational_case_that_turns_ok_fails_the_run(case_id: str) -> None:
    """The suite cannot say OK there, so the runner must have changed."""
    odd = replace(outcome(case_id), verdict=Verdict.OK)
    assert judge(report(odd)) == [f"1 case OK, and can only be INFORMATIONAL: {case_id}"]


@pytest.mark.parametrize("close", ["FAILED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", ""])
def test_a_bad_close_fails_the_run(close: str) -> None:
    """The messages of a case may be right and its closing handshake wrong."""
    assert judge(report(replace(outcome("1.1.1"), close=close))) == ["1 case closed wrongly: 1.1.1"]


def test_a_case_reported_twice_fails_the_run() -> None:
    """A good outcome must not hide a bad one of the same case."""
    good = report()
    bad = replace(outcome("1.1.1"), verdict=Verdict.FAILED)
    for outcomes in ([bad, *good.outcomes], [*good.outcomes, bad]):
        assert judge(replace(good, outcomes=outcomes)) == [
            "1 case reported more than once: 1.1.1",
            "1 case FAILED: 1.1.1",
        ]


def test_a_case_that_was_not_chosen_fails_the_run() -> None:
    """The runner did something else than it was told."""
    assert judge(report(outcome("2.1"))) == ["1 case reported but not chosen: 2.1"]


def test_a_fault_beside_the_cases_fails_the_run() -> None:
    """All cases may be well and the server have died after the last."""
    assert judge(replace(report(), faults=["the server died"])) == ["the server died"]


def test_the_table_tells_what_is_wrong() -> None:
    """A reader sees the counts, the case, both events and the reason, without the JSON."""
    bad = replace(outcome("1.1.2"), verdict=Verdict.NON_STRICT)
    text = render(report(bad, leave_out="12.1.1"))
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == [
        *("section", "cases", "OK", "NON-STRICT", "INFORMATIONAL", "FAILED"),
        *("UNIMPLEMENTED", "ERROR", "missing", "seconds"),
    ]
    assert lines[1:5] == [
        ["1", "2", "1", "1", "0", "0", "0", "0", "0", "0.2"],
        ["7", "4", "1", "0", "3", "0", "0", "0", "0", "0.5"],
        ["12", "1", "0", "0", "0", "0", "0", "0", "1", "1.0"],
        ["total", "7", "2", "1", "3", "0", "0", "0", "1", "1.8"],
    ]
    assert "1.1.2: NON-STRICT, close OK" in text
    assert "expected what is due" in text
    assert "actual   what came" in text
    assert "1.1.1:" not in text
    assert text.splitlines()[-3:] == [
        "a run: not passed",
        "  - 1 case NON-STRICT: 1.1.2",
        "  - 1 case missing: 12.1.1",
    ]


def test_the_json_agrees_with_the_verdict() -> None:
    """A machine reads the same conclusion, and every chosen case is there."""
    good, bad = as_json(report()), as_json(report(leave_out="1.1.1"))
    assert (good["passed"], good["reasons"]) == (True, [])
    assert (bad["passed"], bad["reasons"]) == (False, ["1 case missing: 1.1.1"])
    cases = bad["cases"]
    assert isinstance(cases, dict)
    assert list(cases) == CASES
    assert cases["1.1.1"]["verdict"] == "missing"
