"""Find what a person means on a screen, by its text."""

from typing import Any

from sandbox.slack import reading

Json = dict[str, Any]
Found = tuple[Json, Json]
"""A block, and an element in it."""


def button(versions: list[list[Json]], label: str, value: str | None, row: str | None = None) -> Found:
    """Return the button *label* in the first version that has it; *value* or *row* distinguishes equal labels."""
    for blocks in versions:
        found = [(b, e) for b, e in reading.buttons(blocks) if reading.caption(e) == label]
        found = [(b, e) for b, e in found if value in (None, e.get("value")) and row in (None, b["block_id"])]
        if len(found) > 1:
            raise LookupError(
                f"{len(found)} buttons say {label!r}; name a value of {[e.get('value') for _, e in found]}."
            )
        if found:
            return found[0]
    there = [reading.caption(element) for _block, element in reading.buttons(versions[0])]
    raise LookupError(f"There is no button {label!r}; there are {there}.")


def external(blocks: list[Json], action_id: str | None) -> Found:
    """Return the external select; *action_id* chooses one of several."""
    for block, element in reading.elements(blocks):
        if element["type"].endswith("external_select") and action_id in (None, element["action_id"]):
            return block, element
    raise LookupError(f"There is no external select {action_id or ''} here.")


def ids(block: Json, element: Json) -> Json:
    """Return the ids with which an action names its element."""
    return {"action_id": element["action_id"], "block_id": block["block_id"]}


def dialog(element: Json) -> dict[str, str] | None:
    """Return the texts of an element's confirm dialog, if it has one."""
    dialog = element.get("confirm")
    return {part: dialog[part]["text"] for part in ("title", "text", "confirm", "deny")} if dialog else None
