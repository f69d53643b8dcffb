"""What is due at a provider beside a rotation's own course, also once that is over: one thing at a time."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from bot.rotation import chores
from bot.rotation.errors import ApiError, Uncertain
from bot.rotation.parts import Chore
from bot.rotation.record import Rotation
from bot.steps.clear import clear
from bot.steps.revoking import revoke
from bot.steps.world import World

DO: dict[Chore, Callable[[Rotation, World], Awaitable[Rotation]]] = {
    Chore.REVOKE: revoke,
    Chore.CLEAR: clear,
}
"""What does each chore; its first line may assume that the chore is due. An `ApiError` has it tried again."""


def due_at(rotation: Rotation) -> datetime | None:
    """Return when the next chore is due; None if there is nothing to do."""
    first = chores.first_due(rotation)
    return first[0] if first else None


def due(rotation: Rotation, now: datetime) -> Chore | None:
    """Return the chore that is due *now*, if there is one."""
    first = chores.first_due(rotation)
    return first[1] if first and first[0] <= now else None


async def aftercare(rotation: Rotation, world: World) -> Rotation:
    """Do the chore that is due, and return *rotation* with what came of it; one that failed is tried again later."""
    chore = due(rotation, world.now())
    assert chore is not None
    try:
        after = await DO[chore](rotation, world)
    except Uncertain as trouble:
        return chores.failed(trouble.after or rotation, chore, str(trouble), world.now(), trouble.retry_after or 0)
    except ApiError as refusal:
        return chores.failed(refusal.after or rotation, chore, str(refusal), world.now())
    assert after != rotation, f"{chore} is due for ever"
    return chores.without(after, chore)
