"""What holds of every message of a week, however late people answer. Each law yields what breaks it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from bot.rotation.attention import open_troubles, pages
from bot.rotation.exposure import newest
from bot.rotation.nudges import is_taken
from bot.rotation.record import Rotation
from bot.rotation.states import State
from tests.simulation.week.log import Log, Said, Saved, is_urgent, matter_of
from tests.simulation.week.people import PEOPLE

AT_ONCE = timedelta(seconds=60)
"""How soon a push follows what it is about."""

PAGE_PAUSE, REMINDER_PAUSE = timedelta(minutes=5), timedelta(hours=1)
"""The least time between two pushes of one person about one thing: while callers fail, and else."""

ACTIVE = timedelta(hours=1)
"""How long people are taken to wait for what becomes of what they did."""

MOST_PAGES, MOST_REMINDERS = 11, 6
"""The most pushes of one person about one thing: the first one with its reminders."""

MOST_A_DAY = 60
"""The most pushes of one person on one day, of forty rotations in a week."""

PARKED = "parked"
APPROVERS = frozenset(person.id for person in PEOPLE.values() if person.approves)
NOBODY = frozenset[str]()
NIGHT = (22, 7)
WORKDAYS = range(5)


def is_quiet(log: Log, moment: datetime) -> bool:
    """Tell whether it is night, or no working day."""
    there = moment.astimezone(log.zone)
    return there.weekday() not in WORKDAYS or not NIGHT[1] <= there.hour < NIGHT[0]


def next_open(log: Log, moment: datetime) -> datetime:
    """Return *moment* if people may be pushed then, else when that begins."""
    while is_quiet(log, moment):
        there = moment.astimezone(log.zone)
        morning = there.replace(hour=NIGHT[1], minute=0, second=0, microsecond=0)
        moment = morning if morning > there else morning + timedelta(days=1)
    return moment


class Span(NamedTuple):
    """The time in which one thing waits for the same people."""

    begins: datetime
    ends: datetime
    record: Rotation
    asked: frozenset[str]


def nobody_is_told_twice(log: Log) -> Iterator[str]:
    """One push a person and matter, and another one only after a pause.

    While callers fail a direct message comes beside the mention; with `APPROVER_DM` one about an approval does.
    """
    by_matter: dict[tuple[str, str, str, bool], list[Said]] = defaultdict(list)
    for person, said in log.pings():
        both_ways = said.is_harm or _is_asked_directly(log, person, said)
        by_matter[person, said.rotation, said.matter, both_ways and bool(said.directly)].append(said)
    for (person, rotation, matter, _), pushes in by_matter.items():
        for one, other in pairwise(pushes):
            pause = PAGE_PAUSE if one.is_harm and other.is_harm else REMINDER_PAUSE
            if other.at - one.at < pause:
                yield f"{person} twice about {matter!r} of {rotation}: {one.text[:70]!r}, {other.text[:70]!r}"


def _is_asked_directly(log: Log, person: str, said: Said) -> bool:
    return log.asks_directly and person in APPROVERS and said.matter.startswith(("approval:", "start:"))


def reminders_stop(log: Log) -> Iterator[str]:
    """Nobody is pushed about one thing for ever."""
    times: dict[tuple[str, str, str, bool], int] = defaultdict(int)
    for person, said in log.pings():
        times[person, said.rotation, said.matter, bool(said.directly)] += 1
        is_one_too_many = times[person, said.rotation, said.matter, bool(said.directly)]
        if is_one_too_many == (MOST_PAGES if said.is_harm else MOST_REMINDERS) + 1:
            yield f"{person} too often about {said.matter!r} of {said.rotation}"


def nobody_is_flooded(log: Log) -> Iterator[str]:
    """No day has more pushes for one person than somebody can read."""
    for (person, day), times in pushes_a_day(log).items():
        if times > MOST_A_DAY:
            yield f"{person} {times} times on {day}"


def pushes_a_day(log: Log) -> dict[tuple[str, str], int]:
    """Count the pushes of each person on each day."""
    times: dict[tuple[str, str], int] = defaultdict(int)
    for person, said in log.pings():
        times[person, f"{said.at:%a %d}"] += 1
    return times


def nothing_at_night_that_can_wait(log: Log) -> Iterator[str]:
    """At night and on days off nobody is pushed, unless callers fail, or somebody is at it.

    A person who has just done something about a rotation waits for what becomes of it, at any hour; so do the people
    whom they need for it. That is so for an hour from the last thing that anybody did.
    """
    for person, said in log.pings():
        if is_quiet(log, said.at) and not said.is_harm and not _is_active(log, said.rotation, said.at):
            yield f"{person} on {said.at:%a %H:%M} about {said.matter!r} of {said.rotation}: {said.text[:70]!r}"


def harm_within_a_minute(log: Log) -> Iterator[str]:
    """As soon as Keyturn knows that callers fail, the requester and every approver are pushed, at any hour.

    So is every approver who did not report it, as soon as somebody says that a secret leaked.
    """
    for span in _spans(log):
        if _harms(span.record) and span.ends - span.begins > AT_ONCE:
            yield from _untold(log, span, span.begins + AT_ONCE, "harm")


def nobody_is_left_waiting(log: Log) -> Iterator[str]:
    """Whom something waits for is pushed when it begins, or as soon as that may be; and again if it lasts for a day."""
    for span in _spans(log):
        opens = next_open(log, span.begins)
        if _harms(span.record) or span.ends <= opens + AT_ONCE:
            continue
        if span.record.state is not State.AWAITING_SECRET:  # who asked to give another one needs no push for it
            yield from _untold(log, span, opens + AT_ONCE, "waits")
        tomorrow = next_open(log, opens + timedelta(days=1)) + AT_ONCE
        if tomorrow < span.ends:
            later = span._replace(begins=opens + REMINDER_PAUSE)
            yield from _untold(log, later, tomorrow, "is forgotten")


def _untold(log: Log, span: Span, until: datetime, what: str) -> Iterator[str]:
    told = {person for person, said in log.pings() if _is_about(said, span.record) and span.begins <= said.at <= until}
    for person in sorted(_those_left(log, span.asked, until) - told):
        yield f"{person} is not told by {until:%a %H:%M:%S} of {matter_of(span.record)} {span.record.id}: {what}"


def _those_left(log: Log, asked: frozenset[str], at: datetime) -> frozenset[str]:
    """Return who of those that are asked is still there; where nobody is, the approvers are to hear of it."""
    return frozenset(person for person in asked if is_here(log, person, at)) or approvers_at(log, at)


def approvers_at(log: Log, at: datetime) -> frozenset[str]:
    """Return the members of the approvers' group."""
    return frozenset(person.id for person in PEOPLE.values() if person.approves and is_here(log, person.id, at))


