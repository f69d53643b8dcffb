"""The calls to a provider's API: a time limit, a size limit, no redirects; what comes back, or the error it means.

No sentence repeats anything of an answer: it may hold a secret. Nothing is sent twice here.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from bot.aisix.client import TooLong, http_client, read
from bot.aisix.untrusted_json import UnreadableJson, decoded
from bot.aisix.waiting import retry_after
from bot.rotation.errors import ApiError, NotFound, Uncertain
from bot.rotation.trust import UNTRUSTED, is_untrusted
from bot.telemetry.metrics import calls

TIMEOUT = 10.0
"""Seconds for one part of a call."""

ANSWER_MOST = 5_000_000
"""Bytes of one answer that are read."""

REFUSALS = {
    400: "{title} refused the request (400).",
    401: "{title} does not accept the admin key (401): renew `admin_key` of {name} in PROVIDERS.",
    403: "{title} says that the admin key of {name} in PROVIDERS may not do this (403): docs/providers.md has the "
    "rights that it needs.",
    404: "{title} knows nothing of that id (404).",
    409: "{title} says that this conflicts with something there (409).",
    429: "{title} limits the rate (429).",
}
"""By status: the sentence that people see."""

ANOTHER = "{title} refused the request ({status})."
BROKEN = "{title} had an error ({status})."
ELSEWHERE = "{title} sends Keyturn elsewhere ({status}), where it does not go: correct `url` of {name} in PROVIDERS."
UNREAD = "{title} gave an answer that Keyturn can't read."
AWAY = "{title} can't be reached ({why})."
LATE = "{title} does not answer (time-out)."
LOST = "{title} broke off its answer."
LONG = "{title} answers with more than {most:,} bytes."
BAD_ID = "{title} uses an id that no address can carry."

M = TypeVar("M", bound=BaseModel)


class Call(NamedTuple):
    """One call; *words* are sentences for what a refusal may hold, as no answer is repeated."""

    method: str
    path: str
    query: Mapping[str, Any] = {}
    body: Mapping[str, Any] | bytes | None = None
    words: Mapping[str, str] = {}


class Api:
    """A provider's API at one address, with one admin key."""

    def __init__(
        self,
        title: str,
        name: str,
        base: str,
        headers: Callable[[SecretStr], dict[str, str]],
        client: Callable[..., httpx.AsyncClient] = http_client,
    ) -> None:
        self._words = {"title": title, "name": name}
        self._base = base.rstrip("/")
        self._headers = headers
        self._client = client

    def path(self, *parts: str) -> str:
        """Return a path; escape the ids in it, so that none leads to another path."""
        if {"", ".", ".."} & set(parts):
            raise ApiError(self.said(BAD_ID))
        return "".join(f"/{quote(part, safe='')}" for part in parts)

    async def ask(self, call: Call, key: SecretStr, kind: type[M]) -> M:
        """Return what a provider answers to a call with a *key*; raise `ApiError`, or `Uncertain`."""
        answer = await self.answered(call, {"Accept": "application/json", **self._headers(key)})
        with suppress(UnreadableJson, ValidationError):  # no error of theirs goes on: it may hold a secret
            return kind.model_validate(decoded(answer.content))
        raise Uncertain(self.said(UNREAD), answer.status_code)

    async def answered(self, call: Call, headers: Mapping[str, str]) -> httpx.Response:
        """Return a success; raise as `ask` does for all else."""
        answer = await self._sent(call, headers)
        calls("provider", call.method, answer.status_code)
        if not answer.is_success:
            raise self._refusal(call, answer)
        return answer

    async def _sent(self, call: Call, headers: Mapping[str, str]) -> httpx.Response:
        body = {"content" if isinstance(call.body, bytes) else "json": call.body}
        options = {"headers": dict(headers), "params": call.query or None, **body}
        try:
            async with self._client([self._base], timeout=TIMEOUT) as client:
                return await read(client, call.method, self._base + call.path, ANSWER_MOST, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            trouble = self._trouble(error)
        calls("provider", call.method, "trouble")
        raise trouble

    def _trouble(self, error: Exception) -> ApiError:
        """Return the error of a call without an answer."""
        match error:
            case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
                why = UNTRUSTED if is_untrusted(error) else "no connection"
                return Uncertain(self.said(AWAY, why=why), arrived=False)
            case httpx.TimeoutException():
                return Uncertain(self.said(LATE))
            case TooLong():
                return Uncertain(self.said(LONG, most=ANSWER_MOST))
            case httpx.InvalidURL() | httpx.UnsupportedProtocol():
                return ApiError(self.said(BAD_ID))
            case _:
                return Uncertain(self.said(LOST))

    def _refusal(self, call: Call, answer: httpx.Response) -> ApiError:
        """Return the error of an answer that is no success."""
        status, wait = answer.status_code, retry_after(answer.headers.get("Retry-After"))
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return Uncertain(self.said(REFUSALS[429]), status, wait, arrived=False)
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
            return Uncertain(self.said(BROKEN, status=status), status, wait)
        if status < httpx.codes.BAD_REQUEST:
            return ApiError(self.said(ELSEWHERE, status=status), status)
        if status == httpx.codes.NOT_FOUND:
            return NotFound(self.said(REFUSALS[404]), status)
        told = next((said for word, said in call.words.items() if word in answer.text), "")
        return ApiError(told or self.said(REFUSALS.get(status, ANOTHER), status=status), status)

    def said(self, sentence: str, **words: object) -> str:
        """Return a sentence with what it is about."""
        return sentence.format(**self._words, **words)
