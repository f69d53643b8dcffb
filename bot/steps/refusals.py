"""Stops that several steps share, and what they say about a model."""

from collections.abc import Iterable

from bot.rotation.blame import refusal
from bot.rotation.errors import Blocked
from bot.rotation.evidence import Verdict
from bot.rotation.finding import Finding, was_failing_before
from bot.rotation.inventory import Model
from bot.rotation.phrases import listing
from bot.rotation.plan import AffectedModel, probed_elsewhere
from bot.rotation.record import Rotation
from bot.rotation.stops import Cause
from bot.steps.probing import askable
from bot.steps.world import World


def refuse_rejected(rotation: Rotation, models: Iterable[AffectedModel]) -> None:
    """Stop at the first model that is refused with the new key, and was not with the old one."""
    rejected = [m for m in models if _is_rejected(rotation.finding(m))]
    if rejected:
        rejected.sort(key=lambda model: not _blames_credential(rotation.finding(model)))
        evidence = rotation.finding(rejected[0]).latest
        assert evidence is not None
        raise Blocked(refusal(evidence), after=rotation, why=f"{rejected[0].label}: {evidence.reason}")


def _is_rejected(finding: Finding) -> bool:
    latest = finding.latest
    return latest is not None and latest.verdict is Verdict.REJECTED and not was_failing_before(finding)


def _blames_credential(finding: Finding) -> bool:
    return finding.latest is not None and finding.latest.blames_credential


def refuse_unlisted_replica(rotation: Rotation, where: str, how: str) -> None:
    """Stop: a replica without a status address takes requests, and may use the old key."""
    raise Blocked(Cause.UNLISTED_REPLICA, after=rotation.but(barriers=()), where=where, how=how)


def refuse_unproved(rotation: Rotation, why: str) -> None:
    """Stop: nothing shows that the new secret works."""
    raise Blocked(Cause.NOT_PROVED, after=rotation, why=why)


def refuse_projection(rotation: Rotation, why: str) -> None:
    """Stop: the gateways do not have the change, whatever the models answer."""
    raise Blocked(Cause.NOT_TAKEN, after=rotation.but(barriers=()), why=why)


def reason(rotation: Rotation, model: AffectedModel) -> str:
    """Return the newest judgement on a model, and since when it has been failing."""
    finding = rotation.finding(model)
    if finding.current is None:
        return "no answer yet"
    if finding.failing_since is None or finding.latest is None:
        return finding.current.reason
    seconds = int((finding.latest.at - finding.failing_since).total_seconds())
    return f"{finding.current.reason}, for {seconds} s now" if seconds > 0 else finding.current.reason


def refuse_unverifiable(rotation: Rotation, world: World) -> None:
    """Stop if no test request could ever prove anything: Keyturn does not offer a delete on a guess."""
    plan = rotation.plan
    blind = [plan.environments[env] for env in plan.environments if env not in world.gateways.environments]
    if blind:
        raise Blocked(Cause.NO_GATEWAY, after=rotation, environments=listing(f"`{name}`" for name in blind))
    refuse_nameless(rotation, world)
    if plan.routes:
        raise Blocked(Cause.ROUTE_LEFT, after=rotation, routes=listing(plan.routes))


def refuse_nameless(rotation: Rotation, world: World) -> None:
    """Stop at a wildcard alias without a name to probe."""
    nameless = [m.label for m in askable(rotation, world) if world.gateways.lacks_a_name(m)]
    if nameless:
        raise Blocked(Cause.NAMELESS, after=rotation, models=listing(nameless))


def refuse_probed_elsewhere(rotation: Rotation, models: Iterable[Model], world: World) -> None:
    """Stop if the settings send test requests for a model to another one, whose answers prove nothing about it."""
    known = list(models)
    found = ((m, probed_elsewhere(m, world.gateways.name(m), known)) for m in askable(rotation, world))
    said = [f"{m.label} to {_other(rotation, other)}" for m, other in found if other]
    if said:
        raise Blocked(Cause.PROBED_ELSEWHERE, after=rotation.but(barriers=()), models=listing(said))


def _other(rotation: Rotation, model: Model) -> str:
    elsewhere = not model.is_virtual and not any(key.is_used_by(model) for key in rotation.keys)
    return f"another model, `{model.alias}`{', which is on another key' if elsewhere else ''}"


def no_way_back(rotation: Rotation) -> Blocked:
    """Return the stop for models that can't go back because the old key no longer exists."""
    after = rotation.but(plan=rotation.plan.but(old_key_gone=True))
    return Blocked(Cause.NO_WAY_BACK, after=after)
