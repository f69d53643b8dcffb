"""What waits for people, and when they are pushed about it: harm at any hour, the rest by day, and never for ever."""

from datetime import time, timedelta

import pytest

from bot.rotation.counted import Tally
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Finding
from bot.rotation.hours import Calendar, Quiet
from bot.rotation.nudges import RHYTHMS, Kind, Paces, due_at, hushed, is_watch_told, matters, nudge_of, pushed
from bot.rotation.parts import Exposure, OnIt, Review, Revocation, Which
from bot.rotation.record import Rotation, Trouble
from bot.rotation.states import State, Track
from bot.rotation.stops import Cause, StopKind
from tests.bot.values import NOW, later, rotation, running, silence, stopped

MINUTE, HOUR = 60, 3600
PACES = Paces(timedelta(minutes=5), timedelta(hours=4), timedelta(hours=4))
BY_DAY = PACES._replace(calendar=Calendar(Quiet(time(22), time(7)), frozenset(range(5))))
ASKED = running(asked_at=NOW).but(state=State.AWAITING_APPROVAL)
GONE = running().plan.but(old_key_gone=True)
WRONG = Trouble(at=NOW, about="chat", sentence="chat does not answer")
LEAK = Exposure(by="U_REQUESTER", at=NOW, revoke_by=later(2 * HOUR))
REVIEW = Review(by="U", at=later(HOUR), what="a key", where="a log", since="unknown", reach="all models")
USED = silence(is_used=True).but(total=2, first_at=later(20))
TASK = Revocation(which=Which.OLD, owner="U_REQUESTER", since=NOW, due_at=later(24 * HOUR))
OWED = rotation(State.COMPLETED, deleted_at=NOW, revocation=TASK)
REFUSED = Evidence(verdict=Verdict.REJECTED, reason="the new key is refused", at=NOW, blames_credential=True)
MOVED = Finding(moved_at=NOW)
BACK = stopped(findings={"m1": MOVED}, track=Track.BACK)
"""A roll back that stopped, with nothing that says that callers fail."""

AT_NIGHT = running(deleted_at=later(9 * HOUR), troubles=(WRONG.but(at=later(9 * HOUR)),))
"""At 23:02, as NOW is at 14:02."""


def kinds(record: Rotation) -> list[str]:
    return [matter.kind.value for matter in matters(record)]


@pytest.mark.parametrize(
    ("record", "waits"),
    [
        (running(), []),
        (running(deleted_at=NOW), []),
        (running(deleted_at=NOW, troubles=(WRONG,)), ["harm"]),
        (running(deleted_at=NOW, troubles=(WRONG, WRONG.but(over=True))), []),
        (rotation(State.COMPLETED, deleted_at=NOW, troubles=(WRONG,)), ["harm"]),
        (stopped(), ["stop"]),
        (stopped(StopKind.DRIFT, plan=GONE), ["harm"]),
        (BACK, ["stop"]),
        (BACK.but(findings={"m1": MOVED.but(latest=REFUSED)}), ["harm"]),
        (BACK.but(findings={"m1": MOVED.but(latest=REFUSED)}, track=Track.WITHDRAW), ["harm"]),
        (BACK.but(tally=Tally(since=NOW, answered=5, failed=6)), ["harm"]),
        (BACK.but(stop=BACK.stop.but(headline=Cause.UNWELL_ON_OLD_KEY.headline)), ["harm"]),
        (stopped(StopKind.DRIFT, plan=GONE, on_it=OnIt(by="U", at=later(9))), ["stop"]),
        (rotation(), []),
        (rotation(secret_asked_at=NOW, attempt=1), ["secret"]),
        (ASKED, ["approval"]),
        (ASKED.but(stale_at=NOW), ["approval"]),
        (ASKED.but(parked_at=NOW), []),
        (ASKED.but(tally=Tally(since=NOW, answered=900, failed=6)), ["approval"]),
        (ASKED.but(tally=Tally(since=NOW, answered=5, failed=6)), ["harm"]),
        (rotation(State.COMPLETED, deleted_at=NOW), []),
        (rotation(State.ROLLED_BACK), []),
        (rotation(exposed=LEAK), ["leak"]),
        (rotation(exposed=LEAK, on_it=OnIt(by="U", at=later(9))), []),
        (ASKED.but(exposed=LEAK), ["leak", "approval"]),
        (running(exposed=LEAK, on_it=OnIt(by="U", at=later(9)), silences=(USED,)), ["leak"]),
        (running(exposed=LEAK, deleted_at=NOW), ["review"]),
        (running(exposed=LEAK, deleted_at=NOW, silences=(USED,)), ["leak", "review"]),
        (running(exposed=LEAK, deleted_at=NOW, troubles=(WRONG,)), ["harm", "review"]),
        (rotation(State.ROLLED_BACK, exposed=LEAK, ended_at=later(60)), ["leak", "review"]),
        (rotation(State.COMPLETED, exposed=LEAK, deleted_at=NOW, review=REVIEW), []),
        (OWED, ["revocation"]),
        (OWED.but(troubles=(WRONG,)), ["harm"]),
        (OWED.but(revocation=TASK.but(ended_at=later(60), ended_by="U")), []),
    ],
)
def test_what_waits_for_people_is_read_off_the_record(record, waits):
    assert kinds(record) == waits


def test_whoever_is_on_it_is_not_on_what_goes_wrong_later():
    taken = running(deleted_at=NOW, troubles=(WRONG,), on_it=OnIt(by="U", at=later(60)))
    again = taken.but(troubles=(WRONG, WRONG.but(about="other", at=later(61))))

    assert (kinds(taken), kinds(again)) == ([], ["harm"])
    assert kinds(again.but(troubles=(*again.troubles, WRONG.but(about="other", at=later(90), over=True)))) == []


