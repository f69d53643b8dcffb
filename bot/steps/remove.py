"""Step: remove the replacement, once models are back on the old key."""

from bot.rotation.minting import is_asked_for
from bot.rotation.record import Rotation
from bot.steps.inventory import whole_inventory
from bot.steps.outcomes import Outcome, Wait
from bot.steps.own_keys import adopt, remove_unused, the_replacement
from bot.steps.pacing import POLL
from bot.steps.throwaways import without_throwaways
from bot.steps.world import World


async def remove(rotation: Rotation, world: World) -> Outcome:
    """Remove every key that this rotation made, unless something uses it."""
    wanted = rotation.replacement if is_asked_for(rotation) else None
    if wanted and not (wanted.key_id or wanted.refusal) and world.now() - wanted.asked_at < world.limits.create_grace:
        found = the_replacement(rotation, await world.control_plane.keys())
        return Wait(adopt(rotation, found) if found else rotation, "waiting for the creation to be answered", POLL)
    inventory = await whole_inventory(rotation, world)
    read = await world.hold.verified(rotation.version)
    rotation, inventory = await without_throwaways(rotation, inventory, world)
    return await remove_unused(rotation, list(rotation.own_keys(inventory.keys)), inventory, read, world)
