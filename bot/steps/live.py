"""Steps that send live requests: before anything changes, until the change has projected, and to verify it."""

from datetime import timedelta

from bot.errors import Blocked, StopKind
from bot.evidence import Verdict
from bot.plan import AffectedModel, plural
from bot.rotation import Finding, Rotation, was_failing_before
from bot.steps.common import (
    POLL,
    Done,
    Outcome,
    Wait,
    World,
    askable,
    listing,
    noted,
    probe_each,
    refuse_rejected,
    waited,
)


async def baseline(rotation: Rotation, world: World) -> Outcome:
    """See which models answer on the old key, so that what was broken before is not blamed on the rotation."""
    todo = [m for m in askable(rotation, world) if rotation.finding(m).baseline is None]
    seen = await probe_each(rotation, todo, world)
    again = [m for m in todo if m.id in seen and seen[m.id].verdict is Verdict.INCONCLUSIVE]
    seen |= await probe_each(rotation, again, world)
    learnt = rotation.learn({id_: rotation.findings.get(id_, Finding()).but(baseline=e) for id_, e in seen.items()})
    if len(seen) < len(todo):
        return Wait(learnt, f"{_with_baseline(learnt)} of {len(rotation.plan.models)}")
    return Done(learnt)


def _with_baseline(rotation: Rotation) -> int:
    return sum(finding.baseline is not None for finding in rotation.findings.values())


async def project(rotation: Rotation, world: World) -> Outcome:
    """Wait until every model answers through its gateway from the changed configuration."""
    todo = [m for m in askable(rotation, world) if not _has_projected(rotation.finding(m))]
    rotation = noted(rotation, await probe_each(rotation, todo, world), world.now())
    late = waited(rotation, world) > world.limits.projection
    refuse_rejected(rotation, [m for m in rotation.plan.models if late or not _echoes_old_key(rotation.finding(m))])
    left = [m for m in todo if not _has_projected(rotation.finding(m))]
    if not left:
        return _settle(rotation, world)
    if late:
        _block_on_projection(rotation, left)
    return Wait(rotation, f"{plural(len(left), 'model')} not there yet", POLL)


def _has_projected(finding: Finding) -> bool:
    if finding.latest is None or _echoes_old_key(finding):
        return False
    return finding.latest.verdict is not Verdict.PROJECTION or was_failing_before(finding)


def _echoes_old_key(finding: Finding) -> bool:
    """Tell whether a refusal may still be that of the key the model was on before: it must not blame the new secret."""
    before, now = finding.baseline, finding.latest
    return bool(before and now and now.blames_credential and before.signature == now.signature)


def _settle(rotation: Rotation, world: World) -> Outcome:
    """Let stragglers among the replicas catch up: the first answer can come from one that is ahead."""
    newest = max((f.moved_at for f in rotation.findings.values() if f.moved_at), default=world.now())
    left = newest + world.limits.settle - world.now()
    if left > timedelta(0):
        return Wait(rotation, "letting the change settle on every replica", min(left, POLL))
    return Done(rotation.learn({id_: f.but(passes=0) for id_, f in rotation.findings.items()}))


def _block_on_projection(rotation: Rotation, left: list[AffectedModel]) -> None:
    raise Blocked(
        StopKind.PROJECTION,
        "the gateway has not taken the change",
        f"{listing(m.label for m in left)}: {_reason(rotation, left[0])}. "
        "This says nothing against the new secret: look at Resource Projection in AISIX first.",
        after=rotation,
    )


def _reason(rotation: Rotation, model: AffectedModel) -> str:
    """Say what a model answered last, and since when it has not answered well."""
    finding = rotation.finding(model)
    if finding.latest is None:
        return "no answer yet"
    if finding.failing_since is None:
        return finding.latest.reason
    return f"{finding.latest.reason}, for {int((finding.latest.at - finding.failing_since).total_seconds())} s now"


