"""`/rotate-key hold` and `unhold`: an approver keeps a key from being deleted."""

import re
from typing import Any

from bot.rotation.errors import WrongState
from bot.service import RotationService
from bot.service.holding import HOLD, UNHOLD
from handlers.answers import Answers, Asker
from handlers.forms import Forms
from handlers.payload import channel_of, person_of, text
from handlers.views.holding import hold_form, lifted

Json = dict[str, Any]

VERBS = (HOLD, UNHOLD)
NAMED = re.compile(rf"({'|'.join(VERBS)})(?: (.+))?", re.IGNORECASE)
"""A word of ours with a key."""


async def asked(words: re.Match[str], body: Json, rotations: RotationService, forms: Forms, answers: Answers) -> None:
    """Open the form of a hold, or lift one."""
    verb, name = words.groups()
    if not name:
        raise WrongState("Say which key, by its name or its id.")
    if verb.casefold() == UNHOLD:
        hold = await rotations.unhold(name, by=person_of(body))
        await answers.tell(Asker.of(body), lifted(hold))
        return
    key, before = await rotations.offer_hold(name, by=person_of(body))
    form = hold_form(key, channel_of(body), before)
    await forms.open(text(body, "trigger_id"), form, f"Type `/rotate-key {HOLD}` once more.")
