"""Steps that end the old key: the last look, and the delete."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from bot.rotation.errors import ApiError, Blocked, StopKind, Unanswerable, Uncertain
from bot.rotation.plan import Dependent, Inventory, dependents, drift, listed_since, users_of
from bot.rotation.proof import is_accepted, unproved
from bot.rotation.record import Finding, Rotation, Void
from bot.steps.common import (
    MOST_NAMED,
    NO_REPLACEMENT,
    POLL,
    Again,
    Done,
    Outcome,
    Unapproved,
    Wait,
    World,
    existing,
    listing,
    models_on,
    refuse_drift,
    refuse_rejected,
    refuse_unlisted,
    said,
    whole_inventory,
)
from bot.steps.project import reason
from bot.steps.soak import doubtful, heard
from bot.steps.throwaways import without_throwaways
from bot.steps.unseen import refuse_unheard
from bot.steps.verdicts import look_again
from bot.steps.verify import refuse_unverifiable
from bot.storage.lease import Moment

LOOK_LASTS = timedelta(minutes=10)
"""How long the last look counts: a bot that could not delete for longer, or was away, has to look once more."""

FRESH = 2.0
"""Seconds that the oldest list may be old when the delete is asked for."""

PART_OF_THE_LEASE = 2 / 3
"""How much of what is left of the lease the delete may take: the rest is for what cannot be timed."""

READING_BACK = "reading back that the old key is gone"

PROVED_BEFORE = "It was verified by a version of Keyturn that looked at less."
"""What is said where a version that did not note the tenant's environments has begun a rotation."""

LOOK_EVERY = timedelta(milliseconds=300)
"""From a delete to the look whether the key is gone, and from one such look to the next."""


async def recheck(rotation: Rotation, world: World) -> Outcome:
    """Look at everything once more before the old key goes: every environment, every model, every replica.

    An approval is of what was seen. If the world is not that any more, nothing is deleted: it is verified again, and
    asked again.
    """
    refuse_unverifiable(rotation, world)
    inventory = await whole_inventory(rotation, world)
    if rotation.delete_asked_at and inventory.key(rotation.plan.old_key.id) is None:
        return Done(rotation)  # an answer that was lost has come true
    _refuse_reference(rotation, inventory, world)
    if not rotation.look:  # it has only begun: Slack is asked once a look, not once a slice of it
        rotation = _decided(await _reviewed(rotation, world))
        if rotation.lacks_approval:
            return Unapproved(rotation)
    is_of_before = bool(inventory.environments) and not rotation.plan.tenant
    aged = [PROVED_BEFORE] if is_of_before else list(_aged(rotation, world))
    rotation = rotation.but(plan=listed_since(rotation.plan, inventory))
    if aged:
        return _void(rotation, aged, world)
    rotation, inventory = await without_throwaways(rotation, inventory, world)  # one may have been created late
    rotation, left = await look_again(rotation, world, everyone=True)
    if left:
        return Wait(rotation, f"{left} to go")
    refuse_rejected(rotation, doubtful(rotation, world))
    now = rotation.but(plan=rotation.plan.but(dependents=_dependents(rotation, inventory)))
    changes = list(_changes(rotation, now, world))
    if changes:
        return _void(now, changes, world)
    refuse_unheard(now, world)
    return Done(now)


async def _reviewed(rotation: Rotation, world: World) -> Rotation | None:
    """Return *rotation* with the approvals that count at this moment; None where Slack cannot tell."""
    try:
        return await world.people.reviewed(rotation, world.now())
    except Unanswerable:
        return None


def _decided(reviewed: Rotation | None) -> Rotation:
    if reviewed is None:
        raise Uncertain("Slack does not tell whether those who approved still may.")
    return reviewed


def _approved_at(rotation: Rotation) -> datetime:
    return max(approval.at for approval in rotation.approvals)


def _aged(rotation: Rotation, world: World) -> Iterator[str]:
    """Yield a sentence if an approver has seen evidence that was too old at the click."""
    oldest = min(_asked_at(rotation), default=None)
    if oldest and _approved_at(rotation) - oldest > world.limits.evidence_max_age:
        yield f"The evidence was older than {said(world.limits.evidence_max_age)}."


