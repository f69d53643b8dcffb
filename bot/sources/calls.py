"""The calls to a store or to what gives the bot its identity: a time limit, a size limit, no redirects."""

from collections.abc import Callable
from typing import Any

import httpx

from bot.aisix.client import http_client, read
from bot.aisix.untrusted_json import UnreadableJson, decoded
from bot.rotation.errors import ApiError, Uncertain
from bot.rotation.trust import UNTRUSTED, is_untrusted

ANSWER_MOST = 1_000_000
"""Bytes of one answer that are read."""

TIMEOUT = 1.5
"""Seconds; Slack wants an answer to a form within three."""

UNCLEAR = (408, 425, 429)
SERVERS_FAULT = 500


class Calls:
    """Asks one service, which sentences call *whose*; none of them repeats anything of an answer."""

    def __init__(self, whose: str, client: Callable[..., httpx.AsyncClient] = http_client) -> None:
        self._whose = whose
        self._client = client

    async def ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Return any answer that says something; raise `Uncertain` for none, 429 and 5xx."""
        try:
            async with self._client([url], timeout=TIMEOUT) as client:
                answer = await read(client, method, url, ANSWER_MOST, **options)
        except httpx.HTTPError as error:
            why = UNTRUSTED if is_untrusted(error) else type(error).__name__
            raise Uncertain(f"{self._whose} does not answer ({why}).") from None
        if answer.status_code in UNCLEAR or answer.status_code >= SERVERS_FAULT:
            raise Uncertain(f"{self._whose} can't answer now ({answer.status_code}).", answer.status_code)
        return answer

    def told(self, answer: httpx.Response) -> dict[str, Any]:
        """Return the object of JSON in an answer."""
        try:
            found = decoded(answer.content)
        except UnreadableJson:
            found = None
        if not isinstance(found, dict):
            raise ApiError(f"{self._whose} gives no usable answer ({answer.status_code}).", answer.status_code)
        return found
