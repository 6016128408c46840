"""Run the chosen cases with the fuzzer as the client, section by section.

A run with the fuzzer as the server, for a client under test, would be another function that
returns a report; everything else could stay.
"""

from __future__ import annotations

import asyncio
import reprlib
import sys
from collections.abc import Sequence
from time import monotonic

import kosoku
from kosoku._kosoku import CaseResult

from .cases import by_section
from .repair import repair_cases
from .server import NotStartedError, Server, serving
from .verdicts import Outcome, Report, Verdict

DYING_SECONDS = 0.5

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 120
_short.maxlist = _short.maxtuple = _short.maxdict = 8


async def run_against_server(
    label: str, command: Sequence[str], chosen: Sequence[str], limit: float
) -> Report:
    """Run the cases against the server that the command starts, and report.

    A server that does not start or that dies, and a run that is not over after `limit` seconds,
    are faults of the report; the cases that were not reached are missing from it.
    """
    repair_cases()
    outcomes: list[Outcome] = []
    seconds: dict[int, float] = {}
    faults: list[str] = []
    deadline = monotonic() + limit
    try:
        async with serving(command) as server:
            # The runner hands over its results at the end of a call. A call for each section
            # keeps those that are there when a later one does not end.
            for section, case_ids in by_section(chosen).items():
                print(f"{label}: section {section}, {len(case_ids)} cases", file=sys.stderr)
                started = monotonic()
                found, fault = await _run_section(server, case_ids, deadline)
                seconds[section] = monotonic() - started
                outcomes += found
                if fault:
                    faults.append(f"section {section}: {fault}")
                    break
    except NotStartedError as error:
        faults.append(str(error))
    return Report(label, chosen, outcomes, seconds, faults)


async def _run_section(
    server: Server, case_ids: Sequence[str], deadline: float
) -> tuple[list[Outcome], str]:
    """Run the cases unless the server dies or the deadline passes first.

    Return the outcomes, and what went wrong beside them or nothing.
    """
    cases = asyncio.create_task(_run_cases(server.url, case_ids))
    death = asyncio.create_task(server.died())
    try:
        left = max(0.0, deadline - monotonic())
        await asyncio.wait({cases, death}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        outcomes = cases.result() if cases.done() else []
        if any(outcome.verdict is Verdict.ERROR for outcome in outcomes):
            # A few cases can be over before the death that broke them is known.
            await asyncio.wait({death}, timeout=DYING_SECONDS)
        if death.done():
            return outcomes, death.result()
        return outcomes, "" if cases.done() else "broken off, out of time"
    finally:
        cases.cancel()
        death.cancel()


async def _run_cases(url: str, case_ids: Sequence[str]) -> list[Outcome]:
    if not case_ids:
        return []  # The runner takes an empty list for the whole suite.
    try:
        results = await kosoku.run_fuzzingclient(url, list(case_ids))
    except kosoku.FailureError as failure:
        # It has all the results, of the cases that passed too.
        results = failure.results
    return [_outcome(result) for result in results]


def _outcome(result: CaseResult) -> Outcome:
    return Outcome(
        case_id=result.case_id,
        verdict=Verdict(result.behavior.value),
        close=result.behavior_close.value,
        expected=f"{_short.repr(result.expected)}, close {_short.repr(result.expected_close)}",
        actual=f"{_short.repr(result.received)}, close code {result.remote_close_code}",
        explanation=f"{result.result} {result.result_close}".strip(),
        milliseconds=result.duration,
    )
