"""The keys that a rotation makes: finds the requested one, and removes those that are not needed."""

from collections.abc import Iterable

from bot.rotation.inventory import Inventory, ProviderKey
from bot.rotation.made_keys import received, stays_on_hold, why_it_stays
from bot.rotation.minting import with_key
from bot.rotation.ports import Moment
from bot.rotation.record import KEY_STAYS, Rotation
from bot.steps.outcomes import Done, Outcome, Wait
from bot.steps.pacing import FRESH, PART_OF_THE_LEASE, POLL
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
    return with_key(received(rotation, key.id).but(replacement=rotation.replacement.but(key_id=key.id)))


async def remove_unused(
    rotation: Rotation, keys: list[ProviderKey], inventory: Inventory, read: Moment, world: World
) -> Outcome:
    """Delete *keys*, which this rotation made; keep a key that is or may be in use, and say so.

    Look again if that was too long after the lists were *read*: the process may have been suspended since.
    """
    kept = [said for said in rotation.left_alone if not said.startswith(KEY_STAYS)]
    for key in keys:
        assert key.id != rotation.plan.old_key.id
        why = why_it_stays(rotation, key, inventory, world.gateways.environments)
        if not why and await world.holds.hold_on(key.id, world.now()):
            why = stays_on_hold(key.id)
        if why:
            kept.append(why)
            continue
        held = await world.hold.verified(rotation.version)
        if read.until(held) > FRESH:
            return Wait(rotation, "The lists are too old for a delete; reading them again.", POLL)
        await world.control_plane.delete_key(key.id, within=held.left * PART_OF_THE_LEASE)
    return Done(rotation.but(left_alone=tuple(dict.fromkeys(kept))))
