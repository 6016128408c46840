"""Write the reference pages that are made from the code: `python docs/tables.py`.

`tests/docs/test_tables.py` checks that they are current.
"""

import ast
import inspect
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from hubbub.core import Limits, limits
from hubbub.core.states import CLOSING, OPENING, Closing, ClosingInput, Opening, OpeningInput

REFERENCE = Path(__file__).parent / "reference"


def limits_page() -> str:
    """Every limit with its default and its reason."""
    lines = [
        "# Limits",
        "",
        "The fields of `hubbub.core.Limits`, which are also keywords of `serve` and `connect`. Sizes",
        "are bytes unless said otherwise; durations are seconds. `None` switches off what may be",
        "switched off. `worst_case_bytes(connections)` adds the sizes up. Made from the code by",
        "`docs/tables.py`.",
        "",
        "| limit | default | what and why |",
        "|---|---|---|",
    ]
    defaults = Limits()
    for name, text in _field_docs(inspect.getsource(limits), "Limits"):
        lines.append(f"| `{name}` | {getattr(defaults, name):,} | {text} |")
    return "\n".join(lines) + "\n"


def _field_docs(source: str, class_name: str) -> list[tuple[str, str]]:
    """The fields of a class and the strings below them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            pairs = zip(node.body, node.body[1:], strict=False)
            return [
                (field.target.id, " ".join(ast.literal_eval(doc.value).split()))
                for field, doc in pairs
                if isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(doc, ast.Expr)
            ]
    raise LookupError(class_name)


def states_page() -> str:
    """The transition tables of one connection."""
    return "\n".join(
        [
            "# States of a connection",
            "",
            "Two small machines run side by side; `hubbub.core.states` explains them. A cell says",
            "where an input leads; an empty one cannot happen. Made from the code by",
            "`docs/tables.py`.",
            "",
            "## Opening",
            "",
            *_table(Opening, OpeningInput, OPENING),
            "",
            "## Closing",
            "",
            *_table(Closing, ClosingInput, CLOSING),
            "",
        ]
    )


def _table(
    states: type[Enum], inputs: type[Enum], table: Mapping[tuple[Any, Any], Enum]
) -> list[str]:
    lines = [
        "| | " + " | ".join(step.value for step in inputs) + " |",
        "|---" * (1 + len(inputs)) + "|",
    ]
    for state in states:
        cells = [table.get((state, step)) for step in inputs]
        texts = " | ".join("" if cell is None else cell.value for cell in cells)
        lines.append(f"| **{state.value}** | {texts} |")
    return lines


PAGES = {"limits.md": limits_page, "states.md": states_page}


if __name__ == "__main__":
    for page, make in PAGES.items():
        (REFERENCE / page).write_text(make())
