"""Many inputs: in one process or several, until a number, a time or a failure is reached."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from .inputs import AREAS
from .life import Life
from .native import NativeLife

LIVES: dict[str, Callable[[int], Life | NativeLife]] = {
    **{name: partial(Life, area) for name, area in AREAS.items()},
    "native": NativeLife,
}
"""What each number of an area is lived through by."""

_CHUNK = 2000
"""Inputs that one process works through at a time."""


@dataclass
class Failure:
    """An input that something went wrong with."""

    area: str
    number: int
    stream: bytes
    report: str


@dataclass
class Result:
    """What a number of inputs came to."""

    area: str
    inputs: int = 0
    seconds: float = 0.0
    messages: int = 0
    """Messages, pongs and handshakes that were given out as events."""
    fullest: float = 0.0
    """The most that a connection held, as a share of its bound."""
    outcomes: Counter[str] = field(default_factory=Counter)
    failure: Failure | None = None

    def add(self, other: Result) -> None:
        """Count another's inputs with these."""
        self.inputs += other.inputs
        self.messages += other.messages
        self.fullest = max(self.fullest, other.fullest)
        self.outcomes += other.outcomes
        self.failure = self.failure or other.failure


def run_input(area: str, number: int, result: Result) -> None:
    """Live through one input and count it."""
    life = LIVES[area](number)
    result.inputs += 1
    try:
        life.run()
    except Exception:  # noqa: BLE001 - none may come
        result.failure = Failure(area, number, life.stream, traceback.format_exc())
        return
    result.messages += life.messages
    result.fullest = max(result.fullest, life.fullest / life.bound)
    result.outcomes[life.outcome] += 1


def run_chunk(work: tuple[str, int, int]) -> Result:
    """Live through `count` inputs of an area, from a first number on, or up to a failure."""
    area, first, count = work
    result = Result(area)
    for number in range(first, first + count):
        run_input(area, number, result)
        if result.failure is not None:
            break
    return result


def fuzz(
    area: str, *, seed: int, inputs: int | None, seconds: float | None = None, jobs: int = 1
) -> Result:
    """Fuzz one area.

    Args:
        area: a key of `LIVES`.
        seed: where the numbers begin: input i of seed s has the number s * 2**32 + i.
        inputs: after so many it is enough; None leaves it to the time.
        seconds: after so many it is enough.
        jobs: processes; 1 stays in this one.
    """
    result = Result(area)
    begun = time.perf_counter()
    first = seed << 32

    def work() -> Iterator[tuple[str, int, int]]:
        done = 0
        while inputs is None or done < inputs:
            if seconds is not None and time.perf_counter() - begun >= seconds:
                return
            count = _CHUNK if inputs is None else min(_CHUNK, inputs - done)
            yield area, first + done, count
            done += count

    if jobs == 1:
        for chunk in map(run_chunk, work()):
            result.add(chunk)
            if result.failure is not None:
                break
    else:
        _in_processes(work(), jobs, result)
    result.seconds = time.perf_counter() - begun
    return result


def _in_processes(work: Iterator[tuple[str, int, int]], jobs: int, result: Result) -> None:
    with multiprocessing.Pool(jobs) as pool:
        # Not `imap`, which asks for all work at once and so would ignore the time.
        waiting = [pool.apply_async(run_chunk, (chunk,)) for chunk in islice(work, jobs)]
        while waiting:
            result.add(waiting.pop(0).get())
            if result.failure is not None:
                return
            chunk = next(work, None)
            if chunk is not None:
                waiting.append(pool.apply_async(run_chunk, (chunk,)))
