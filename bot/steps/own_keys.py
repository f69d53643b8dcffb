"""The keys that a rotation makes: finds the requested one, and removes those that are not needed."""

from collections.abc import Iterable

from bot.rotation.drift import vanished_environments, vanished_lists
from bot.rotation.inventory import Inventory, ProviderKey
from bot.rotation.phrases import listing
from bot.rotation.plan import Plan, named_lists, users_of
from bot.rotation.record import Rotation
from bot.steps.world import World


def the_replacement(rotation: Rotation, keys: Iterable[ProviderKey]) -> ProviderKey | None:
    """Return the requested replacement: by its id, or by its name until the id is known."""
    wanted = rotation.replacement
    assert wanted is not None, "a rotation runs forward only once a replacement has been asked for"
    if wanted.key_id:
        return next((key for key in keys if key.id == wanted.key_id), None)
    return next((key for key in keys if key.display_name == wanted.name), None)


def adopt(rotation: Rotation, key: ProviderKey) -> Rotation:
    """Return *rotation* with *key* as its replacement, recorded as its own."""
    assert rotation.replacement is not None
    made = tuple(dict.fromkeys((*rotation.made, key.id)))
    return rotation.but(replacement=rotation.replacement.but(key_id=key.id), made=made)


STAYS = "Key"
"""How sentences about this rotation's keys start; each look replaces them."""


async def remove_unused(rotation: Rotation, keys: list[ProviderKey], inventory: Inventory, world: World) -> Rotation:
    """Delete *keys*, which this rotation made; keep a key that is or may be in use, and say so."""
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
    """Name what AISIX showed to this rotation before and does not show now: something there may use a key."""
    lists, environments = vanished_lists(plan, inventory), vanished_environments(plan, inventory)
    return " and ".join(filter(None, [named_lists(lists, plan), listing(f"`{name}`" for name in environments)]))
