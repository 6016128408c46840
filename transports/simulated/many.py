"""Plays many seeds on several processes."""

import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

from .playing import Outcome, simulate

__all__ = ["Play", "simulate_many"]

Play = Callable[[int], Outcome]
"""Plays one seed. Other processes import it by its name."""

_HASH_SEED: Final = "PYTHONHASHSEED"


def simulate_many(
    seeds: Sequence[int], *, processes: int = 1, times: int = 2, play: Play = simulate
) -> Iterator[Outcome]:
    """Play seeds, each several times; the outcomes, as they come.

    The second time is in another process, if there are several, and those hash texts differently: so a run
    that depends on the order of a set does not repeat.

    Args:
        seeds: which.
        processes: how many play at once.
        times: how often each is played.
        play: what plays one: `simulate`, or `simulate_crashes`.

    Raises:
        RuntimeError: a process died.
    """
    runs = [seed for _ in range(times) for seed in seeds]
    share = -(-len(runs) // max(1, processes))
    parts = [runs[at : at + share] for at in range(0, len(runs), share)]
    if processes <= 1:
        for seed in runs:
            yield play(seed)
        return
    context = get_context("spawn")
    readers: dict[Connection, int] = {}
    workers: list[BaseProcess] = []
    before = os.environ.get(_HASH_SEED)
    try:
        for number, part in enumerate(parts):
            reader, writer = context.Pipe(duplex=False)
            os.environ[_HASH_SEED] = str(number + 1)
            worker = context.Process(target=_work, args=(writer, part, play), daemon=True)
            worker.start()
            writer.close()
            workers.append(worker)
            readers[reader] = len(part)
    finally:
        if before is None:
            os.environ.pop(_HASH_SEED, None)
        else:
            os.environ[_HASH_SEED] = before
    try:
        while readers:
            for ready in wait(list(readers)):
                assert isinstance(ready, Connection)
                try:
                    yield ready.recv()
                except EOFError:
                    raise RuntimeError("a process of the simulation died") from None
                readers[ready] -= 1
                if not readers[ready]:
                    del readers[ready]
    finally:
        for process in workers:
            process.terminate()
            process.join()


def _work(writer: Connection, seeds: list[int], play: Play) -> None:
    for seed in seeds:
        writer.send(play(seed))
    writer.close()
