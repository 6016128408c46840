"""Run the chosen cases with the fuzzer as the client or as the server, and report."""

from __future__ import annotations

import asyncio
import reprlib
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from time import monotonic

import kosoku
from kosoku._kosoku import CaseResult, FuzzingServer

from .cases import by_section, section_of
from .processes import NotStartedError, Program, running
from .repair import repair_cases
from .verdicts import Outcome, Report, Verdict

DYING_SECONDS = 0.5
ENDING_SECONDS = 30.0

END_OF_RUN = b"GET /updateReports HTTP/1.1\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
"""The request by which a client ends a run. The fuzzer needs no more of it."""

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 120
_short.maxlist = _short.maxtuple = _short.maxdict = 8


async def run_against_server(
    label: str,
    command: Sequence[str],
    chosen: Sequence[str],
    limit: float,
    *,
    at_once: int = 1,
    silent: bool = False,
) -> Report:
    """Run the cases against the server that the command starts, and report.

    A server that does not start or that dies, and a run that is not over after `limit` seconds,
    are faults of the report; the cases that were not reached are missing from it. If the server
    should be silent, what it writes to its standard error is a fault too.
    """
    repair_cases()
    outcomes: list[Outcome] = []
    seconds: dict[int, float] = {}
    faults: list[str] = []
    deadline = monotonic() + limit
    try:
        async with running("server", command) as server:
            url = await server.url()
            # The runner hands over its results at the end of a call. A call for each section
            # keeps those that are there when a later one does not end.
            for section, case_ids in by_section(chosen).items():
                print(f"{label}: section {section}, {len(case_ids)} cases", file=sys.stderr)
                started = monotonic()
                found, fault = await _run_section(server, url, case_ids, at_once, deadline)
                seconds[section] = monotonic() - started
                outcomes += found
                if fault:
                    faults.append(f"section {section}: {fault}")
                    break
            else:
                faults += _complaints(server, silent)
    except NotStartedError as error:
        faults.append(str(error))
    return Report(label, chosen, outcomes, seconds, faults)


async def run_against_client(
    label: str, command: Sequence[str], chosen: Sequence[str], limit: float, *, silent: bool = False
) -> Report:
    """Run the cases against the client that the command starts, and report.

    The fuzzer's URL is put at the end of the command. A client that does not start or that ends
    with another status than 0, and a run that is not over after `limit` seconds, are faults of
    the report; the cases that the client did not ask for are missing from it. If the client
    should be silent, what it writes to its standard error is a fault too.
    """
    repair_cases()
    faults: list[str] = []
    if not chosen:
        return Report(label, chosen, [])  # The runner takes an empty list for the whole suite.
    print(f"{label}: {len(chosen)} cases", file=sys.stderr)
    async with kosoku.run_fuzzingserver(list(chosen), host="127.0.0.1", port=0) as fuzzer:
        url = f"ws://{fuzzer.address}:{fuzzer.port}"
        try:
            async with running("client", [*command, url]) as client:
                status = await asyncio.wait_for(client.process.wait(), limit)
                faults += [await client.died()] if status else _complaints(client, silent)
        except NotStartedError as error:
            faults.append(str(error))
        except TimeoutError:
            faults.append("broken off, out of time")
        results, fault = await _results_of(fuzzer)
    if fault:
        faults.append(fault)
    return Report(
        label, chosen, [_outcome(result) for result in results], _seconds(results), faults
    )


def _complaints(program: Program, silent: bool) -> list[str]:
    words = program.last_words()
    return [f"the {program.name} complained{words}"] if silent and words else []


async def _run_section(
    server: Program, url: str, case_ids: Sequence[str], at_once: int, deadline: float
) -> tuple[list[Outcome], str]:
    """Run the cases unless the server dies or the deadline passes first.

    Return the outcomes, and what went wrong beside them or nothing.
    """
    cases = asyncio.create_task(_run_cases(url, case_ids, at_once))
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


async def _run_cases(url: str, case_ids: Sequence[str], at_once: int) -> list[Outcome]:
    if not case_ids:
        return []  # The runner takes an empty list for the whole suite.
    try:
        results = await kosoku.run_fuzzingclient(url, list(case_ids), concurrency=at_once)
    except kosoku.FailureError as failure:
        # It has all the results, of the cases that passed too.
        results = failure.results
    return [_outcome(result) for result in results]


async def _results_of(fuzzer: FuzzingServer) -> tuple[list[CaseResult], str]:
    """Return the results of the cases that a client asked for, and what went wrong or nothing.

    The client has ended, so its connections have too, and the cases in hand with them.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        # A client that died did not end the run. After one that did, this is refused or ignored.
        with suppress(OSError):
            _, writer = await asyncio.open_connection(fuzzer.address, fuzzer.port)
            writer.write(END_OF_RUN)
        return await asyncio.wait_for(fuzzer.get_result(), ENDING_SECONDS), ""
    except kosoku.FailureError as failure:
        # As above.
        return failure.results, ""
    except TimeoutError:
        return [], "the fuzzer did not end"
    finally:
        if writer is not None:
            writer.close()


def _seconds(results: Iterable[CaseResult]) -> dict[int, float]:
    """Return how long each section took, from the start of its first case to its last end."""
    spans: dict[int, tuple[float, float]] = {}
    for result in results:
        if result.started:  # A case that crashed has no times.
            start = datetime.fromisoformat(result.started).timestamp()
            end = start + result.duration / 1000
            first, last = spans.get(section_of(result.case_id), (start, end))
            spans[section_of(result.case_id)] = min(first, start), max(last, end)
    return {section: last - first for section, (first, last) in spans.items()}


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
