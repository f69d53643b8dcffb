"""Step: give every replica time to apply the way back."""

from datetime import timedelta

from bot.rotation.record import Rotation
from bot.steps.outcomes import Done, Outcome, Wait
from bot.steps.pacing import POLL, waited
from bot.steps.world import World


async def settle_back(rotation: Rotation, world: World) -> Outcome:
    """Give every replica time to return to the old key; skip the wait if the replacement was refused everywhere."""
    refused = (f.latest is not None and f.latest.blames_credential for f in rotation.findings.values() if f.moved_at)
    served = not all(refused)
    left = world.limits.settle - waited(rotation, world)
    if served and left > timedelta(0):
        return Wait(rotation, "letting the change settle on every replica", min(left, POLL))
    return Done(rotation.unproved())
