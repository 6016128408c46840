"""What the docs import is public: from the modules that the page on compatibility lists, and exported there."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt

from support.tree import ROOT

DOCS = ROOT / "docs"
COMPATIBILITY = (DOCS / "compatibility.md").read_text()

PUBLIC = {
    "hubbub.core",
    "hubbub.core.messages",
    "hubbub.core.strategies",
    "hubbub.transports.asyncio",
    "hubbub.transports.authenticators.jwt",
    "hubbub.transports.exceptions",
    "hubbub.transports.pytest_plugin",
    "hubbub.transports.simulated",
    "hubbub.transports.stores.conformance",
    "hubbub.transports.stores.memory",
    "hubbub.transports.stores.protocol",
    "hubbub.transports.stores.sqlite",
    "hubbub.transports.trio",
}


def programs() -> Iterator[tuple[str, str]]:
    """Each page with Python in it, and each example, by name and text."""
    for page in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]:
        if "_build" in page.relative_to(ROOT).parts:
            continue
        lines: list[str] = []
        for block in MarkdownIt().parse(page.read_text()):
            if block.type == "fence" and block.info.strip() == "python":
                lines += block.content.splitlines()
            elif block.type == "fence" and block.info.strip() == "pycon":
                said = [one[4:] for one in block.content.splitlines() if one[:4] in _PROMPTS]
                lines += said
        yield str(page.relative_to(ROOT)), "\n".join(lines)
    for file in sorted((DOCS / "examples").rglob("*.py")):
        yield str(file.relative_to(ROOT)), file.read_text()


_PROMPTS = (">>> ", "... ")

PROGRAMS = dict(programs())


def imported(program: str) -> Iterator[tuple[str, str | None]]:
    """The modules of ours that a program imports, and what of each; None: the module itself."""
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            for module in node.names:
                if module.name.split(".")[0] == "hubbub":
                    yield module.name, None
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hubbub":
            assert node.module is not None
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield (whole, None) if whole in PUBLIC else (node.module, name.name)


@pytest.mark.parametrize("where", [name for name, text in PROGRAMS.items() if "hubbub" in text])
def test_what_the_docs_import_is_public(where: str) -> None:
    """From a public module, by a name that it exports."""
    for module, name in imported(PROGRAMS[where]):
        assert module in PUBLIC, f"{module} is not public: import {name} from one of {PUBLIC}"
        if name is not None:
            exported: list[str] = importlib.import_module(module).__all__
            assert name in exported, f"{module} does not export {name}"


def test_the_page_lists_what_is_public() -> None:
    """By its whole name, or, of stores, as one of their modules."""
    for module in PUBLIC:
        parent, _, last = module.rpartition(".")
        listed = f"`{module}`" in COMPATIBILITY
        assert listed or (f"`{parent}`" in COMPATIBILITY and f"`{last}`" in COMPATIBILITY), module
