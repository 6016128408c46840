"""Write what is made from the code in the pages of the native protocol: `python docs/native.py`.

In `reference/native.md` that is what stands between `<!-- made: … -->` and `<!-- end -->`; the
rest is written by hand. `reference/native.schema.json` is made as a whole. `tests/docs/test_native.py`
checks that both are current.
"""

import ast
import inspect
import json
import re
from collections.abc import Iterator
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import msgspec
from msgspec import inspect as kinds

from hubbub.core import frames, messages

REFERENCE = Path(__file__).parent / "reference"
PAGE = REFERENCE / "native.md"
SCHEMA = REFERENCE / "native.schema.json"

REGION = re.compile(r"(<!-- made: (\w+)(?: (\w+))? -->\n).*?(?=<!-- end -->)", re.DOTALL)

GROUPS: dict[str, list[type[msgspec.Struct]]] = {
    "Request": [kind for kind in get_args(messages.Request) if kind is not messages.Malformed],
    "Answer": list(get_args(messages.Answer)),
    "Push": list(get_args(messages.Push)),
}
PARTS: list[type[msgspec.Struct]] = [messages.Position, messages.Member]
STRUCTS = {kind.__name__: kind for kind in (*PARTS, *(k for g in GROUPS.values() for k in g))}


def page() -> str:
    """The page, with what is made anew."""

    def made(found: re.Match[str]) -> str:
        match found[2]:
            case "fields":
                lines = fields_table(found[3])
            case "errors":
                lines = errors_table()
            case "closes":
                lines = closes_table()
            case other:
                raise LookupError(other)
        return found[1] + "\n" + "\n".join(lines) + "\n\n"

    return REGION.sub(made, PAGE.read_text())


def fields_table(name: str) -> list[str]:
    """What each field of a message is."""
    kind = STRUCTS[name]
    lines = ["| field | type | what |", "|---|---|---|"]
    config = kind.__struct_config__
    if config.tag is not None:
        lines.append(f"| `{config.tag_field}` | `{json.dumps(config.tag)}` | |")
    docs = docs_in(messages, name)
    for field in msgspec.structs.fields(kind):
        type_ = words(kinds.type_info(field.type), nullable=field.required)
        need = "" if field.required else ", optional"
        lines.append(f"| `{field.encode_name}` | {type_}{need} | {docs[field.name]} |")
    return lines


def words(type_: kinds.Type, *, nullable: bool = False) -> str:
    """A type, for people. That a field which may be absent may be null too is said once, in prose."""
    match type_:
        case kinds.UnionType(types=types):
            # Of what a server keeps as it wrote it, only the meaning is told.
            told = [one for one in types if not isinstance(one, kinds.RawType)]
            if not nullable:
                told = [one for one in told if not isinstance(one, kinds.NoneType)]
            return " or ".join(words(one) for one in told)
        case kinds.VarTupleType(item_type=item):
            return "list of " + re.sub(r"^(string|\[\w+)", r"\1s", words(item))
        case kinds.DictType(value_type=value):
            return f"object of {words(value)} by topic"
        case kinds.StructType(cls=cls) if cls in PARTS:
            return f"[{cls.__name__.lower()}](#{cls.__name__.lower()}s)"
        case kinds.StructType(cls=cls):
            return f"`{cls.__struct_config__.tag}`"
        case kinds.LiteralType(values=values):
            return " or ".join(f'`"{value}"`' for value in values)
        case _:
            return _PLAIN[type(type_)]


_PLAIN: dict[type[kinds.Type], str] = {
    kinds.AnyType: "any JSON",
    kinds.BoolType: "true or false",
    kinds.FloatType: "number",
    kinds.IntType: "whole number",
    kinds.NoneType: "null",
    kinds.StrType: "string",
}


def errors_table() -> list[str]:
    """What each code of an error means."""
    docs = docs_in(messages, "ErrorCode")
    lines = ["| code | what it means |", "|---|---|"]
    lines += [f"| `{code}` | {docs[code.name]} |" for code in messages.ErrorCode]
    return lines


def closes_table() -> list[str]:
    """What each close code of a hub means, and whether to come back."""
    docs = docs_in(frames, "CloseCode")
    lines = ["| code | what it means | come back? |", "|---|---|---|"]
    lines += [
        f"| {int(code)} | {docs[code.name]} | {come_back} |"
        for code, come_back in sorted(frames.COME_BACK.items())
    ]
    how = docs_in(frames, "ComeBack")
    lines += ["", *(f"- **{one}**: {_lower(how[one.name])}" for one in frames.ComeBack)]
    return lines


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def docs_in(module: ModuleType, class_name: str) -> dict[str, str]:
    """The names in a class, fields or members, and the strings below them."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return dict(_documented(node.body))
    raise LookupError(class_name)


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for named, doc in pairwise(body):
        match named:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                if isinstance(doc, ast.Expr):
                    yield name, " ".join(ast.literal_eval(doc.value).split())
            case _:
                pass


def schema() -> str:
    """A JSON Schema of all that is sent, by either side."""
    _, components = msgspec.json.schema_components(
        list(STRUCTS.values()), ref_template="#/$defs/{name}"
    )
    for name, component in components.items():
        docs = docs_in(messages, name)
        component["description"] = " ".join(component["description"].split())
        for field, property_ in component["properties"].items():
            for part in (property_, property_.get("items", {})):
                if {} in part.get("anyOf", []):
                    # What a server kept as it wrote it is one of the other kinds.
                    part["anyOf"].remove({})
            if field in docs:
                property_["description"] = docs[field]
    groups: dict[str, Any] = {
        group: {"anyOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in members]}
        for group, members in GROUPS.items()
    }
    whole = {
        "$comment": "JSON Schema, 2020-12",
        "title": "The native protocol of hubbub",
        "description": "A client sends a Request; a server sends an Answer or a Push.",
        "anyOf": [{"$ref": f"#/$defs/{group}"} for group in groups],
        "$defs": groups | components,
    }
    return json.dumps(whole, indent=2, ensure_ascii=False, default=_value) + "\n"


def _value(value: object) -> object:
    assert isinstance(value, Enum)
    return value.value


if __name__ == "__main__":
    PAGE.write_text(page())
    SCHEMA.write_text(schema())
