"""Say what a stop means for callers now, and which key serves them."""

from collections.abc import Iterable

from bot.rotation.labels import NEED, WORKS, failing_models, label_of
from bot.rotation.plan import AffectedModel, plural
from bot.rotation.policy import is_way_back_closed
from bot.rotation.progress import next_step
from bot.rotation.record import Rotation
from bot.rotation.states import StepName, Track
from bot.rotation.stops import HELP, Cause, StopKind
from handlers.views.blocks import code

POINTS_AT_NOTHING = "Models that point at a deleted key are failing: point them at another key in AISIX."


def consequence(rotation: Rotation) -> str:
    """Say what a stop means for callers now."""
    assert rotation.stop is not None
    if rotation.plan.old_key_gone or rotation.deleted_at:
        return _without_old_key(rotation)
    if rotation.delete_asked_at:
        callers = _moved_and_failing(rotation) or _off_old_key(rotation)
        return f"The old key may be gone at any moment: AISIX has been asked to delete it. {callers}"
    if rotation.track is not Track.FORWARD:
        return "Both keys are still there. Models that are not back on the old key yet may be failing."
    if not rotation.moved:
        return _before_the_move(rotation)
    callers = HELP[rotation.stop.kind].callers.format(failing=_failing(rotation), behind=_behind(rotation))
    return f"{many_moved(rotation)} {callers}"


def _before_the_move(rotation: Rotation) -> str:
    """Say that callers notice nothing, unless the old key itself does not serve them all."""
    asked = ((model, rotation.finding(model).baseline) for model in rotation.plan.models)
    failing = [model for model, seen in asked if seen and not seen.passed and not seen.skipped]
    if not failing:
        return "No model has been moved; callers notice nothing."
    return (
        "No model has been moved: nothing that this rotation did affects callers. "
        f"Test requests for {_named(failing)} failed on the old key already."
    )


NAMED = 3
"""Models that fail or may fail and are named; the rest are counted."""


def _behind(rotation: Rotation) -> str:
    """Name the models that may be failing while a gateway is not synced: all on the new key that did not answer."""
    moved = sorted(rotation.moved, key=lambda model: NEED[label_of(rotation.finding(model))])
    unsure = [model for model in moved if label_of(rotation.finding(model)) not in WORKS] or moved
    return _named(unsure)


def _named(models: Iterable[AffectedModel]) -> str:
    names = list(dict.fromkeys(code(model.alias, 30) for model in models))
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _without_old_key(rotation: Rotation) -> str:
    left = len(rotation.plan.models) - len(rotation.moved)
    if not left:
        stays = "Every model is on the new key and stays there."
        is_refused = rotation.stop is not None and rotation.stop.kind is StopKind.REFUSED
        gone = "" if _is_told_gone(rotation) else "The old key is gone. "
        return f"{gone}{_moved_and_failing(rotation) or (POINTS_AT_NOTHING if is_refused else stays)}"
    return (
        f"{plural(left, 'model')} still {'needs' if left == 1 else 'need'} the deleted key: *callers are failing now*."
    )


def _is_told_gone(rotation: Rotation) -> bool:
    """Return whether the stop itself says that the old key is gone."""
    return rotation.stop is not None and rotation.stop.headline == Cause.NO_WAY_BACK.headline


def _off_old_key(rotation: Rotation) -> str:
    """Say what still is on a key that AISIX has been asked to delete; only some stops leave no doubt."""
    assert rotation.stop is not None
    left = len(rotation.plan.models) - len(rotation.moved)
    if left:
        return f"{plural(left, 'model')} {'is' if left == 1 else 'are'} still on it: *callers fail once it is gone*."
    if rotation.stop.kind is StopKind.REFUSED:
        return POINTS_AT_NOTHING
    is_in_doubt = rotation.stop.kind in (StopKind.DRIFT, StopKind.UNVERIFIED)
    return "Callers of anything that still uses it fail then." if is_in_doubt else "Every model is off it."


def _moved_and_failing(rotation: Rotation) -> str:
    """Say that callers fail if the upstream refuses the new key; empty for any other stop."""
    assert rotation.stop is not None
    is_refused = rotation.moved and rotation.stop.kind is StopKind.REJECTED
    return f"{many_moved(rotation)} {_failing(rotation)}" if is_refused else ""


def _failing(rotation: Rotation) -> str:
    """Say who fails: everything on a refused credential, or only the models that it does not cover."""
    failing = failing_models(rotation)
    if failing is None:
        return "on the refused key: *their callers are failing now*."
    return f"on the new key: *callers of {_named(failing)} are failing now*."


def many_moved(rotation: Rotation) -> str:
    """Say how many models are moved, with the right verb: "3 of 3 models are"."""
    moved = len(rotation.moved)
    return f"{moved:,} of {plural(len(rotation.plan.models), 'model')} {'is' if moved == 1 else 'are'}"


def whereabouts(rotation: Rotation) -> str:
    """Say which key serves the callers now."""
    if is_way_back_closed(rotation) and not rotation.all_moved:
        return f"{many_moved(rotation)} on the new key, and {_keys(rotation)}: *callers of the others may fail*."
    if not rotation.moved:
        return _unmoved(rotation)
    return f"{many_moved(rotation)} on the new key, and {_keys(rotation)}."


def _keys(rotation: Rotation) -> str:
    """Say which keys still exist, as far as anybody knows."""
    if rotation.plan.old_key_gone:
        return "the old one is gone"
    if rotation.delete_asked_at:
        return "AISIX has been asked to delete the old one"
    return "both keys still exist"


def is_moving(rotation: Rotation) -> bool:
    """Return whether models are being moved now: some may be, although the record does not say so yet."""
    step = next_step(rotation)
    return step is not None and step.name == StepName.CUT_OVER and rotation.waits_for_bot


def _unmoved(rotation: Rotation) -> str:
    """Say which key serves callers before a move is recorded; during the cut-over, some models may be moved."""
    if is_moving(rotation):
        return "The first models are being moved to the new key, and both keys still exist."
    return "Callers are on the old key and notice nothing."
