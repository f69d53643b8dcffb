"""Decode JSON from outside only if it is unambiguous. Pure."""

import json
from typing import Any

from bot.rotation.phrases import sendable

DEEPEST = 100
"""The deepest nesting that is read: more would exhaust the parser, and no real settings need it."""


class UnreadableJson(ValueError):
    """This is not JSON, or it is ambiguous."""


def decoded(raw: bytes) -> Any:
    """Decode JSON; raise `UnreadableJson` for a duplicate name, a number like NaN, or too deep a nesting."""
    try:
        found = _clean(json.loads(raw, parse_constant=_refuse, object_pairs_hook=_object))
        _check_depth(found)
    except (ValueError, RecursionError) as error:
        raise UnreadableJson(type(error).__name__) from None
    return found


def _refuse(constant: str) -> Any:
    raise UnreadableJson(constant)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; refuse a duplicate name, as its second value would hide the first, which may be a reference."""
    made = {sendable(name): _clean(value) for name, value in pairs}
    if len(made) < len(pairs):
        raise UnreadableJson("a name twice")
    return made


def _clean(value: Any) -> Any:
    """Clean the strings; objects are clean already, and infinite numbers are refused."""
    if isinstance(value, str):
        return sendable(value)
    if isinstance(value, list):
        return [_clean(inner) for inner in value]
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise UnreadableJson("a number too large")
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return
    raise UnreadableJson("too deep")


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
