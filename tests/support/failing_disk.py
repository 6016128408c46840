"""Disks that fail, in ways in which the kernel itself says so."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTEAD = {
    # Writing says ENOSPC.
    "full": ("/dev/full", os.O_RDWR),
    # Writing is not possible through this descriptor.
    "read-only": ("", os.O_RDONLY),
    # Writing is, but syncing is not.
    "unsynced": ("/dev/null", os.O_RDWR),
    # Reading is not.
    "write-only": ("", os.O_WRONLY),
}
"""What a file is made to be."""


def descriptors_of(path: Path) -> list[int]:
    """The descriptors of this process that are open on a file."""
    found: list[int] = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if entry.readlink() == path:
                found.append(int(entry.name))
        except FileNotFoundError:  # the one that read the folder
            continue
    return found


def break_descriptors(path: Path, how: str) -> None:
    """Let every open descriptor of a file be one that fails, until it is closed and opened again."""
    instead, flags = INSTEAD[how]
    broken = os.open(instead or path, flags)
    found = descriptors_of(path)
    for descriptor in found:
        if descriptor != broken:
            os.dup2(broken, descriptor)
    os.close(broken)
    assert len(found) > (not instead)


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size; writing there fails with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def in_namespace(*arguments: str | Path) -> list[str | Path]:
    """The command that runs Python where it may mount file systems that nobody else sees."""
    return ["unshare", "--user", "--map-root-user", "--mount", sys.executable, *arguments]


def may_mount() -> bool:
    """Whether that works here."""
    command = in_namespace(
        "-c", "import subprocess as s; s.check_call(['mount', '-t', 'tmpfs', 'x', '/mnt'])"
    )
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
