"""The example with a mistake: the tests that stand beside it find it, and pass once it is mended."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from support.tree import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "muting"


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, without the settings of this repository."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example, without Hypothesis' explanations, which take long."""
    copy = Path(shutil.copytree(EXAMPLE, tmp_path / "muting"))
    model = copy / "test_muting_hub.py"
    text = model.read_text().replace("import settings", "import Phase, settings", 1)
    phases = "phases=[Phase.generate, Phase.shrink], deadline=None)"
    model.write_text(text.replace("deadline=None)", phases))
    return copy


@pytest.mark.slow
def test_the_mistake_is_found(example: Path) -> None:
    """The command of the page fails, and shows few steps; the test of one situation does not."""
    answer = run_pytest(example, "--hypothesis-seed=1")
    assert answer.returncode == pytest.ExitCode.TESTS_FAILED, answer.stdout + answer.stderr
    assert "1 failed, 1 passed" in answer.stdout
    assert "is muted, and speaks" in answer.stdout
    steps = re.findall(r"^E +(?:clients_\d+ = )?state\.(\w+)\(", answer.stdout, re.MULTILINE)
    assert {"a_moderator_comes", "mute", "come_with_name", "speak"} <= set(steps)
    assert len(steps) < 10


def test_the_mended_one_passes(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With names compared as the page says, nothing is found."""
    hub = example / "muting_hub.py"
    mended = (
        hub.read_text()
        .replace("muted.add(str(calling.data))", "muted.add(name_key(str(calling.data)))")
        .replace("if publishing.user in muted", "if name_key(publishing.user) in muted")
        .replace("from hubbub.core ", "from hubbub.core.auth import name_key\nfrom hubbub.core ")
    )
    assert mended.count("name_key") == 3
    hub.write_text(mended)
    monkeypatch.syspath_prepend(str(example))
    monkeypatch.delitem(sys.modules, "muting_hub", raising=False)
    model = runpy.run_path(str(example / "test_muting_hub.py"))["MutingModel"]
    few = settings(max_examples=30, stateful_step_count=20, database=None)
    run_state_machine_as_test(model, settings=few)
    del sys.modules["muting_hub"]
