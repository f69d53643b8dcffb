"""Step: move the models of the current wave to the replacement."""

import asyncio
from datetime import datetime

from bot.rotation.errors import ApiError, Blocked
from bot.rotation.inventory import Inventory
from bot.rotation.made_keys import offering
from bot.rotation.phrases import listing
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.rotation.stops import Cause
from bot.steps.barriers import with_barriers, with_made, without_barriers, without_made
from bot.steps.counters import checking_addresses
from bot.steps.inventory import models_on, refuse_drift, replacement_in, whole_inventory
from bot.steps.outcomes import Done, Outcome, Wait
from bot.steps.pacing import POLL
from bot.steps.permitted import may_move
from bot.steps.pointing import point, progress
from bot.steps.probing import current_models
from bot.steps.refusals import refuse_nameless, refuse_probed_elsewhere
from bot.steps.verdicts import needs_proof
from bot.steps.world import World


async def cut_over(rotation: Rotation, world: World) -> Outcome:
    """Point every model of the current wave at the replacement, then read back that each one is there."""
    _refuse_unprovable(rotation, world)
    if await _are_all_there(rotation, world):
        return Done(rotation)
    allowed = await may_move(rotation, world)
    if not isinstance(allowed, Rotation):
        return allowed
    rotation = allowed
    moving = _moving(rotation, world)
    named = with_barriers(without_made(offering(rotation), moving), moving, world)
    if named != rotation:
        return Wait(named, rotation.note or progress(rotation))
    return await checking_addresses(_move_rest(rotation, moving, world), moving, world)


async def _move_rest(rotation: Rotation, moving: list[str], world: World) -> Outcome:
    """Move the rest of the wave, after reading the whole inventory."""
    inventory = await whole_inventory(rotation, world)
    key = replacement_in(rotation, inventory)
    there = models_on(inventory, [key])
    moved = refuse_drift(_mark_moved(rotation, there, world.now()), inventory, world)
    refuse_probed_elsewhere(moved, inventory.models, world)
    left = [model for model in current_models(moved, world) if model.id not in there]
    if not left:
        return Done(moved)
    returned = [model for model in left if moved.finding(model).moved_at]
    if returned:
        return _read_back(moved, returned, world)
    waiting = await point(without_made(moved, moving, inventory), left, key, world)
    return await _ended(waiting, moving, inventory, world)


def _moving(rotation: Rotation, world: World) -> list[str]:
    """Return the environments of current models that have not been moved."""
    models = (model for model in current_models(rotation, world) if not rotation.finding(model).moved_at)
    return list(dict.fromkeys(model.environment for model in models))


async def _ended(waiting: Wait, moving: list[str], inventory: Inventory, world: World) -> Outcome:
    """After the last model of the wave, read the models back and create the barriers at the same time.

    The barriers count only if this first reading shows every model moved: then they were made after the moves.
    """
    rotation = waiting.rotation
    if not all(rotation.finding(model).moved_at for model in current_models(rotation, world)):
        return waiting
    try:
        there, made = await asyncio.gather(
            _are_all_there(rotation, world), with_made(rotation, moving, inventory.models, world)
        )
    except ApiError:
        return waiting  # record the moves first; the next run reads the rest
    return Done(made) if there else Wait(without_barriers(rotation, moving), waiting.reason, waiting.retry_in)


async def _are_all_there(rotation: Rotation, world: World) -> bool:
    """Return whether every current model is read back on the replacement, and the replacement exists.

    Returns False if a model has not been pointed yet: that needs the whole inventory first.
    """
    play = current_models(rotation, world)
    if not play or not all(rotation.finding(model).moved_at for model in play):
        return False
    keys, shown = await asyncio.gather(
        world.control_plane.keys(), world.control_plane.models(model.environment for model in play)
    )
    there = {model.id for model in shown if model.provider_key == rotation.replacement_id}
    return any(key.id == rotation.replacement_id for key in keys) and all(model.id in there for model in play)


def _mark_moved(rotation: Rotation, there: set[str], at: datetime) -> Rotation:
    fresh = [m for m in rotation.plan.models if m.id in there and not rotation.finding(m).moved_at]
    moved = rotation.learn({m.id: rotation.finding(m).but(moved_at=at) for m in fresh})
    return without_barriers(moved, {model.environment for model in fresh})


def _refuse_unprovable(rotation: Rotation, world: World) -> None:
    """Stop before any move if the settings require a proof that is impossible."""
    refuse_nameless(rotation, world)
    environments = rotation.plan.environments
    blind = [name for id_, name in environments.items() if not world.status.addresses(id_)]
    if needs_proof(rotation, world) and blind:
        raise Blocked(Cause.NOT_PROVABLE, after=rotation, environments=listing(f"`{name}`" for name in blind))


def _read_back(rotation: Rotation, returned: list[AffectedModel], world: World) -> Outcome:
    """Give the control plane a moment to show the change it accepted; after that, someone has undone it."""
    newest = max(moment for m in returned if (moment := rotation.finding(m).moved_at))
    if world.now() - newest < world.limits.read_back:
        return Wait(rotation, "Reading back that every model is on the new key.", POLL)
    after = rotation.learn({m.id: rotation.finding(m).but(moved_at=None) for m in returned})
    raise Blocked(Cause.MOVED_BACK, after=after, models=listing(m.label for m in returned))
