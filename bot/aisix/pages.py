"""Read `/status/config` and `/status/models` of a gateway replica. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bot.rotation.plan import AffectedModel
from bot.rotation.replica import is_throwaway

WORD = re.compile(r"[a-z_]{1,20}")
LISTED_MOST = 256
"""The most rejected rows that a gateway lists; there may be more."""


def read_config(body: Any, ids: Iterable[str]) -> dict[str, Any]:
    """Read the fields of a `Replica` from `/status/config`, and which of *ids* are in a rejected row."""
    if not isinstance(body, dict):
        return {}
    connected = _within(body, "source", "connected")
    rows = _rows(body.get("rejected"))
    words = [" ".join(_strings(row)) for row in rows]
    return {
        "state": state if WORD.fullmatch(state := str(body.get("state") or "")) else "",
        "connected": connected if isinstance(connected, bool) else None,
        "apply_seq": _count_within(body, "applied", "apply_seq"),
        "revision": _count_within(body, "applied", "applied_revision"),
        "observed": _count_within(body, "source", "observed_revision"),
        "rejects": len(rows),
        "rejected": tuple(sorted({id_ for id_ in ids if any(id_ in text for text in words)})),
        "rejects_more": len(rows) >= LISTED_MOST or any(_may_be_any(row) for row in rows),
    }


ROW_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
OF_OURS = re.compile(r"model|provider_?key", re.IGNORECASE)


def _may_be_any(row: Any) -> bool:
    """Tell whether a rejection names no row, so that it may be about one of our models or keys."""
    if any(map(ROW_ID.search, _strings(row))):
        return False
    kind = next((row[name] for name in ("resource_kind", "kind") if row.get(name)), "") if isinstance(row, dict) else ""
    return not kind or OF_OURS.search(str(kind)) is not None


def _within(body: Mapping[str, Any], part: str, name: str) -> Any:
    inner = body.get(part)
    return inner.get(name) if isinstance(inner, dict) else None


def _count_within(body: Mapping[str, Any], part: str, name: str) -> int | None:
    value = _within(body, part, name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _rows(rejected: Any) -> list[Any]:
    """Return the rejections as a list, also if the page has an object of them by id."""
    if isinstance(rejected, dict):
        return [[name, row] for name, row in rejected.items()]
    return rejected if isinstance(rejected, list) else [rejected] if rejected else []


def _strings(value: Any) -> Iterator[str]:
    """Yield every string at any depth, so that an id is found wherever the page has it."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            left += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            left += value


def read_models(body: Any, prefix: str) -> tuple[str, ...] | None:
    """Return the models in `/status/models` whose name begins with *prefix*; None if the page is no such list."""
    if not isinstance(body, list):
        return None
    names = (row.get("display_name") for row in body if isinstance(row, dict))
    return tuple(sorted(name for name in names if isinstance(name, str) and is_throwaway(name, prefix)))


def ids_of(body: Any) -> frozenset[str]:
    """Return the ids of the models in `/status/models`; none if the page is no such list."""
    rows = body if isinstance(body, list) else []
    return frozenset(row["id"] for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str))


def is_foreign(body: Any, models: Iterable[AffectedModel]) -> bool:
    """Tell whether `/status/models` lists an alias of *models* under another id, so is of another environment."""
    if not isinstance(body, list):
        return False
    rows = [row for row in body if isinstance(row, dict)]
    ids = ids_of(body)
    names = {row["display_name"] for row in rows if isinstance(row.get("display_name"), str) and ids}
    return any(model.alias in names and model.id not in ids for model in models)
