"""Windows: the times at which models may move or a key may be deleted. Pure.

Times are those of a wall clock in a time zone. Where that clock is set back or forward within a window, the window is
the shorter of what its times may mean.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.rotation.frozen import Frozen

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = timedelta(days=1)

HORIZON = 370
"""Days of a search for an opening: after a year and the last freeze, nothing new comes."""


class Opening(Frozen):
    """Hours of some days of the week, from one time of day to another; past midnight if that one is no later."""

    days: tuple[int, ...]
    """Monday is 0."""

    begin: time
    end: time
    zone: str

    def on(self, day: date) -> tuple[datetime, datetime] | None:
        """Return the moments between which it is open from *day*; None if it is not."""
        if day.weekday() not in self.days:
            return None
        begin = max(_moments(day, self.begin, self.zone))
        end = min(_moments(day if self.end > self.begin else day + DAY, self.end, self.zone))
        return (begin, end) if begin < end else None

    def __str__(self) -> str:
        """Write it as people do: "mon-thu 09:00-17:00 Europe/Berlin"."""
        return f"{_days(self.days)} {self.begin:%H:%M}-{self.end:%H:%M} {self.zone}"


class Freeze(Frozen):
    """Days from *first* to *last*, with both, on which nothing is open."""

    first: date
    last: date
    zone: str

    @property
    def begin(self) -> datetime:
        """Return the moment when it begins."""
        return min(_moments(self.first, time(0), self.zone))

    @property
    def end(self) -> datetime:
        """Return the moment when it ends."""
        return max(_moments(self.last + DAY, time(0), self.zone))

    def __str__(self) -> str:
        """Write it as people do: "2026-12-20/2027-01-04 Europe/Berlin"."""
        return f"{self.first}/{self.last} {self.zone}"


class Windows(Frozen):
    """When something may happen: in any of the openings (always, if there is none), but in no freeze."""

    openings: tuple[Opening, ...] = ()
    freezes: tuple[Freeze, ...] = ()

    def is_open(self, moment: datetime) -> bool:
        """Return whether it may happen at *moment*."""
        if any(freeze.begin <= moment < freeze.end for freeze in self.freezes):
            return False
        return not self.openings or any(begin <= moment < end for begin, end in self._around(moment))

    def _around(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        for opening in self.openings:
            today = moment.astimezone(ZoneInfo(opening.zone)).date()
            yield from filter(None, (opening.on(today - DAY), opening.on(today)))

    def __str__(self) -> str:
        """Write all of it: "mon-thu 09:00-17:00 UTC, not 2026-12-20/2027-01-04 UTC"."""
        frozen = [f"not {freeze}" for freeze in self.freezes]
        return ", ".join([*map(str, self.openings), *frozen]) or "always"


def is_open(windows: Iterable[Windows], moment: datetime) -> bool:
    """Return whether all of *windows* are open at *moment*."""
    return all(each.is_open(moment) for each in windows)


def next_open(windows: Sequence[Windows], moment: datetime) -> datetime | None:
    """Return the first moment from *moment* on at which all of *windows* are open; None if there is none."""
    return next((at for at in _candidates(windows, moment) if is_open(windows, at)), None)


def opening_said(windows: Sequence[Windows], moment: datetime) -> str:
    """Say when all of *windows* open next: "Mon 2026-12-07 09:00 Europe/Berlin"."""
    at = next_open(windows, moment)
    if at is None:
        return "never again"
    zones = [opening.zone for one in windows for opening in one.openings]
    zones += [freeze.zone for one in windows for freeze in one.freezes]
    zone = next(iter(zones), "UTC")
    local = at.astimezone(ZoneInfo(zone))
    return f"{DAYS[local.weekday()].capitalize()} {local:%Y-%m-%d %H:%M} {zone}"


def longest_open(windows: Sequence[Windows], moment: datetime, enough: timedelta) -> timedelta:
    """Return how long all of *windows* are open in a row within a year, at most about *enough*; zero if never."""
    longest = timedelta(0)
    for begin in _candidates(windows, moment):
        length = _open_from(windows, begin, enough)
        if length >= enough:
            return length
        longest = max(longest, length)
    return longest


STRIDE = timedelta(minutes=1)


def _open_from(windows: Sequence[Windows], begin: datetime, enough: timedelta) -> timedelta:
    length = timedelta(0)
    while length < enough and is_open(windows, begin + length):
        length += STRIDE
    return length


def _candidates(windows: Sequence[Windows], moment: datetime) -> Iterator[datetime]:
    """Yield the moments at which all may open: now, and whenever one of them begins to be open, in order."""
    yield moment
    ends = [freeze.end for each in windows for freeze in each.freezes]
    openings = [opening for each in windows for opening in each.openings]
    last = max([moment, *ends]) + HORIZON * DAY
    day = moment - 2 * DAY
    while day < last:
        begins = [found[0] for opening in openings if (found := opening.on(day.date()))]
        begins += [end for end in ends if day <= end < day + DAY]
        yield from sorted(at for at in begins if at > moment)
        if not openings and day > max([moment, *ends]):
            return
        day += DAY


def _moments(day: date, at: time, zone: str) -> tuple[datetime, datetime]:
    """Return the two moments that a time of day may mean; they differ where the clock is set back or forward."""
    both = (datetime.combine(day, at.replace(fold=fold), ZoneInfo(zone)) for fold in (0, 1))
    first, second = (moment.astimezone(UTC) for moment in both)
    return first, second


def _days(days: tuple[int, ...]) -> str:
    """Write days of the week: "mon-thu", "sat,sun"."""
    in_a_row = len(days) > 2 and list(days) == list(range(days[0], days[-1] + 1))  # noqa: PLR2004 - a pair is a list
    return f"{DAYS[days[0]]}-{DAYS[days[-1]]}" if in_a_row else ",".join(DAYS[day] for day in days)


OPENING = re.compile(r"([a-z,-]+) (\d\d):(\d\d)-(\d\d):(\d\d)(?: (\S+))?")
FREEZE = re.compile(r"(\d{4}-\d\d-\d\d)/(\d{4}-\d\d-\d\d)(?: (\S+))?")
OPENING_LOOKS, FREEZE_LOOKS = "mon-thu 09:00-17:00 Europe/Berlin", "2026-12-20/2027-01-04 Europe/Berlin"


def read_opening(text: str, zone: str) -> Opening:
    """Read what people write, in *zone* unless it names one; raise `ValueError` with a sentence's end."""
    found = OPENING.fullmatch(" ".join(text.split()))
    if not found:
        raise ValueError(f"“{text}” is no window: it should look like {OPENING_LOOKS}")
    days, *times, named = found.groups()
    hours, minutes, end_hours, end_minutes = map(int, times)
    last = 0 if (end_hours, end_minutes) == (24, 0) else end_hours
    begin, end = _time(hours, minutes, text), _time(last, end_minutes, text)
    return Opening(days=_read_days(days, text), begin=begin, end=end, zone=checked_zone(named or zone))


