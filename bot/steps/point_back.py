"""Step: point the models back at the old key."""

from dataclasses import replace

from bot.rotation.inventory import Inventory
from bot.rotation.plan import plural
from bot.rotation.record import Rotation
from bot.rotation.states import Track
from bot.steps.inventory import models_on, whole_inventory
from bot.steps.outcomes import Done, Outcome, Wait
from bot.steps.pointing import point
from bot.steps.refusals import no_way_back
from bot.steps.revoking import enabled_first
from bot.steps.world import World


async def point_back(rotation: Rotation, world: World) -> Outcome:
    """Point every planned model that this rotation moved back at the old key; leave the others alone."""
    if (ready := await enabled_first(rotation, world)) != rotation:
        return Wait(ready, "the old key works at its provider again")
    inventory = await whole_inventory(rotation, world)
    there = models_on(inventory, rotation.own_keys(inventory.keys))
    there |= {model.id for model in inventory.models if model.provider_key in (*rotation.made, *rotation.names)}
    left = [model for model in rotation.plan.models if model.id in there]
    old = inventory.key(rotation.plan.old_key.id)
    gone = old is None
    if (gone or rotation.delete_asked_at) and rotation.track is Track.WITHDRAW:  # only another secret helps callers
        return Done(rotation.but(plan=rotation.plan.but(old_key_gone=gone)))
    if left and gone:
        raise no_way_back(rotation)
    if not left or old is None:
        return Done(_say_left_alone(rotation, inventory))
    reason = f"{plural(len(left), 'model')} to point back"
    unrecorded = {m.id: rotation.finding(m).but(moved_at=world.now()) for m in left if not rotation.finding(m).moved_at}
    if unrecorded:  # before they leave the replacement: later steps wait for models that were on it, and ask them
        return Wait(rotation.learn(unrecorded), reason)
    return replace(await point(rotation, left, old, world), reason=reason)


def _say_left_alone(rotation: Rotation, inventory: Inventory) -> Rotation:
    """Name the planned models that someone else has put on another key, and the moved ones that are not shown."""
    models = {model.id: model for model in inventory.models}
    old = rotation.plan.old_key
    kept = [
        f"{m.label} uses a key that this rotation does not know; Keyturn left it alone."
        for m in rotation.plan.models
        if m.id in models and not old.is_meant_by(models[m.id].provider_key)
    ]
    hidden = [
        f"AISIX does not show {m.label} any more, so Keyturn could not point it back."
        for m in rotation.moved
        if m.id not in models
    ]
    return rotation.but(left_alone=tuple(dict.fromkeys((*rotation.left_alone, *kept, *hidden))))
