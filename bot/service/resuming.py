"""**Try again** for a stopped rotation, from the card or from the command line. It approves nothing."""

from contextlib import suppress
from datetime import datetime

from bot.rotation import audit
from bot.rotation import secret as shape
from bot.rotation.actions import Action
from bot.rotation.errors import Refused, WrongState
from bot.rotation.policy import check_offered
from bot.rotation.progress import undone_from
from bot.rotation.record import Rotation
from bot.rotation.states import State, StepName, Track
from bot.service.verbs import TRIES, event, loaded
from bot.storage.records import Conflict, Store

LONGEST = 80
"""Letters of an operator's name."""


async def resumed(store: Store, rotation_id: str, *, operator: str, at: datetime) -> Rotation:
    """Do what **Try again** does, and record that *operator* did so at the command line.

    It checks no permission: an operator who can write to the store could do more. Approvals become void.
    """
    by = f"{_checked(operator)} at the command line"
    for _ in range(TRIES):
        rotation = await loaded(store, rotation_id)
        try:
            check_offered(rotation, Action.TRY_AGAIN)
        except WrongState as refusal:
            told = event(by, Action.TRY_AGAIN, str(refusal))
            await store.note(audit.Kind.REFUSAL, told, rotation=rotation, at=at)
            raise
        with suppress(Conflict):
            return await store.save(tried_again(rotation), event(by, "tried again"), at=at)
    raise Refused("This rotation moves too fast at the moment. Try again.")


def _checked(name: str) -> str:
    """Return an operator's name, or refuse one that the audit trail must not hold."""
    name = " ".join(name.split())
    if not name or len(name) > LONGEST or not name.isprintable():
        raise Refused(f"The name should be one of 1 to {LONGEST} letters.")
    if shape.is_surely_secret(name) or shape.may_be_secret(name):
        raise Refused("This looks like a secret, and the audit trail keeps a name for good.")
    return name


def tried_again(rotation: Rotation) -> Rotation:
    """Return a stopped rotation at the step where it continues; evidence from that step on is gathered again."""
    assert rotation.stop is not None
    onward = State.ROLLING_BACK if rotation.track is Track.BACK else State.RUNNING
    fresh = undone_from(rotation, rotation.stop.resume).but(no_throwaways="")
    if StepName.REHEARSE not in fresh.done:
        fresh = fresh.but(throwaways=(), rehearsal=None)
    if StepName.PROJECT not in fresh.done:
        fresh = fresh.but(barriers=())
    return (fresh if StepName.VERIFY in fresh.done else fresh.unproved()).to(onward)