def read_freeze(text: str, zone: str) -> Freeze:
    """Read what people write, in *zone* unless it names one; raise `ValueError` with a sentence's end."""
    found = FREEZE.fullmatch(" ".join(text.split()))
    if not found:
        raise ValueError(f"“{text}” is no freeze: it should look like {FREEZE_LOOKS}")
    try:
        first, last = map(date.fromisoformat, found.groups()[:2])
    except ValueError:
        raise ValueError(f"“{text}” has a day that no month has") from None
    if last < first:
        raise ValueError(f"“{text}” ends before it begins")
    return Freeze(first=first, last=last, zone=checked_zone(found[3] or zone))


def checked_zone(name: str) -> str:
    """Return the name of a time zone that this machine knows; raise `ValueError` with a sentence's end."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # no such file, a folder, or a path
        raise ValueError(f"“{name}” is no time zone: write UTC, or one like Europe/Berlin") from None
    return name


def _time(hours: int, minutes: int, text: str) -> time:
    try:
        return time(hours, minutes)
    except ValueError:
        raise ValueError(f"“{text}” has a time that no day has") from None


def _read_days(text: str, whole: str) -> tuple[int, ...]:
    days = [day for part in text.split(",") for day in _read_range(part, whole)]
    return tuple(sorted(set(days)))


def _read_range(part: str, whole: str) -> Iterator[int]:
    names = part.split("-")
    if not set(names) <= set(DAYS) or len(names) > 2:  # noqa: PLR2004 - from one day to another
        raise ValueError(f"“{whole}” has a day that no week has: write {', '.join(DAYS)}")
    first, last = DAYS.index(names[0]), DAYS.index(names[-1])
    yield from (day % 7 for day in range(first, last + 1 + (7 if last < first else 0)))
