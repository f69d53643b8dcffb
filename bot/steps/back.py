"""Steps of the way back to the old key."""

from dataclasses import replace
from datetime import timedelta

from bot.rotation.errors import Blocked, StopKind
from bot.rotation.plan import AffectedModel, Inventory, plural
from bot.rotation.record import Finding, Rotation, Track
from bot.steps.common import (
    POLL,
    Done,
    Outcome,
    Wait,
    World,
    askable,
    listing,
    models_on,
    noted,
    point,
    probe_each,
    waited,
    whole_inventory,
)


async def point_back(rotation: Rotation, world: World) -> Outcome:
    """Point back at the old key every planned model that is where this rotation put it; leave the others alone."""
    inventory = await whole_inventory(rotation, world)
    there = models_on(inventory, rotation.own_keys(inventory.keys))
    there |= {model.id for model in inventory.models if model.provider_key in (*rotation.made, *rotation.names)}
    left = [model for model in rotation.plan.models if model.id in there]
    old = inventory.key(rotation.plan.old_key.id)
    gone = old is None
    if (gone or rotation.delete_asked_at) and rotation.track is Track.WITHDRAW:  # the next secret is what helps callers
        return Done(rotation.but(plan=rotation.plan.but(old_key_gone=gone)))
    if left and gone:
        raise _no_way_back(rotation)
    if not left or old is None:
        return Done(_say_left_alone(rotation, inventory))
    outcome = await point(rotation, left, old, world)
    return replace(outcome, reason=f"{plural(len(left), 'model')} to point back")


def _no_way_back(rotation: Rotation) -> Blocked:
    sentence = "There is no way back: the old key no longer exists. Only a working secret helps the callers now."
    after = rotation.but(plan=rotation.plan.but(old_key_gone=True))
    return Blocked(StopKind.REFUSED, "the old key is gone", sentence, after=after)


def _say_left_alone(rotation: Rotation, inventory: Inventory) -> Rotation:
    """Name the planned models that someone else has put elsewhere."""
    models = {model.id: model for model in inventory.models}
    old = rotation.plan.old_key
    kept = [
        f"{m.label} uses a key that this rotation does not know; I left it alone."
        for m in rotation.plan.models
        if m.id in models and not old.is_meant_by(models[m.id].provider_key)
    ]
    return rotation.but(left_alone=tuple(dict.fromkeys((*rotation.left_alone, *kept))))


async def settle_back(rotation: Rotation, world: World) -> Outcome:
    """Let every replica take the way back before the replacement goes; one that never served is not waited for."""
    refused = (f.latest is not None and f.latest.blames_credential for f in rotation.findings.values() if f.moved_at)
    served = not all(refused)
    left = world.limits.settle - waited(rotation, world)
    if served and left > timedelta(0):
        return Wait(rotation, "letting the change settle on every replica", min(left, POLL))
    return Done(rotation.unproved())


async def verify_back(rotation: Rotation, world: World) -> Outcome:
    """Ask every model that was pointed back, until it answers as it did before the rotation.

    One that is not on the old key (any more) has been taken over or deleted by someone: nothing here will mend it.
    """
    todo = [m for m in askable(rotation, world) if rotation.finding(m).moved_at]
    rotation = noted(rotation, await probe_each(rotation, todo, world), world.now())
    left = [m for m in todo if not answers_as_before(rotation.finding(m))]
    left = await _on_the_old_key(rotation, left, world) if left else []
    if not left:
        return Done(rotation)
    if waited(rotation, world) > world.limits.projection:
        evidence = rotation.finding(left[0]).latest
        reason = evidence.reason if evidence else "no answer yet"
        sentence = f"Pointed back at the old key, but {listing(m.label for m in left)} does not answer: {reason}."
        raise Blocked(StopKind.TROUBLE, "a model does not answer on the old key", sentence, after=rotation)
    return Wait(rotation, f"{plural(len(left), 'model')} to go", POLL)


async def _on_the_old_key(rotation: Rotation, models: list[AffectedModel], world: World) -> list[AffectedModel]:
    """Return those of *models* that are on the old key at this moment; stop if someone has deleted it meanwhile."""
    old = rotation.plan.old_key
    inventory = await whole_inventory(rotation, world)
    there = {model.id for model in inventory.models if old.is_used_by(model)}
    on_it = [model for model in models if model.id in there]
    if on_it and inventory.key(old.id) is None:
        raise _no_way_back(rotation)
    return on_it


def answers_as_before(finding: Finding) -> bool:
    """Tell whether a model on the old key does what it did before, or is refused for a reason that is not the key's."""
    latest, before = finding.latest, finding.baseline
    if latest is None:
        return False
    if before is None and latest.is_of_model and latest.signature.startswith("4") and not latest.blames_credential:
        return True  # nobody knows how it answered before, and this refusal is not said of the key
    failed_before = before is not None and not before.passed and latest.signature == before.signature
    return latest.passed or latest.skipped or failed_before
