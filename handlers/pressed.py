"""When something was pressed: by Slack's clock if Slack says it, else by how long this process may have been paused.

A click has a time stamp, and HTTP requests carry the time when Slack sent them. A form over a socket has neither. So
the process also notices its own pauses: what it receives right after one may have waited that long.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.rotation.policy import Pressed
from handlers.payload import said, text

TIME = re.compile(r"\d{1,10}(\.\d{1,9})?")
SENT = "x-slack-request-timestamp"

EVERY = 2.0
"""Seconds between two checks of whether the process runs."""

JUST_BACK = 10.0
"""Seconds after a pause during which a payload may have waited for its end."""


def pressed_of(body: Mapping[str, Any], headers: Mapping[str, Sequence[str]], away: timedelta) -> Pressed:
    """Return when a payload was sent; *away* is how long it may have waited for this process."""
    sent = _moment(next(iter(headers.get(SENT, ())), ""))
    actions = body.get("actions")
    if isinstance(actions, list):
        return Pressed(at=_moment(text(actions[0] if actions else None, "action_ts")) or sent)
    return Pressed(at=sent, away=away)


def _moment(stamp: Any) -> datetime | None:
    return datetime.fromtimestamp(float(stamp), UTC) if TIME.fullmatch(said(stamp)) else None


class Absence:
    """How long this process could not read Slack's payloads: stopped, asleep with its machine, or stuck."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._looked = clock()
        self._back, self._away = self._looked, 0.0

    def look(self) -> None:
        """Note that the process runs; call this every `EVERY` seconds."""
        now = self._clock()
        if (gap := now - self._looked) > 2 * EVERY:
            self._back, self._away = now, gap
        self._looked = now

    @property
    def recent(self) -> timedelta:
        """Return how long a payload received now may have waited."""
        now = self._clock()
        gap = now - self._looked
        before = self._away if now - self._back < JUST_BACK else 0.0
        return timedelta(seconds=max(before, gap if gap > 2 * EVERY else 0.0))