def _is_about(said: Said, record: Rotation) -> bool:
    return said.rotation == record.id


def is_here(log: Log, person: str, at: datetime) -> bool:
    """Tell whether somebody is still of the company."""
    leaves = PEOPLE[person].leaves if person in PEOPLE else None
    return leaves is None or at < log.began + leaves


def _spans(log: Log) -> Iterator[Span]:
    for versions in log.records().values():
        begun: Saved | None = None
        for saved in versions:
            if begun is None or _waiting(begun.record) != _waiting(saved.record):
                yield from _span(begun, saved.at, log)
                begun = saved
        yield from _span(begun, log.ended, log)


def _span(begun: Saved | None, ends: datetime, log: Log) -> Iterator[Span]:
    asked = asked_by(begun.record, log, begun.at) if begun else frozenset()
    if begun and asked:
        yield Span(begun.at, ends, begun.record, asked)


def _harms(record: Rotation) -> bool:
    """Tell whether callers fail, or a leak is new, and nobody is on it."""
    return is_urgent(record) and not is_taken(record)


def _waiting(record: Rotation) -> tuple[bool, str]:
    is_leak = _harms(record) and not pages(record)
    return _harms(record), f"leak {newest(record)}" if is_leak else matter_of(record)


def asked_by(record: Rotation, log: Log, at: datetime) -> frozenset[str]:
    """Return whom *record* asks for something."""
    approvers, requester = approvers_at(log, at), frozenset({record.requested_by})
    if _harms(record):
        return approvers | requester if pages(record) else approvers - {record.exposed.by if record.exposed else ""}
    if is_urgent(record) or record.parked_at:
        return NOBODY
    is_asked_again = record.state is State.AWAITING_SECRET and record.secret_asked_at
    if record.state is State.BLOCKED or is_asked_again:
        return requester
    approve = record.state in (State.AWAITING_START, State.AWAITING_APPROVAL)
    return approvers - requester - {approval.by for approval in record.approvals} if approve else NOBODY


def no_revocation_is_forgotten(log: Log) -> Iterator[str]:
    """The person who has to revoke a credential is pushed within a working day after it is due."""
    for versions in log.records().values():
        record, task = versions[-1].record, versions[-1].record.revocation
        until = next_open(log, next_open(log, task.due_at) + timedelta(days=1)) + AT_ONCE if task else log.ended
        if task and record.is_owed and until < log.ended:
            span = Span(task.due_at, log.ended, record, frozenset({task.owner}))
            yield from _untold(log, span, until, "a revocation is overdue")


def every_end_is_told_once(log: Log) -> Iterator[str]:
    """The requester is told once of every end, as soon as that may be; who has ended it sees that on the card.

    A watch that ends well is told by day.
    """
    for end, at, record in _ends(log):
        is_soon = _is_active(log, record.id, at) and not _ended_well(record)
        until = (at if is_soon else next_open(log, at)) + AT_ONCE
        pings = [(who, s) for who, s in log.pings() if _is_about(s, record) and at <= s.at <= until]
        who = record.requested_by
        told = [s.text[:60] for person, s in pings if person == who]
        if not is_here(log, who, at):
            if end == PARKED and not any(is_here(log, person, at) for person, _ in pings):
                yield f"nobody is told that {record.id} is {end}: {who} has left"
        elif len(told) > 1 or not (told or record.ended_by == who):
            yield f"{who} is told {len(told)} times that {record.id} is {end}: {told}"


def _is_active(log: Log, rotation: str, at: datetime) -> bool:
    return any(act.rotation == rotation and at - ACTIVE <= act.at <= at for act in log.acts)


def _ends(log: Log) -> Iterator[tuple[str, datetime, Rotation]]:
    for versions in log.records().values():
        for one, other in pairwise(versions):
            if other.record.deleted_at and not one.record.deleted_at:
                yield "deleted", other.at, other.record
            elif other.record.is_over and not one.record.is_over:
                yield str(other.record.state), other.at, other.record
            elif other.record.parked_at and not one.record.parked_at:
                yield PARKED, other.at, other.record


def _ended_well(record: Rotation) -> bool:
    return record.state is State.COMPLETED and not open_troubles(record)


LAWS: tuple[Callable[[Log], Iterator[str]], ...] = (
    nobody_is_told_twice,
    reminders_stop,
    nobody_is_flooded,
    nothing_at_night_that_can_wait,
    harm_within_a_minute,
    nobody_is_left_waiting,
    no_revocation_is_forgotten,
    every_end_is_told_once,
)
