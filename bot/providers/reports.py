"""The use of one credential as a report of use in buckets shows it."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from bot.rotation.credentials import Usage
from bot.rotation.errors import Uncertain

BEFORE = timedelta(days=1)
"""How long before the moment a report is read: one that never saw the credential used knows nothing of it."""

WIDTHS = ((timedelta(days=4), "1m", 1440), (timedelta(days=60), "1h", 168), (timedelta.max, "1d", 31))
"""For reports up to so long: how long a bucket is, and how many a provider gives at a time."""

PAGES = 20


class Bucket(NamedTuple):
    """A piece of time, and whether the credential was used in it."""

    begin: datetime
    end: datetime
    is_used: bool


Page = Callable[[datetime, str, int], Awaitable[tuple[list[Bucket], bool]]]
"""Asks for the buckets from a moment on, of a width, so many at a time; says whether there are more."""


async def reported(page: Page, since: datetime, now: datetime) -> Usage:
    """Return what a report says; a bucket that began before *since* counts as before."""
    begin = since - BEFORE
    used = [bucket for bucket in await _whole(page, begin, now) if bucket.is_used]
    after = [bucket for bucket in used if bucket.begin >= since]
    return Usage(is_known=bool(used), last_at=min(after[-1].end, now) if after else None)


async def _whole(page: Page, begin: datetime, now: datetime) -> list[Bucket]:
    """Read a report from moment to moment, without the provider's cursors."""
    width, many = next((width, many) for span, width, many in WIDTHS if now - begin <= span)
    found: list[Bucket] = []
    for _ in range(PAGES):
        buckets, has_more = await page(begin, width, many)
        found += buckets
        if not buckets or not has_more or buckets[-1].end >= now:
            return sorted(found)
        if buckets[-1].end <= begin:
            break
        begin = buckets[-1].end
    raise Uncertain("The report of use has no end.")