def _asked_at(rotation: Rotation) -> list[datetime]:
    """Return when each model was asked last."""
    seen = (rotation.finding(model).latest for model in rotation.plan.models)
    return [evidence.at for evidence in seen if evidence]


def _dependents(rotation: Rotation, inventory: Inventory) -> tuple[Dependent, ...]:
    planned = {model.id for model in rotation.plan.models}
    return dependents(inventory, [model for model in inventory.models if model.id in planned])


def _changes(seen: Rotation, now: Rotation, world: World) -> Iterator[str]:
    """Yield a sentence for everything that is not as the approver saw it; nothing if it is all the same."""
    for model in doubtful(now, world):
        recovered = now.finding(model).verdict is None
        yield (
            f"{model.label} answers now, as it did not before."
            if recovered
            else f"{model.label}: {reason(now, model)}."
        )
    yield from (f"{sentence}." for sentence in heard(now))
    yield from _unheard(now)
    if (why := unproved(now)) and not is_accepted(now):
        yield why
    yield from _reached_otherwise(seen.plan.dependents, now.plan.dependents)
    if any(approval.digest != now.digest for approval in now.approvals):
        yield "What is known of the models is not what the card showed."


def _unheard(rotation: Rotation) -> Iterator[str]:
    """Yield a sentence for each replica that was listened to, and could not be this time."""
    for silence in rotation.silences:
        if silence.look != rotation.look:
            yield f"`{silence.name}` does not show its counters any more."


def _reached_otherwise(before: tuple[Dependent, ...], now: tuple[Dependent, ...]) -> Iterator[str]:
    for dependent in now:
        if dependent not in before:
            yield f"`{dependent.alias}` in {dependent.environment_name} now depends on these models ({dependent.role})."
    for dependent in before:
        if dependent not in now:
            yield f"`{dependent.alias}` in {dependent.environment_name} no longer depends on these models."


def _void(rotation: Rotation, changes: list[str], world: World) -> Outcome:
    """Take back the approvals, and say what changed."""
    void = Void(by=tuple(a.by for a in rotation.approvals), at=world.now(), changes=tuple(changes[:MOST_NAMED]))
    return Again(rotation.unproved().but(voids=(*rotation.voids, void), silences=()), "project", changes[0])


def _refuse_reference(rotation: Rotation, inventory: Inventory, world: World) -> None:
    """Stop if anything, anywhere, refers to the old key, or a planned model is not where this rotation put it."""
    refuse_unlisted(rotation, inventory, world)
    users = users_of(inventory, inventory.key(rotation.plan.old_key.id) or rotation.plan.old_key)
    if users:
        ours = [key.id for key in rotation.own_keys(inventory.keys)]
        changes = drift(rotation.plan, inventory, ours, world.gateways.environments)
        raise Blocked(
            StopKind.DRIFT,
            "something uses the old key",
            f"Not deleted: {listing(users)} refers to the old key. I will not delete it while anything uses it.",
            resume="replace",
            after=_forget_moves(rotation.planned_anew(changes.plan), inventory),
        )
    rotation = refuse_drift(rotation, inventory, world)
    key = existing(inventory, rotation.replacement_id, NO_REPLACEMENT)
    there = models_on(inventory, [key])
    astray = [m.label for m in rotation.plan.models if m.id not in there]
    if astray:
        sentence = f"Not deleted: {listing(astray)} is not on the replacement."
        raise Blocked(StopKind.DRIFT, "someone changed something meanwhile", sentence, resume="replace")


def _forget_moves(rotation: Rotation, inventory: Inventory) -> Rotation:
    """Let models that went back to the old key be moved once more."""
    old = rotation.plan.old_key
    back = {model.id for model in inventory.models if old.is_meant_by(model.provider_key)}
    astray = [m for m in rotation.plan.models if m.id in back]
    return rotation.learn({m.id: Finding(baseline=rotation.finding(m).baseline) for m in astray})


