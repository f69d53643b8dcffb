"""The people of the week: when they work, how soon they answer, and what wakes them."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from random import Random
from typing import NamedTuple

WORK = (time(9), time(17))
WORKDAYS = range(5)


class Person(NamedTuple):
    """One person, by habit."""

    id: str
    least: float
    most: float
    """Minutes until an answer, in working hours."""

    approves: bool = False
    is_second: bool = False
    """Whether a second page goes to this person as well."""

    is_woken: bool = False
    """Whether a push at night or at the weekend is noticed then."""

    is_away: bool = False
    """All week."""

    leaves: timedelta | None = None
    """How long after the beginning this person leaves the company."""


PEOPLE: Mapping[str, Person] = {
    person.id: person
    for person in (
        Person("U_PROMPT", 2, 10),
        Person("U_BUSY", 60, 240),
        Person("U_WAKING", 5, 20, is_woken=True),
        Person("U_VANISHING", 2, 30, leaves=timedelta(days=4)),
        Person("U_SECOND_LINE", 5, 15, is_second=True, is_woken=True),
        Person("U_APPROVING", 2, 30, approves=True),
        Person("U_SLOWLY_APPROVING", 90, 300, approves=True),
        Person("U_ON_CALL", 5, 15, approves=True, is_woken=True),
        Person("U_ON_LEAVE", 1, 1, approves=True, is_away=True),
        Person("U_LEAVING", 5, 60, approves=True, leaves=timedelta(days=4)),
    )
}
"""Requesters first, then the second line, then the members of the approvers' group."""


def is_working(moment: datetime) -> bool:
    """Tell whether people work then."""
    return moment.weekday() in WORKDAYS and WORK[0] <= moment.time() < WORK[1]


def next_working(moment: datetime) -> datetime:
    """Return *moment* if people work then, else when they begin again."""
    while not is_working(moment):
        later = moment.replace(hour=WORK[0].hour, minute=0, second=0, microsecond=0)
        moment = later if later > moment else later + timedelta(days=1)
    return moment


def in_working_time(moment: datetime, passed: timedelta) -> datetime:
    """Return when so much working time has passed since *moment*."""
    moment = next_working(moment)
    evening = moment.replace(hour=WORK[1].hour, minute=0, second=0, microsecond=0)
    left = passed - (evening - moment)
    return moment + passed if left < timedelta(0) else in_working_time(evening, left)


def answers_at(person: Person, pushed: datetime, began: datetime, chance: Random) -> datetime | None:
    """Return when *person* looks at what they were pushed about; None if never."""
    takes = timedelta(minutes=chance.uniform(person.least, person.most))
    wakes = person.is_woken and not is_working(pushed)
    at = pushed + takes if wakes else in_working_time(pushed, takes)
    left = person.leaves is not None and at >= began + person.leaves
    return None if person.is_away or left else at