async def verify(rotation: Rotation, world: World) -> Outcome:
    """Ask every model, several times in a row, and stop at the first refused credential."""
    refuse_unverifiable(rotation, world)
    todo = [m for m in askable(rotation, world) if not _is_verified(rotation.finding(m), world)]
    rotation = noted(rotation, await probe_each(rotation, todo, world), world.now())
    refuse_rejected(rotation, rotation.plan.models)
    left = [m for m in todo if not _is_verified(rotation.finding(m), world)]
    if not left:
        _refuse_unproved(rotation)
        return Done(rotation.but(verified_at=world.now()))
    failing = any(rotation.finding(m).failing_since for m in left)
    if failing and waited(rotation, world) > world.limits.verify:
        _block_on_unverified(rotation, left)
    models = len(rotation.plan.models)
    return Wait(rotation, f"{models - len(left)} of {models}", POLL if failing else timedelta(0))


def _is_verified(finding: Finding, world: World) -> bool:
    if finding.latest is None:
        return False
    if finding.latest.skipped or finding.passes >= world.limits.probes:
        return True
    if finding.latest.verdict is Verdict.INCONCLUSIVE and finding.failing_since:  # it may be passing trouble
        patient = world.now() - finding.failing_since < world.limits.verify / 4
        return was_failing_before(finding) and not patient
    return was_failing_before(finding)


def _refuse_unproved(rotation: Rotation) -> None:
    """Stop where every model of an environment was failing before: nothing there proves the new secret."""
    for environment, name in rotation.plan.environments.items():
        found = [rotation.finding(m).latest for m in rotation.plan.models if m.environment == environment]
        asked = [evidence for evidence in found if evidence and not evidence.skipped]
        if asked and not any(evidence.passed for evidence in asked):
            sentence = f"No model in `{name}` answers, neither before nor now, so nothing proves the new secret there."
            raise Blocked(StopKind.UNVERIFIED, "the new secret is not proved", sentence, after=rotation)


def refuse_unverifiable(rotation: Rotation, world: World) -> None:
    """Stop where no probe could ever say anything: the old key is not offered for deletion on a guess."""
    plan = rotation.plan
    blind = [plan.environments[env] for env in plan.environments if env not in world.gateways.environments]
    if blind:
        sentence = f"{listing(f'`{name}`' for name in blind)} has no gateway in the settings (AISIX_GATEWAYS)."
        raise Blocked(StopKind.UNVERIFIED, "some models cannot be verified", sentence, after=rotation)
    nameless = [m.label for m in plan.models if world.gateways.lacks_a_name(m)]
    if nameless:
        sentence = f"{listing(nameless)} has a wildcard alias: name a concrete model for it in `probes`."
        raise Blocked(StopKind.UNVERIFIED, "some models cannot be verified", sentence, after=rotation)
    if plan.routes:
        sentence = (
            f"The passthrough route {listing(plan.routes)} still holds the old key. "
            "I do not move routes: point it at the replacement, then try again."
        )
        raise Blocked(StopKind.DRIFT, "a route still uses the old key", sentence, resume="replace", after=rotation)


def _block_on_unverified(rotation: Rotation, left: list[AffectedModel]) -> None:
    behind = [m for m in left if (e := rotation.finding(m).latest) and e.verdict is Verdict.PROJECTION]
    if behind:
        _block_on_projection(rotation, behind)
    raise Blocked(
        StopKind.UNVERIFIED,
        "the new secret is not proved",
        f"{listing(m.label for m in left)} gave no answer that says anything about the new secret: "
        f"{_reason(rotation, left[0])}.",
        after=rotation,
    )


async def soak(rotation: Rotation, world: World) -> Outcome:
    """Let some time pass before an approver is asked; the last look before the delete asks every model again."""
    since = rotation.verified_at or world.now()
    left = since + world.limits.soak - world.now()
    return Wait(rotation, "soaking", left) if left > timedelta(0) else Done(rotation)
