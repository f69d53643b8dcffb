"""The start approval: an approver's click before the first model moves, for what the card showed then. Pure."""

import hashlib
import json

from bot.rotation.attention import objections
from bot.rotation.flags import SEPARATOR
from bot.rotation.record import Approval, Rotation


def shown_at_start(rotation: Rotation) -> str:
    """Return a digest of what **Start** is pressed for: both keys, every model that moves, and the rehearsal.

    Once a leak is reported, it is pressed for that too: it may open a closed window.
    """
    plan = rotation.plan
    shown = (
        plan.old_key.id,
        rotation.replacement_id,
        [model.model_dump_json(exclude={"live"}) for model in plan.models],
        sorted(plan.routes),
        rotation.rehearsal,
        rotation.unrehearsed,
        *(["exposed"] if rotation.exposed else []),
    )
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]


def asked_at_start(rotation: Rotation) -> str:
    """Return the mark of all that an approver is shown before **Start**: also who said "not yet", if anybody did."""
    said = [(one.by, one.at.isoformat()) for one in objections(rotation)]
    mark = shown_at_start(rotation)
    return f"{mark}{SEPARATOR}{hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]}" if said else mark


def start_of(rotation: Rotation) -> Approval | None:
    """Return the start approval that counts for what moves now."""
    now = shown_at_start(rotation)
    return next((start for start in rotation.starts if start.digest == now), None)


def lacks_start(rotation: Rotation) -> bool:
    """Return whether an approver must press **Start** before a model moves: an older plan's start does not count.

    A start from before the report of a leak does: the report changes nothing of what moves.
    """
    return rotation.policy.start and not (start_of(rotation) or start_of(rotation.but(exposed=None)))
