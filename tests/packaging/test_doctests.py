"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

from support.tree import package_modules

# Importing __main__ runs the program.
MODULES = sorted(set(package_modules()) - {"hubbub.__main__"})


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    """Every example in the docstrings of a module gives what it shows."""
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0
