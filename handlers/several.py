"""The form of a batch: from `/rotate-key several`, or in the place of the picker."""

from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck

from bot.service import RotationService
from handlers.answers import Answers
from handlers.errors import answered
from handlers.forms import Forms
from handlers.payload import person_of, text
from handlers.views.batch import batch_form

SEVERAL = "several"
OTHERWISE = f"Type `/rotate-key {SEVERAL}` once more."

Json = dict[str, Any]


async def pick_several(channel: str, body: Json, forms: Forms, rotations: RotationService) -> None:
    """Open the form of a batch."""
    await rotations.offer_batch(SEVERAL, by=person_of(body), channel=channel)
    await forms.open(text(body, "trigger_id"), batch_form(channel), OTHERWISE)


@answered
async def instead_of_one(ack: AsyncAck, body: Json, forms: Forms, rotations: RotationService, answers: Answers) -> None:
    """Put the form of a batch in the place of the picker, for the same channel."""
    await ack()
    channel = text(body, "view", "private_metadata")
    await rotations.offer_batch(SEVERAL, by=person_of(body), channel=channel)
    await forms.replace(text(body, "view", "id"), batch_form(channel), OTHERWISE)
