"""Steps that bring the replacement key about, and take away what is not wanted of it."""

from collections.abc import Iterable

from bot.aisix.reading import difference
from bot.rotation.errors import Blocked, StopKind
from bot.rotation.plan import Inventory, Plan, ProviderKey, named_lists, users_of, vanished_environments, vanished_lists
from bot.rotation.record import Rotation
from bot.steps.common import (
    NO_REPLACEMENT,
    POLL,
    Ask,
    Done,
    Outcome,
    Wait,
    World,
    confirm_gone,
    listing,
    whole_inventory,
)
from bot.steps.throwaways import without_throwaways


async def replace(rotation: Rotation, world: World) -> Outcome:
    """Find the replacement key that was asked for, and hold it against the old one."""
    assert rotation.replacement is not None
    if rotation.replacement.refusal:
        raise Blocked(StopKind.REFUSED, "the replacement was not created", rotation.replacement.refusal)
    keys = await world.control_plane.keys()
    key = _the_replacement(rotation, keys)
    if key is None:
        return await _missing_replacement(rotation, world)
    if key.id == rotation.plan.old_key.id:
        raise Blocked(StopKind.REFUSED, "there is no replacement", "AISIX answered with the old key itself.")
    rotation = _adopt(rotation, key)
    old = next((k for k in keys if k.id == rotation.plan.old_key.id), rotation.plan.old_key)
    _refuse_difference(rotation, old, key)
    missing = set(rotation.plan.needed_in) - set(key.allowed_environments)
    if key.allowed_environments and missing:
        await world.control_plane.allow_key(key, missing)
        return Wait(rotation, "Allowing the replacement in every affected environment.", POLL)
    return Done(rotation)


def _the_replacement(rotation: Rotation, keys: Iterable[ProviderKey]) -> ProviderKey | None:
    wanted = rotation.replacement
    assert wanted is not None, "a rotation runs forward only once a replacement has been asked for"
    if wanted.key_id:
        return next((key for key in keys if key.id == wanted.key_id), None)
    return next((key for key in keys if key.display_name == wanted.name), None)


def _adopt(rotation: Rotation, key: ProviderKey) -> Rotation:
    assert rotation.replacement is not None
    made = tuple(dict.fromkeys((*rotation.made, key.id)))
    return rotation.but(replacement=rotation.replacement.but(key_id=key.id), made=made)


async def _missing_replacement(rotation: Rotation, world: World) -> Outcome:
    wanted = rotation.replacement
    assert wanted is not None
    if wanted.key_id:
        await whole_inventory(rotation, world)  # and nobody else's
        await confirm_gone(wanted.key_id, rotation.plan.old_key.id, world)
        raise Blocked(
            StopKind.REFUSED,
            "the replacement is gone",
            NO_REPLACEMENT,
        )
    if world.now() - wanted.asked_at < world.limits.create_grace:
        return Wait(rotation, "I could not find out whether the key was created; looking again.", POLL)
    await whole_inventory(rotation, world)
    return Ask(rotation, "The replacement key was not created, and the secret is not kept: please give it once more.")


def _refuse_difference(rotation: Rotation, old: ProviderKey, key: ProviderKey) -> None:
    field = difference(old, key)
    if field is not None:
        raise Blocked(
            StopKind.DIFFERENCE,
            "the replacement is not like the old key",
            f"The replacement differs from the old key in `{field}`. Make them alike in AISIX, then try again.",
            after=rotation,
        )


async def tidy(rotation: Rotation, world: World) -> Outcome:
    """Remove refused replacements that are still there, unless something uses them."""
    rotation, inventory = await without_throwaways(rotation, await whole_inventory(rotation, world), world)
    spare = [key for key in rotation.own_keys(inventory.keys) if key.id != rotation.replacement_id]
    return Done(await _remove(rotation, spare, inventory, world))


STAYS = "Key"
"""What the sentences begin with that each look at the rotation's own keys says anew."""


async def _remove(rotation: Rotation, keys: list[ProviderKey], inventory: Inventory, world: World) -> Rotation:
    """Delete *keys* of this rotation's own making; one that is in use, or may be unseen, stays, and is said."""
    kept = [said for said in rotation.left_alone if not said.startswith(STAYS)]
    hidden = _hidden(rotation.plan, inventory)
    for key in keys:
        assert key.id != rotation.plan.old_key.id
        users = users_of(inventory, key)
        if users:
            kept.append(f"{STAYS} `{key.id}` of this rotation stays: {listing(users)} uses it.")
        elif hidden:
            kept.append(f"{STAYS} `{key.id}` of this rotation stays: AISIX does not show {hidden} any more.")
        else:
            await world.control_plane.delete_key(key.id)
    return rotation.but(left_alone=tuple(dict.fromkeys(kept)))


def _hidden(plan: Plan, inventory: Inventory) -> str:
    """Name what AISIX has shown to this rotation and does not show now: something there may use a key unseen."""
    lists, environments = vanished_lists(plan, inventory), vanished_environments(plan, inventory)
    return " and ".join(filter(None, [named_lists(lists, plan), listing(f"`{name}`" for name in environments)]))


async def remove_replacement(rotation: Rotation, world: World) -> Outcome:
    """Remove every key that this rotation made, unless something uses it."""
    wanted = rotation.replacement
    if wanted and not (wanted.key_id or wanted.refusal) and world.now() - wanted.asked_at < world.limits.create_grace:
        found = _the_replacement(rotation, await world.control_plane.keys())
        return Wait(_adopt(rotation, found) if found else rotation, "waiting for the creation to be answered", POLL)
    rotation, inventory = await without_throwaways(rotation, await whole_inventory(rotation, world), world)
    return Done(await _remove(rotation, list(rotation.own_keys(inventory.keys)), inventory, world))
