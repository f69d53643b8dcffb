"""What waits for people now, whom it asks, and when they are pushed about it next. Pure.

A matter is open as long as the record says so. The first push is the message that tells of it. Each later one is
recorded as a nudge, and the messages are drawn from that. A new kind of reminder is a row of `MATTERS` and `RHYTHMS`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from bot.rotation import exposure
from bot.rotation.attention import began_at, occasion, open_troubles, pages
from bot.rotation.hours import Calendar
from bot.rotation.parts import Nudge, Phase
from bot.rotation.record import Rotation
from bot.rotation.revoking import fails_long, is_under_way
from bot.rotation.states import State

KEPT = 20
"""The most nudges that a record keeps: the newest one of each matter."""


class Kind(StrEnum):
    """What kind of thing waits for people."""

    HARM = "harm"
    LEAK = "leak"
    STOP = "stop"
    SECRET = "secret"  # noqa: S105 - a kind of matter
    START = "start"
    APPROVAL = "approval"
    REVIEW = "review"
    REVOCATION = "revocation"
    WATCHED = "watched"
    """A watch that ended well: told by day, once."""


class Whom(StrEnum):
    """Whom a matter asks."""

    REQUESTER = "the requester"
    APPROVERS = "approvers"
    BOTH = "the requester and approvers"


class Matter(NamedTuple):
    """One thing that waits for people."""

    kind: Kind
    about: str
    """A mark: the same one as long as it is the same thing that waits."""

    since: datetime
    whom: Whom


class Rhythm(NamedTuple):
    """When people are pushed again: the first pause, which doubles each time, up to the longest."""

    first: timedelta
    most: int
    """How many pushes follow the first message at these pauses."""

    longest: timedelta = timedelta(days=7)
    at_any_hour: bool = False
    is_first: bool = False
    """Whether the first push comes when the matter begins, as no message tells of it then."""

    then: timedelta | None = None
    """After the most pushes, the pause between further ones, by day, until the matter is over; None: there are none."""


class Paces(NamedTuple):
    """The settings about pushes."""

    page_after: timedelta
    stop_reminder: timedelta
    approval_reminder: timedelta
    calendar: Calendar = Calendar()


HOUR = timedelta(hours=1)

RHYTHMS: Mapping[Kind, Callable[[Paces], Rhythm]] = {
    Kind.HARM: lambda paces: Rhythm(paces.page_after, 10, HOUR, at_any_hour=True, then=HOUR),
    Kind.LEAK: lambda paces: Rhythm(paces.page_after, 10, HOUR, at_any_hour=True, then=HOUR),
    Kind.STOP: lambda paces: Rhythm(paces.stop_reminder, 5, then=timedelta(days=7)),
    Kind.SECRET: lambda paces: Rhythm(paces.stop_reminder, 3),
    Kind.START: lambda paces: Rhythm(paces.approval_reminder, 5),
    Kind.APPROVAL: lambda paces: Rhythm(paces.approval_reminder, 5),
    Kind.REVIEW: lambda paces: Rhythm(paces.stop_reminder, 5),
    Kind.REVOCATION: lambda paces: Rhythm(paces.stop_reminder, 5, is_first=True),
    Kind.WATCHED: lambda paces: Rhythm(paces.stop_reminder, 1),
}
"""The rhythm of each kind of matter; a test checks that none is missing."""


def _harm(rotation: Rotation) -> Matter | None:
    since = began_at(rotation)
    if not pages(rotation) or is_taken(rotation):
        return None
    return Matter(Kind.HARM, occasion(rotation), since, Whom.BOTH)


def _leak(rotation: Rotation) -> Matter | None:
    """A leak, or something new about it, that nobody has taken on yet."""
    at = exposure.newest(rotation)
    if at is None or _harm(rotation) or (rotation.on_it and rotation.on_it.at >= at):
        return None
    return Matter(Kind.LEAK, f"leak:{at.isoformat()}", at, Whom.APPROVERS)


def _review(rotation: Rotation) -> Matter | None:
    """A review that is due; as long as the exposed key is to be revoked, the reminders of that have it too."""
    at = rotation.ended_at or rotation.deleted_at
    if at is None or rotation.is_owed or not exposure.review_is_due(rotation):
        return None
    return Matter(Kind.REVIEW, f"waits:review:{at.isoformat()}", _since(rotation, at), Whom.REQUESTER)


def _stop(rotation: Rotation) -> Matter | None:
    """A stop that harms nobody, or that somebody has taken on: it is not forgotten."""
    if rotation.state is not State.BLOCKED or rotation.stop is None or _harm(rotation):
        return None
    return Matter(Kind.STOP, f"{WAITS}{occasion(rotation)}", _since(rotation, rotation.stop.at), Whom.REQUESTER)


def _secret(rotation: Rotation) -> Matter | None:
    if rotation.state is not State.AWAITING_SECRET or rotation.secret_asked_at is None or _harm(rotation):
        return None
    since = _since(rotation, rotation.secret_asked_at)
    return Matter(Kind.SECRET, f"{WAITS}{occasion(rotation)}", since, Whom.REQUESTER)


def _start(rotation: Rotation) -> Matter | None:
    is_open = rotation.state is State.AWAITING_START and not rotation.parked_at
    if not is_open or _harm(rotation):
        return None
    asked = rotation.start_asked_at or rotation.requested_at
    return Matter(Kind.START, f"{WAITS}start:{asked.isoformat()}", _since(rotation, asked), Whom.APPROVERS)


def _approval(rotation: Rotation) -> Matter | None:
    is_open = rotation.state is State.AWAITING_APPROVAL and not rotation.parked_at
    if not is_open or _harm(rotation):
        return None
    asked = rotation.asked_at or rotation.requested_at
    return Matter(Kind.APPROVAL, f"{WAITS}approval:{asked.isoformat()}", _since(rotation, asked), Whom.APPROVERS)


def _revocation(rotation: Rotation) -> Matter | None:
    """A credential that has to be revoked: the end has told of it, and from the due date on it is overdue."""
    task = rotation.revocation
    if task is None or not task.is_open or _harm(rotation) or (is_under_way(rotation) and not fails_long(rotation)):
        return None
    if task.there and task.there.phase is Phase.STOPPED:
        at = task.there.since
        return Matter(Kind.REVOCATION, f"waits:revocation:{at.isoformat()}", _since(rotation, at), Whom.REQUESTER)
    told = last_nudge(rotation, WATCH_ENDED)
    since = _since(rotation, max(task.due_at, told.at + HOUR) if told else task.due_at)
    return Matter(Kind.REVOCATION, f"waits:revocation:{task.due_at.isoformat()}", since, Whom.REQUESTER)


def _watched(rotation: Rotation) -> Matter | None:
    """The good end of a watch, of which nobody has been told yet."""
    noted = last_nudge(rotation, WATCH_ENDED)
    return Matter(Kind.WATCHED, WATCH_ENDED, noted.at, Whom.REQUESTER) if noted and not noted.number else None


def is_watch_told(rotation: Rotation) -> bool:
    """Return whether it is time to tell of the good end of a watch."""
    told = last_nudge(rotation, WATCH_ENDED)
    return told is not None and told.number > 0


WATCH_ENDED = "waits:watch-ended"
"""The mark of the good end of a watch; the rest is the key of its message."""


def _since(rotation: Rotation, at: datetime) -> datetime:
    """Return since when something waits quietly: at the earliest, since somebody was on the harm."""
    return max(at, rotation.on_it.at) if rotation.on_it else at


MATTERS: tuple[Callable[[Rotation], Matter | None], ...] = (
    _harm, _leak, _stop, _secret, _start, _approval, _review, _revocation, _watched,
)  # fmt: skip
"""What may wait for people."""


def matters(rotation: Rotation) -> tuple[Matter, ...]:
    """Return what waits for people now."""
    return tuple(matter for find in MATTERS if (matter := find(rotation)))


def harmful(rotation: Rotation) -> Matter | None:
    """Return the harm that nobody has taken on."""
    return _harm(rotation)


def leaking(rotation: Rotation) -> Matter | None:
    """Return the leak that nobody has taken on; harm comes first."""
    return _leak(rotation)


def is_taken(rotation: Rotation) -> bool:
    """Return whether somebody is on all there is of harm, or of a leak: they said so after the newest of it began."""
    since = began_at(rotation) if pages(rotation) else exposure.newest(rotation)
    return rotation.on_it is not None and since is not None and rotation.on_it.at >= since


def nudge_of(rotation: Rotation, matter: Matter) -> Nudge | None:
    """Return the last push about *matter* after its first message."""
    nudge = last_nudge(rotation, matter.about)
    return nudge if nudge and nudge.number else None


def last_nudge(rotation: Rotation, about: str) -> Nudge | None:
    """Return what is noted of pushes about a matter, also that there was none yet although one is due."""
    return next((nudge for nudge in reversed(rotation.nudges) if nudge.about == about), None)


def is_hushed(rotation: Rotation, occasion: str) -> bool:
    """Return whether the message about an *occasion* calls nobody: it came at night, and could wait."""
    nudge = last_nudge(rotation, f"{WAITS}{occasion}")
    return nudge is not None and nudge.is_hushed


def is_silent(rotation: Rotation) -> bool:
    """Return whether nobody is to be called to what waits now before people may be pushed."""
    noted = (last_nudge(rotation, matter.about) for matter in matters(rotation) if matter.kind in CAN_WAIT)
    return any(nudge and not nudge.number for nudge in noted)


def pushes(rotation: Rotation) -> tuple[Nudge, ...]:
    """Return the last push about each matter, without those that are still to come."""
    return tuple(nudge for nudge in rotation.nudges if nudge.number)


WAITS = "waits:"
"""How the mark of a matter begins that can wait; the occasion follows."""

AT_IT = timedelta(hours=1)
"""How long after somebody did something about a rotation they are taken to wait for what becomes of it."""

CAN_WAIT = frozenset({Kind.STOP, Kind.SECRET, Kind.START, Kind.APPROVAL})
"""Matters whose message calls people, but not at night unless somebody is at it."""


def hushed(before: Rotation, after: Rotation, paces: Paces, now: datetime) -> Rotation:
    """Return *after*, with a note about each matter that begins *now* and of which people are told when they may be."""
    known = {matter.about for matter in matters(before)}
    new = [matter.about for matter in matters(after) if matter.kind in CAN_WAIT and matter.about not in known]
    is_at_it = after.acted_at is not None and now - after.acted_at < AT_IT
    hours = paces.calendar.of(after.channel, after.zone)
    later = [] if is_at_it or hours.next_open(now) <= now else new
    if after.is_over and not before.is_over and after.watched and not open_troubles(after):
        later.append(WATCH_ENDED)
    notes = tuple(Nudge(about=about, at=now, number=0, is_hushed=True) for about in later)
    return after.but(nudges=(*after.nudges, *notes)[-KEPT:]) if notes else after


def reminded(rotation: Rotation) -> Nudge | None:
    """Return the last push about what waits now."""
    return max(filter(None, (nudge_of(rotation, m) for m in matters(rotation))), key=lambda n: n.at, default=None)


def due_at(rotation: Rotation, paces: Paces, now: datetime) -> datetime | None:
    """Return when people are pushed next; None if nothing waits for them, or they have been pushed often enough."""
    dues = (_due(rotation, matter, paces, now) for matter in matters(rotation))
    return min((due for due in dues if due), default=None)


def _due(rotation: Rotation, matter: Matter, paces: Paces, now: datetime) -> datetime | None:
    calendar = paces.calendar.of(rotation.channel, rotation.zone)
    if matter.kind is Kind.APPROVAL and rotation.held_until:
        return calendar.due(rotation.held_until, now)
    rhythm, last = RHYTHMS[matter.kind](paces), last_nudge(rotation, matter.about)
    number = last.number if last else 0
    pause = timedelta(0) if last and not number else _pause(rhythm, number)
    if pause is None:
        return None
    at = (last.at if last else matter.since) + pause
    is_by_day = number >= rhythm.most or not rhythm.at_any_hour
    return calendar.due(at, now) if is_by_day else at


def _pause(rhythm: Rhythm, number: int) -> timedelta | None:
    """Return the pause after so many pushes; None if no more follow."""
    if number >= rhythm.most:
        return rhythm.then
    grown = number - rhythm.is_first
    return timedelta(0) if grown < 0 else min(rhythm.first * 2**grown, rhythm.longest)


def pushed(rotation: Rotation, paces: Paces, now: datetime) -> Rotation:
    """Return *rotation* with a nudge about each matter that is due."""
    due = [matter for matter in matters(rotation) if (at := _due(rotation, matter, paces, now)) and at <= now]
    about = {matter.about for matter in due}
    kept = tuple(nudge for nudge in rotation.nudges if nudge.about not in about)
    new = tuple(_next(rotation, matter, now) for matter in due)
    held = None if any(matter.kind is Kind.APPROVAL for matter in due) else rotation.held_until
    return rotation.but(nudges=(*kept, *new)[-KEPT:], held_until=held) if new else rotation


def reminds_of_approval(before: Rotation, after: Rotation) -> bool:
    """Return whether *after* has a new reminder of an approval."""
    asked = _approval(after)
    nudge = nudge_of(after, asked) if asked else None
    return nudge is not None and nudge not in before.nudges


def freed(now: datetime, rotation: Rotation) -> Rotation:
    """Return *rotation*, whose old key is on hold no longer: approvers are told once, as soon as they may be."""
    asked = _approval(rotation)
    if rotation.held_until is None or asked is None:
        return rotation.but(held_until=None)
    others = tuple(nudge for nudge in rotation.nudges if nudge.about != asked.about)
    again = Nudge(about=asked.about, at=now, number=0, is_hushed=is_hushed(rotation, asked.about.removeprefix(WAITS)))
    return rotation.but(held_until=None, nudges=(*others, again)[-KEPT:])


def _next(rotation: Rotation, matter: Matter, now: datetime) -> Nudge:
    last = last_nudge(rotation, matter.about)
    number, is_quiet = (last.number, last.is_hushed) if last else (0, False)
    return Nudge(about=matter.about, at=now, number=number + 1, is_hushed=is_quiet)
