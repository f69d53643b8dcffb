"""`/rotate-key several`: opens the form of a batch."""

from typing import Any

from bot.service import RotationService
from handlers.forms import Forms
from handlers.payload import person_of, text
from handlers.views.batch import batch_form

SEVERAL = "several"

Json = dict[str, Any]


async def pick_several(channel: str, body: Json, forms: Forms, rotations: RotationService) -> None:
    """Open the form of a batch."""
    await rotations.offer_batch(SEVERAL, by=person_of(body), channel=channel)
    await forms.open(text(body, "trigger_id"), batch_form(channel), f"Type `/rotate-key {SEVERAL}` once more.")
