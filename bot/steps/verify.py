"""Steps that send live requests: before anything changes, and to verify the models of each wave."""

from datetime import timedelta

from bot.rotation.errors import Blocked, StopKind
from bot.rotation.evidence import Verdict
from bot.rotation.plan import AffectedModel
from bot.rotation.proof import is_accepted, unproved
from bot.rotation.record import Finding, Rotation, was_failing_before
from bot.steps.common import (
    POLL,
    Again,
    Done,
    Outcome,
    Wait,
    World,
    askable,
    in_hand,
    listing,
    noted,
    probe_each,
    refuse_rejected,
    waited,
)
from bot.steps.counting import listened, look, rebased
from bot.steps.project import is_bypassed, reason, refuse_projection, refuse_unproved
from bot.steps.verdicts import asked_together, weighed


async def baseline(rotation: Rotation, world: World) -> Outcome:
    """See which models answer on the old key, so that what was broken before is not blamed on the rotation."""
    rotation = await _with_names(rotation, world)
    todo = [m for m in askable(rotation, world) if _lacks_baseline(rotation.finding(m))]
    seen = await probe_each(rotation, todo, world)
    again = [m for m in todo if m.id in seen and seen[m.id].verdict is Verdict.INCONCLUSIVE]
    seen |= await probe_each(rotation, again, world)
    learnt = rotation.learn({id_: rotation.findings.get(id_, Finding()).but(baseline=e) for id_, e in seen.items()})
    if len(seen) < len(todo):
        return Wait(learnt, f"{_with_baseline(learnt)} of {len(rotation.plan.models)}")
    return Done(await _with_traffic(learnt, world))


def _lacks_baseline(finding: Finding) -> bool:
    """Tell whether it is still to be found out how a model answers on the old key: once it is moved, it is too late."""
    return finding.baseline is None and finding.moved_at is None


async def _with_names(rotation: Rotation, world: World) -> Rotation:
    """Learn the concrete name of a wildcard alias that nothing names, where the counters show just one in use."""
    nameless = [model for model in askable(rotation, world) if world.gateways.lacks_a_name(model)]
    seen = await look(rotation, {model.environment for model in nameless}, world) if nameless else {}
    live: dict[str, str] = {}
    for model in nameless:
        names = {name for sight in seen.get(model.environment, ()) for name in sight.now.live.get(model.id, ())}
        if len(names) == 1:
            live[model.id] = names.pop()
    models = tuple(model.but(live=live.get(model.id, model.live)) for model in rotation.plan.models)
    return rotation.but(plan=rotation.plan.but(models=models)) if live else rotation


async def _with_traffic(rotation: Rotation, world: World) -> Rotation:
    """Learn how much each model is asked, where counters tell: the least asked is moved first."""
    seen = await look(rotation, listened(rotation), world)
    traffic: dict[str, Finding] = {}
    for model in rotation.plan.models:
        counted = [sight.now for sight in seen.get(model.environment, ()) if sight.now.counts is not None]
        if counted:
            requests = sum(replica.served(model.id).old for replica in counted)
            traffic[model.id] = rotation.finding(model).but(traffic=requests)
    return rebased(rotation.learn(traffic), seen)


def _with_baseline(rotation: Rotation) -> int:
    return sum(finding.baseline is not None for finding in rotation.findings.values())


async def verify(rotation: Rotation, world: World) -> Outcome:
    """Ask every model in hand until there is a verdict on it; stop at the first refused credential.

    When a wave is verified, the next one begins.
    """
    refuse_unverifiable(rotation, world)
    if not all(rotation.finding(model).moved_at for model in in_hand(rotation, world)):
        return Again(rotation, "cut-over", "the wave is larger now")  # by other settings: the old key would answer
    play = [m for m in in_hand(rotation, world) if m.environment in world.gateways.environments]
    todo = [m for m in play if not _is_verified(rotation.finding(m), world)]
    unmet = [m for m in todo if rotation.finding(m).passes >= world.limits.probes]
    rotation = noted(rotation, await probe_each(rotation, todo, world), world.now())
    rotation = await asked_together(rotation, unmet, world)
    refuse_rejected(rotation, play)
    rotation = await weighed(rotation, todo, world)
    left = [m for m in todo if not _is_verified(rotation.finding(m), world)]
    if not left:
        return _verified(rotation, len(play), world)
    failing = [m for m in left if _is_failing(rotation.finding(m))]
    if failing and waited(rotation, world) > world.limits.verify:
        _block_on_unverified(rotation, failing)
    models = len(rotation.plan.models)
    return Wait(rotation, f"{len(play) - len(left)} of {models}", POLL if failing else timedelta(0))


