"""The direct message to the requester while the bot cannot post in the card's channel."""

from collections.abc import Mapping
from enum import StrEnum

from bot.rotation.attention import occasion
from bot.rotation.policy import APPROVERS_ONLY, offered
from bot.rotation.record import Rotation
from handlers.views import words
from handlers.views.blocks import actions, code, message, section, sentence
from handlers.views.card import press
from handlers.views.replies import Reply


class Shut(StrEnum):
    """Why the bot cannot post in a channel."""

    ARCHIVED = "archived"
    RESTRICTED = "restricted"
    LEFT = "left"
    """Also for a private channel without the bot: Slack says that it does not exist."""

    REFUSED = "refused"
    """The channel is open, and Slack refuses the card."""


REASON: Mapping[Shut, str] = {
    Shut.ARCHIVED: "it is archived",
    Shut.RESTRICTED: "its settings do not let me",
    Shut.LEFT: "I am not in it any more",
    Shut.REFUSED: "Slack refuses the card",
}
REMEDY: Mapping[Shut, str] = {
    Shut.ARCHIVED: "Unarchive that channel",
    Shut.RESTRICTED: "Allow me to post there",
    Shut.LEFT: "`/invite @keyturn` there",
    Shut.REFUSED: "Have someone read why in Keyturn's log (`message_refused`)",
}
"""How to open the channel again; completes "…, and the card there is brought up to date"."""


def direct(rotation: Rotation, shut: Shut) -> Reply | None:
    """Say what someone must do now that the channel is *shut*; None if nobody has to act."""
    about = occasion(rotation)
    if not about:
        return None
    name = code(rotation.plan.old_key.display_name)
    state = f"{words.mark(rotation)} *Rotate {name}*   {sentence(words.headline(rotation), 300)}"
    why = f"I cannot post in <#{rotation.channel}>: {REASON[shut]}. So this comes to you alone."
    then = f"{REMEDY[shut]}, and the card there is brought up to date within the hour."
    said = [why, state, words.next_move(rotation), f"{_whose(rotation)}{then}"]
    buttons = [press(action, rotation) for action in offered(rotation) if action not in APPROVERS_ONLY]
    return Reply(f"direct:{about}", message("\n".join(said), [*map(section, said), *actions(buttons)]))


def _whose(rotation: Rotation) -> str:
    """Say which buttons only an approver may press, on the card."""
    missing = [f"*{action.value}*" for action in offered(rotation) if action in APPROVERS_ONLY]
    return f"{' and '.join(missing)} is an approver's to press, on the card. " if missing else ""
