"""Points models at a key."""

from datetime import timedelta

from bot.rotation.errors import Blocked, LeaseLost, Unanswerable, Uncertain
from bot.rotation.inventory import ProviderKey
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.rotation.stops import Cause
from bot.steps.outcomes import Wait
from bot.steps.pacing import POLL, each
from bot.steps.world import World


async def point(rotation: Rotation, models: list[AffectedModel], key: ProviderKey, world: World) -> Wait:
    """Point as many of *models* as a slice of time allows; the next run handles the rest."""
    held = await world.hold.verified(rotation.version)

    async def point_one(model: AffectedModel) -> None:
        nonlocal held
        if held.left <= 0:  # the process was suspended: another one may have moved the models back since
            held = await world.hold.verified(rotation.version)
        await world.control_plane.point(model.id, model.environment, key.id)

    results = await each(models, point_one, width=world.limits.concurrency)
    now = world.now()
    moved = {m.id: rotation.finding(m).but(moved_at=now) for m, error in results if error is None}
    rotation = rotation.learn(moved) if key.id == rotation.replacement_id else rotation
    _raise_refusal(rotation, results, key)
    return Wait(rotation, progress(rotation), timedelta(0) if any(error is None for _, error in results) else POLL)


def progress(rotation: Rotation) -> str:
    """Say how many models are on the replacement."""
    return f"{len(rotation.moved)} of {len(rotation.plan.models)}"


def _raise_refusal(rotation: Rotation, results: list[tuple[AffectedModel, Exception | None]], key: ProviderKey) -> None:
    """Stop on a refusal; raise `Uncertain` only if every request was uncertain."""
    errors = [(model, error) for model, error in results if error]
    for _, error in errors:
        if isinstance(error, LeaseLost | Unanswerable):
            raise error
    refusals = [pair for pair in errors if not isinstance(pair[1], Uncertain)]
    if refusals:
        model, error = refusals[0]
        barred = key.allowed_environments and model.environment not in key.allowed_environments
        why = f" `{key.display_name}` is not allowed there: allow it in AISIX, then try again." if barred else ""
        raise Blocked(Cause.NOT_MOVED, after=rotation, model=model.label, error=error, why=why) from error
    if errors and len(errors) == len(results):
        raise errors[0][1]
