"""Whether a status address shows one replica, and that replica as it is now. Pure.

A balancer's address shows another replica at each look, and a cache shows what was. Neither says so.
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
    """Say of an address that it shows the same replica as the *other*."""
    return f"shows the same replica as {host_of(other)}: give each replica's own address in `status_urls`"


REQUESTS = re.compile(rb"^aisix_(?:llm|proxy)_requests_total(?:\{.*\})? ([0-9.]+(?:[eE]\+?\d+)?)\s*$", re.MULTILINE)
SPENT = re.compile(rb"^aisix_\w+_seconds_sum(?:\{.*\})? (\d+\.\d{4,})\s*$", re.MULTILINE)
"""Seconds to many places: two processes never have the same."""

CACHE_SAYS = ("x-cache", "x-cache-status", "x-proxy-cache", "cf-cache-status")
"""Headers in which caches say whether an answer was theirs."""


class Glimpse(NamedTuple):
    """What only grows in a process, as far as its pages tell."""

    apply_seq: int | None = None
    revision: int | None = None
    requests: float | None = None


def glimpse(config: Any, metrics: bytes | str) -> Glimpse:
    """Read from the two pages of one look what only grows."""
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
    """Return what tells the process behind a metrics page from every other; None where nothing does."""
    spent = SPENT.findall(metrics) if isinstance(metrics, bytes) else []
    return hash(tuple(spent)) if spent else None


def twins(marks: Mapping[str, int | None]) -> dict[str, str]:
    """Return each address that shows the same replica as one before it, with that other address."""
    first: dict[int, str] = {}
    known = [(url, first.setdefault(its, url)) for url, its in marks.items() if its is not None]
    return {url: other for url, other in known if other != url}


def is_cached(headers: Mapping[str, str]) -> bool:
    """Tell whether an answer comes from a cache: it has an age, or the cache says so."""
    age = headers.get("age", "").strip()
    return (age.isdigit() and int(age) > 0) or any("hit" in headers.get(name, "").lower() for name in CACHE_SAYS)


def fell(before: Glimpse, now: Glimpse) -> bool:
    """Tell whether something that only grows has become less: another replica, or one that started again."""
    pairs = zip(before, now, strict=True)
    return any(early is not None and late is not None and late < early for early, late in pairs)


REMEMBERED = timedelta(minutes=10)
"""A replica that starts again twice within this time is doubted as well."""

ONE_TOO_MANY = 2


class Row(NamedTuple):
    """Glimpses of one address, one after another, and between which moments of a clock that never goes back."""

    glimpses: tuple[Glimpse, ...]
    began: float
    ended: float


class Watched(Frozen):
    """What is remembered of one address from look to look."""

    last: Glimpse = Glimpse()
    until: float = 0.0
    falls: tuple[datetime, ...] = ()

    def after(self, row: Row, at: datetime) -> "Watched":
        """Return it after one more look; one that began before the last had ended may have seen less.

        A replica may start again between two looks, and count from nought: once. It does not within a look.
        """
        falls = [at for one, two in pairwise(row.glimpses) if fell(one, two) for _ in range(ONE_TOO_MANY)]
        follows = row.began >= self.until
        falls += [at] if follows and fell(self.last, row.glimpses[0]) else []
        recent = [moment for moment in self.falls if at - moment < REMEMBERED]
        last, until = (row.glimpses[-1], row.ended) if row.ended >= self.until else (self.last, self.until)
        return Watched(last=last, until=until, falls=(*recent, *falls)[-ONE_TOO_MANY:])

    @property
    def is_balanced(self) -> bool:
        """Tell whether looks in a row contradict each other."""
        return len(self.falls) >= ONE_TOO_MANY
