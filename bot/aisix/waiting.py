"""Read what a server says of time: how long to wait, and what its own clock shows."""

from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


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
