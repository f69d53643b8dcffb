"""Read Slack's payloads. Although they are signed, anything missing or malformed reads as empty."""

import re
from typing import Any

from bot.rotation.phrases import sendable

Json = dict[str, Any]


def is_whole(body: Json) -> bool:
    """Tell whether a payload has the parts that Bolt assumes for its type."""
    match body.get("type"):
        case "block_actions":
            actions = body.get("actions")
            return isinstance(actions, list) and bool(actions) and all(isinstance(one, dict) for one in actions)
        case "event_callback":
            return bool(text(body, "event", "type"))
        case "shortcut" | "message_action":
            return bool(text(body, "callback_id"))
        case "view_submission" | "view_closed":
            return bool(text(body, "view", "type") and text(body, "view", "callback_id"))
        case kind:
            return kind is None or isinstance(kind, str)


def part(payload: Any, *path: str) -> Json:
    """Return the object at *path*, or an empty one."""
    for name in path:
        payload = payload.get(name) if isinstance(payload, dict) else None
    return payload if isinstance(payload, dict) else {}


def text(payload: Any, *path: str) -> str:
    """Return the text at *path*, or an empty one."""
    *way, name = path
    return said(part(payload, *way).get(name))


def said(value: Any) -> str:
    """Return *value* if it is text, else an empty string."""
    return sendable(value) if isinstance(value, str) else ""


def person_of(body: Any) -> str:
    """Return who typed, clicked or looked; commands, clicks and events use different fields."""
    return text(body, "user_id") or text(body, "user", "id") or text(body, "event", "user")


def channel_of(body: Any) -> str:
    """Return the channel of a command or click."""
    return text(body, "channel_id") or text(body, "channel", "id")


def team_of(body: Any) -> str:
    """Return the workspace of a payload; for an organization, only the person may name it."""
    return text(body, "team_id") or text(body, "team", "id") or text(body, "user", "team_id")


SHORT_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


def number_of(text: str) -> int:
    """Return the number that *text* is; 0 if it is none."""
    return int(text) if SHORT_NUMBER.fullmatch(text) else 0


def has(view: Json, field: str) -> bool:
    """Tell whether a form has a field."""
    return field in part(view, "state", "values")


def typed(view: Json, field: str, value: str) -> str:
    """Return what was typed into a field of a form."""
    return text(_field(view, field, value), "value")


def chosen_date(view: Json, field: str, value: str) -> str:
    """Return the day that was chosen in a field of a form, as YYYY-MM-DD."""
    return text(_field(view, field, value), "selected_date")


def taken_out(view: Json, field: str, value: str) -> str:
    """Remove what was typed into a field from the payload, and return it."""
    return said(_field(view, field, value).pop("value", None))


def picked(view: Json, field: str, value: str) -> str:
    """Return what was picked in a menu of a form."""
    return text(_field(view, field, value), "selected_option", "value")


def conversation(view: Json, field: str, value: str) -> str:
    """Return the channel that was picked in a form."""
    return text(_field(view, field, value), "selected_conversation")


def member(view: Json, field: str, value: str) -> str:
    """Return the person who was picked in a form."""
    return text(_field(view, field, value), "selected_user")


def day(view: Json, field: str, value: str) -> str:
    """Return the day that was picked in a form, as it is written in ISO 8601."""
    return text(_field(view, field, value), "selected_date")


def chosen(view: Json, field: str, value: str) -> list[str]:
    """Return everything chosen in a menu of a form."""
    options = _field(view, field, value).get("selected_options")
    return [text(option, "value") for option in options] if isinstance(options, list) else []


def _field(view: Json, field: str, value: str) -> Json:
    return part(view, "state", "values", field, value)
