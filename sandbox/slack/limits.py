"""Check what Slack refuses in a message or a view. Pure.

`check_message(blocks)` and `check_view(view)` return one sentence for each problem, with its place; an empty list
means that Slack would accept it. They need no server, so goldens are checked with them too.
"""

from collections.abc import Iterator
from typing import Any

from sandbox.slack.blocks import BLOCKS, IN_HOME, IN_MESSAGE, IN_MODAL
from sandbox.slack.checks import Check, Json, anything, boolean, choice, many, problem, shape, string, typed, unique
from sandbox.slack.elements import check_options, plain
from sandbox.slack.reading import cells

__all__ = ["MESSAGE_TEXT", "UPDATE_TEXT", "VIEW_BYTES", "check_message", "check_options", "check_view"]

MESSAGE_TEXT = 40_000
"""The most characters of `text` that chat.postMessage accepts."""

UPDATE_TEXT = 4_000
"""The most characters of `text` that chat.update accepts."""

VIEW_BYTES = 250_000
"""The most bytes of a view's JSON."""

TABLE_TEXT = 10_000
MARKDOWN_TEXT = 12_000


def check_message(blocks: Any) -> list[str]:
    """Return why Slack would refuse these blocks in a message."""
    found = list(_on(IN_MESSAGE, 50, 0)(blocks, "/blocks"))
    return found or [*_whole(blocks, "/blocks"), *_message_totals(blocks)]


def check_view(view: Any) -> list[str]:
    """Return why Slack would refuse this view, a modal or a home tab."""
    kind = view.get("type") if isinstance(view, dict) else None
    found = list(typed("view", {"modal": MODAL, "home": HOME})(view, "/view"))
    if found or not isinstance(view, dict):
        return found
    return [*_whole(view["blocks"], "/view/blocks"), *(_form_rules(view) if kind == "modal" else ())]


def _on(surface: frozenset[str], most: int, least: int = 1) -> Check:
    return many(typed("block", {kind: BLOCKS[kind] for kind in sorted(surface)}), most, least)


_VIEW: dict[str, Check] = {
    "private_metadata": string(3000, 0),
    "callback_id": string(255, 0),
    "external_id": string(255, 0),
}
MODAL = shape(
    {"type": choice("modal"), "title": plain(24), "blocks": _on(IN_MODAL, 100)},
    {
        **_VIEW,
        "close": plain(24),
        "submit": plain(24),
        "clear_on_close": boolean,
        "notify_on_close": boolean,
        "submit_disabled": boolean,
    },
)
HOME = shape({"type": choice("home"), "blocks": _on(IN_HOME, 100)}, {**_VIEW, "title": anything})


def _whole(blocks: list[Json], at: str) -> Iterator[str]:
    yield from unique("block_id", blocks, at)


def _message_totals(blocks: list[Json]) -> Iterator[str]:
    tables = [block for block in blocks if block["type"] == "table"]
    if len(tables) > 1:
        yield problem("/blocks", "only_one_table_allowed")
    written = sum(len(cell) for table in tables for row in cells(table) for cell in row)
    if written > TABLE_TEXT:
        yield problem("/blocks", f"table text must be at most {TABLE_TEXT} characters (there are {written})")
    marked = sum(len(block["text"]) for block in blocks if block["type"] == "markdown")
    if marked > MARKDOWN_TEXT:
        yield problem("/blocks", f"markdown must be at most {MARKDOWN_TEXT} characters in all (there are {marked})")


def _form_rules(view: Json) -> Iterator[str]:
    inputs = [block["element"] for block in view["blocks"] if block["type"] == "input"]
    if inputs and "submit" not in view:
        yield problem("/view", "missing required field: submit (there are input blocks)")
    if sum(bool(element.get("focus_on_load")) for element in inputs) > 1:
        yield problem("/view/blocks", "focus_on_load may be set on one element only")
