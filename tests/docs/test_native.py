"""The page of the native protocol: its tables and its schema are current, and its examples are true."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from markdown_it import MarkdownIt

from hubbub.core.codecs.native import decode, decode_answer, encode, encode_request
from hubbub.core.hub_limits import HubLimits
from hubbub.core.messages import (
    Answer,
    ErrorAnswer,
    ErrorCode,
    Malformed,
    Member,
    Position,
    Push,
    Request,
    Unknown,
)
from support.json_schema import fits
from support.messages import answers, pushes, requests
from support.tree import ROOT

SCRIPT = ROOT / "docs" / "native.py"
RENEW = "not current: run python docs/native.py"

SENDS = "client sends"
SENDS_WRONGLY = "client sends wrongly"
ANSWERS = "server answers"
PUSHES = "server pushes"


@cache
def native() -> ModuleType:
    """The script that writes the tables and the schema."""
    spec = importlib.util.spec_from_file_location("docs_native", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text() -> str:
    """The page as it is."""
    page: str = native().PAGE.read_text()
    return page


def examples() -> Iterator[tuple[str, str]]:
    """The JSON blocks of the page, each with the comment before it, which says who sends it."""
    who = ""
    for token in MarkdownIt("commonmark").parse(text()):
        if token.type == "html_block":
            who = token.content.strip().removeprefix("<!-- ").removesuffix(" -->")
        elif token.type == "fence" and token.info == "json":
            yield who, token.content
            who = ""


@cache
def schema() -> dict[str, Any]:
    """The schema as it is."""
    whole: dict[str, Any] = json.loads(native().SCHEMA.read_text())
    return whole


def fits_group(value: Any, group: str) -> bool:
    """Whether the schema takes a value as a request, an answer or a push."""
    whole = schema()
    return fits(value, whole["$defs"][group], whole)


def test_the_tables_are_current() -> None:
    """What `python docs/native.py` would write into the page is there."""
    assert text() == native().page(), RENEW


def test_the_schema_is_current() -> None:
    """What `python docs/native.py` would write as the schema is there."""
    assert native().SCHEMA.read_text() == native().schema(), RENEW


def test_an_old_table_is_noticed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of a table that is gone, or was changed, comes back."""
    module = native()
    monkeypatch.setattr(module, "PAGE", tmp_path / "native.md")
    (tmp_path / "native.md").write_text(text_of_page := text_before(module))
    assert module.page() == text_of_page
    damaged = "".join(
        line for line in text_of_page.splitlines(True) if not line.startswith("| `bad_json`")
    )
    (tmp_path / "native.md").write_text(damaged)
    assert module.page() == text_of_page


def text_before(module: ModuleType) -> str:
    """The page in the repository, whatever the script was told."""
    page: str = (module.REFERENCE / "native.md").read_text()
    return page


def test_every_message_has_a_table() -> None:
    """No request, answer, push or part of them is left out."""
    page = text()
    assert [name for name in native().STRUCTS if f"<!-- made: fields {name} -->" not in page] == []
    assert "<!-- made: errors -->" in page
    assert "<!-- made: closes -->" in page
    assert [code for code in ErrorCode if f"| `{code}` | " not in page] == []


def test_every_example_says_who_sends_it() -> None:
    """Before each block of JSON stands a comment that a test can go by."""
    assert {who for who, _ in examples()} == {SENDS, SENDS_WRONGLY, ANSWERS, PUSHES}


def test_every_message_has_an_example() -> None:
    """Each request, answer and push is shown, and so are the parts of them."""
    shown = {
        type(decode(example, HubLimits()) if who == SENDS else decode_answer(example)).__name__
        for who, example in examples()
        if who != SENDS_WRONGLY
    }
    assert set(native().STRUCTS) - shown == {Member.__name__, Position.__name__}


@pytest.mark.parametrize(("who", "example"), list(examples()))
def test_an_example_is_what_is_written(who: str, example: str) -> None:
    """Each example is understood, holds no field that is passed over, and fits the schema."""
    if who == SENDS_WRONGLY:
        assert isinstance(decode(example, HubLimits()), Malformed)
        return
    message: Request | Answer | Push
    if who == SENDS:
        message = decode(example, HubLimits())
        assert not isinstance(message, Malformed), message
        written = encode_request(message)
    else:
        answer = decode_answer(example)
        assert not isinstance(answer, Malformed | Unknown), answer
        written = encode(answer)
    assert json.loads(example) == json.loads(written)
    assert list(json.loads(example)) == list(json.loads(written))
    group = {SENDS: "Request", ANSWERS: "Answer", PUSHES: "Push"}[who]
    # What was unsubscribed by the server itself comes as a push, in the form of the answer.
    assert fits_group(json.loads(example), group) or '"unsubscribed"' in example


def test_the_errors_shown_are_those_that_come() -> None:
    """Behind each wrong request stands the error that it gets, to the letter."""
    blocks = list(examples())
    wrong = [at for at, (who, _) in enumerate(blocks) if who == SENDS_WRONGLY]
    assert wrong
    for at in wrong:
        found = decode(blocks[at][1], HubLimits())
        assert isinstance(found, Malformed)
        error = ErrorAnswer(found.code, found.message, found.field, found.id)
        assert decode_answer(blocks[at + 1][1]) == error


@given(requests)
def test_the_schema_takes_every_request(request: Request) -> None:
    """Whatever a client can write fits the schema."""
    assert fits_group(json.loads(encode_request(request)), "Request")


@given(answers)
def test_the_schema_takes_every_answer(answer: Answer) -> None:
    """Whatever a server can answer fits the schema."""
    assert fits_group(json.loads(encode(answer)), "Answer")


@given(pushes)
def test_the_schema_takes_every_push(push: Push) -> None:
    """Whatever a server can push fits the schema."""
    assert fits_group(json.loads(encode(push)), "Push")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"action": "subscribe", "topics": "alerts"},
        {"action": "subscribe", "topics": []},
        {"action": "ack", "topic": "a", "offset": -1},
        {"action": "ack", "topic": "a", "offset": True},
        {"action": "ping", "id": "x" * 65},
        {"action": "ping", "id": 1.5},
        {"action": "pang"},
        {"type": "published", "topic": "a"},
        {"type": "history", "topic": "a", "publications": [{"type": "x"}]},
    ],
)
def test_the_schema_refuses_what_is_wrong(wrong: Any) -> None:
    """The schema says something: what no peer may send does not fit."""
    assert not fits(wrong, schema(), schema())
    assert isinstance(decode(json.dumps(wrong), HubLimits()), Malformed)


def test_every_field_of_the_schema_is_described() -> None:
    """Each field, but those that name the message, says what it is."""
    for name, kind in native().STRUCTS.items():
        properties = schema()["$defs"][name]["properties"]
        for field in msgspec.structs.fields(kind):
            assert properties[field.encode_name]["description"], (name, field.name)
