"""What Keyturn does at a provider beside a rotation's own course, also once that is over, and when it is due. Pure.

A provider that does not answer, or refuses, never stops a rotation: the chore is tried again, at growing pauses.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from bot.rotation import minting, revoking
from bot.rotation.parts import Chore, Setback
from bot.rotation.record import Rotation

WANTED: dict[Chore, Callable[[Rotation], datetime | None]] = {
    Chore.REVOKE: revoking.wanted,
    Chore.CLEAR: minting.clear_at,
}
"""From when on each chore is to be done; None where there is nothing to do."""

FIRST, LONGEST = timedelta(seconds=10), timedelta(hours=6)
"""The pause after the first failure, which doubles each time, and the longest one."""

MOST_ASKED = 3600.0
"""The most seconds that a provider may ask for before the next try."""


def due_at(rotation: Rotation, chore: Chore) -> datetime | None:
    """Return when a chore is due; None if there is nothing to do."""
    wanted = WANTED[chore](rotation) if chore in WANTED else None
    failed = setback(rotation, chore)
    return max(wanted, failed.retry_at) if wanted and failed else wanted


def first_due(rotation: Rotation) -> tuple[datetime, Chore] | None:
    """Return when the next chore is due, and which; None if there is nothing to do."""
    dues = ((at, chore) for chore in Chore if (at := due_at(rotation, chore)))
    return min(dues, default=None)


def setback(rotation: Rotation, chore: Chore) -> Setback | None:
    """Return how a chore failed last; None if it did not, or has succeeded since."""
    return next((each for each in rotation.setbacks if each.chore is chore), None)


def failed(rotation: Rotation, chore: Chore, why: str, now: datetime, asked: float = 0) -> Rotation:
    """Return *rotation* after a failure, of which *why* is a sentence; *asked*: seconds that the provider asks for."""
    before = setback(rotation, chore)
    number = before.number + 1 if before else 1
    pause = max(min(FIRST * 2 ** min(number - 1, 20), LONGEST), timedelta(seconds=min(asked, MOST_ASKED)))
    since = before.since if before else now
    new = Setback(chore=chore, since=since, at=now, number=number, why=why, retry_at=now + pause)
    return rotation.but(setbacks=(*without(rotation, chore).setbacks, new))


def without(rotation: Rotation, chore: Chore) -> Rotation:
    """Return *rotation* without the failures of a chore: its next try comes when it is due."""
    return rotation.but(setbacks=tuple(each for each in rotation.setbacks if each.chore is not chore))


def said(before: Rotation, after: Rotation, of: Mapping[Chore, Callable[[Rotation, Rotation], str]]) -> tuple[str, str]:
    """Say for the audit trail what a chore did between two versions, and why it failed; empty if none did anything."""
    for chore in Chore:
        if what := of[chore](before, after) if chore in of else "":
            return what, ""
    new = next((each for each in after.setbacks if each not in before.setbacks), None)
    return (f"failed to {new.chore}", new.why) if new else ("", "")
