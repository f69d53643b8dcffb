"""Which parts of a rotation need a person's attention: open troubles and void approvals. Pure."""

from datetime import datetime

from bot.rotation.counted import most_fail
from bot.rotation.labels import failing_models
from bot.rotation.parts import PutOff, Question
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation, Trouble, Void
from bot.rotation.states import State, Track
from bot.rotation.stops import Cause, StopKind


def is_watched(rotation: Rotation) -> bool:
    """Return whether the old key is deleted and the bot still watches."""
    return rotation.state is State.RUNNING and rotation.deleted_at is not None


def open_troubles(rotation: Rotation) -> list[Trouble]:
    """Return the troubles that are still open."""
    last = {trouble.about: trouble for trouble in rotation.troubles}
    return [trouble for trouble in last.values() if not trouble.over]


def as_known_now(rotation: Rotation) -> Rotation:
    """Return *rotation* with the newest answers of models in trouble, in place of the verdicts before the delete."""
    return rotation.learn({model.id: rotation.finding(model).but(verdict=None) for model in in_trouble(rotation)})


def in_trouble(rotation: Rotation) -> list[AffectedModel]:
    """Return the models on the new key with an open trouble after the delete; another secret may help them."""
    about = {trouble.about for trouble in open_troubles(rotation)}
    return [model for model in rotation.plan.models if model.label in about]


def fails_callers(rotation: Rotation) -> bool:
    """Return whether callers fail in the course of this rotation, as far as anybody knows."""
    return bool(harm(rotation))


def harm(rotation: Rotation) -> str:
    """Say whether callers fail or have failed in the course of this rotation; empty if nothing says so."""
    if open_troubles(rotation) or _is_harmful(rotation) or _fail_mostly(rotation):
        return "callers are failing"
    if _is_without_working_key(rotation) or _is_stuck_on_the_way_back(rotation):
        return "callers may be failing"
    return "callers failed" if has_failed_callers(rotation) else ""


def pages(rotation: Rotation) -> bool:
    """Return whether callers fail so that somebody has to act at once; a few failed requests may wait for a look."""
    surely = open_troubles(rotation) or _is_harmful(rotation) or _is_without_working_key(rotation)
    return bool(surely) or _fail_mostly(rotation) or _is_stuck_on_the_way_back(rotation)


def _fail_mostly(rotation: Rotation) -> bool:
    met = rotation.tally if has_failed_callers(rotation) else None
    return met is not None and most_fail(met.answered, met.failed)


def began_at(rotation: Rotation) -> datetime:
    """Return since when the newest of what waits for people does."""
    state = {
        State.BLOCKED: rotation.stop.at if rotation.stop else None,
        State.AWAITING_APPROVAL: rotation.asked_at,
        State.AWAITING_SECRET: rotation.secret_asked_at,
        State.CANCELLED: rotation.ended_at,
    }.get(rotation.state)
    asked = rotation.delete_asked_at or (rotation.tally.since if rotation.tally else None)
    known = [trouble.at for trouble in open_troubles(rotation)] + [at for at in (state,) if at]
    return max(known, default=asked or rotation.requested_at)


def _is_harmful(rotation: Rotation) -> bool:
    """Return whether a stop says that models on the new key fail, or that models are left on a key that is gone."""
    stop = rotation.stop
    if stop is None:
        return False
    if rotation.plan.old_key_gone and not rotation.all_moved:
        return True
    fails = stop.kind is StopKind.REFUSED or (stop.kind is StopKind.REJECTED and failing_models(rotation) != ())
    return bool(rotation.moved) and fails


def _is_without_working_key(rotation: Rotation) -> bool:
    """Return whether something stays on an old key that is or may be gone, or on a secret that did not work."""
    gone, asked = rotation.plan.old_key_gone, rotation.delete_asked_at is not None
    stay = rotation.state in (State.AWAITING_SECRET, State.CANCELLED) and rotation.stop is None and rotation.attempt > 0
    left = not rotation.all_moved and (gone or rotation.state is State.RUNNING)
    used = rotation.state is State.CANCELLED and rotation.stop is not None and rotation.stop.kind is StopKind.DRIFT
    return (stay or left or used) and (gone or asked)


def _is_stuck_on_the_way_back(rotation: Rotation) -> bool:
    """Return whether a stop keeps models from the way back that they need, or they do not answer on the old key."""
    stop, met = rotation.stop, rotation.tally
    if rotation.state is not State.BLOCKED or stop is None or rotation.track is Track.FORWARD or not rotation.moved:
        return False
    needs = failing_models(rotation) != () or (met is not None and most_fail(met.answered, met.failed))
    return needs or stop.headline == Cause.UNWELL_ON_OLD_KEY.headline


def has_failed_callers(rotation: Rotation) -> bool:
    """Return whether requests of callers failed since the change, of which somebody can still decide something."""
    decided = rotation.is_over or rotation.deleted_at or rotation.track is not Track.FORWARD
    return not decided and rotation.tally is not None and rotation.tally.failed > 0


def open_void(rotation: Rotation) -> Void | None:
    """Return the newest void approval; a secret given since then makes it irrelevant."""
    since = rotation.secret_asked_at
    fresh = (void for void in reversed(rotation.voids) if not void.over and (since is None or void.at > since))
    return next(fresh, None)


def objections(rotation: Rotation) -> tuple[PutOff, ...]:
    """Return each "not yet" that still stands: not taken back by an approval, and not said of an earlier secret."""
    since = rotation.secret_asked_at
    return tuple(one for one in rotation.put_off if not one.over and (since is None or one.at > since))


def open_questions(rotation: Rotation) -> tuple[Question, ...]:
    """Return the questions that the requester has not answered; none once the rotation is over."""
    return () if rotation.is_over else tuple(one for one in rotation.questions if one.is_open)


def may_be_deleted(rotation: Rotation, void: Void) -> bool:
    """Return whether AISIX had been asked to delete the old key before the approval became void."""
    return rotation.delete_asked_at is not None and rotation.delete_asked_at <= void.at


def occasion(rotation: Rotation) -> str:
    """Name what a person has to act on now; the requester gets one message for each."""
    match rotation.state:
        case State.BLOCKED if rotation.stop:
            return f"stopped:{rotation.stop.at.isoformat()}"
        case State.AWAITING_START if rotation.start_asked_at:
            return f"start:{rotation.start_asked_at.isoformat()}"
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
    if rotation.deleted_at:
        is_done = rotation.revocation is not None and not rotation.is_owed
        return "" if is_done else "deleted"
    return f"harm:{began_at(rotation).isoformat()}" if pages(rotation) else ""


def gist(rotation: Rotation) -> str:
    """Return a text that changes when people must see an update at once; mere progress does not change it."""
    pushes = f"{[nudge.at for nudge in rotation.nudges]}/{rotation.on_it and rotation.on_it.at}"
    people = f"{len(rotation.approvals)}/{len(rotation.voids)}/{pushes}/{rotation.stale_at}/{rotation.parked_at}"
    task = f"/{rotation.is_owed}" if rotation.revocation else ""
    there = rotation.revocation.there if rotation.revocation else None
    task += f"/{there.phase}/{there.stopped}" if there else ""
    said = (len(rotation.questions), len(open_questions(rotation)), [one.at.isoformat() for one in rotation.put_off])
    task += f"/{said}" if rotation.questions or rotation.put_off else ""
    leak = f"/{rotation.review is not None}" if rotation.exposed else ""
    return f"{rotation.state}/{rotation.track}/{people}/{occasion(rotation)}/{harm(rotation)}{task}{leak}"
