"""As much of JSON Schema 2020-12 as our own schema uses; a keyword beyond that is an error."""

from __future__ import annotations

from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "null": type(None),
    "number": (int, float),
    "object": dict,
    "string": str,
}
_SAYS_NOTHING = {"$comment", "$defs", "default", "description", "discriminator", "title"}


def fits(value: Any, schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Whether a value is what a schema, a part of a whole one, describes."""
    return all(
        _fits(value, keyword, says, whole)
        for keyword, says in schema.items()
        if keyword not in _SAYS_NOTHING
    )


def _fits(value: Any, keyword: str, says: Any, whole: dict[str, Any]) -> bool:
    match keyword:
        case "$ref":
            return fits(value, whole["$defs"][says.removeprefix("#/$defs/")], whole)
        case "anyOf":
            return any(fits(value, one, whole) for one in says)
        case "type":
            return isinstance(value, _TYPES[says]) and (says == "boolean") == isinstance(
                value, bool
            )
        case "enum":
            return value in says
        case "minimum":
            return not isinstance(value, int) or value >= says
        case "maximum":
            return not isinstance(value, int) or value <= says
        case "maxLength":
            return not isinstance(value, str) or len(value) <= says
        case "minItems":
            return not isinstance(value, list) or len(value) >= says
        case "items":
            return not isinstance(value, list) or all(fits(one, says, whole) for one in value)
        case "required":
            return not isinstance(value, dict) or set(says) <= set(value)
        case "additionalProperties":
            return not isinstance(value, dict) or all(
                fits(one, says, whole) for one in value.values()
            )
        case "properties":
            return not isinstance(value, dict) or all(
                fits(value[name], one, whole) for name, one in says.items() if name in value
            )
        case _:
            raise NotImplementedError(keyword)
