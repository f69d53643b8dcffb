"""A rotation because of a leak: when it can be reported, what it hurries, and what is due after it. Pure.

What is hurried: the waves of an environment become one, the soak is at most `SOAK_MOST`, a start needs one approver,
and approvers are paged (`nudges.py`). Nothing that proves is left out or shortened: the baseline, the rehearsal, the
tests, the proof by counters, `LISTEN`, the last look and the watch stay as they are.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import NamedTuple

from bot.rotation.attention import fails_callers
from bot.rotation.flags import Flag, flags
from bot.rotation.labels import Label, label_of
from bot.rotation.record import Rotation
from bot.rotation.states import State, StepName, Track

SOAK_MOST = timedelta(minutes=5)
"""The longest soak while the old key is exposed: each further minute helps the people who have it."""


def hurried(rotation: Rotation, soak: timedelta) -> timedelta:
    """Return how long to soak."""
    return min(soak, SOAK_MOST) if rotation.exposed else soak


def may_be_reported(rotation: Rotation) -> bool:
    """Return whether **This secret is exposed** helps: nobody has said so, and the delete is not under way."""
    is_decided = rotation.is_over or rotation.deleted_at or rotation.state is State.ROLLING_BACK
    return not (rotation.exposed or is_decided or (rotation.state is State.RUNNING and rotation.approvals))


def moves_at_once(rotation: Rotation) -> bool:
    """Return whether a report now still makes the waves of an environment one: none of them has begun."""
    return not rotation.moved and rotation.wave == 0 and StepName.CUT_OVER not in rotation.done


def review_is_due(rotation: Rotation) -> bool:
    """Return whether people still owe the review: from the delete on, and after any other end."""
    return bool(rotation.exposed and not rotation.review and (rotation.deleted_at or rotation.is_over))


def is_back_in_use(rotation: Rotation) -> bool:
    """Return whether the rotation ended with models on the exposed key, unless an approver says that all is well."""
    is_back = rotation.state in (State.ROLLED_BACK, State.CANCELLED) and not _is_gone(rotation)
    return bool(rotation.exposed) and is_back and not (rotation.revocation and rotation.revocation.reason)


def is_still_due(rotation: Rotation) -> bool:
    """Return whether a leak keeps a rotation that is done otherwise from counting as done."""
    is_late = bool(rotation.deleted_at or rotation.is_over)
    return review_is_due(rotation) or (rotation.exposed is not None and rotation.is_owed and is_late)


def _is_gone(rotation: Rotation) -> bool:
    return rotation.plan.old_key_gone or rotation.deleted_at is not None


def newest(rotation: Rotation) -> datetime | None:
    """Return when the newest thing about a leak happened that people are paged for; None if nothing waits for them.

    That is the report, until the old key is deleted; use of it after the models left it; an end that leaves it in use.
    """
    if rotation.exposed is None or rotation.review:
        return None
    is_open = not (rotation.deleted_at or rotation.is_over)
    ended = rotation.ended_at if is_back_in_use(rotation) else None
    found = [*([rotation.exposed.at] if is_open else []), *(use.since for use in uses(rotation)), ended]
    return max(filter(None, found), default=None)


class Standing(Enum):
    """What revoking the exposed key at the provider means for callers now; the first that holds counts."""

    NEEDED = auto()
    """Models still use it: revoking it is an outage."""

    FAILING = auto()
    """All models left it, and callers fail, or something still uses it, or nobody can tell."""

    UNPROVED = auto()
    """All models left it, and nothing proves that each works on the new key."""

    SAFE = auto()


def standing(rotation: Rotation) -> Standing:
    """Return what revoking the exposed key at the provider means for callers now."""
    if needing(rotation):
        return Standing.NEEDED
    if fails_callers(rotation) or {Flag.IN_USE, Flag.UNSEEN} & {*flags(rotation)}:
        return Standing.FAILING
    return Standing.SAFE if rotation.plan.models and not unproved(rotation) else Standing.UNPROVED


def needing(rotation: Rotation) -> int:
    """Return how many models use the exposed key, or may use it."""
    if rotation.plan.old_key_gone or rotation.deleted_at:
        return 0
    models = len(rotation.plan.models)
    return models - len(rotation.moved) if rotation.track is Track.FORWARD else models


def unproved(rotation: Rotation) -> int:
    """Return for how many models nothing proves that they work on the new key."""
    labels = (label_of(rotation.finding(model)) for model in rotation.plan.models)
    return sum(label is not Label.PROVED for label in labels)


class Use(NamedTuple):
    """Requests on the exposed key that the gateways of an environment counted after every model had left it."""

    environment: str
    """Its id."""

    requests: int
    since: datetime


def uses(rotation: Rotation) -> tuple[Use, ...]:
    """Return the use of the exposed key that may be an attack; none without a leak."""
    return tuple(_uses(rotation)) if rotation.exposed else ()


def _uses(rotation: Rotation) -> Iterator[Use]:
    for environment in dict.fromkeys(silence.environment for silence in rotation.silences):
        counted = [silence for silence in rotation.silences if silence.environment == environment]
        first = min((silence.first_at for silence in counted if silence.first_at), default=None)
        if first:
            yield Use(environment, sum(silence.total for silence in counted), first)
