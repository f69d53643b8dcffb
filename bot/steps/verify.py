"""Step: probe every moved model until there is a verdict on it."""

from datetime import timedelta

from bot.rotation.errors import Blocked
from bot.rotation.evidence import Verdict
from bot.rotation.finding import Finding, is_excused
from bot.rotation.phrases import listing
from bot.rotation.plan import AffectedModel
from bot.rotation.proof import is_accepted, is_enough, unproved
from bot.rotation.record import Rotation
from bot.rotation.states import StepName
from bot.rotation.stops import Cause
from bot.steps.outcomes import Again, Done, Outcome, Wait
from bot.steps.pacing import POLL, waited
from bot.steps.probing import askable, current_models, noted, probe_each
from bot.steps.refusals import reason, refuse_projection, refuse_rejected, refuse_unproved, refuse_unverifiable
from bot.steps.verdicts import is_bypassed, needs_proof, probed_further, weighed
from bot.steps.world import World


async def verify(rotation: Rotation, world: World) -> Outcome:
    """Probe every current model until there is a verdict on it; stop at the first refused credential.

    After a wave is verified, the next one begins.
    """
    refuse_unverifiable(rotation, world)
    if not all(rotation.finding(model).moved_at for model in current_models(rotation, world)):
        return Again(
            rotation, StepName.CUT_OVER, "the wave is larger now"
        )  # the settings changed: the old key would answer
    play = [m for m in current_models(rotation, world) if m.environment in world.gateways.environments]
    todo = [m for m in play if not _is_verified(rotation.finding(m), rotation, world)]
    rotation = await _asked(rotation, todo, world)
    refuse_rejected(rotation, play)
    rotation = await weighed(rotation, todo, world)
    left = [m for m in todo if not _is_verified(rotation.finding(m), rotation, world)]
    if not left:
        return _verified(rotation, len(play), world)
    failing = [m for m in left if _is_failing(rotation.finding(m))]
    if failing and waited(rotation, world) > world.limits.verify:
        _block_on_unverified(rotation, failing)
    models = len(rotation.plan.models)
    return Wait(rotation, f"{len(play) - len(left)} of {models}", POLL if failing else timedelta(0))


async def _asked(rotation: Rotation, models: list[AffectedModel], world: World) -> Rotation:
    """Probe models without a good answer once, then all that answer as often as needed; stop if one is refused."""
    silent = [model for model in models if not rotation.finding(model).passes]
    rotation = noted(rotation, await probe_each(rotation, silent, world), world.now())
    refuse_rejected(rotation, silent)
    return await probed_further(rotation, models, world)


def _verified(rotation: Rotation, done: int, world: World) -> Outcome:
    if done < len(askable(rotation, world)):
        return Again(
            rotation.but(wave=rotation.wave + 1), StepName.CUT_OVER, f"{done} of {len(rotation.plan.models)} verified"
        )
    _refuse_unproved(rotation)
    now = world.now()
    first = rotation.first_well_at or now
    return Done(rotation.but(verified_at=now, first_well_at=first, well_since=now, soak_until=None, look_at=None))


def _is_verified(finding: Finding, rotation: Rotation, world: World) -> bool:
    if finding.latest is None:
        return False
    if finding.latest.verdict is Verdict.INCONCLUSIVE and finding.failing_since:  # it may be temporary
        patient = world.now() - finding.failing_since < world.limits.verify / 4
        return finding.is_accepted or (is_excused(finding) and not patient)
    return is_excused(finding) or is_enough(finding, require_proof=needs_proof(rotation, world))


def _is_failing(finding: Finding) -> bool:
    """Return whether repeating the same requests will not help a model."""
    return finding.failing_since is not None or finding.verdict is not None


def _refuse_unproved(rotation: Rotation) -> None:
    """Stop if nothing proves the new secret, unless an approver has accepted exactly that."""
    why = unproved(rotation)
    if why and not is_accepted(rotation):
        raise Blocked(Cause.NOTHING_PROVED, after=rotation, why=why)


def _block_on_unverified(rotation: Rotation, left: list[AffectedModel]) -> None:
    stale = [m for m in left if _is_stale(rotation.finding(m))]
    if stale:
        refuse_projection(rotation, f"{listing(m.label for m in stale)}: {reason(rotation, stale[0])}")
    refuse_unproved(rotation, f"{listing(m.label for m in left)}: {reason(rotation, left[0])}")


STALE = frozenset({Verdict.PROJECTION, Verdict.INVALID})
"""Verdicts about the gateways, not about the new secret."""


def _is_stale(finding: Finding) -> bool:
    """Return whether a gateway may lack the change; an answer from a cache or another target is no sign of that."""
    return finding.current is not None and finding.current.verdict in STALE and not is_bypassed(finding)
