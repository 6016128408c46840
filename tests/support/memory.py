"""How much memory another process holds, as Linux counts it."""

from __future__ import annotations

from pathlib import Path


class ResidentMemory:
    """Watches by how many bytes the resident memory of a process grows, at its peak."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        # 5 sets the peak back to what is held now; see proc(5).
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        self._before = self._read("VmRSS")

    @property
    def growth(self) -> int:
        """Bytes between what was held at first and the peak since."""
        return self._read("VmHWM") - self._before

    def _read(self, name: str) -> int:
        for line in self._status.read_text().splitlines():
            key, _, value = line.partition(":")
            if key == name:
                return int(value.split()[0]) * 1024
        raise LookupError(name)
