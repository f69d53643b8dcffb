"""Step: test how every model answers on the old key."""

from bot.rotation.evidence import Verdict
from bot.rotation.finding import Finding
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.steps.counters import checking_addresses, look, rebased, watched_environments
from bot.steps.outcomes import Done, Outcome, Wait
from bot.steps.probing import askable, probe_each
from bot.steps.world import World


async def baseline(rotation: Rotation, world: World) -> Outcome:
    """Find out which models answer on the old key, so that Keyturn does not blame the rotation for earlier faults."""
    rotation = await _with_names(rotation, world)
    lacking = [m for m in askable(rotation, world) if _lacks_baseline(rotation.finding(m))]
    todo = await _on_the_old_key(rotation, lacking, world)
    seen = await checking_addresses(probe_each(rotation, todo, world), watched_environments(rotation), world)
    again = [m for m in todo if m.id in seen and seen[m.id].verdict is Verdict.INCONCLUSIVE]
    seen |= await probe_each(rotation, again, world)
    learned = rotation.learn({id_: rotation.findings.get(id_, Finding()).but(baseline=e) for id_, e in seen.items()})
    if len(seen) < len(todo):
        return Wait(learned, f"{_with_baseline(learned)} of {len(rotation.plan.models)}")
    return Done(await _with_traffic(learned, world))


def _lacks_baseline(finding: Finding) -> bool:
    """Return whether a model still needs a baseline; after its move it is too late for one."""
    return finding.baseline is None and finding.moved_at is None


async def _on_the_old_key(rotation: Rotation, models: list[AffectedModel], world: World) -> list[AffectedModel]:
    """Leave out models that AISIX shows on one of this rotation's keys: a worker may die before it records a move."""
    shown = await world.control_plane.models(model.environment for model in models)
    moved = {model.id for model in shown if any(key.is_used_by(model) for key in rotation.keys[1:])}
    return [model for model in models if model.id not in moved]


async def _with_names(rotation: Rotation, world: World) -> Rotation:
    """Find the concrete name for each wildcard alias that lacks one, if the counters show exactly one in use."""
    nameless = [model for model in askable(rotation, world) if world.gateways.lacks_a_name(model)]
    seen = await look(rotation, {model.environment for model in nameless}, world) if nameless else {}
    live: dict[str, str] = {}
    for model in nameless:
        names = {name for window in seen.get(model.environment, ()) for name in window.now.live.get(model.id, ())}
        if len(names) == 1:
            live[model.id] = names.pop()
    models = tuple(model.but(live=live.get(model.id, model.live)) for model in rotation.plan.models)
    return rotation.but(plan=rotation.plan.but(models=models)) if live else rotation


async def _with_traffic(rotation: Rotation, world: World) -> Rotation:
    """Record each model's traffic if counters show it: the least used model moves first."""
    seen = await look(rotation, watched_environments(rotation), world)
    traffic: dict[str, Finding] = {}
    for model in rotation.plan.models:
        counted = [window.now for window in seen.get(model.environment, ()) if window.now.counts is not None]
        if counted:
            requests = sum(replica.served(model.id).old for replica in counted)
            traffic[model.id] = rotation.finding(model).but(traffic=requests)
    return rebased(rotation.learn(traffic), seen)


def _with_baseline(rotation: Rotation) -> int:
    return sum(finding.baseline is not None for finding in rotation.findings.values())
