"""The modals on people's screens, and their home tabs."""

import json
import secrets
from typing import Any

from sandbox.slack import forms, limits
from sandbox.slack.refusal import Refusal
from sandbox.slack.switches import Switches
from sandbox.slack.world import APP_ID, BOT_ID, HOME, World

Json = dict[str, Any]

_GIVEN = ("type", "title", "close", "submit", "private_metadata", "callback_id", "external_id")
_FLAGS = ("clear_on_close", "notify_on_close", "submit_disabled")


class Views:
    """Each person's stack of modals, and home tab."""

    def __init__(self, world: World, switches: Switches) -> None:
        self._world, self._switches = world, switches
        self.stacks: dict[str, list[Json]] = {}
        self.homes: dict[str, Json] = {}

    def stack(self, person: str) -> list[Json]:
        """Return the modals on this person's screen, the top one last."""
        return self.stacks.setdefault(person, [])

    def open(self, person: str, view: Any) -> Json:
        """Show a modal, in place of any others."""
        made = self._made(view)
        self.stacks[person] = [made]
        return made

    def replace(self, person: str, before: Json, view: Any) -> Json:
        """Show a modal in the place of *before*, with its id and what was typed into fields of the same name."""
        made = self._made(view, replacing=before) | {"id": before["id"], "root_view_id": before["root_view_id"]}
        self.stacks[person] = [made if each["id"] == before["id"] else each for each in self.stack(person)]
        return made

    def publish(self, person: str, view: Any) -> Json:
        """Set a person's home tab."""
        before = self.homes.get(person)
        self.homes[person] = self._made(view, replacing=before)
        return self.homes[person]

    def _made(self, view: Any, replacing: Json | None = None) -> Json:
        self._check(view)
        made: Json = {name: view.get(name) for name in _GIVEN} | {name: bool(view.get(name)) for name in _FLAGS}
        for name in ("private_metadata", "callback_id", "external_id"):
            made[name] = made[name] or ""
        made["blocks"] = self._world.named(view["blocks"])
        before = replacing["state"]["values"] if replacing else None
        made["state"] = {"values": forms.fresh(made["blocks"], before)}
        return made | self._stamped()

    def _stamped(self) -> Json:
        view_id = self._world.next_id("V")
        return {
            "id": view_id,
            "team_id": HOME,
            "app_id": APP_ID,
            "bot_id": BOT_ID,
            "app_installed_team_id": HOME,
            "hash": f"{int(self._world.now())}.{secrets.token_hex(4)}",
            "root_view_id": view_id,
            "previous_view_id": None,
        }

    def _check(self, view: Any) -> None:
        if len(json.dumps(view)) > limits.VIEW_BYTES:
            raise Refusal("view_too_large")
        if problems := limits.check_view(view, self._switches.missing_blocks):
            raise Refusal("invalid_arguments", problems)
