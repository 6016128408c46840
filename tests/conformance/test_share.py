"""The share of Autobahn's cases must pass on both sides, both event loops and both ways through."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .cases import SHARE_COUNT

RUN = Path(__file__).with_name("run.py")
TIME_LIMIT = 600


# What is left out would take another quarter minute each. The two ways through differ in core,
# which knows no event loop, and there they differ for the two sides.
@pytest.mark.conformance
@pytest.mark.parametrize(
    ("side", "transport", "fast_path"),
    [
        ("server", "asyncio", "on"),
        ("server", "trio", "on"),
        ("client", "asyncio", "on"),
        ("client", "trio", "on"),
        ("server", "asyncio", "off"),
        ("client", "trio", "off"),
    ],
)
def test_the_share_passes(side: str, transport: str, fast_path: str, tmp_path: Path) -> None:
    """Every case is OK, but for the three that can only be INFORMATIONAL."""
    report_file = tmp_path / "report.json"
    options = ["--share", "--side", side, "--transport", transport, "--fast-path", fast_path]
    # Several at once: most of their time is waiting, for the peer or for a moment.
    options += ["--at-once", "4", "--time-limit", str(TIME_LIMIT)]
    # A process of its own: the runner changes `sys.path` and the `binascii` module.
    finished = subprocess.run(
        [sys.executable, RUN, *options, "--json", report_file],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIME_LIMIT + 60,
    )
    if finished.returncode != 0:
        pytest.fail(f"\n{finished.stdout}\n{finished.stderr}", pytrace=False)
    (report,) = json.loads(report_file.read_text())
    assert report["passed"]
    assert report["label"] == f"{side} on {transport}, fast path {fast_path}"
    assert len(report["cases"]) == SHARE_COUNT
