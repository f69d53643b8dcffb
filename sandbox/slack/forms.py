"""The values of a form, and the checks of Slack's client before it submits them."""

from copy import deepcopy
from typing import Any

from sandbox.slack import reading

Json = dict[str, Any]
Values = dict[str, dict[str, Json]]

_KEYS = {
    "plain_text_input": ("value", "initial_value"),
    "number_input": ("value", "initial_value"),
    "email_text_input": ("value", "initial_value"),
    "url_text_input": ("value", "initial_value"),
    "static_select": ("selected_option", "initial_option"),
    "external_select": ("selected_option", "initial_option"),
    "radio_buttons": ("selected_option", "initial_option"),
    "checkboxes": ("selected_options", "initial_options"),
    "multi_static_select": ("selected_options", "initial_options"),
    "multi_external_select": ("selected_options", "initial_options"),
    "users_select": ("selected_user", "initial_user"),
    "channels_select": ("selected_channel", "initial_channel"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
}
"""The names of an element's value and of its initial value."""


def key(element: Json) -> str:
    """Return the name of this element's value in payloads."""
    return _KEYS[element["type"]][0]


def fresh(blocks: list[Json], before: Values | None = None) -> Values:
    """Return the values of a new form; keep what was typed *before* under the same ids."""
    values: Values = {}
    for block, element in reading.elements(blocks):
        if element["type"] in _KEYS:
            kept = (before or {}).get(block["block_id"], {}).get(element["action_id"])
            values.setdefault(block["block_id"], {})[element["action_id"]] = deepcopy(kept or _proposed(element))
    return values


def _proposed(element: Json) -> Json:
    name, initial = _KEYS[element["type"]]
    empty: Any = [] if name.endswith("s") else None
    return {"type": element["type"], name: element.get(initial, empty) or empty}


def put(values: Values, block: Json, element: Json, value: Any) -> None:
    """Put *value* into a field."""
    entry = {"type": element["type"], key(element): value}
    values.setdefault(block["block_id"], {})[element["action_id"]] = entry


def field_named(blocks: list[Json], name: str) -> tuple[Json, Json]:
    """Return the field with this label, block_id or action_id."""
    fields = [(block, element) for block, element in reading.elements(blocks) if element["type"] in _KEYS]
    for block, element in fields:
        if name in (label(block), block["block_id"], element["action_id"]):
            return block, element
    raise LookupError(f"There is no field {name!r}; there are {[label(block) for block, _ in fields]}.")


def label(block: Json) -> str:
    """Return a field's label."""
    text = block.get("label") or block.get("text") or {"text": block["block_id"]}
    return str(text["text"])


def options(element: Json) -> list[Json]:
    """Return the options that an element itself lists."""
    groups = element.get("option_groups", [])
    return [*element.get("options", []), *(option for group in groups for option in group["options"])]


def option_named(text: str, offered: list[Json]) -> Json:
    """Return the option that a person means by *text*; a value distinguishes equal texts."""
    for option in (*(o for o in offered if o["value"] == text), *(o for o in offered if o["text"]["text"] == text)):
        return option
    raise LookupError(f"There is no option {text!r}; there are {[o['text']['text'] for o in offered]}.")


def check(blocks: list[Json], values: Values) -> None:
    """Raise ValueError if Slack's client would not submit the form."""
    for block in blocks:
        if block["type"] == "input":
            element = block["element"]
            entry = values.get(block["block_id"], {}).get(element["action_id"], {})
            _check_field(block, element, entry.get(key(element)) if entry else None)


def _check_field(block: Json, element: Json, value: Any) -> None:
    if not value:
        if not block.get("optional"):
            raise ValueError(f"{label(block)}: Please complete this required field.")
        return
    if element["type"] == "plain_text_input":
        _check_length(block, element, value)
    if element["type"] == "number_input":
        float(value)


def _check_length(block: Json, element: Json, value: str) -> None:
    most, least = element.get("max_length", 3000), element.get("min_length", 0)
    if len(value) > most:
        raise ValueError(f"{label(block)}: at most {most} characters fit here, not {len(value)}.")
    if len(value) < least:
        raise ValueError(f"{label(block)}: at least {least} characters are asked for, not {len(value)}.")
