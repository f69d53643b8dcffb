"""The direct messages to the people who must act, while the card cannot be shown in its channel."""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from bot.rotation.attention import gist, occasion
from bot.rotation.flags import SEPARATOR
from bot.rotation.policy import offered
from bot.rotation.record import Rotation
from handlers.views.around import Around
from handlers.views.blocks import TEXT_MOST, Block, context, cut, message
from handlers.views.buttons import SEEN
from handlers.views.card import card
from handlers.views.links import NOWHERE, Places


class Shut(StrEnum):
    """Why the card cannot be shown in its channel."""

    ARCHIVED = "archived"
    RESTRICTED = "restricted"
    LEFT = "left"
    """Also for a private channel without the bot: Slack says that it does not exist."""

    REFUSED = "refused"
    """The channel is open, and Slack refuses the card."""


REASON: Mapping[Shut, tuple[str, str]] = {
    Shut.ARCHIVED: ("Keyturn can't post in {}: it is archived.", "Unarchive it, and"),
    Shut.RESTRICTED: ("Keyturn can't post in {}: its settings don't allow it.", "Allow it there, and"),
    Shut.LEFT: ("Keyturn can't post in {}: it is no longer in that channel.", "`/invite @keyturn` there, and"),
    Shut.REFUSED: ("Slack refuses the card in {}: Keyturn's log says why.", "Once it's fixed,"),
}
"""What is wrong with a channel, and what opens it again."""


def direct(rotation: Rotation, shut: Shut, places: Places = NOWHERE) -> dict[str, Any]:
    """Return the card with its buttons, and why it comes directly: a click is judged as one on the card."""
    why, remedy = REASON[shut]
    where = f"<#{rotation.channel}>"
    note = f"{why.format(where)} So this comes to you directly. {remedy} the card there catches up within the hour."
    shown = card(rotation, Around(places=places)).content
    return _noted(str(shown["text"]), list(_blocks(shown)), note)


def settled(rotation: Rotation, note: str) -> dict[str, Any]:
    """Return what is left of a direct message that asks for nothing any more: no button, and where to look."""
    shown = card(rotation).content
    return _noted("", _blocks(shown)[:1], note)


def _blocks(content: Mapping[str, Any]) -> list[Block]:
    return list(content["blocks"])


def _noted(text: str, blocks: list[Block], note: str) -> dict[str, Any]:
    """Put the note below the buttons: what happened and what to press come first."""
    said = f"{cut(text, TEXT_MOST - len(note) - 1)} {note}".strip()
    above = next((place for place, block in enumerate(blocks, start=1) if block["type"] == "actions"), 1)
    return message(said, [*blocks[:above], context(note), *blocks[above:]])


APPROVERS_ACT = ("start", "approval", "stopped", "trouble", "harm")
"""The occasions on which an approver can help; the others are the requester's alone."""


def concerns_approvers(rotation: Rotation) -> bool:
    """Tell whether approvers have something to do, too."""
    return occasion(rotation).partition(":")[0] in APPROVERS_ACT


def moment(rotation: Rotation) -> str:
    """Return a text that changes when a direct message has to: with the state, a button or what a click vouches for."""
    mark = SEEN.get(rotation.state)
    seen = mark(rotation).partition(SEPARATOR)[0] if mark else ""
    said = f"{gist(rotation)}/{seen}/{offered(rotation)}"
    return hashlib.sha256(said.encode()).hexdigest()[:16]
