"""The share of Autobahn's cases that takes about a minute must pass, on both ways through."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .cases import SHARE_COUNT

RUN = Path(__file__).with_name("run.py")
TIME_LIMIT = 600


@pytest.mark.conformance
@pytest.mark.parametrize("fast_path", ["on", "off"])
def test_the_share_passes(fast_path: str, tmp_path: Path) -> None:
    """Every case is OK, but for the three that can only be INFORMATIONAL."""
    report_file = tmp_path / "report.json"
    options = ["--share", "--fast-path", fast_path, "--time-limit", str(TIME_LIMIT)]
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
    assert len(report["cases"]) == SHARE_COUNT
