"""Tell whether a status address shows one replica, and its current state. Pure.

The address of a balancer shows another replica at each request, and a cache shows old pages. Neither says so.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from bot.rotation.frozen import Frozen
from bot.rotation.replica import host_of

BALANCED = (
    "shows another replica at each look: where this is the address of a balancer, "
    "give each replica's own in `status_urls`"
)
CACHED = "shows a page from a cache on the way, and not itself"


def twin(other: str) -> str:
    """Say that an address shows the same replica as the *other*."""
    return f"shows the same replica as {host_of(other)}: give each replica's own address in `status_urls`"


REQUESTS = re.compile(rb"^aisix_(?:llm|proxy)_requests_total(?:\{.*\})? ([0-9.]+(?:[eE]\+?\d+)?)\s*$", re.MULTILINE)
SPENT = re.compile(rb"^aisix_\w+_seconds_sum(?:\{.*\})? (\d+\.\d{4,})\s*$", re.MULTILINE)
"""Sums of seconds with many decimal places, so two processes never have the same."""

CACHE_SAYS = ("x-cache", "x-cache-status", "x-proxy-cache", "cf-cache-status")
"""Headers in which a cache says whether it answered."""


class Glimpse(NamedTuple):
    """The values on a replica's pages that only grow while its process runs."""

    apply_seq: int | None = None
    revision: int | None = None
    requests: float | None = None


def glimpse(config: Any, metrics: bytes | str) -> Glimpse:
    """Read the values that only grow from one reading of both pages."""
    applied = config.get("applied") if isinstance(config, dict) else None
    applied = applied if isinstance(applied, dict) else {}
    shown = REQUESTS.findall(metrics) if isinstance(metrics, bytes) else None
    return Glimpse(
        _count(applied.get("apply_seq")),
        _count(applied.get("applied_revision")),
        None if shown is None else sum(map(_number, shown)),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def mark(metrics: bytes | str) -> int | None:
    """Return a value that identifies the process behind a metrics page; None if the page has none."""
    spent = SPENT.findall(metrics) if isinstance(metrics, bytes) else []
    return hash(tuple(spent)) if spent else None


def twins(marks: Mapping[str, int | None]) -> dict[str, str]:
    """Map each address that shows the same replica as an earlier one to that earlier address."""
    first: dict[int, str] = {}
    known = [(url, first.setdefault(its, url)) for url, its in marks.items() if its is not None]
    return {url: other for url, other in known if other != url}


def is_cached(headers: Mapping[str, str]) -> bool:
    """Tell whether an answer comes from a cache: it has an age, or a cache header says so."""
    age = headers.get("age", "").strip()
    return (age.isdigit() and int(age) > 0) or any("hit" in headers.get(name, "").lower() for name in CACHE_SAYS)


def fell(before: Glimpse, now: Glimpse) -> bool:
    """Tell whether a value that only grows fell: this is another replica, or it restarted."""
    pairs = zip(before, now, strict=True)
    return any(early is not None and late is not None and late < early for early, late in pairs)


REMEMBERED = timedelta(minutes=10)
"""Two restarts within this time make an address doubtful as well."""

ONE_TOO_MANY = 2


class Row(NamedTuple):
    """Glimpses of one address in a row, and when they began and ended on a monotonic clock."""

    glimpses: tuple[Glimpse, ...]
    began: float
    ended: float


class Watched(Frozen):
    """What Keyturn remembers about one address between readings."""

    last: Glimpse = Glimpse()
    until: float = 0.0
    falls: tuple[datetime, ...] = ()

    def after(self, row: Row, at: datetime) -> "Watched":
        """Return the state after one more row; a row that overlaps the last one is not compared with it.

        A replica may restart once between two rows, and count from zero. A fall within a row is proof by itself.
        """
        falls = [at for one, two in pairwise(row.glimpses) if fell(one, two) for _ in range(ONE_TOO_MANY)]
        follows = row.began >= self.until
        falls += [at] if follows and fell(self.last, row.glimpses[0]) else []
        recent = [moment for moment in self.falls if at - moment < REMEMBERED]
        last, until = (row.glimpses[-1], row.ended) if row.ended >= self.until else (self.last, self.until)
        return Watched(last=last, until=until, falls=(*recent, *falls)[-ONE_TOO_MANY:])

    @property
    def is_balanced(self) -> bool:
        """Tell whether readings of this address contradict each other."""
        return len(self.falls) >= ONE_TOO_MANY
