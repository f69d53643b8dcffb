"""Send messages to Slack; what it refuses comes again in plainer blocks, and Keyturn remembers what it lacks."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.telemetry.metrics import refused_message
from handlers.ports import ShownStore
from handlers.refusals import Refusals
from handlers.slack import ContentRefused, Later, called
from handlers.views.plainer import FORGETTABLE, Refusal, editions, lacking_since

log = structlog.get_logger("keyturn.sending")

RESERVED = 0.3
"""The part of each minute's edits that is reserved for changes of state."""


class Sender:
    """Posts and edits messages."""

    def __init__(
        self, client: AsyncWebClient, store: ShownStore, *, edits_per_minute: int, now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._store = store
        self._refusals = Refusals(store, now)
        self._budget = edits_per_minute
        self._now = now

    async def post(self, content: Mapping[str, Any], **place: str) -> Any:
        """Post a message without previews of its links; return Slack's answer."""
        plain = {"unfurl_links": False, "unfurl_media": False}
        return await self._send("chat.postMessage", self._client.chat_postMessage, content, {**plain, **place})

    async def edit(self, content: Mapping[str, Any], *, urgent: bool = True, **place: str) -> None:
        """Edit a message; raise `Later` if this minute's edits are used up."""
        await self._spend(urgent=urgent)
        await self._send("chat.update", self._client.chat_update, content, place)

    async def delete(self, *, channel: str, ts: str) -> None:
        """Delete a message of the bot; raise `Refused` where the workspace does not allow that."""
        await called(self._client.chat_delete, channel=channel, ts=ts)

    async def _spend(self, *, urgent: bool) -> None:
        """Count one edit against the workspace's limit for this minute."""
        now = self._now().timestamp()
        used = await self._store.edits_this_minute(int(now // 60))
        if used > self._budget * (1 if urgent else 1 - RESERVED):
            raise Later(60 - now % 60 + 0.1)

    async def _send(self, method: str, call: Any, content: Mapping[str, Any], place: Mapping[str, Any]) -> Any:
        refusal: Refusal | None = None
        for edition in editions(content, await self.lacking()):
            try:
                answer = await called(call, **place, **edition)
            except ContentRefused as refused:
                refusal = refusal or Refusal(edition, refused.reason, refused.complaints)
            else:
                if refusal:
                    await self._learn(method, refusal, lacking_since(refusal, edition))
                return answer
        assert refusal is not None
        await self._learn(method, refusal, frozenset())
        raise ContentRefused(refusal.reason, refusal.complaints)

    async def lacking(self) -> frozenset[str]:
        """Return the blocks that the workspace refused lately."""
        return await self._refusals.lately(FORGETTABLE)

    async def _learn(self, method: str, refusal: Refusal, lacking: frozenset[str]) -> None:
        """Remember what the workspace is *lacking*; log that and each reason once for as long as it is remembered."""
        refused_message(method, refusal.reason)
        logged = f"logged:{refusal.reason}"
        if lacking or not await self._refusals.lately([logged]):
            said = next(iter(refusal.complaints), "")[:200]
            log.error("message_refused", method=method, reason=refusal.reason, said=said, lacking=sorted(lacking))
            await self._refusals.remember([*lacking, logged])
