"""Reads what Slack sends. It comes signed; all the same, what is missing or of another shape reads as nothing."""

from typing import Any

from bot.rotation.phrases import sendable

Json = dict[str, Any]


def is_whole(body: Json) -> bool:
    """Tell whether a payload has the parts that Bolt takes for granted in one of its type."""
    match body.get("type"):
        case "block_actions":
            actions = body.get("actions")
            return isinstance(actions, list) and bool(actions) and all(isinstance(one, dict) for one in actions)
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
    """Return *value* if it is text."""
    return sendable(value) if isinstance(value, str) else ""


def person_of(body: Any) -> str:
    """Return who typed or clicked: commands and clicks name it differently."""
    return text(body, "user_id") or text(body, "user", "id")


def channel_of(body: Any) -> str:
    """Return where."""
    return text(body, "channel_id") or text(body, "channel", "id")


def team_of(body: Any) -> str:
    """Return the workspace that a payload comes from; an organization's can leave it to the person."""
    return text(body, "team_id") or text(body, "team", "id") or text(body, "user", "team_id")


def has(view: Json, field: str) -> bool:
    """Tell whether a form has a field."""
    return field in part(view, "state", "values")


def typed(view: Json, field: str, value: str) -> str:
    """Return what was typed into a field of a form."""
    return text(_field(view, field, value), "value")


def taken_out(view: Json, field: str, value: str) -> str:
    """Take out what was typed into a field: the payload no longer holds it."""
    return said(_field(view, field, value).pop("value", None))


def picked(view: Json, field: str, value: str) -> str:
    """Return what was picked in a menu of a form."""
    return text(_field(view, field, value), "selected_option", "value")


def chosen(view: Json, field: str, value: str) -> list[str]:
    """Return all that was chosen in a menu of a form."""
    options = _field(view, field, value).get("selected_options")
    return [text(option, "value") for option in options] if isinstance(options, list) else []


def _field(view: Json, field: str, value: str) -> Json:
    return part(view, "state", "values", field, value)
