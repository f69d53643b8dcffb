"""Barriers: one throw-away model in each environment where models move, made after the last move.

A replica that answers for the barrier has every earlier change.
"""

from collections.abc import Collection, Iterable

from bot.rotation.inventory import Inventory, Model
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.steps.throwaways import askable_by_name, create_missing, planned, samples
from bot.steps.world import World


def with_barriers(rotation: Rotation, environments: Iterable[str], world: World) -> Rotation:
    """Name a barrier for each environment that can have one and lacks one, before any of the names is used."""
    if rotation.no_throwaways:
        return rotation
    lacking = [environment for environment in environments if rotation.barrier(environment) is None]
    chosen = filter(None, (_sample(rotation, environment, world) for environment in lacking))
    named, barriers = planned(rotation, chosen)
    return named.but(barriers=(*named.barriers, *barriers)) if barriers else rotation


def _sample(rotation: Rotation, environment: str, world: World) -> AffectedModel | None:
    """Choose the model that the barrier copies: one that worked before and that every gateway counts, or else any."""
    some = [m for m in (*samples(rotation, world), *askable_by_name(rotation, world)) if m.environment == environment]
    counted = [model for model in some if world.gateways.is_always_counted(model)]
    return next(iter(counted or some), None)


def without_barriers(rotation: Rotation, environments: Collection[str]) -> Rotation:
    """Drop the barriers of environments where models move: a barrier only covers earlier changes."""
    return rotation.but(barriers=tuple(b for b in rotation.barriers if b.environment not in environments))


def without_made(rotation: Rotation, environments: Collection[str], inventory: Inventory | None = None) -> Rotation:
    """Drop only barriers that exist already, by the record or by the lists; a crash may have made one unnoticed."""
    there = {model.alias for model in inventory.models} if inventory else set()
    made = {b.environment for b in rotation.barriers if b.created or b.name in there}
    return without_barriers(rotation, made & {*environments})


async def with_made(
    rotation: Rotation, environments: Collection[str], known: Iterable[Model], world: World
) -> Rotation:
    """Create the named barriers of *environments*; drop those that AISIX refuses.

    Drop also one that exists already: a dead worker made it, and somebody may have moved a model since.
    """
    lacking = [b for b in rotation.barriers if b.environment in environments and not b.created]
    refused = await create_missing(lacking, known, rotation, world, only_new=True)
    kept = (barrier for barrier in rotation.barriers if barrier.name not in refused)
    return rotation.but(barriers=tuple(b.but(created=b.created or b in lacking) for b in kept))
