"""Step: let every replica take the way back."""

from datetime import timedelta

from bot.rotation.record import Rotation
from bot.steps.outcomes import Done, Outcome, Wait
from bot.steps.pacing import POLL, waited
from bot.steps.world import World


async def settle_back(rotation: Rotation, world: World) -> Outcome:
    """Let every replica take the way back before the replacement goes; one that never served is not waited for."""
    refused = (f.latest is not None and f.latest.blames_credential for f in rotation.findings.values() if f.moved_at)
    served = not all(refused)
    left = world.limits.settle - waited(rotation, world)
    if served and left > timedelta(0):
        return Wait(rotation, "letting the change settle on every replica", min(left, POLL))
    return Done(rotation.unproved())
