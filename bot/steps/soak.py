"""Step: check for a while that every model stays well, before an approver is asked."""

from datetime import timedelta

from bot.rotation.drift import listed_since
from bot.rotation.errors import Blocked
from bot.rotation.exposure import hurried
from bot.rotation.phrases import listing
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.rotation.states import StepName
from bot.rotation.stops import Cause
from bot.steps.counters import old_key_uses, with_counters_reset
from bot.steps.looks import checked_against_replicas, look_again
from bot.steps.outcomes import Again, Done, Outcome, Wait
from bot.steps.pacing import POLL
from bot.steps.refusals import reason, refuse_projection, refuse_rejected
from bot.steps.unseen import coverage_of, refuse_uncovered, uncovered
from bot.steps.verdicts import doubtful
from bot.steps.world import World


async def soak(rotation: Rotation, world: World) -> Outcome:
    """Check that every model stays well and the old key unused for as long as the settings say."""
    since = rotation.well_since or world.now()
    end = since + length(rotation, world)
    due = rotation.look_at or min(end, since + world.limits.look_interval)
    rotation = rotation.but(soak_until=end)
    if world.now() < due:
        return Wait(rotation.but(look_at=due), "soaking", due - world.now())
    rotation, left = await _looked(rotation, world)
    if left:
        return Wait(rotation.but(look_at=due), "soaking")
    unwell = doubtful(rotation, world)
    if unwell:
        return _verify_again(rotation, unwell, world)
    if any(old_key_uses(rotation)) or uncovered(rotation, coverage_of(world)):
        return await _listen_again(rotation, world)
    if world.now() >= end:
        return Done(rotation.but(look_at=None))
    again = min(end, world.now() + world.limits.look_interval)
    return Wait(rotation.but(look_at=again, look=""), "soaking", again - world.now())


def length(rotation: Rotation, world: World) -> timedelta:
    """Return how long all must stay well; if a list is unreadable, long enough to notice a rare use of the old key."""
    soak = hurried(rotation, max(world.limits.soak, rotation.policy.soak))
    return max(soak, world.limits.listen if rotation.plan.unlisted else timedelta(0))


async def _looked(rotation: Rotation, world: World) -> tuple[Rotation, int]:
    """Check everything; without a soak, skip test requests, as the models have just been verified."""
    if not length(rotation, world):
        return await checked_against_replicas(rotation, world), 0
    return await look_again(rotation, world)


def _verify_again(rotation: Rotation, unwell: list[AffectedModel], world: World) -> Outcome:
    """Go back to the verification for models that did not stay well; the soak starts again after it."""
    refuse_rejected(rotation, unwell)
    why = f"{unwell[0].label}: {reason(rotation, unwell[0])}"
    if world.now() - (rotation.first_well_at or world.now()) > length(rotation, world) + world.limits.patience:
        raise Blocked(Cause.UNWELL, after=rotation, why=why)
    forgotten = {model.id: rotation.finding(model).unproved for model in unwell}
    return Again(rotation.learn(forgotten), StepName.PROJECT, f"did not stay well: {why}")


async def _listen_again(rotation: Rotation, world: World) -> Outcome:
    """Listen again: the old key was used, or its use could go unnoticed somewhere."""
    return await (_restart_soak if any(old_key_uses(rotation)) else _extend_coverage)(rotation, world)


async def _restart_soak(rotation: Rotation, world: World) -> Outcome:
    """Restart the soak: a request that ran during the change is counted when it ends. Stop if it takes too long."""
    sentences = list(old_key_uses(rotation))
    if world.now() - (rotation.verified_at or world.now()) > length(rotation, world) + world.limits.verify:
        refuse_projection(rotation, listing(sentences, joint="; "))
    listening = await with_counters_reset(rotation, world)
    again = world.now() + POLL
    return Wait(listening.but(well_since=again, look_at=again, look=""), sentences[0], POLL)


async def _extend_coverage(rotation: Rotation, world: World) -> Outcome:
    """Read the lists again, and reset the counters; stop unless more replicas show theirs now."""
    rotation = rotation.but(plan=listed_since(rotation.plan, await world.control_plane.inventory()))
    listening = await with_counters_reset(rotation, world)
    late = world.now() - (rotation.verified_at or world.now()) > length(rotation, world) + world.limits.verify
    if late or not _counting(listening) - _counting(rotation):
        refuse_uncovered(rotation, world)
    again = world.now() + POLL
    return Wait(listening.but(well_since=again, look_at=again, look=""), "listening to the old key", POLL)


def _counting(rotation: Rotation) -> set[tuple[str, str]]:
    """Return the replicas whose counters were visible at the last reset."""
    return {(e, url) for e, looks in rotation.looks.items() for url, seen in looks.items() if seen.counts is not None}
