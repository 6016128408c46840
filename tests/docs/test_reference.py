"""The reference names what is public, all of it and nothing else."""

import re

import pytest

import hubbub.core
import hubbub.transports.asyncio
from support.tree import ROOT

DIRECTIVE = re.compile(r"^\.\. auto(?:class|function|data|exception):: (\w+)$", re.MULTILINE)

PAGES = [
    ("core.md", set(hubbub.core.__all__) - {"Link", "End"}),  # those stand in their module
    ("asyncio.md", set(hubbub.transports.asyncio.__all__)),
]


@pytest.mark.parametrize(("page", "public"), PAGES)
def test_the_reference_names_what_is_public(page: str, public: set[str]) -> None:
    """A page of the reference has each exported name once, and no other."""
    found = DIRECTIVE.findall((ROOT / "docs" / "reference" / page).read_text())
    assert sorted(found) == sorted(public)
