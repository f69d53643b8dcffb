"""Step: delete the old key, and read back that it is gone."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from bot.rotation.drift import listed_since
from bot.rotation.errors import ApiError, Blocked, Uncertain
from bot.rotation.inventory import Inventory
from bot.rotation.parts import REFERS, Trouble
from bot.rotation.phrases import said
from bot.rotation.plan import users_of
from bot.rotation.ports import Moment
from bot.rotation.record import Rotation
from bot.rotation.stops import Cause
from bot.steps.approvals import asked_at, decided, minding_holds, minding_windows, other_than_shown, review, voided
from bot.steps.inventory import is_deleted, refuse_reference, whole_inventory
from bot.steps.outcomes import Done, Outcome, Unapproved, Wait, leaving
from bot.steps.pacing import FRESH, PART_OF_THE_LEASE, POLL, move_mark
from bot.steps.refusals import reason
from bot.steps.unseen import refuse_uncovered
from bot.steps.verdicts import doubtful
from bot.steps.world import World

LOOK_LASTS = timedelta(minutes=10)
"""How long the last look counts; if the delete comes later, because of an outage or a pause, it must be repeated."""

TOO_LONG_AGO = f"The last look was more than {said(LOOK_LASTS)} ago when it came to the delete."
TOOK_TOO_LONG = f"The last look took more than {said(LOOK_LASTS)}: raise `PROBE_CONCURRENCY` and restart."

READING_BACK = "reading back that the old key is gone"

LOOK_EVERY = timedelta(milliseconds=300)
"""The pause between a delete and reading back, and between two readings."""


class Held(NamedTuple):
    """The rotation that may delete now, and when its lease was verified."""

    rotation: Rotation
    moment: Moment


async def delete(rotation: Rotation, world: World) -> Outcome:
    """Delete the old key, after a last check that nothing refers to it, and read back that it is gone.

    The record says so before Keyturn asks: the delete may happen even if its answer is lost. From then on the card
    offers no way back to this key, unless the same lease finds a reason not to ask.
    """
    assert not rotation.lacks_approval, "a gated step runs approved or not at all"
    is_noted = rotation.delete_try == move_mark(rotation.version, world)
    is_unsent = is_noted and not rotation.delete_repeated
    resting = rotation.but(delete_asked_at=None, delete_try="") if is_unsent else rotation
    with leaving(resting):
        ready = await _ready(resting, rotation.delete_asked_at if is_noted else None, world)
    return await _send(rotation, ready, world) if isinstance(ready, Held) else ready


async def _ready(rotation: Rotation, noted: datetime | None, world: World) -> Outcome | Held:
    """Read the lists, and return the lease if everything allows the delete now; otherwise what comes first.

    *noted* says when this lease noted the delete; None if it did not.
    """
    sent = rotation.delete_sent_at
    reads_back = sent is not None and abs(world.now() - sent) <= world.limits.read_back
    reviewed = rotation if reads_back else await review(rotation, world)  # first, so that the lists stay fresh
    began = await world.hold.verified(rotation.version)
    inventory = await whole_inventory(rotation, world)
    old = rotation.plan.old_key
    if is_deleted(rotation, inventory):
        found = _with_orphans(rotation, inventory, world.now())
        return Done(found.but(deleted_at=rotation.deleted_at or world.now()))
    assert old.id != rotation.replacement_id
    refuse_reference(rotation, inventory, world)
    refuse_uncovered(rotation.but(plan=listed_since(rotation.plan, inventory)), world)
    if reads_back:
        return Wait(rotation, READING_BACK, LOOK_EVERY)
    rotation = minding_windows(await minding_holds(decided(reviewed), world), world)
    if rotation.lacks_approval:
        return Unapproved(rotation)
    changes = [*_aged(rotation, world), *other_than_shown(rotation), *_demanded(rotation, world)]
    if changes:
        return voided(rotation, changes, world)
    held = await world.hold.verified(rotation.version)
    age = began.until(held)
    if age > FRESH:
        return _look_again(_noted(rotation, noted, world) if noted else rotation, age, world)
    return Held(rotation, held) if noted else _about_to_delete(rotation, world)


async def _send(noted: Rotation, ready: Held, world: World) -> Outcome:
    """Send the delete that the record has *noted*; the request times out before the lease does."""
    rotation = ready.rotation.but(delete_asked_at=noted.delete_asked_at, delete_try=noted.delete_try)
    granted = await _delete(rotation, ready.moment, world) or rotation.delete_granted
    return Wait(rotation.but(delete_sent_at=world.now(), delete_granted=granted), READING_BACK, LOOK_EVERY)


def _aged(rotation: Rotation, world: World) -> Iterator[str]:
    """Yield a sentence if any answer, any count or the end of the last look is too old, or if there was no look."""
    if rotation.last_look_at is None:
        yield "Nothing says when the last look was."
        return
    counted = [silence.looked_at for silence in rotation.silences]
    moments = (rotation.last_look_at, *asked_at(rotation), *counted)
    if any(abs(world.now() - at) > LOOK_LASTS for at in moments):
        is_recent = all(abs(world.now() - at) <= LOOK_LASTS for at in (rotation.last_look_at, *counted))
        yield TOOK_TOO_LONG if is_recent else TOO_LONG_AGO


def _demanded(rotation: Rotation, world: World) -> Iterator[str]:
    """Yield a sentence for each model whose verdict the settings no longer accept."""
    for model in doubtful(rotation, world):
        yield f"{model.label}: {reason(rotation, model)}."


def _noted(rotation: Rotation, at: datetime, world: World) -> Rotation:
    """Return *rotation* with a note that the next version's move sends a delete, if it still has this lease."""
    asked_at = rotation.delete_asked_at
    return rotation.but(
        delete_try=move_mark(rotation.version + 1, world),
        delete_asked_at=asked_at or at,
        delete_repeated=asked_at is not None,
    )


