"""The second delete: which credential a rotation leaves working at its provider, and until when it is revoked. Pure."""

from datetime import UTC, datetime, time, timedelta

from bot.rotation.minting import is_cleared
from bot.rotation.naming import day_of
from bot.rotation.parts import Revocation, Way, Which
from bot.rotation.policy import is_way_back_closed
from bot.rotation.record import Rotation
from bot.rotation.states import State


def with_task(rotation: Rotation, now: datetime, within: timedelta) -> Rotation:
    """Return *rotation* with the task to revoke what it leaves working, if it is time for that and there is none."""
    which = None if rotation.revocation and not _was_early(rotation) else owed(rotation)
    if which is None:
        return rotation
    task = Revocation(
        which=which,
        owner=rotation.requested_by,
        since=now,
        due_at=_due(rotation, now, within),
        made_at=_made_at(rotation) if which is Which.OLD else rotation.started_at,
    )
    return rotation.but(revocation=task)


def _due(rotation: Rotation, now: datetime, within: timedelta) -> datetime:
    by = rotation.exposed.revoke_by if rotation.exposed else now
    return by if by > now else now + within


def _was_early(rotation: Rotation) -> bool:
    """Return whether somebody ended the task of a leak before the delete: models could still have needed the key."""
    task, gone = rotation.revocation, rotation.deleted_at
    return bool(task and gone and task.ended_at and task.ended_at < gone)


def left_too(rotation: Rotation) -> tuple[str, ...]:
    """Return the names of further keys whose secrets the task is about: given by people, and used by nothing."""
    task, new = rotation.revocation, rotation.replacement
    if task is None:
        return ()
    given_up = rotation.state in (State.ROLLED_BACK, State.CANCELLED) and not is_way_back_closed(rotation)
    refused = (new.name,) if given_up and new and new.key_id and new.way is not Way.MINTED else ()
    if task.which is Which.NEW:
        return tuple(name for name in rotation.withdrawn if name not in rotation.names[-1:])
    return tuple(dict.fromkeys((*rotation.withdrawn, *refused)))


def with_task_of_a_leak(rotation: Rotation, now: datetime) -> Rotation:
    """Return *rotation*, whose old key is exposed, with the task to revoke that key: it begins with the report."""
    assert rotation.exposed is not None
    due, made = rotation.exposed.revoke_by, _made_at(rotation)
    return rotation.but(
        revocation=Revocation(which=Which.OLD, owner=rotation.requested_by, since=now, due_at=due, made_at=made)
    )


def owed(rotation: Rotation) -> Which | None:
    """Return which credential nothing should use any more: the old one, or the new one if models stay on the old key.

    None while the rotation may still go either way, and where it ended before AISIX had a new key.
    """
    if rotation.deleted_at:
        return Which.OLD
    if rotation.state not in (State.ROLLED_BACK, State.CANCELLED) or not rotation.made:
        return None
    if is_way_back_closed(rotation):
        return Which.OLD
    return None if is_cleared(rotation) and not rotation.withdrawn else Which.NEW


def _made_at(rotation: Rotation) -> datetime | None:
    """Return when AISIX got the old key, or the day that an earlier rotation wrote into its name."""
    day = day_of(rotation.plan.old_key.display_name)
    return rotation.plan.old_key.created_at or (datetime.combine(day, time(), UTC) if day else None)
