"""The keys that a rotation makes: finding the one that was asked for, and removing those not wanted."""

from collections.abc import Iterable

from bot.rotation.drift import vanished_environments, vanished_lists
from bot.rotation.inventory import Inventory, ProviderKey
from bot.rotation.phrases import listing
from bot.rotation.plan import Plan, named_lists, users_of
from bot.rotation.record import Rotation
from bot.steps.world import World


def the_replacement(rotation: Rotation, keys: Iterable[ProviderKey]) -> ProviderKey | None:
    """Return the replacement that was asked for: by its id, or by its name while the id is not known."""
    wanted = rotation.replacement
    assert wanted is not None, "a rotation runs forward only once a replacement has been asked for"
    if wanted.key_id:
        return next((key for key in keys if key.id == wanted.key_id), None)
    return next((key for key in keys if key.display_name == wanted.name), None)


def adopt(rotation: Rotation, key: ProviderKey) -> Rotation:
    """Return *rotation* with *key* as its replacement, and as one that it made."""
    assert rotation.replacement is not None
    made = tuple(dict.fromkeys((*rotation.made, key.id)))
    return rotation.but(replacement=rotation.replacement.but(key_id=key.id), made=made)


STAYS = "Key"
"""What the sentences begin with that each look at the rotation's own keys says again."""


async def remove_unused(rotation: Rotation, keys: list[ProviderKey], inventory: Inventory, world: World) -> Rotation:
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
