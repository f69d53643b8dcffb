"""Reads the inventory: when Keyturn believes a list, and which findings stop the rotation."""

from collections.abc import Iterable

from bot.rotation.drift import drift, is_elsewhere, unlisted_environments, vanished_environments, vanished_lists
from bot.rotation.errors import Blocked, Uncertain
from bot.rotation.finding import Finding
from bot.rotation.inventory import Inventory, ProviderKey
from bot.rotation.phrases import listing
from bot.rotation.plan import named_lists, users_of
from bot.rotation.record import Rotation
from bot.rotation.stops import Cause
from bot.steps.world import World


def refuse_drift(rotation: Rotation, inventory: Inventory, world: World) -> Rotation:
    """Return *rotation* with the current plan, or stop if it differs from what people saw.

    The card then shows the current plan, and **Try again** accepts it.
    """
    ours = [key.id for key in rotation.own_keys(inventory.keys)]
    changes = drift(rotation.plan, inventory, ours, world.gateways.environments)
    if changes.sentences:
        said = listing(changes.sentences, joint=" ")
        raise Blocked(Cause.CHANGED, after=rotation.with_plan(changes.plan), changes=said)
    return rotation.with_plan(changes.plan)


async def whole_inventory(rotation: Rotation, world: World) -> Inventory:
    """Read the inventory; if a list lacks one of the two keys, require more evidence that the key is gone."""
    inventory = await world.control_plane.inventory()
    if is_elsewhere(rotation.plan, inventory):
        raise Uncertain(
            "AISIX shows none of the environments of this rotation: AISIX_ADMIN_TOKEN may be another organization's."
        )
    old, new = rotation.plan.old_key.id, rotation.replacement_id
    known_gone = rotation.delete_granted or rotation.plan.old_key_gone
    if inventory.key(old) is None and not known_gone:
        await confirm_gone(old, new, world)
    if new and inventory.key(new) is None:
        await confirm_gone(new, old, world)
    return inventory


def is_deleted(rotation: Rotation, inventory: Inventory) -> bool:
    """Return whether the old key is gone; a token that can't see the replacement either may see no key at all."""
    is_telling = rotation.delete_granted or inventory.key(rotation.replacement_id) is not None
    return is_telling and inventory.key(rotation.plan.old_key.id) is None


async def confirm_gone(key_id: str, beside: str | None, world: World) -> None:
    """Raise `Uncertain` unless more than one list says that a provider key is gone."""
    if not await world.control_plane.is_gone(key_id, beside):
        raise Uncertain("AISIX's lists of provider keys contradict each other.")


def replacement_in(rotation: Rotation, inventory: Inventory) -> ProviderKey:
    """Return the replacement, or stop: the previous step still saw it."""
    key = inventory.key(rotation.replacement_id)
    if key is None:
        raise Blocked(Cause.KEY_GONE)
    return key


def models_on(inventory: Inventory, keys: Iterable[ProviderKey]) -> set[str]:
    """Return the ids of the models that use one of *keys*."""
    held = list(keys)
    return {model.id for model in inventory.models if any(key.is_used_by(model) for key in held)}


def refuse_unlisted(rotation: Rotation, inventory: Inventory, world: World) -> None:
    """Stop if a part of the tenant is not visible, or no longer: something there may use the old key."""
    plan = rotation.plan
    hidden = unlisted_environments(plan, inventory, world.gateways.environments)
    if hidden:
        raise Blocked(Cause.UNKNOWN_ENVIRONMENT, after=rotation, environments=listing(f"`{name}`" for name in hidden))
    gone = vanished_environments(plan, inventory)
    if gone:
        raise Blocked(Cause.VANISHED_ENVIRONMENT, after=rotation, environments=listing(f"`{name}`" for name in gone))
    lost = vanished_lists(plan, inventory)
    if lost:
        raise Blocked(Cause.VANISHED_LIST, after=rotation, lists=named_lists(lost, plan))
    if plan.has_routes and not inventory.has_routes:
        raise Uncertain("AISIX does not show the passthrough routes that it had.")


def refuse_reference(rotation: Rotation, inventory: Inventory, world: World) -> None:
    """Stop if anything refers to the old key, or if a planned model is not on this rotation's replacement."""
    refuse_unlisted(rotation, inventory, world)
    users = users_of(inventory, inventory.key(rotation.plan.old_key.id) or rotation.plan.old_key)
    if users:
        ours = [key.id for key in rotation.own_keys(inventory.keys)]
        changes = drift(rotation.plan, inventory, ours, world.gateways.environments)
        after = _forget_moves(rotation.with_plan(changes.plan), inventory)
        raise Blocked(Cause.STILL_USED, after=after, users=listing(users))
    rotation = refuse_drift(rotation, inventory, world)
    key = replacement_in(rotation, inventory)
    there = models_on(inventory, [key])
    astray = [m.label for m in rotation.plan.models if m.id not in there]
    if astray:
        raise Blocked(Cause.ASTRAY, models=listing(astray))


def _forget_moves(rotation: Rotation, inventory: Inventory) -> Rotation:
    """Reset models that went back to the old key, so that they are moved again."""
    old = rotation.plan.old_key
    back = {model.id for model in inventory.models if old.is_meant_by(model.provider_key)}
    astray = [m for m in rotation.plan.models if m.id in back]
    return rotation.learn({m.id: Finding(baseline=rotation.finding(m).baseline) for m in astray})
