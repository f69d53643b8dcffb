"""When Keyturn may push people about what can wait: quiet hours, working days, time zones. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

LONGEST = 14
"""Days in which every calendar opens: each has a working day in seven, and DST removes one hour at most."""


class Quiet(NamedTuple):
    """The hours in which nobody is pushed, by the local clock; from 22:00 until 07:00 they go over midnight."""

    begin: time
    end: time


class Hours(NamedTuple):
    """The hours of one channel."""

    quiet: Quiet | None
    days: frozenset[int]
    """The working days; Monday is 0."""

    zone: ZoneInfo

    def next_open(self, moment: datetime) -> datetime:
        """Return *moment* if people may be pushed then, else the next moment at which they may be."""
        for begin, end in self._windows(moment.astimezone(self.zone).date()):
            if moment < end:
                return max(moment, begin)
        return moment

    def due(self, at: datetime, now: datetime) -> datetime:
        """Return when to do at the earliest what was due *at* a time: what was missed waits for the morning too."""
        opens = self.next_open(max(at, now))
        return min(at, opens) if opens == now else opens

    def _windows(self, first: date) -> Iterator[tuple[datetime, datetime]]:
        for day in (first + timedelta(days=n) for n in range(LONGEST)):
            if day.weekday() in self.days:
                yield from self._windows_of(day)

    def _windows_of(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        midnight = self._late(day + timedelta(days=1), time())
        if self.quiet is None:
            yield self._late(day, time()), midnight
        elif self.quiet.begin > self.quiet.end:
            yield self._late(day, self.quiet.end), self._early(day, self.quiet.begin)
        else:
            yield self._late(day, time()), self._early(day, self.quiet.begin)
            yield self._late(day, self.quiet.end), midnight

    def _late(self, day: date, at: time) -> datetime:
        """Return the later one of the moments that a clock which is put back shows twice, or skips."""
        return max(self._moments(day, at))

    def _early(self, day: date, at: time) -> datetime:
        return min(self._moments(day, at))

    def _moments(self, day: date, at: time) -> Iterator[datetime]:
        return (datetime.combine(day, at.replace(fold=fold), self.zone).astimezone(UTC) for fold in (0, 1))


EVERY_DAY = frozenset(range(7))


class Calendar(NamedTuple):
    """The hours of every channel, as the settings have them."""

    quiet: Quiet | None = None
    days: frozenset[int] = EVERY_DAY
    zones: Mapping[str, str] = {}
    """By channel, its time zone; the one of all other channels has no name."""

    def of(self, channel: str, zone: str) -> Hours:
        """Return the hours of *channel*; *zone* is the requester's, which counts if the settings name none."""
        return Hours(self.quiet, self.days, known(self.zones.get(channel) or self.zones.get("") or zone))


def known(zone: str) -> ZoneInfo:
    """Return a time zone by its name; UTC if this machine does not know it."""
    try:
        return ZoneInfo(zone or "UTC")
    except (ValueError, OSError, KeyError):
        return ZoneInfo("UTC")
