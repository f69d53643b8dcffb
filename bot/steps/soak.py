"""Step: see that all stays well for a while, before an approver is asked."""

from datetime import timedelta

from bot.rotation.drift import listed_since
from bot.rotation.errors import Blocked
from bot.rotation.phrases import listing
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.rotation.states import StepName
from bot.rotation.stops import Cause
from bot.steps.counters import heard, listening_again
from bot.steps.outcomes import Again, Done, Outcome, Wait
from bot.steps.pacing import POLL
from bot.steps.refusals import reason, refuse_projection, refuse_rejected
from bot.steps.unseen import ears_of, refuse_unheard, unheard
from bot.steps.verdicts import doubtful, held_against_replicas, look_again
from bot.steps.world import World


async def soak(rotation: Rotation, world: World) -> Outcome:
    """See that all stays well for as long as the settings say, the old key's silence included."""
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
        return _verified_anew(rotation, unwell, world)
    if any(heard(rotation)) or unheard(rotation, ears_of(world)):
        return await _listened_on(rotation, world)
    if world.now() >= end:
        return Done(rotation.but(look_at=None))
    again = min(end, world.now() + world.limits.look_interval)
    return Wait(rotation.but(look_at=again, look=""), "soaking", again - world.now())


def length(rotation: Rotation, world: World) -> timedelta:
    """Say how long all has to stay well; where a list is not shown, a rare use of the old key has to be heard."""
    return max(world.limits.soak, world.limits.listen if rotation.plan.unlisted else timedelta(0))


async def _looked(rotation: Rotation, world: World) -> tuple[Rotation, int]:
    """Look at everything; without a soak, no model is asked that has just been verified."""
    if not length(rotation, world):
        return await held_against_replicas(rotation, world), 0
    return await look_again(rotation, world)


def _verified_anew(rotation: Rotation, unwell: list[AffectedModel], world: World) -> Outcome:
    """Go back to the verification for what did not stay well; the soak starts again after it."""
    refuse_rejected(rotation, unwell)
    why = f"{unwell[0].label}: {reason(rotation, unwell[0])}"
    if world.now() - (rotation.first_well_at or world.now()) > length(rotation, world) + world.limits.patience:
        raise Blocked(Cause.UNWELL, after=rotation, why=why)
    forgotten = {model.id: rotation.finding(model).unproved for model in unwell}
    return Again(rotation.learn(forgotten), StepName.PROJECT, f"did not stay well: {why}")


async def _listened_on(rotation: Rotation, world: World) -> Outcome:
    """Listen once more where the old key was heard, or where it may be used unheard."""
    return await (_listened_anew if any(heard(rotation)) else _listened_elsewhere)(rotation, world)


async def _listened_anew(rotation: Rotation, world: World) -> Outcome:
    """Let the soak start again: a request under way at the change is counted when it ends. Stop if there are more."""
    sentences = list(heard(rotation))
    if world.now() - (rotation.verified_at or world.now()) > length(rotation, world) + world.limits.verify:
        refuse_projection(rotation, listing(sentences, joint="; "))
    listening = await listening_again(rotation, world)
    again = world.now() + POLL
    return Wait(listening.but(well_since=again, look_at=again, look=""), sentences[0], POLL)


async def _listened_elsewhere(rotation: Rotation, world: World) -> Outcome:
    """Look at the lists once more, and let counters that were not there before count from now on; else stop."""
    rotation = rotation.but(plan=listed_since(rotation.plan, await world.control_plane.inventory()))
    listening = await listening_again(rotation, world)
    late = world.now() - (rotation.verified_at or world.now()) > length(rotation, world) + world.limits.verify
    if late or not _audible(listening) - _audible(rotation):
        refuse_unheard(rotation, world)
    again = world.now() + POLL
    return Wait(listening.but(well_since=again, look_at=again, look=""), "listening to the old key", POLL)


def _audible(rotation: Rotation) -> set[tuple[str, str]]:
    """Return the replicas that showed counters when they began to count."""
    return {(e, url) for e, looks in rotation.looks.items() for url, seen in looks.items() if seen.counts is not None}
