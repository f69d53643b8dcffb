"""Open the picker: from the command, a shortcut, or the Home tab."""

from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck

from bot.service import RotationService
from handlers.answers import Answers
from handlers.errors import answered
from handlers.forms import Forms
from handlers.payload import channel_of, person_of, text
from handlers.views.home import HOME_ROTATE
from handlers.views.modal import picker

Json = dict[str, Any]

ROTATE, ROTATE_HERE = "rotate_a_key", "rotate_a_key_here"
"""The shortcuts: from anywhere, and from a message, whose channel gets the card."""

OTHERWISE = "Try again, or type `/rotate-key NAME`."


async def pick(what: str, channel: str, body: Json, forms: Forms, rotations: RotationService, key_id: str = "") -> None:
    """Open the picker for *channel*, or for one that the person chooses; refuse what could not succeed."""
    await rotations.offer_picker(what, by=person_of(body), channel=channel)
    key = await rotations.key_lately(key_id) if key_id else None
    await forms.open(text(body, "trigger_id"), picker(channel, key), OTHERWISE)


@answered
async def from_anywhere(ack: AsyncAck, body: Json, forms: Forms, rotations: RotationService, answers: Answers) -> None:
    """Open the picker from the global shortcut or from Home, which belong to no channel."""
    await ack()
    await pick(ROTATE, "", body, forms, rotations)


@answered
async def from_message(ack: AsyncAck, body: Json, forms: Forms, rotations: RotationService, answers: Answers) -> None:
    """Open the picker from a message, also of a thread, where commands do not work."""
    await ack()
    await pick(ROTATE_HERE, channel_of(body), body, forms, rotations)


@answered
async def listed_key(
    ack: AsyncAck, action: Json, body: Json, forms: Forms, rotations: RotationService, answers: Answers
) -> None:
    """Open the picker with the key of a line on Home; one that is gone by now is not proposed."""
    await ack()
    await pick(HOME_ROTATE, "", body, forms, rotations, text(action, "value"))
