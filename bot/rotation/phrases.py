"""Wording of lists and durations. Pure."""

from collections.abc import Iterable
from datetime import timedelta

from bot.rotation.plan import plural

MOVED_IS_BACK = "what this rotation moved is back on the old key"

MOST_NAMED = 5


def listing(items: Iterable[str], joint: str = ", ") -> str:
    """Name the first few of *items* and count the rest."""
    named = list(items)
    more = len(named) - MOST_NAMED
    shown = joint.join(named[:MOST_NAMED])
    return f"{shown}{joint}and {more} more" if more > 0 else shown


def said(length: timedelta) -> str:
    """Write a duration in its largest unit."""
    seconds = length.total_seconds()
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return plural(round(seconds / size), unit)
    return f"{seconds:g} s"


def sendable(text: str) -> str:
    """Return *text* without lone surrogates: no encoding can carry them."""
    return text.encode("utf-8", "replace").decode()