def pushes(record: Rotation, paces: Paces, most: int = 50) -> list[float]:
    """Play the pushes to their end, or the first ones of many; return their hours since NOW."""
    found, now = [], NOW
    while len(found) < most and (due := due_at(record, paces, now)):
        assert pushed(record, paces, due - timedelta(seconds=1)) is record
        record, now = pushed(record, paces, due), due
        found.append((due - NOW).total_seconds() / HOUR)
    return found


def test_reminders_come_at_growing_pauses_and_end():
    assert pushes(ASKED, PACES) == [4, 12, 28, 60, 124]
    assert pushes(rotation(secret_asked_at=NOW), PACES) == [4, 12, 28]


def test_a_stop_is_never_forgotten_once_its_reminders_are_rare_they_come_every_week():
    assert pushes(stopped(), PACES, 8) == [4, 12, 28, 60, 124, 124 + 168, 124 + 2 * 168, 124 + 3 * 168]
    assert (NOW + timedelta(hours=pushes(stopped(), BY_DAY, 9)[-1])).weekday() < 5


def test_of_a_revocation_people_are_reminded_once_it_is_due():
    assert pushes(OWED, PACES) == [24, 28, 36, 52, 84]


def test_reminders_wait_for_the_morning_and_for_monday():
    by_day = pushes(ASKED, BY_DAY)  # asked on Monday at 14:02

    assert [NOW + timedelta(hours=hours) for hours in by_day[:2]] == [
        later(4 * HOUR),
        later(17 * HOUR).replace(hour=7, minute=0),
    ]
    assert len(by_day) == 5


def test_a_reminder_that_was_missed_waits_for_the_morning_too():
    night = later(10 * HOUR)  # 00:02; the first one was due at 18:02

    assert pushed(ASKED, BY_DAY, night) is ASKED
    assert due_at(ASKED, BY_DAY, night) == later(17 * HOUR).replace(hour=7, minute=0)
    assert due_at(ASKED, BY_DAY, later(19 * HOUR)) == later(4 * HOUR), "at once"


def test_callers_that_fail_wait_for_no_morning():
    found = [round(60 * (hours - 9)) for hours in pushes(AT_NIGHT, BY_DAY, 12)]

    assert found[:10] == [5, 15, 35, 75, 135, 195, 255, 315, 375, 435]
    assert found[10:] == [495, 555], "by day it goes on until somebody is on it: at 07:17, 08:17"
    assert {matter.kind for matter in matters(AT_NIGHT)} == {Kind.HARM}


@pytest.mark.parametrize(
    ("after", "acted", "hour", "is_quiet"),
    [
        (ASKED, 0, 9, True),
        (ASKED, 0, 1, False),
        (ASKED, 8.5, 9, False),
        (ASKED, None, 16, True),
        (stopped(), 0, 9, True),
        (stopped(StopKind.DRIFT, plan=GONE), 0, 9, False),
        (rotation(State.AWAITING_START, start_asked_at=NOW), 0, 9, True),
        (running(exposed=LEAK), 0, 9, False),
    ],
)
def test_at_night_nobody_is_called_to_what_can_wait_unless_somebody_is_at_it(after, acted, hour, is_quiet):
    now = later(hour * HOUR)
    after = after.but(acted_at=None if acted is None else later(acted * HOUR))
    noted = hushed(running(), after, BY_DAY, now)

    assert [nudge.number for nudge in noted.nudges] == [0] * is_quiet
    assert hushed(after, after, BY_DAY, now) is after, "it is told when it begins"
    if is_quiet:
        morning = later(17 * HOUR).replace(hour=7, minute=0)
        assert due_at(noted, BY_DAY, now) == morning
        (called,) = pushed(noted, BY_DAY, morning).nudges
        assert (called.number, called.is_hushed) == (1, True)


def test_the_good_end_of_a_watch_is_told_by_day_once():
    over = OWED.but(ended_at=later(9 * HOUR), watched=3)
    noted = hushed(running(deleted_at=NOW), over, BY_DAY, later(9 * HOUR))
    morning = later(17 * HOUR).replace(hour=7, minute=0)

    assert kinds(noted) == ["revocation", "watched"]
    assert due_at(noted, BY_DAY, later(9 * HOUR)) == morning
    told = pushed(noted, BY_DAY, morning)
    assert (kinds(told), is_watch_told(told), is_watch_told(noted)) == (["revocation"], True, False)
    assert hushed(running(deleted_at=NOW), over.but(troubles=(WRONG,)), BY_DAY, NOW).nudges == ()
    assert hushed(running(deleted_at=NOW), over.but(watched=0), BY_DAY, NOW).nudges == ()


def test_each_matter_is_counted_by_itself_and_harm_that_is_new_pages_anew():
    first = pushed(running(deleted_at=NOW, troubles=(WRONG,)), PACES, later(5 * MINUTE))
    new = first.but(troubles=(WRONG, WRONG.but(about="other", at=later(6 * MINUTE))))
    (matter,) = matters(new)

    assert nudge_of(new, matter) is None
    assert due_at(new, PACES, NOW) == later(11 * MINUTE)


def test_every_kind_has_a_rhythm_and_only_harm_leaks_and_stops_go_on():
    assert RHYTHMS.keys() == set(Kind)
    assert all(0 < rhythm(PACES).most <= 10 for rhythm in RHYTHMS.values())
    assert {kind for kind, rhythm in RHYTHMS.items() if rhythm(PACES).then} == {Kind.HARM, Kind.LEAK, Kind.STOP}