def _about_to_delete(rotation: Rotation, world: World) -> Wait:
    """Note each delete before it is sent: a worker that finds no note of its own knows that another may be out."""
    trouble = rotation.note if rotation.trouble_since else None
    return Wait(_noted(rotation, world.now(), world), trouble or "deleting the old key", is_calm=False)


def _look_again(rotation: Rotation, age: float, world: World) -> Outcome:
    """Read the lists again; stop if they have been too slow for too long."""
    took = f"the lists took {age:.1f} s"
    since = rotation.stalled_since or world.now()
    if world.now() - since > min(world.limits.patience, LOOK_LASTS / 2):
        raise Blocked(Cause.TOO_SLOW, took=took, most=FRESH)
    return Wait(rotation, f"AISIX answers too slowly for a safe delete: reading {took}. Trying again.", POLL)


async def _delete(rotation: Rotation, held: Moment, world: World) -> bool:
    """Send the delete, and return whether the key existed."""
    try:
        granted = await world.control_plane.delete_key(rotation.plan.old_key.id, within=held.left * PART_OF_THE_LEASE)
        await world.hold.verified(rotation.version)
    except Uncertain:
        raise
    except ApiError as error:
        raise _refused(rotation, error) from error
    return granted


def _refused(rotation: Rotation, error: ApiError) -> Blocked:
    """Return the stop after a plain no: models may go back, unless an earlier delete may still come true."""
    if rotation.delete_repeated:
        return Blocked(Cause.NOT_DELETED_YET, error=error)
    after = rotation.but(delete_asked_at=None, delete_sent_at=None, delete_granted=False, delete_try="")
    return Blocked(Cause.NOT_DELETED, after=after, error=error)


def _with_orphans(rotation: Rotation, inventory: Inventory, now: datetime) -> Rotation:
    """Report what someone bound to the old key just before the delete: its callers fail, and people can fix that."""
    orphans = users_of(inventory, rotation.plan.old_key)
    found = tuple(Trouble(at=now, about=name, sentence=f"{name}{REFERS}") for name in orphans)
    return rotation.but(troubles=(*rotation.troubles, *found))