def _verified(rotation: Rotation, done: int, world: World) -> Outcome:
    if done < len(askable(rotation, world)):
        return Again(
            rotation.but(wave=rotation.wave + 1), "cut-over", f"{done} of {len(rotation.plan.models)} verified"
        )
    _refuse_unproved(rotation)
    now = world.now()
    first = rotation.first_well_at or now
    return Done(rotation.but(verified_at=now, first_well_at=first, well_since=now, soak_until=None, look_at=None))


def _is_verified(finding: Finding, world: World) -> bool:
    if finding.latest is None:
        return False
    if finding.latest.verdict is Verdict.INCONCLUSIVE and finding.failing_since:  # it may be passing trouble
        patient = world.now() - finding.failing_since < world.limits.verify / 4
        return finding.is_accepted or (was_failing_before(finding) and not patient)
    return was_failing_before(finding) or is_enough(finding, world)


def is_enough(finding: Finding, world: World) -> bool:
    """Tell whether the verdict on a model is one that the settings are content with, or an approver is."""
    verdict = finding.verdict
    if verdict is None or finding.is_accepted:
        return verdict is not None
    if verdict.skipped:
        return not world.limits.require_proof
    return verdict.verdict is Verdict.PROVED or (verdict.passed and not world.limits.require_proof)


def _is_failing(finding: Finding) -> bool:
    """Tell whether more of the same will not help a model on."""
    return finding.failing_since is not None or finding.verdict is not None


def _refuse_unproved(rotation: Rotation) -> None:
    """Stop where nothing proves the new secret, unless an approver has accepted just that."""
    why = unproved(rotation)
    if why and not is_accepted(rotation):
        raise Blocked(StopKind.UNVERIFIED, "the new secret is not proved", why, after=rotation)


def refuse_unverifiable(rotation: Rotation, world: World) -> None:
    """Stop where no probe could ever say anything: the old key is not offered for deletion on a guess."""
    plan = rotation.plan
    blind = [plan.environments[env] for env in plan.environments if env not in world.gateways.environments]
    if blind:
        sentence = f"{listing(f'`{name}`' for name in blind)} has no gateway in the settings (AISIX_GATEWAYS)."
        raise Blocked(StopKind.UNVERIFIED, "some models cannot be verified", sentence, after=rotation)
    refuse_nameless(rotation, world)
    if plan.routes:
        sentence = (
            f"The passthrough route {listing(plan.routes)} still holds the old key. "
            "I do not move routes: point it at the replacement, then try again."
        )
        raise Blocked(StopKind.DRIFT, "a route still uses the old key", sentence, resume="replace", after=rotation)


def refuse_nameless(rotation: Rotation, world: World) -> None:
    """Stop at a wildcard alias that cannot be asked."""
    nameless = [m.label for m in askable(rotation, world) if world.gateways.lacks_a_name(m)]
    if nameless:
        sentence = f"{listing(nameless)} has a wildcard alias: name a concrete model for it in `probes`."
        raise Blocked(StopKind.UNVERIFIED, "some models cannot be verified", sentence, after=rotation)


def _block_on_unverified(rotation: Rotation, left: list[AffectedModel]) -> None:
    stale = [m for m in left if _is_stale(rotation.finding(m))]
    if stale:
        refuse_projection(rotation, f"{listing(m.label for m in stale)}: {reason(rotation, stale[0])}")
    refuse_unproved(rotation, f"{listing(m.label for m in left)}: {reason(rotation, left[0])}")


STALE = frozenset({Verdict.PROJECTION, Verdict.INVALID})
"""Verdicts that say something of the gateways, and nothing of the new secret."""


def _is_stale(finding: Finding) -> bool:
    """Tell whether a gateway may not have the change; an answer of a cache or of another target is no sign of that."""
    return finding.standing is not None and finding.standing.verdict in STALE and not is_bypassed(finding)
