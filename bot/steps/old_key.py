"""Steps that end the old key: the last look, and the delete."""

from datetime import timedelta

from bot.errors import ApiError, Blocked, StopKind, Uncertain
from bot.plan import AffectedModel, Inventory, drift, users_of
from bot.rotation import Finding, Rotation, was_failing_before
from bot.steps.common import (
    Done,
    Outcome,
    Wait,
    World,
    askable,
    existing,
    listing,
    models_on,
    noted,
    probe_each,
    refuse_drift,
    refuse_rejected,
    refuse_unlisted,
)
from bot.steps.live import refuse_unverifiable

READ_BACK = timedelta(milliseconds=300)
"""From a delete to the look whether the key is gone, and from one such look to the next."""


async def recheck(rotation: Rotation, world: World) -> Outcome:
    """Look at everything once more before the old key goes: every environment, and one live request a model."""
    refuse_unverifiable(rotation, world)
    _refuse_reference(rotation, await world.control_plane.inventory(), world)
    todo = [m for m in askable(rotation, world) if not _asked_since_approval(rotation, m)]
    rotation = noted(rotation, await probe_each(rotation, todo, world), world.now())
    failing = [m for m in todo if not _is_well(rotation.finding(m))]
    if failing:
        refuse_rejected(rotation, failing)
        _block_on_recheck(rotation, failing)
    left = [m for m in todo if not _asked_since_approval(rotation, m)]
    return Wait(rotation, f"{len(left)} to go") if left else Done(rotation)


def _is_well(finding: Finding) -> bool:
    latest = finding.latest
    return latest is None or latest.passed or latest.skipped or was_failing_before(finding)


def _asked_since_approval(rotation: Rotation, model: AffectedModel) -> bool:
    latest = rotation.finding(model).latest
    approved = max((approval.at for approval in rotation.approvals), default=None)
    return latest is not None and approved is not None and latest.at > approved


def _block_on_recheck(rotation: Rotation, failing: list[AffectedModel]) -> None:
    evidence = rotation.finding(failing[0]).latest
    assert evidence is not None
    raise Blocked(
        StopKind.UNVERIFIED,
        "a model stopped answering",
        f"Not deleted: at the last look {listing(m.label for m in failing)} did not answer well: {evidence.reason}.",
        resume="project",
        after=rotation,
    )


def _refuse_reference(rotation: Rotation, inventory: Inventory, world: World) -> None:
    """Stop if anything, anywhere, refers to the old key, or a planned model is not where this rotation put it."""
    refuse_unlisted(rotation, inventory, world)
    old = inventory.key(rotation.plan.old_key.id)
    users = users_of(inventory, old) if old else ()
    if users:
        ours = [key.id for key in rotation.own_keys(inventory.keys)]
        changes = drift(rotation.plan, inventory, ours, world.gateways.environments)
        raise Blocked(
            StopKind.DRIFT,
            "something uses the old key",
            f"Not deleted: {listing(users)} refers to the old key. I will not delete it while anything uses it.",
            resume="replace",
            after=_forget_moves(rotation.but(plan=changes.plan), inventory),
        )
    rotation = refuse_drift(rotation, inventory, world)
    key = existing(inventory, rotation.replacement_id, "The replacement key no longer exists: someone deleted it.")
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
    assert len(rotation.approvals) >= rotation.approvals_required, "a gated step runs approved or not at all"
    inventory = await world.control_plane.inventory()
    old = rotation.plan.old_key
    if inventory.key(old.id) is None:
        return Done(_warned(rotation, inventory).but(deleted_at=rotation.deleted_at or world.now()))
    assert old.id != rotation.replacement_id
    _refuse_reference(rotation, inventory, world)
    if rotation.delete_asked_at is None:
        return Wait(rotation.but(delete_asked_at=world.now()), "deleting the old key")
    if rotation.delete_sent_at is None or world.now() - rotation.delete_sent_at > world.limits.read_back:
        await _delete(rotation, world)
        rotation = rotation.but(delete_sent_at=world.now())
    return Wait(rotation, "reading back that the old key is gone", READ_BACK)


async def _delete(rotation: Rotation, world: World) -> None:
    try:
        await world.control_plane.delete_key(rotation.plan.old_key.id)
    except Uncertain:
        raise
    except ApiError as error:  # a plain no: it certainly did not happen, so the way back is open again
        sentence = f"Not deleted. {error} Something may refer to the old key that I cannot see."
        after = rotation.but(delete_asked_at=None, delete_sent_at=None)
        raise Blocked(
            StopKind.TROUBLE, "the old key could not be deleted", sentence, resume="recheck", after=after
        ) from error


def _warned(rotation: Rotation, inventory: Inventory) -> Rotation:
    """Say it if something was bound to the old key in the very moment of its end: that can be mended at once."""
    orphans = users_of(inventory, rotation.plan.old_key)
    if not orphans:
        return rotation
    warning = f"{listing(orphans)} refers to the deleted key and fails: point it at the replacement now."
    return rotation.but(left_alone=(*rotation.left_alone, warning))
