"""Read what a server says of time: how long to wait before another try, and what its own clock shows."""

from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from bot.rotation.errors import Uncertain


def retry_after(header: str | None) -> float | None:
    """Return `Retry-After` in seconds; a server may send a number or a date."""
    if not header:
        return None
    with suppress(ValueError):
        return max(0.0, float(header))
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    return None


def ahead(date: str | None) -> float | None:
    """Return by how many seconds the clock of a server that answers with this `Date` is ahead; None if it says none."""
    with suppress(ValueError, TypeError):
        return (parsedate_to_datetime(date or "") - datetime.now(UTC)).total_seconds()
    return None


LONGEST_WAIT = 20.0
"""Seconds. For a longer `Retry-After` the call fails, and the rotation waits instead."""


def wait_for(error: Exception) -> bool | float:
    """Decide whether to retry a call that is safe to repeat, and after how many seconds."""
    if not isinstance(error, Uncertain):
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= LONGEST_WAIT else False


def wait_if_it_never_arrived(error: Exception) -> bool | float:
    """Decide the same for a call that must not happen twice: retry only if it certainly did not arrive."""
    return isinstance(error, Uncertain) and not error.arrived and wait_for(error)
