"""Answers that only one person sees."""

import asyncio
from http import HTTPStatus
from typing import Any, NamedTuple, Self

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.credentials import ADMIN_TOKEN, BOT_TOKEN, Credentials
from bot.proxies import proxy_for
from bot.rotation.errors import ApiError
from handlers.payload import channel_of, person_of, text
from handlers.slack import UNREACHABLE, SlackAway

log = structlog.get_logger("keyturn.answers")

PAUSES = (1.0, 5.0, 20.0)
"""Seconds between tries to answer someone while Slack fails; within this time the person is likely still there."""


class Asker(NamedTuple):
    """Who typed or clicked, and where to send an answer that only they see."""

    person: str
    channel: str = ""
    response_url: str = ""

    @classmethod
    def of(cls, body: dict[str, Any]) -> Self:
        """Read it from a payload."""
        return cls(person_of(body), channel_of(body), text(body, "response_url"))


class Answers:
    """Answers the person who typed or clicked, by the first way that works."""

    def __init__(self, client: AsyncWebClient, timeout: float, credentials: Credentials | None = None) -> None:
        self._client = client
        self._timeout = timeout
        self._credentials = credentials or Credentials()

    def trouble_behind(self, error: Exception) -> str:
        """Say which credential of ours is refused where that is why of *error*; empty as a rule."""
        match error:
            case SlackAway():
                return self._credentials.trouble_of(BOT_TOKEN)
            case ApiError(status=HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN):
                return self._credentials.trouble_of(ADMIN_TOKEN)
            case _:
                return ""

    async def tell(self, asker: Asker, words: str, *, blocks: list[Any] | None = None) -> None:
        """Answer *asker*: by response URL, which works anywhere, else by an ephemeral message, else by a direct one."""
        content = {"text": words, "blocks": blocks} if blocks else {"text": words}
        for pause in PAUSES if asker.person or asker.response_url else ():
            if await self._told(asker, content):
                return
            await asyncio.sleep(pause)
        if not await self._told(asker, content):
            log.warning("answer_lost", person=asker.person, channel=asker.channel)

    async def _told(self, asker: Asker, content: dict[str, Any]) -> bool:
        person, channel, url = asker
        if url and await self._respond(url, content):
            return True
        if not person:
            return False
        if channel and await self._try(self._client.chat_postEphemeral, channel=channel, user=person, **content):
            return True
        return bool(await self._try(self._client.chat_postMessage, channel=person, **content))

    async def _respond(self, url: str, content: dict[str, Any]) -> bool:
        session, logger = self._client.session, self._client._logger  # noqa: SLF001 - else it opens its own session
        webhook = AsyncWebhookClient(url, timeout=int(self._timeout), session=session, logger=logger)
        webhook.proxy = proxy_for(url)  # the SDK would ignore NO_PROXY
        answer = await self._try(
            webhook.send_dict, body={**content, "response_type": "ephemeral", "replace_original": False}
        )
        return answer is not None and answer.status_code == 200  # noqa: PLR2004 - OK

    @staticmethod
    async def _try(call: Any, **arguments: Any) -> Any:
        try:
            return await call(**arguments)
        except (SlackApiError, *UNREACHABLE):
            return None
