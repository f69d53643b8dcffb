"""Composable checks that describe, as data, the JSON that Slack accepts.

A check walks one value and yields a sentence for each thing that Slack would refuse, with a JSON pointer to it. It
never raises, whatever the value.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]
Check = Callable[[Any, str], Iterator[str]]


def problem(at: str, what: str) -> str:
    """Format a problem as Slack does in `response_metadata.messages`."""
    return f"[ERROR] {what} [json-pointer:{at}]"


def string(most: int, least: int = 1) -> Check:
    """Check a string's length; the empty string is refused unless *least* is 0."""

    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield problem(at, "must provide a string")
        elif len(value) > most:
            yield problem(at, f"must be at most {most} characters (there are {len(value)})")
        elif len(value) < least:
            yield problem(at, f"must be at least {least} characters")

    return check


def integer(least: int, most: int) -> Check:
    """Check a whole number between two bounds, inclusive."""

    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            yield problem(at, f"must be a whole number from {least} to {most}")

    return check


def boolean(value: Any, at: str) -> Iterator[str]:
    """Check for true or false; the strings "true" and "false" are neither."""
    if not isinstance(value, bool):
        yield problem(at, "must be true or false")


def number(value: Any, at: str) -> Iterator[str]:
    """Check for a JSON number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        yield problem(at, "must be a number")


def anything(_value: Any, _at: str) -> Iterator[str]:
    """Accept anything: this sandbox does not check it."""
    yield from ()


def choice(*allowed: str) -> Check:
    """Check for one of a few words."""

    def check(value: Any, at: str) -> Iterator[str]:
        if value not in allowed:
            yield problem(at, f"must be one of {', '.join(allowed)}")

    return check


def many(item: Check, most: int, least: int = 1) -> Check:
    """Check an array's length, then each of its items."""

    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield problem(at, "must be an array")
            return
        if len(value) > most:
            yield problem(at, f"no more than {most} items allowed (there are {len(value)})")
        if len(value) < least:
            yield problem(at, f"no fewer than {least} items allowed")
        for index, each in enumerate(value):
            yield from item(each, f"{at}/{index}")

    return check


def nullable(item: Check) -> Check:
    """Accept null, and check everything else."""

    def check(value: Any, at: str) -> Iterator[str]:
        if value is not None:
            yield from item(value, at)

    return check


def shape(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, *rules: Check) -> Check:
    """Check an object that may only have known properties; *rules* check it once its parts are valid."""
    known = {**required, **(optional or {}), "type": anything}

    def check(value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield problem(at, "must provide an object")
            return
        found = [*_missing(value, required, at), *_parts(value, known, at)]
        yield from found
        if not found:
            for rule in rules:
                yield from rule(value, at)

    return check


def _missing(value: Json, required: Mapping[str, Check], at: str) -> Iterator[str]:
    for name in required:
        if name not in value:
            yield problem(at, f"missing required field: {name}")


def _parts(value: Json, known: Mapping[str, Check], at: str) -> Iterator[str]:
    for name, part in value.items():
        if name in known:
            yield from known[name](part, f"{at}/{name}")
        else:
            yield problem(at, f"invalid additional property: {name}")


def typed(what: str, table: Mapping[str, Check]) -> Check:
    """Check an object by its `type`; refuse a type that is not in *table*."""

    def check(value: Any, at: str) -> Iterator[str]:
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in table:
            yield problem(f"{at}/type" if kind else at, f"unsupported {what} type: {kind}")
        else:
            yield from table[kind](value, at)

    return check


def at_least_one_of(*names: str) -> Check:
    """Check that an object has one of several properties."""

    def check(value: Any, at: str) -> Iterator[str]:
        if not any(value.get(name) for name in names):
            yield problem(at, f"must have one of {', '.join(names)}")

    return check


def unique(name: str, items: list[Any], at: str) -> Iterator[str]:
    """Refuse the same *name* on two of *items*; a missing one is no duplicate."""
    seen: set[Any] = set()
    for item in items:
        value = item.get(name) if isinstance(item, dict) else None
        if isinstance(value, str) and value in seen:
            yield problem(at, f"{name} {value!r} is used more than once")
        seen.add(value if isinstance(value, str) else None)
