"""The keys that a rotation makes: finds the requested one, and removes those that are not needed."""

from collections.abc import Iterable

from bot.rotation.inventory import Inventory, ProviderKey
from bot.rotation.made_keys import received, why_it_stays
from bot.rotation.record import KEY_STAYS, Rotation
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
    return received(rotation, key.id).but(replacement=rotation.replacement.but(key_id=key.id))


async def remove_unused(rotation: Rotation, keys: list[ProviderKey], inventory: Inventory, world: World) -> Rotation:
    """Delete *keys*, which this rotation made; keep a key that is or may be in use, and say so."""
    kept = [said for said in rotation.left_alone if not said.startswith(KEY_STAYS)]
    for key in keys:
        assert key.id != rotation.plan.old_key.id
        why = why_it_stays(rotation, key, inventory, world.gateways.environments)
        if why:
            kept.append(why)
        else:
            await world.control_plane.delete_key(key.id)
    return rotation.but(left_alone=tuple(dict.fromkeys(kept)))
