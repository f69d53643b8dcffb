"""The manifest is what the code needs, neither more nor less, and within Slack's limits."""

import re
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from time import monotonic
from typing import Any

import yaml
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from handlers import register
from handlers.answers import Answers
from handlers.background import Background
from handlers.commands import COMMAND
from handlers.pressed import Absence
from handlers.workspace import Workspace

ROOT = Path(__file__).parents[2]
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yml").read_text(encoding="utf-8"))

SCOPES: Mapping[str, str | None] = {
    "auth_test": None,
    "blocks_validate": None,
    "bots_info": "users:read",
    "apps_connections_open": None,  # connections:write, of the app-level token
    "files_upload_v2": "files:write",
    "chat_delete": "chat:write",
    "chat_postEphemeral": "chat:write",
    "chat_postMessage": "chat:write",
    "chat_update": "chat:write",
    "users_conversations": "channels:read groups:read",
    "users_info": "users:read users:read.email",
    "usergroups_users_list": "usergroups:read",
    "views_open": None,
    "views_publish": None,
    "views_update": None,
}
"""The scope of each Web API method that the bot may call; a new call has to be entered here."""

METHODS = {name for name in vars(AsyncWebClient) if "_" in name and not name.startswith("_") and name != "api_call"}


class Registered(AsyncApp):
    """Keeps what is registered, and registers nothing."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        for kind in ("command", "action", "event", "options", "shortcut", "view"):
            setattr(self, kind, partial(self._keep, kind))

    def use(self, *args: Any, **_: Any) -> Any:
        return args[0]

    def _keep(self, kind: str, name: str) -> Any:
        self.found.append((kind, name))
        return lambda listener: listener


def registered() -> list[tuple[str, str]]:
    parts = {"workspace": Workspace(), "answers": Answers(AsyncWebClient(), 1), "background": Background()}
    register(app := Registered(), absence=Absence(monotonic), **parts)
    return app.found


@cache
def called() -> set[str]:
    """Return the Web API methods that the code of the bot names."""
    files = [*(ROOT / "handlers").rglob("*.py"), *(ROOT / "bot").rglob("*.py")]
    named = {name for file in files for name in re.findall(r"\.(\w+)", file.read_text(encoding="utf-8"))}
    return named & METHODS


def test_the_commands_shortcuts_and_events_are_those_that_are_registered() -> None:
    features, settings = MANIFEST["features"], MANIFEST["settings"]

    assert [command["command"] for command in features["slash_commands"]] == of_kind("command") == [COMMAND]
    assert [shortcut["callback_id"] for shortcut in features["shortcuts"]] == of_kind("shortcut")
    assert settings["event_subscriptions"] == {"bot_events": of_kind("event")}
    assert {kind for kind, _ in registered()} == {"action", "command", "event", "options", "shortcut", "view"}
    assert settings["interactivity"]["is_enabled"] is True
    assert features["app_home"]["home_tab_enabled"] is True


def of_kind(wanted: str) -> list[str]:
    return [name for kind, name in registered() if kind == wanted]


def test_the_scopes_are_those_of_the_methods_that_are_called_and_no_more() -> None:
    assert {"chat_postMessage", "chat_update", "views_open", "users_info"} <= called() <= SCOPES.keys()
    needed = {scope for method in called() for scope in (SCOPES[method] or "").split()} | {"commands"}

    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == needed
    assert "user" not in MANIFEST["oauth_config"]["scopes"]
    assert MANIFEST["oauth_config"]["scopes"]["bot_optional"] == ["files:write", "users:read.email"]


def test_the_command_escapes_and_shows_how_it_is_used() -> None:
    command = MANIFEST["features"]["slash_commands"][0]

    assert command["should_escape"] is True
    assert all(word in command["usage_hint"] for word in ("NAME-OR-ID", "status", "history", "help"))
    assert "url" not in command


def test_the_words_of_the_manifest_are_within_slacks_limits() -> None:
    features = MANIFEST["features"]
    command = features["slash_commands"][0]
    limits = {
        MANIFEST["display_information"]["name"]: 35,
        MANIFEST["display_information"]["description"]: 140,
        features["bot_user"]["display_name"]: 80,
        COMMAND: 32,
        command["description"]: 2000,
        command["usage_hint"]: 1000,
        **{shortcut["name"]: 24 for shortcut in features["shortcuts"]},
        **{shortcut["description"]: 150 for shortcut in features["shortcuts"]},
    }

    assert [text for text, most in limits.items() if not 1 <= len(text) <= most] == []
