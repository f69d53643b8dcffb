"""What Slack accepts inside a block: text, options, confirm dialogs and interactive elements."""

from collections.abc import Iterator
from typing import Any

from sandbox.slack.checks import (
    Check,
    Json,
    boolean,
    choice,
    integer,
    many,
    problem,
    shape,
    string,
    typed,
    unique,
)

IDENTIFIER = string(255)
URL = string(3000)
PEOPLE = many(string(255), 100)
BUTTON_STYLE = choice("primary", "danger")


def plain(most: int) -> Check:
    """Check a plain_text object."""
    return typed("text", {"plain_text": shape({"text": string(most)}, {"emoji": boolean})})


def text(most: int) -> Check:
    """Check a text object of either kind."""
    marked = shape({"text": string(most)}, {"verbatim": boolean})
    return typed("text", {"plain_text": shape({"text": string(most)}, {"emoji": boolean}), "mrkdwn": marked})


PLACEHOLDER = plain(150)
CONFIRM = shape(
    {"title": plain(100), "text": text(300), "confirm": plain(30), "deny": plain(30)},
    {"style": BUTTON_STYLE},
)


def option(label: Check) -> Check:
    """Check one option; its value, which payloads return, must be short."""
    return shape({"text": label, "value": string(150)}, {"description": text(75), "url": URL})


MENU_OPTION = option(plain(75))
LISTED_OPTION = option(text(75))
MENU_OPTIONS = many(MENU_OPTION, 100)
OPTION_GROUPS = many(shape({"label": plain(75), "options": MENU_OPTIONS}), 100)
IMAGE_ELEMENT = shape({"alt_text": string(2000)}, {"image_url": URL, "slack_file": shape({}, {"id": IDENTIFIER})})
DISPATCH = shape({}, {"trigger_actions_on": many(choice("on_enter_pressed", "on_character_entered"), 2)})

COMMON: dict[str, Check] = {"action_id": IDENTIFIER}
ASKING: dict[str, Check] = {**COMMON, "confirm": CONFIRM}
FOCUS: dict[str, Check] = {"focus_on_load": boolean}
MENU: dict[str, Check] = {**ASKING, **FOCUS, "placeholder": PLACEHOLDER}
TYPED: dict[str, Check] = {**COMMON, **FOCUS, "placeholder": PLACEHOLDER, "dispatch_action_config": DISPATCH}


def _options_or_groups(value: Json, at: str) -> Iterator[str]:
    if ("options" in value) == ("option_groups" in value):
        yield problem(at, "must have either options or option_groups")


def _lengths_in_order(value: Json, at: str) -> Iterator[str]:
    if value.get("min_length", 0) > value.get("max_length", 3000):
        yield problem(at, "min_length must not exceed max_length")


BUTTON = shape(
    {"text": plain(75)},
    {**ASKING, "value": string(2000), "url": URL, "style": BUTTON_STYLE, "accessibility_label": string(75)},
)
OVERFLOW = shape({"options": many(option(plain(75)), 5)}, ASKING)
PLAIN_INPUT = shape(
    {},
    {
        **TYPED,
        "multiline": boolean,
        "initial_value": string(3000, 0),
        "min_length": integer(0, 3000),
        "max_length": integer(1, 3000),
    },
    _lengths_in_order,
)
NUMBER_INPUT = shape(
    {"is_decimal_allowed": boolean},
    {**TYPED, "initial_value": string(255), "min_value": string(255), "max_value": string(255)},
)
LINE_INPUT = shape({}, {**TYPED, "initial_value": string(3000, 0)})
CHECKBOXES = shape(
    {"options": many(LISTED_OPTION, 10)}, {**ASKING, **FOCUS, "initial_options": many(LISTED_OPTION, 10)}
)
RADIO_BUTTONS = shape({"options": many(LISTED_OPTION, 10)}, {**ASKING, **FOCUS, "initial_option": LISTED_OPTION})


def _menus() -> dict[str, Check]:
    """Return the checks of every select menu, single and multi."""
    some = {"max_selected_items": integer(1, 100)}
    listed = {"options": MENU_OPTIONS, "option_groups": OPTION_GROUPS}
    query = {"min_query_length": integer(0, 100)}
    one, several = {"initial_option": MENU_OPTION}, {"initial_options": MENU_OPTIONS}
    table: dict[str, Check] = {
        "static_select": shape({}, {**MENU, **listed, **one}, _options_or_groups),
        "external_select": shape({}, {**MENU, **query, **one}),
        "multi_static_select": shape({}, {**MENU, **listed, **several, **some}, _options_or_groups),
        "multi_external_select": shape({}, {**MENU, **query, **several, **some}),
    }
    for what in ("user", "conversation", "channel"):
        table[f"{what}s_select"] = shape({}, {**MENU, f"initial_{what}": IDENTIFIER, **_picking(what)})
        table[f"multi_{what}s_select"] = shape({}, {**MENU, f"initial_{what}s": PEOPLE, **some, **_picking(what)})
    return table


def _picking(what: str) -> dict[str, Check]:
    if what == "user":
        return {}
    kinds = many(choice("im", "mpim", "private", "public"), 4)
    left_out = {"exclude_bot_users": boolean, "exclude_external_shared_channels": boolean}
    return {
        "response_url_enabled": boolean,
        "default_to_current_conversation": boolean,
        "filter": shape({}, {"include": kinds, **left_out}),
    }


MENUS = _menus()
PICKERS: dict[str, Check] = {
    "datepicker": shape({}, {**MENU, "initial_date": string(10, 10)}),
    "timepicker": shape({}, {**MENU, "initial_time": string(5, 5), "timezone": string(255)}),
    "datetimepicker": shape({}, {**ASKING, **FOCUS, "initial_date_time": integer(0, 9_999_999_999)}),
}
CHOICES: dict[str, Check] = {**MENUS, **PICKERS, "checkboxes": CHECKBOXES, "radio_buttons": RADIO_BUTTONS}
IN_ACTIONS: dict[str, Check] = {**CHOICES, "button": BUTTON, "overflow": OVERFLOW}
IN_SECTION: dict[str, Check] = {**IN_ACTIONS, "image": IMAGE_ELEMENT}
IN_INPUT: dict[str, Check] = {
    **CHOICES,
    "plain_text_input": PLAIN_INPUT,
    "number_input": NUMBER_INPUT,
    "email_text_input": LINE_INPUT,
    "url_text_input": LINE_INPUT,
}
IN_CONTEXT: dict[str, Check] = {
    "image": IMAGE_ELEMENT,
    "plain_text": plain(3000),
    "mrkdwn": text(3000),
}
"""Slack has no masked input: it refuses an element of type `password` like any unknown type."""


def distinct_actions(value: Json, at: str) -> Iterator[str]:
    """Refuse two elements of one block with the same action_id."""
    yield from unique("action_id", value["elements"], f"{at}/elements")


def check_options(answer: Any) -> list[str]:
    """Return what is wrong with the answer to a type-ahead; an empty list means that Slack shows it."""
    lists: dict[str, Check] = {"options": many(MENU_OPTION, 100, 0), "option_groups": many(_GROUP, 100, 0)}
    return list(shape({}, lists, _options_or_groups)(answer, ""))


_GROUP = shape({"label": plain(75), "options": many(MENU_OPTION, 100, 0)})