async def delete_old_key(rotation: Rotation, world: World) -> Outcome:
    """Delete the old key, after one more look that nothing refers to it, and read back that it is gone.

    That it is about to be asked for is recorded before: an answer that is lost may still come true, so from then on
    nobody is offered a way back to this key.
    """
    assert not rotation.lacks_approval, "a gated step runs approved or not at all"
    sent = rotation.delete_sent_at
    reads_back = sent is not None and world.now() - sent <= world.limits.read_back
    reviewed = rotation if reads_back else await _reviewed(rotation, world)  # first: the lists have to be fresh
    began = await world.hold.verified(rotation.version)
    inventory = await whole_inventory(rotation, world)
    old = rotation.plan.old_key
    if inventory.key(old.id) is None:
        return Done(_warned(rotation, inventory).but(deleted_at=rotation.deleted_at or world.now()))
    assert old.id != rotation.replacement_id
    _refuse_reference(rotation, inventory, world)
    refuse_unheard(rotation.but(plan=listed_since(rotation.plan, inventory)), world)
    looked_at = min(_asked_at(rotation), default=None)
    if looked_at and abs(world.now() - looked_at) > LOOK_LASTS:
        return _void(
            rotation, [f"The last look was more than {said(LOOK_LASTS)} ago when it came to the delete."], world
        )
    if reads_back:
        return Wait(rotation, READING_BACK, LOOK_EVERY)
    return await _asked_to_go(_decided(reviewed), began, world)


async def _asked_to_go(rotation: Rotation, began: Moment, world: World) -> Outcome:
    """Ask for the delete if this process still has the rotation, and what it has read since it *began* is fresh."""
    if rotation.lacks_approval:
        return Unapproved(rotation)
    held = await world.hold.verified(rotation.version)
    age = began.until(held)
    if age > FRESH:
        return _look_again(rotation, age, world)
    if rotation.delete_asked_at is None:
        return Wait(rotation.but(delete_asked_at=world.now()), "deleting the old key")
    granted = await _delete(rotation, held, world) or rotation.delete_granted
    return Wait(rotation.but(delete_sent_at=world.now(), delete_granted=granted), READING_BACK, LOOK_EVERY)


def _look_again(rotation: Rotation, age: float, world: World) -> Outcome:
    """Read the lists again, and stop where they have been too slow for too long."""
    took = f"the lists took {age:.1f} s"
    since = rotation.stalled_since or world.now()
    if world.now() - since > min(world.limits.patience, LOOK_LASTS / 2):
        sentence = f"Not deleted. Reading {took}, and Keyturn deletes only on lists that are at most {FRESH:g} s old."
        raise Blocked(StopKind.TROUBLE, "AISIX answers too slowly for a safe delete", sentence, resume="recheck")
    return Wait(rotation, f"AISIX answers too slowly for a safe delete: reading {took}. Trying again.", POLL)


async def _delete(rotation: Rotation, held: Moment, world: World) -> bool:
    """Ask for the delete, and return whether the key was there.

    It is given up while the lease still lasts, so that nobody has taken over meanwhile.
    """
    try:
        granted = await world.control_plane.delete_key(rotation.plan.old_key.id, within=held.left * PART_OF_THE_LEASE)
        await world.hold.verified(rotation.version)
    except Uncertain:
        raise
    except ApiError as error:  # a plain no: it certainly did not happen, so the way back is open again
        sentence = f"Not deleted. {error} Something may refer to the old key that I cannot see."
        after = rotation.but(delete_asked_at=None, delete_sent_at=None, delete_granted=False)
        raise Blocked(
            StopKind.TROUBLE, "the old key could not be deleted", sentence, resume="recheck", after=after
        ) from error
    return granted


def _warned(rotation: Rotation, inventory: Inventory) -> Rotation:
    """Say it if something was bound to the old key in the very moment of its end: that can be mended at once."""
    orphans = users_of(inventory, rotation.plan.old_key)
    if not orphans:
        return rotation
    warning = f"{listing(orphans)} refers to the deleted key and fails: point it at the replacement now."
    return rotation.but(left_alone=(*rotation.left_alone, warning))
