"""Step: check that every model answers as it did before the rotation."""

from bot.rotation.errors import Blocked
from bot.rotation.finding import Finding
from bot.rotation.phrases import listing
from bot.rotation.plan import AffectedModel, plural
from bot.rotation.record import Rotation
from bot.rotation.stops import Cause
from bot.steps.inventory import whole_inventory
from bot.steps.outcomes import Done, Outcome, Wait
from bot.steps.pacing import POLL, waited
from bot.steps.probing import askable, noted, probe_each
from bot.steps.refusals import no_way_back
from bot.steps.world import World


async def verify_back(rotation: Rotation, world: World) -> Outcome:
    """Probe every model that was pointed back, until it answers as it did before the rotation.

    Skip models that are no longer on the old key: someone else changed or deleted them, and this step can't fix that.
    """
    todo = [m for m in askable(rotation, world) if rotation.finding(m).moved_at]
    rotation = noted(rotation, await probe_each(rotation, todo, world), world.now())
    left = [m for m in todo if not answers_as_before(rotation.finding(m))]
    left = await _on_the_old_key(rotation, left, world) if left else []
    if not left:
        return Done(rotation)
    if waited(rotation, world) > world.limits.projection:
        evidence = rotation.finding(left[0]).latest
        reason = evidence.reason if evidence else "no answer yet"
        models = listing(m.label for m in left)
        raise Blocked(Cause.UNWELL_ON_OLD_KEY, after=rotation, models=models, reason=reason)
    return Wait(rotation, f"{plural(len(left), 'model')} to go", POLL)


async def _on_the_old_key(rotation: Rotation, models: list[AffectedModel], world: World) -> list[AffectedModel]:
    """Return those of *models* that are on the old key now; stop if someone has deleted that key."""
    old = rotation.plan.old_key
    inventory = await whole_inventory(rotation, world)
    there = {model.id for model in inventory.models if old.is_used_by(model)}
    on_it = [model for model in models if model.id in there]
    if on_it and inventory.key(old.id) is None:
        raise no_way_back(rotation)
    return on_it


def answers_as_before(finding: Finding) -> bool:
    """Return whether a model on the old key answers as before, or is refused for a reason other than the key.

    An account that lacks the model is such a reason only if the baseline says the same.
    """
    latest, before = finding.latest, finding.baseline
    if latest is None:
        return False
    is_of_key = latest.blames_credential or latest.lacks_model
    if before is None and latest.is_of_model and latest.of_request and not is_of_key:
        return True
    failed_before = before is not None and not before.passed and latest.signature == before.signature
    return latest.passed or latest.skipped or failed_before
