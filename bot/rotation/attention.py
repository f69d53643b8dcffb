"""Which parts of a rotation need a person's attention: open troubles and void approvals. Pure."""

from bot.rotation.labels import failing_models
from bot.rotation.record import Rotation, Stop, Trouble, Void
from bot.rotation.states import State
from bot.rotation.stops import StopKind


def is_watched(rotation: Rotation) -> bool:
    """Return whether the old key is deleted and the bot still watches."""
    return rotation.state is State.RUNNING and rotation.deleted_at is not None


def open_troubles(rotation: Rotation) -> list[Trouble]:
    """Return the troubles that are still open."""
    last = {trouble.about: trouble for trouble in rotation.troubles}
    return [trouble for trouble in last.values() if not trouble.over]


def as_known_now(rotation: Rotation) -> Rotation:
    """Return *rotation* with the newest answers of models in trouble, in place of the verdicts before the delete."""
    about = {trouble.about for trouble in open_troubles(rotation)}
    failing = (model for model in rotation.plan.models if model.label in about)
    return rotation.learn({model.id: rotation.finding(model).but(verdict=None) for model in failing})


def fails_callers(rotation: Rotation) -> bool:
    """Return whether callers fail in the course of this rotation, as far as anybody knows."""
    if open_troubles(rotation) or (rotation.plan.old_key_gone and not rotation.all_moved):
        return True
    match rotation.state:
        case State.BLOCKED | State.CANCELLED if rotation.stop:
            return bool(rotation.moved) and _is_harmful(rotation, rotation.stop)
        case State.AWAITING_APPROVAL:
            return rotation.tally is not None and rotation.tally.failed > 0
        case State.AWAITING_SECRET | State.CANCELLED:  # no model goes back: each stays on a secret that did not work
            return bool(rotation.attempt and (rotation.plan.old_key_gone or rotation.delete_asked_at))
        case State.RUNNING:
            return bool(rotation.delete_asked_at) and not rotation.all_moved
        case _:
            return False


def _is_harmful(rotation: Rotation, stop: Stop) -> bool:
    """Return whether models on the new key fail at this stop."""
    return stop.kind is StopKind.REFUSED or (stop.kind is StopKind.REJECTED and failing_models(rotation) != 0)


def open_void(rotation: Rotation) -> Void | None:
    """Return the newest void approval; a secret given since then makes it irrelevant."""
    since = rotation.secret_asked_at
    fresh = (void for void in reversed(rotation.voids) if not void.over and (since is None or void.at > since))
    return next(fresh, None)


def may_be_deleted(rotation: Rotation, void: Void) -> bool:
    """Return whether AISIX had been asked to delete the old key before the approval became void."""
    return rotation.delete_asked_at is not None and rotation.delete_asked_at <= void.at


def occasion(rotation: Rotation) -> str:
    """Name what a person has to act on now; the requester gets one message for each."""
    match rotation.state:
        case State.BLOCKED if rotation.stop:
            return f"stopped:{rotation.stop.at.isoformat()}"
        case State.AWAITING_APPROVAL if rotation.asked_at:
            return f"approval:{rotation.asked_at.isoformat()}"
        case State.AWAITING_SECRET if rotation.secret_asked_at:
            return f"secret:{rotation.secret_asked_at.isoformat()}"
        case _:
            return _after_the_delete(rotation)


def _after_the_delete(rotation: Rotation) -> str:
    """Name the newest open trouble; without one, the reminder to revoke the old credential."""
    wrong = open_troubles(rotation)
    if wrong:
        return f"trouble:{wrong[-1].at.isoformat()}"
    return "deleted" if rotation.deleted_at else ""


def gist(rotation: Rotation) -> str:
    """Return a text that changes when people must see an update at once; mere progress does not change it."""
    people = f"{len(rotation.approvals)}/{len(rotation.voids)}/{rotation.reminded_at}"
    return f"{rotation.state}/{rotation.track}/{people}/{occasion(rotation)}"
