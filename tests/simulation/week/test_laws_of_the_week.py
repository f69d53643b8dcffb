"""Each law of the week notices what breaks it, planted in a log; and nothing in a log in which all is well."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from bot.rotation.parts import Exposure, Revocation, Stop, Trouble, Which
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.rotation.stops import StopKind
from tests.bot.values import rotation
from tests.simulation.week import laws
from tests.simulation.week.log import BEGIN, Act, Log, Said, Saved, matter_of
from tests.simulation.week.people import PEOPLE

NOON = BEGIN + timedelta(days=3)
"""Of a Monday."""

NIGHT = NOON + timedelta(hours=12)
WHO = "U_PROMPT"
APPROVERS = frozenset(person.id for person in PEOPLE.values() if person.approves)


def record(state: State = State.RUNNING, at: datetime = NOON, **fields: object) -> Rotation:
    return rotation(state, **{"requested_by": WHO, "requested_at": at} | fields)


def stopped(at: datetime) -> Rotation:
    stop = Stop(kind=StopKind.TROUBLE, headline="it stopped", sentence="", step="verify", resume="verify", at=at)
    return record(State.BLOCKED, stop=stop)


def failing(at: datetime) -> Rotation:
    return record(deleted_at=at, troubles=(Trouble(at=at, about="chat", sentence="It fails."),))


def pushed(of: Rotation, *who: str, at: datetime, directly: bool = False, is_harm: bool = False) -> Said:
    ways = {"directly": who[0]} if directly else {"mentioned": frozenset(who)}
    return Said(at, "message", of.id, matter_of(of), is_harm, **ways)


def log(*said: Said, saved: tuple[Saved, ...] = (), acts: tuple[Act, ...] = (), lasts: float = 6) -> Log:
    return Log(said=list(said), saved=list(saved), acts=list(acts), ended=NOON + timedelta(hours=lasts))


def after(**time: float) -> datetime:
    return NOON + timedelta(**time)


STOP = stopped(NOON)
FAILS = failing(NOON)
WAITS = record(State.AWAITING_APPROVAL, asked_at=NOON)
DONE = record(State.COMPLETED, deleted_at=NOON, ended_at=NOON)
OWED = DONE.but(revocation=Revocation(which=Which.OLD, owner=WHO, since=NOON, due_at=after(hours=1)))
LEFT = record(State.AWAITING_APPROVAL, requested_by="U_VANISHING", asked_at=NOON, parked_at=after(hours=30))
LEAKED = record(exposed=Exposure(by=WHO, at=NOON, what="a log", revoke_by=after(hours=2)))
FIRST = pushed(STOP, WHO, at=NOON)
PAGES = [pushed(FAILS, WHO, *APPROVERS, at=after(seconds=5), is_harm=True)]
PAGES += [pushed(FAILS, who, at=after(seconds=6), directly=True, is_harm=True) for who in (WHO, *APPROVERS)]

WELL: dict[str, Log] = {
    "a stop that is told and reminded of": log(FIRST, pushed(STOP, WHO, at=after(hours=4)), saved=(Saved(NOON, STOP),)),
    "harm, by mention and directly": log(*PAGES, saved=(Saved(NOON, FAILS),), lasts=0.1),
    "harm at night": log(pushed(failing(NIGHT), WHO, at=NIGHT, is_harm=True)),
    "a stop at night of what somebody has just begun": log(
        pushed(stopped(NIGHT), WHO, at=NIGHT), acts=(Act(NIGHT - timedelta(minutes=9), WHO, STOP.id, "Try again"),)
    ),
    "an end": log(pushed(DONE, WHO, at=NOON), saved=(Saved(NOON, record()), Saved(NOON, DONE))),
}  # fmt: skip

BAD: list[tuple[Callable[..., object], str, Log]] = [
    (laws.nobody_is_told_twice, "a second push at once", log(FIRST, pushed(STOP, WHO, at=after(seconds=2)))),
    (laws.nobody_is_told_twice, "directly too", log(FIRST, pushed(STOP, WHO, at=NOON, directly=True))),
    (laws.nobody_is_told_twice, "harm, by mention twice", log(*PAGES[:1] * 2)),
    (laws.reminders_stop, "a reminder an hour", log(*(pushed(STOP, WHO, at=after(hours=n)) for n in range(8)))),
    (laws.nobody_is_flooded, "a push a minute", log(*(pushed(STOP, WHO, at=after(minutes=n)) for n in range(61)))),
    (laws.nothing_at_night_that_can_wait, "a reminder at night", log(pushed(STOP, WHO, at=NIGHT))),
    (laws.nothing_at_night_that_can_wait, "on a Saturday", log(pushed(STOP, WHO, at=BEGIN + timedelta(days=1)))),
    (laws.harm_within_a_minute, "harm that nobody hears of", log(saved=(Saved(NOON, FAILS),))),
    (laws.harm_within_a_minute, "an approver left out", log(
        pushed(FAILS, WHO, *list(APPROVERS)[1:], at=NOON), saved=(Saved(NOON, FAILS),))),
    (laws.harm_within_a_minute, "told too late", log(
        pushed(FAILS, WHO, *APPROVERS, at=after(seconds=61)), saved=(Saved(NOON, FAILS),))),
    (laws.nobody_is_left_waiting, "a stop that nobody hears of", log(saved=(Saved(NOON, STOP),))),
    (laws.nobody_is_left_waiting, "an approval that only one hears of", log(
        pushed(WAITS, *list(APPROVERS)[:1], at=NOON), saved=(Saved(NOON, WAITS),))),
    (laws.nobody_is_left_waiting, "a stop that is forgotten", log(FIRST, saved=(Saved(NOON, STOP),), lasts=48)),
    (laws.no_revocation_is_forgotten, "a revocation that is forgotten", log(saved=(Saved(NOON, OWED),), lasts=96)),
    (laws.every_end_is_told_once, "a parked one that only somebody who has left hears of", log(
        saved=(Saved(NOON, record(requested_by="U_VANISHING")), Saved(after(hours=30), LEFT)), lasts=96)),
    (laws.harm_within_a_minute, "a leak that nobody hears of", log(saved=(Saved(NOON, LEAKED),))),
    (laws.every_end_is_told_once, "an untold end", log(saved=(Saved(NOON, record()), Saved(NOON, DONE)))),
    (laws.every_end_is_told_once, "an end told twice", log(
        *[pushed(DONE, WHO, at=NOON)] * 2, saved=(Saved(NOON, record()), Saved(NOON, DONE)))),
]  # fmt: skip


@pytest.mark.parametrize("name", WELL)
def test_a_week_in_which_all_is_well_breaks_no_law(name):
    assert [broken for law in laws.LAWS for broken in law(WELL[name])] == []


@pytest.mark.parametrize(("law", "name", "found"), BAD, ids=[name for _, name, _ in BAD])
def test_a_law_notices_what_breaks_it(law, name, found):
    assert [*law(found)]


def test_every_law_was_seen_to_notice_something():
    assert {law for law, _, _ in BAD} == {*laws.LAWS}
