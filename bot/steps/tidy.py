"""Step: remove what the rotation made and no longer needs."""

from bot.rotation.record import Rotation
from bot.steps.counters import checking_addresses, watched_environments
from bot.steps.inventory import whole_inventory
from bot.steps.outcomes import Outcome
from bot.steps.own_keys import remove_unused
from bot.steps.throwaways import without_throwaways
from bot.steps.world import World


async def tidy(rotation: Rotation, world: World) -> Outcome:
    """Remove refused replacements that still exist, unless something uses them."""
    return await checking_addresses(_tidied(rotation, world), watched_environments(rotation), world)


async def _tidied(rotation: Rotation, world: World) -> Outcome:
    inventory = await whole_inventory(rotation, world)
    read = await world.hold.verified(rotation.version)
    rotation, inventory = await without_throwaways(rotation, inventory, world)
    spare = [key for key in rotation.own_keys(inventory.keys) if key.id != rotation.replacement_id]
    return await remove_unused(rotation, spare, inventory, read, world)
