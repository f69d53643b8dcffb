"""The modals on people's screens, and their home tabs."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

from sandbox.slack import forms, limits
from sandbox.slack.refusal import Refusal
from sandbox.slack.world import APP_ID, BOT_ID, HOME, World

Json = dict[str, Any]

STACK = 3
"""The most views in a stack."""

_GIVEN = ("type", "title", "close", "submit", "private_metadata", "callback_id", "external_id")
_FLAGS = ("clear_on_close", "notify_on_close", "submit_disabled")


class Views:
    """Each person's stack of modals, and home tab."""

    def __init__(self, world: World) -> None:
        self._world = world
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

    def push(self, person: str, view: Any) -> Json:
        """Put a modal on top of the stack."""
        stack = self.stack(person)
        if len(stack) >= STACK:
            raise Refusal("push_limit_reached")
        made = self._made(view)
        if stack:
            made |= {"root_view_id": stack[0]["id"], "previous_view_id": stack[-1]["id"]}
        stack.append(made)
        return made

    def update(self, view: Json, new: Any, known_hash: str | None = None) -> Json:
        """Change a modal in place; fields with the same block_id and action_id keep what was typed."""
        if known_hash and known_hash != view["hash"]:
            raise Refusal("hash_conflict")
        made = self._made(new, replacing=view)
        for name in ("id", "root_view_id", "previous_view_id"):
            made[name] = view[name]
        view.clear()
        view.update(made)
        return view

    def publish(self, person: str, view: Any) -> Json:
        """Set a person's home tab."""
        before = self.homes.get(person)
        self.homes[person] = self._made(view, replacing=before)
        return self.homes[person]

    def find(self, view_id: str | None, external_id: str | None) -> tuple[str, Json]:
        """Return the person whose screen shows this view, and the view."""
        for person, view in self._everywhere():
            if view["id"] == view_id or (external_id and view["external_id"] == external_id):
                return person, view
        raise Refusal("not_found")

    def _everywhere(self) -> Iterator[tuple[str, Json]]:
        yield from ((person, view) for person, stack in self.stacks.items() for view in stack)
        yield from self.homes.items()

    def _made(self, view: Any, replacing: Json | None = None) -> Json:
        self._check(view, replacing)
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

    def _check(self, view: Any, replacing: Json | None) -> None:
        if len(json.dumps(view)) > limits.VIEW_BYTES:
            raise Refusal("view_too_large")
        if problems := limits.check_view(view):
            raise Refusal("invalid_arguments", problems)
        external = view.get("external_id")
        if external and any(v["external_id"] == external for _, v in self._everywhere() if v is not replacing):
            raise Refusal("duplicate_external_id")
