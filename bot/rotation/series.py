"""The requests over time that a card draws: on the old key, on the new key, and failed. Pure.

Every look that reads the counters anyway adds an interval. Only what was read counts: if a gateway can't be read, the
next interval is longer, and where its counters began again, an interval is missing. Neither is ever a zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from pydantic import field_serializer

from bot.rotation.counted import Ledger, met, of_callers, summed
from bot.rotation.frozen import Frozen
from bot.rotation.replica import UNNAMED, Replica, Served, rise

MOST = 20
"""The most intervals: a chart of Slack's has no more points."""

SHORTEST = timedelta(seconds=1)


class Interval(Frozen):
    """The requests that every gateway counted between two looks."""

    begin: datetime
    end: datetime
    old: int = 0
    """All requests on the old key."""

    new: int = 0
    """Callers' requests that were answered with the new key."""

    failed: int = 0
    """Callers' requests that failed with the new key, or once the old one was deleted, for want of it."""

    has_tests: bool = False
    """Its new and failed requests include our own test requests: the counters did not tell them apart."""

    @property
    def length(self) -> timedelta:
        """Return how long it is."""
        return self.end - self.begin

    def joined(self, after: "Interval") -> "Interval":
        """Return this interval and the next one as one."""
        return Interval(
            begin=self.begin,
            end=after.end,
            old=self.old + after.old,
            new=self.new + after.new,
            failed=self.failed + after.failed,
            has_tests=self.has_tests or after.has_tests,
        )


class Series(Frozen):
    """At most `MOST` intervals, and what the gateways had counted at the end of the last one."""

    intervals: tuple[Interval, ...] = ()
    read: dict[str, dict[str, Replica]] = {}
    """By environment and status address, the counts of the last complete look."""

    unread_at: datetime | None = None
    """The newest look since then that could not read every gateway."""

    @field_serializer("read")
    def _small(self, read: dict[str, dict[str, Replica]]) -> dict[str, dict[str, Any]]:
        """Keep the record small: most fields of these snapshots are empty."""
        return {
            environment: {url: r.model_dump(mode="json", exclude_defaults=True) for url, r in there.items()}
            for environment, there in read.items()
        }

    @property
    def read_at(self) -> datetime | None:
        """Return when the counts were last read."""
        return _time(self.read)

    @property
    def gaps(self) -> list[tuple[datetime, datetime]]:
        """Return from when to when intervals are missing."""
        read_at = (self.read_at,) if self.read_at and self.intervals else ()
        begins = (*(interval.begin for interval in self.intervals[1:]), *read_at)
        return [(one.end, begin) for one, begin in zip(self.intervals, begins, strict=True) if one.end < begin]


Read = Mapping[str, Mapping[str, Replica]]


def extended(series: Series, seen: Mapping[str, Sequence[Replica]]) -> Series:
    """Return *series* with the interval since the last look; a look at fewer environments tells of no interval."""
    snapshots = [replica for replicas in seen.values() for replica in replicas]
    if not snapshots or not seen.keys() >= series.read.keys():
        return series
    if not all(map(_is_readable, snapshots)):
        return series.but(unread_at=max(replica.at for replica in snapshots))
    now = {environment: {r.url: _brief(r) for r in replicas} for environment, replicas in seen.items()}
    if not _went_on(series.read, now):
        return series.but(read=now, unread_at=None)
    return _with_interval(series, now)


def _is_readable(replica: Replica) -> bool:
    """Return whether its counters tell which key each request used."""
    return replica.counts is not None and not any(served.blind for served in replica.counts.values())


def _brief(replica: Replica) -> Replica:
    """Return what a series needs of a snapshot: sums over the models, and what shows a restart."""
    return Replica(
        url=replica.url,
        at=replica.at,
        apply_seq=replica.apply_seq,
        revision=replica.revision,
        counts={UNNAMED: summed(of_callers(replica.counts or {}))},
        own=None if replica.own is None else {UNNAMED: summed(of_callers(replica.own))},
        callers=replica.callers,
        meters=replica.meters,
        orphaned=replica.orphaned,
        total=replica.total,
        hears_upstream=replica.hears_upstream,
        started=replica.started,
    )


def _went_on(before: Read, now: Read) -> bool:
    """Return whether the same replicas went on counting since: no other one, no restart, nothing fell."""
    if {e: set(there) for e, there in before.items()} != {e: set(there) for e, there in now.items()}:
        return False
    return not any(after.restarted_since(early) for early, after in _pairs(before, now))


def _pairs(before: Read, now: Read) -> Iterable[tuple[Replica, Replica]]:
    return ((before[e][url], replica) for e, there in now.items() for url, replica in there.items())


def _time(read: Read) -> datetime | None:
    return max((replica.at for there in read.values() for replica in there.values()), default=None)


def _with_interval(series: Series, now: Read) -> Series:
    begin, end = series.read_at, _time(now)
    if begin is None or end is None or begin >= end:
        return series
    counted = [rise(_with_own(early, after), after) for early, after in _pairs(series.read, now)]
    callers = met(Ledger(), counted)
    latest = Interval(
        begin=begin,
        end=end,
        old=sum(replica.old for replica in counted),
        new=callers.new,
        failed=callers.failed + sum(sum(replica.orphaned.values()) for replica in counted),
        has_tests=any(replica.own is None for replica in counted),
    )
    intervals = _appended(series.intervals, latest)
    return Series(intervals=intervals, read=now) if intervals else series


def _with_own(before: Replica, after: Replica) -> Replica:
    """Return *before* with none of our own test requests, if it has no request on the new key at all."""
    counts = (before.counts or {}).get(UNNAMED, Served())
    if before.own is None and not (counts.new or counts.failed or counts.limited):
        return before.but(own={}, callers=after.callers)
    return before


def _appended(intervals: tuple[Interval, ...], latest: Interval) -> tuple[Interval, ...]:
    """Add an interval; a very short one lengthens the last one, or if there is none, comes with the next."""
    last = intervals[-1] if intervals else None
    if latest.length >= SHORTEST:
        return _fewer((*intervals, latest))
    return (*intervals[:-1], last.joined(latest)) if last and last.end == latest.begin else ()


def _fewer(intervals: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """Join the two neighbours that are the shortest together, if there are too many; never over a gap."""
    if len(intervals) <= MOST:
        return intervals
    neighbours = [n for n, (one, after) in enumerate(pairwise(intervals)) if one.end == after.begin]
    if not neighbours:
        return intervals[1:]
    first = min(neighbours, key=lambda n: intervals[n].length + intervals[n + 1].length)
    return (*intervals[:first], intervals[first].joined(intervals[first + 1]), *intervals[first + 2 :])
