"""Process the body of an acknowledgement as Slack does."""

from typing import Any

from sandbox.slack.refusal import Refusal
from sandbox.slack.site import Site
from sandbox.slack.world import BOT_USER

Json = dict[str, Any]
Outcome = tuple[dict[str, str], str | None]


def show_command_answer(site: Site, typed: Json, body: Any) -> tuple[str, list[Json]]:
    """Show the answer to the *typed* command; `in_channel` publishes the command too."""
    if not body:
        return "", []
    answer = body if isinstance(body, dict) else {"text": str(body)}
    try:
        text, blocks = site.checked(answer)
    except Refusal as refusal:
        site.complain(f"The answer to {typed['command']} was refused: {refusal}")
        return "", []
    if answer.get("response_type") == "in_channel":
        channel = site.world.channels[typed["channel_id"]]
        site.speak(channel, typed["user_id"], f"{typed['command']} {typed['text']}".strip(), [])
        site.speak(channel, BOT_USER, text, blocks)
    else:
        site.whisper(typed["user_id"], text, blocks, channel=typed["channel_id"])
    return text, blocks


def take_submission_answer(site: Site, person: str, view_id: str, body: Any) -> Outcome:
    """Do what the answer to a submission asks for; return the errors to show, and Slack's error code if it failed."""
    stack = site.views.stack(person)
    view = next((each for each in stack if each["id"] == view_id), None)
    if view is None:
        return {}, None
    try:
        return _act(site, person, view, body or {}), None
    except Refusal as refusal:
        site.complain(f"The answer to {view['callback_id']!r} was refused: {refusal}")
        return {}, refusal.error
    finally:
        site.changes.wake()


def _act(site: Site, person: str, view: Json, answer: Json) -> dict[str, str]:
    match answer.get("response_action"):
        case "errors":
            return _errors(view, answer.get("errors"))
        case "update":
            site.changes.announce(
                "modal", {"user": person, "view": site.views.replace(person, view, answer.get("view"))}
            )
        case "clear":
            _close(site, person, view, site.views.stack(person))
        case None if not answer:
            _close(site, person, view, [view])
        case other:
            raise Refusal("invalid_response_action", [f"[ERROR] response_action {other!r}"])
    return {}


def _close(site: Site, person: str, view: Json, gone: list[Json]) -> None:
    site.views.stacks[person] = [each for each in site.views.stack(person) if each not in gone]
    site.changes.announce("modal_closed", {"user": person, "view": view})


def _errors(view: Json, errors: Any) -> dict[str, str]:
    """Return the errors to show; Slack shows none of them if one names a missing block."""
    inputs = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors:
        raise Refusal("invalid_errors", ["[ERROR] errors must name at least one block"])
    if unknown := set(errors) - inputs:
        raise Refusal("invalid_errors", [f"[ERROR] no input block has block_id {sorted(unknown)}"])
    if not all(isinstance(said, str) and said for said in errors.values()):
        raise Refusal("invalid_errors", ["[ERROR] an error must be a sentence"])
    return errors
