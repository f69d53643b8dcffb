"""What a person at the browser can do, as a table: each act changes the sandbox and returns the result."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from sandbox.page.screen import HOME_TS
from sandbox.page.secrets import Secrets
from sandbox.page.switches import Switch
from sandbox.slack import Message, Person, Slack

Json = dict[str, Any]

NO_THREAD = "{command} is not supported in threads. Sorry!"
NO_COMMAND = (
    "{command} is not a valid command. In Slack, all messages that start with the “/” character are interpreted as "
    "commands."
)


class Desk(NamedTuple):
    """The person who acts, and what they act on."""

    slack: Slack
    person: Person
    switches: list[Switch]
    secrets: Secrets


Act = Callable[[Desk, Json], Awaitable[Json]]


async def command(desk: Desk, given: Json) -> Json:
    """Type a command with its text."""
    name, _, text = given["text"].partition(" ")
    refusal = NO_THREAD if given.get("thread_ts") else "" if name == "/rotate-key" else NO_COMMAND
    if refusal:
        where = {"channel": given["channel"], "thread_ts": given.get("thread_ts")}
        desk.slack.site.whisper(desk.person.id, refusal.format(command=name), **where)
        return {}
    answer = await desk.person.command(text.strip(), given["channel"], name)
    return {"error": answer.error}


async def say(desk: Desk, given: Json) -> Json:
    """Write a message; no app receives it."""
    channel = desk.slack.channels[given["channel"]]
    text = given["text"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    desk.slack.site.speak(channel, desk.person.id, text, [], thread_ts=given.get("thread_ts"))
    return {}


async def open_home(desk: Desk, _given: Json) -> Json:
    """Open the app's Home."""
    return {"error": (await desk.person.open_home()).error}


async def click(desk: Desk, given: Json) -> Json:
    """Press a button as shown, even if the message has changed since."""
    where = _where(desk, given)
    press = await desk.person.click(
        given["label"], where, value=given.get("value"), row=given["row"], stale=isinstance(where, Message)
    )
    return {"error": press.error}


async def choose(desk: Desk, given: Json) -> Json:
    """Pick an option of a menu in a message."""
    press = await desk.person.choose(given["option"], _where(desk, given), given["action_id"])
    return {"error": press.error}


async def suggest(desk: Desk, given: Json) -> Json:
    """Type into a menu whose options come from the app."""
    return {"options": await desk.person.suggestions(given["query"], given["action_id"], _where(desk, given))}


async def submit(desk: Desk, given: Json) -> Json:
    """Submit the open form with what was typed."""
    sent = await desk.person.submit(given["values"])
    return {"error": sent.error, "errors": sent.errors, "closed": sent.closed}


async def close(desk: Desk, _given: Json) -> Json:
    """Close the open form."""
    await desk.person.close_modal()
    return {}


async def switch(desk: Desk, given: Json) -> Json:
    """Set a switch, or let the provider accept or refuse a secret."""
    kind, _, secret = given["name"].partition("secret ")
    if secret and not kind:
        desk.secrets.set(secret, accepted=given["value"] == "yes")
        return {}
    found = next((each for each in desk.switches if each.name == given["name"]), None)
    if found is None:
        raise LookupError("There is no such switch.")
    found.set(given["value"])
    return {}


async def mint(desk: Desk, _given: Json) -> Json:
    """Create another secret that the provider accepts."""
    desk.secrets.mint()
    return {}


ACTS: dict[str, Act] = {
    "command": command,
    "say": say,
    "home": open_home,
    "click": click,
    "choose": choose,
    "suggest": suggest,
    "submit": submit,
    "close": close,
    "switch": switch,
    "mint": mint,
}


def _where(desk: Desk, given: Json) -> Message | Json | None:
    """Find the message in which something was pressed; None means the form."""
    if "ts" not in given:
        return None
    if given["ts"] == HOME_TS and desk.person.home:
        return desk.person.home
    message = desk.slack.site.world.find(given["channel"], given["ts"])
    found = message or next((each for each in desk.person.ephemerals if each["ts"] == given["ts"]), None)
    if found is None:
        raise LookupError("That message is gone.")
    return found
