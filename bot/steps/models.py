"""Steps that move the affected models to the replacement, and back."""

from datetime import datetime

from bot.errors import Blocked, StopKind
from bot.plan import AffectedModel
from bot.rotation import Rotation
from bot.steps.common import POLL, Done, Outcome, Wait, World, existing, listing, models_on, point, refuse_drift


async def cut_over(rotation: Rotation, world: World) -> Outcome:
    """Point every affected model at the replacement, then read back that each is there."""
    inventory = await world.control_plane.inventory()
    rotation = refuse_drift(rotation, inventory, world)
    key = existing(inventory, rotation.replacement_id, "The replacement key no longer exists: someone deleted it.")
    there = models_on(inventory, [key])
    moved = _mark_moved(rotation, there, world.now())
    left = [model for model in rotation.plan.models if model.id not in there]
    if not left:
        return Done(moved)
    returned = [model for model in left if rotation.finding(model).moved_at]
    if returned:
        return _read_back(moved, returned, world)
    return await point(moved, left, key.id, world)


def _mark_moved(rotation: Rotation, there: set[str], at: datetime) -> Rotation:
    fresh = [m for m in rotation.plan.models if m.id in there and not rotation.finding(m).moved_at]
    return rotation.learn({m.id: rotation.finding(m).but(moved_at=at) for m in fresh})


def _read_back(rotation: Rotation, returned: list[AffectedModel], world: World) -> Outcome:
    """Give the control plane a moment to show what it accepted; after that, someone has changed it."""
    newest = max(moment for m in returned if (moment := rotation.finding(m).moved_at))
    if world.now() - newest < world.limits.read_back:
        return Wait(rotation, "Reading back that every model is on the replacement.", POLL)
    after = rotation.learn({m.id: rotation.finding(m).but(moved_at=None) for m in returned})
    raise Blocked(
        StopKind.DRIFT,
        "someone changed a model meanwhile",
        f"{listing(m.label for m in returned)} went back to the old key after I had moved it.",
        after=after,
    )
