"""Programs of the system that tests need: a missing one is a failure where CI is set, and told elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import run


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program can be found, so none can be installed."""
    monkeypatch.setenv("PATH", "")


def test_one_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed and nothing said."""
    assert run.have("python", "no-such-package", lambda: "/usr/bin/python3")


def test_one_that_is_missing(
    nowhere: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line says that its tests are left out."""
    monkeypatch.delenv("CI", raising=False)
    assert not run.have("nothing", "no-such-package", lambda: None)
    assert "nothing is missing" in capsys.readouterr().out


def test_one_that_is_missing_in_ci(nowhere: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """There it is a failure: a check that is left out silently is none."""
    monkeypatch.setenv("CI", "1")
    with pytest.raises(SystemExit, match="nothing is missing"):
        run.have("nothing", "no-such-package", lambda: None)


def test_where_nginx_may_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is found on the path; and where only root's path leads, if it is there."""
    nginx = tmp_path / "nginx"
    nginx.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run.find_nginx() == str(nginx)
    nginx.unlink()
    assert run.find_nginx() in (None, "/usr/sbin/nginx", "/usr/local/sbin/nginx")
