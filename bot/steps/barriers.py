"""Barriers: a throw-away model for each environment where models move, made after the last of them.

A replica that answers for it has everything that was written before.
"""

from collections.abc import Collection, Iterable

from bot.rotation.inventory import Inventory, Model
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.steps.throwaways import askable_by_name, create_missing, planned, samples
from bot.steps.world import World


def with_barriers(rotation: Rotation, environments: Iterable[str], world: World) -> Rotation:
    """Name a barrier for each environment that can have one and has none, before any of the names is used."""
    if rotation.no_throwaways:
        return rotation
    lacking = [environment for environment in environments if rotation.barrier(environment) is None]
    chosen = filter(None, (_sample(rotation, environment, world) for environment in lacking))
    named, barriers = planned(rotation, chosen)
    return named.but(barriers=(*named.barriers, *barriers)) if barriers else rotation


def _sample(rotation: Rotation, environment: str, world: World) -> AffectedModel | None:
    """Choose what the barrier is like: a model that was well before and that every gateway counts, or else any."""
    some = [m for m in (*samples(rotation, world), *askable_by_name(rotation, world)) if m.environment == environment]
    counted = [model for model in some if world.gateways.is_always_counted(model)]
    return next(iter(counted or some), None)


def without_barriers(rotation: Rotation, environments: Collection[str]) -> Rotation:
    """Forget the barriers of environments where models move: they speak of what came before them only."""
    return rotation.but(barriers=tuple(b for b in rotation.barriers if b.environment not in environments))


def without_made(rotation: Rotation, environments: Collection[str], inventory: Inventory | None = None) -> Rotation:
    """Forget only those that are there already, as far as was noted or the lists show: a crash may have made one."""
    there = {model.alias for model in inventory.models} if inventory else set()
    made = {b.environment for b in rotation.barriers if b.created or b.name in there}
    return without_barriers(rotation, made & {*environments})


async def with_made(
    rotation: Rotation, environments: Collection[str], known: Iterable[Model], world: World
) -> Rotation:
    """Create the barriers that are named for *environments*; one that cannot be had is forgotten here.

    So is one that is there already: a worker that died made it, and somebody may have moved a model since.
    """
    lacking = [b for b in rotation.barriers if b.environment in environments and not b.created]
    refused = await create_missing(lacking, known, rotation, world, only_new=True)
    kept = (barrier for barrier in rotation.barriers if barrier.name not in refused)
    return rotation.but(barriers=tuple(b.but(created=b.created or b in lacking) for b in kept))
