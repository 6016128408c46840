"""Pages that are made from the code are current."""

import importlib.util
from types import ModuleType

import pytest

from support.tree import ROOT

SCRIPT = ROOT / "docs" / "tables.py"


def tables() -> ModuleType:
    """The script that writes the pages."""
    spec = importlib.util.spec_from_file_location("tables", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["limits.md", "settings.md", "states.md"])
def test_a_page_made_from_the_code_is_current(page: str) -> None:
    """What `python docs/tables.py` would write is what is there."""
    made = tables().PAGES[page]()
    assert (ROOT / "docs" / "reference" / page).read_text() == made


def test_every_limit_is_described() -> None:
    """No field of Limits is missing from its page."""
    from hubbub.core import Limits

    page = (ROOT / "docs" / "reference" / "limits.md").read_text()
    assert [name for name in Limits.__struct_fields__ if f"| `{name}` |" not in page] == []


def test_every_setting_is_described() -> None:
    """No setting, and no variable but those of limits, is missing from its page."""
    from hubbub.apps.hub.settings_layers import variables

    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    names = [name for name, (path, _) in variables().items() if path[0] != "limits"]
    names += [str(path[-1]) for path, _ in variables().values()]
    assert [name for name in names if f"| `{name}` |" not in page] == []
