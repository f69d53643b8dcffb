"""While the channel of a card cannot be posted in: the requester is told directly, and the channel is tried again."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.rotation.errors import CannotPost
from bot.rotation.record import Rotation
from handlers.ports import ShownStore
from handlers.slack import MessageLost, Refusal, called
from handlers.views.direct import Shut, direct

log = structlog.get_logger("keyturn.channel_unavailable")

FIRST_LOOK, LONGEST_LOOK = 60.0, 3600.0
"""Seconds between two tries of a channel: the longer it has been shut, the fewer."""

GIVE_UP = timedelta(days=7).total_seconds()
"""Seconds after which the channel of a rotation that is over is tried no more."""

CLEAR = {"shut": "", "shut:since": "", "shut:until": "", "shut:moment": ""}


class ChannelUnavailable:
    """Remembers which channels are shut, beside where the rotations are shown."""

    def __init__(self, client: AsyncWebClient, store: ShownStore, now: Callable[[], datetime]) -> None:
        self._client = client
        self._store = store
        self._now = now

    def still(self, shown: Mapping[str, str], moment: str) -> Shut | None:
        """Return why the channel is shut, where it was tried not long ago and nothing has happened since."""
        shut = shown.get("shut")
        return Shut(shut) if shut and shown.get("shut:moment") == moment and self._left(shown) > 0 else None

    def _left(self, shown: Mapping[str, str]) -> float:
        return float(shown.get("shut:until") or 0) - self._now().timestamp()

    async def reach(self, rotation: Rotation, shut: Shut, moment: str) -> timedelta | None:
        """Tell the requester what somebody has to act on; return when to try the channel again, None for never."""
        shown = await self._store.messages(rotation.id)
        if self.still(shown, moment):
            return timedelta(seconds=self._left(shown))
        log.warning("channel_shut", rotation=rotation.id, why=shut.value)
        await self._tell(rotation, shut, shown)
        now = self._now().timestamp()
        since = float(shown.get("shut:since") or now)
        if rotation.is_over and now - since > GIVE_UP:
            return None
        pause = min(max(now - since, FIRST_LOOK), LONGEST_LOOK)
        fields = {"shut": shut.value, "shut:since": f"{since:.3f}", "shut:until": f"{now + pause:.3f}"}
        await self._store.remember_message(rotation.id, fields | {"shut:moment": moment})
        return timedelta(seconds=pause)

    async def _tell(self, rotation: Rotation, shut: Shut, shown: Mapping[str, str]) -> None:
        """Write to the requester, once on each occasion."""
        said = direct(rotation, shut)
        if said is None or said.key in shown:
            return
        post = self._client.chat_postMessage
        try:
            answer = await called("chat.postMessage", post, channel=rotation.requested_by, **said.content)
        except (CannotPost, MessageLost, Refusal):
            log.error("nobody_reached", rotation=rotation.id, requester=rotation.requested_by)  # noqa: TRY400 - no fault
        else:
            await self._store.remember_message(rotation.id, {said.key: str(answer["ts"])})
