"""Build the payloads that Slack sends to an app."""

import html
import json
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from sandbox.slack import forms
from sandbox.slack.site import Site
from sandbox.slack.world import APP_ID, BOT_USER, HOME, Channel, Message, User

Json = dict[str, Any]

TOKEN = "sandbox-verification-token"
DOMAIN = "sandbox"


@dataclass
class Place:
    """Where a person presses something: a message, something only they see, or a view."""

    blocks: list[Json]
    values: forms.Values
    parts: Json
    channel: str | None = None
    message_ts: str | None = None
    view: Json | None = None
    more: Json = field(default_factory=dict)


def command(site: Site, user: User, channel: Channel, name: str, text: str) -> Json:
    """Return a slash command, as form fields."""
    return {
        "token": TOKEN,
        "team_id": user.team,
        "team_domain": DOMAIN,
        "channel_id": channel.id,
        "channel_name": channel.name,
        "user_id": user.id,
        "user_name": user.name,
        "command": name,
        "text": html.escape(text, quote=False) if site.switches.escape_commands else text,
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
        "response_url": response_url(site, user, channel.id),
        "trigger_id": site.triggers.give(user.id),
    }


def response_url(site: Site, user: User, channel: str | None) -> str:
    """Return a new URL at which an app may answer this person."""
    return f"{site.base_url}/actions/{HOME}/{site.response_urls.give(user.id, channel)}"


def in_message(site: Site, user: User, message: Message) -> Place:
    """Return the place of a message that everyone in a channel sees."""
    shown = site.world.shown(message)
    container = _container(message.channel, message.ts, shown.get("thread_ts"), is_ephemeral=False)
    parts = {"container": container, "message": shown, "channel": _channel(site, message.channel)}
    return _with_state(site, user, Place(message.blocks, {}, parts, message.channel, message.ts))


def in_ephemeral(site: Site, user: User, shown: Json) -> Place:
    """Return the place of a message that only this person sees; Slack does not send its content."""
    container = _container(shown["channel"], shown["ts"], shown["thread_ts"], is_ephemeral=True)
    parts = {"container": container, "channel": _channel(site, shown["channel"])}
    return _with_state(site, user, Place(shown["blocks"], {}, parts, shown["channel"], shown["ts"]))


def in_view(view: Json) -> Place:
    """Return the place of a modal or a home tab."""
    values: forms.Values = view["state"]["values"]
    return Place(view["blocks"], values, {"container": {"type": "view", "view_id": view["id"]}}, view=view)


def interaction(kind: str, user: User, place: Place, **more: Any) -> Json:
    """Return the fields of every interaction, and *more*."""
    shown = {"view": deepcopy(place.view)} if place.view else {}
    return {
        "type": kind,
        "token": TOKEN,
        "api_app_id": APP_ID,
        "team": {"id": HOME, "domain": DOMAIN},
        "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team},
        "enterprise": None,
        "is_enterprise_install": False,
        **deepcopy(place.parts),
        **shown,
        **more,
    }


def press(site: Site, user: User, place: Place, action: Json) -> Json:
    """Return the payload of a pressed button or a chosen option."""
    more: Json = {"actions": [action | {"action_ts": site.world.next_ts()}]}
    if place.view is None:
        more["state"] = {"values": deepcopy(place.values)}
        more["response_url"] = response_url(site, user, place.channel)
    return interaction("block_actions", user, place, trigger_id=site.triggers.give(user.id), **more)


def submission(site: Site, user: User, view: Json) -> Json:
    """Return the payload of a submitted form."""
    place = Place([], {}, {}, view=view)
    trigger = site.triggers.give(user.id)
    return interaction("view_submission", user, place, trigger_id=trigger, response_urls=[])


def closing(user: User, view: Json, *, cleared: bool) -> Json:
    """Return the payload of a form closed without submitting it."""
    return interaction("view_closed", user, Place([], {}, {}, view=view), is_cleared=cleared)


def home_opened(site: Site, user: User, shown: Json | None) -> Json:
    """Return the event of a person who opens the app's Home; it has the view only if one was published."""
    event: Json = {
        "type": "app_home_opened",
        "user": user.id,
        "channel": site.world.direct_channel(user.id).id,
        "tab": "home",
        "event_ts": site.world.next_ts(),
    }
    return {
        "type": "event_callback",
        "token": TOKEN,
        "team_id": HOME,
        "api_app_id": APP_ID,
        "event": event | ({"view": deepcopy(shown)} if shown else {}),
        "event_id": site.world.next_id("Ev"),
        "event_time": int(site.world.now()),
        "authorizations": [{"team_id": HOME, "user_id": BOT_USER, "is_bot": True, "is_enterprise_install": False}],
        "is_ext_shared_channel": False,
    }


def shortcut(site: Site, user: User, callback_id: str) -> Json:
    """Return the payload of a global shortcut; it belongs to no channel, so no address can answer it."""
    more = {"callback_id": callback_id, "action_ts": site.world.next_ts(), "trigger_id": site.triggers.give(user.id)}
    return interaction("shortcut", user, Place([], {}, {}), **more)


def message_shortcut(site: Site, user: User, callback_id: str, message: Message) -> Json:
    """Return the payload of a shortcut on a message."""
    place = Place([], {}, {"channel": _channel(site, message.channel), "message": site.world.shown(message)})
    return interaction(
        "message_action",
        user,
        place,
        callback_id=callback_id,
        message_ts=message.ts,
        action_ts=site.world.next_ts(),
        trigger_id=site.triggers.give(user.id),
        response_url=response_url(site, user, message.channel),
    )


def form_fields(kind: str, payload: Json) -> dict[str, str]:
    """Return the payload as form fields of an HTTP request."""
    return payload if kind == "slash_commands" else {"payload": json.dumps(payload)}


def _container(channel: str | None, ts: str, thread_ts: str | None, *, is_ephemeral: bool) -> Json:
    container = {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": is_ephemeral}
    return container | ({"thread_ts": thread_ts} if thread_ts else {})


def _channel(site: Site, channel_id: str | None) -> Json | None:
    channel = site.world.channels.get(channel_id or "")
    return {"id": channel.id, "name": channel.name} if channel else None


def _with_state(site: Site, user: User, place: Place) -> Place:
    """Return the place with what this person has chosen there so far."""
    known = site.selections.get((user.id, place.message_ts or ""))
    place.values = site.selections[(user.id, place.message_ts or "")] = forms.fresh(place.blocks, known)
    return place
