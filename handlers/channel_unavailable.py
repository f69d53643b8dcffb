"""If the bot cannot post in a card's channel: tell people directly, and retry the channel."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from bot.rotation.record import Rotation
from handlers.direct_messages import DirectMessages
from handlers.ports import ShownStore
from handlers.views.direct import Shut, moment

log = structlog.get_logger("keyturn.channel_unavailable")

FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0
"""The shortest and longest time in seconds between two tries; it grows with the time that the channel is shut."""

GIVE_UP = timedelta(days=7).total_seconds()
"""Seconds after which the bot stops trying the channel of a rotation that is over."""

CLEAR = {"shut": "", "shut:since": "", "shut:until": "", "shut:moment": ""}


class ChannelUnavailable:
    """Stores which channels are shut, with the other fields about a rotation's messages."""

    def __init__(self, direct: DirectMessages, store: ShownStore, now: Callable[[], datetime]) -> None:
        self._direct = direct
        self._store = store
        self._now = now

    def still(self, rotation: Rotation, shown: Mapping[str, str]) -> Shut | None:
        """Return why the channel is shut, if it was tried recently and nothing has happened since."""
        shut = shown.get("shut")
        recent = shut and self._left(shown) > 0 and shown.get("shut:moment") == moment(rotation)
        return Shut(shut) if shut and recent else None

    def _left(self, shown: Mapping[str, str]) -> float:
        return float(shown.get("shut:until") or 0) - self._now().timestamp()

    async def reach(self, rotation: Rotation, shut: Shut) -> timedelta | None:
        """Tell people what needs action; return how long until the next try of the channel, or None to stop."""
        shown = await self._store.messages(rotation.id)
        if self.still(rotation, shown):
            return timedelta(seconds=self._left(shown))
        log.warning("channel_shut", rotation=rotation.id, why=shut.value)
        await self._direct.tell(rotation, shut)
        now = self._now().timestamp()
        since = float(shown.get("shut:since") or now)
        if rotation.is_over and now - since > GIVE_UP:
            return None
        pause = min(max(now - since, FIRST_PAUSE), LONGEST_PAUSE)
        fields = {"shut": shut.value, "shut:since": f"{since:.3f}", "shut:until": f"{now + pause:.3f}"}
        await self._store.remember_message(rotation.id, fields | {"shut:moment": moment(rotation)})
        return timedelta(seconds=pause)
