"""Where programs run: on which core, with how many files, and how their cost is read."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SETTLED_SECONDS = 0.0005
"""CPU in one pause below which a process has nothing left to do."""
_PAUSE = 0.01
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Cores:
    """One core for servers and another for the load generator; the same one if there is no other."""

    server: int
    generator: int

    @classmethod
    def available(cls) -> Cores:
        """Return the first and the last core that we may use."""
        cores = sorted(os.sched_getaffinity(0))
        return cls(cores[0], cores[-1])


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Run this process on one core for as long as the block takes; children started in it stay."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allow_files(count: int) -> None:
    """Let this process and its children open so many files; raise OSError if they may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    enough = hard == resource.RLIM_INFINITY or hard >= count
    try:
        # Only root may raise the second number.
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard if enough else count))
    except ValueError as error:
        raise OSError(f"{count} files are needed and {hard} allowed: raise `ulimit -Hn`") from error


def cpu_seconds(pid: int) -> float:
    """Return the CPU time, user and system, that the threads of a process have used.

    `schedstat` counts nanoseconds. `stat` has the same sum in ticks of 10 ms, which is too coarse
    for a short stretch, and serves where the kernel has no `schedstat`.
    """
    nanoseconds = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            nanoseconds += int((thread / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            return _ticks(pid) / os.sysconf("SC_CLK_TCK")
    return nanoseconds / 1e9


def _ticks(pid: int) -> int:
    # The name comes first, in brackets, and may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def settled_cpu_seconds(pid: int) -> float:
    """Wait until a process rests, and return the CPU time that it has used.

    A server still works after its last answer has reached us: it starts a handler, arms timers.
    """
    deadline = time.monotonic() + _PATIENCE
    before = cpu_seconds(pid)
    while time.monotonic() < deadline:
        time.sleep(_PAUSE)
        now = cpu_seconds(pid)
        if now - before < _SETTLED_SECONDS:
            return now
        before = now
    raise TimeoutError(f"process {pid} does not come to rest")


def resident_bytes(pid: int) -> int:
    """Return the memory of a process that is in use now, with all that it shares."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def forget_peak(pid: int) -> None:
    """Have `peak_resident_bytes` count from now on. Only root may, for another user's process."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_resident_bytes(pid: int) -> int:
    """Return the most memory that a process has had in use, with all that it shares."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/status has no VmHWM")


def open_files(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def proportional_bytes(pid: int) -> int:
    """Return the memory of a process, with what it shares divided among those who share it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Pss")
