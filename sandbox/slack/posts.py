"""HTTP mode: post signed forms to the app's address."""

import hashlib
import hmac
import json
import urllib.parse
from typing import Any

import aiohttp
from aiohttp import web

from sandbox.slack.delivery import Ack
from sandbox.slack.payloads import form_fields
from sandbox.slack.site import Site

Json = dict[str, Any]

STALE_SECONDS = 600


class Posts:
    """Sends signed requests."""

    def __init__(self, signing_secret: str, site: Site) -> None:
        self._secret = signing_secret
        self._site = site
        self._http: aiohttp.ClientSession | None = None

    async def carry(self, kind: str, payload: Json) -> Ack:
        """Post one payload and read the answer."""
        switches = self._site.switches
        if switches.events_url is None:
            return Ack(error="dispatch_failed")
        self._http = self._http or aiohttp.ClientSession()
        body, written = _body(kind, payload)
        headers, limit = self._headers(body, written), aiohttp.ClientTimeout(total=switches.ack_within)
        try:
            async with self._http.post(switches.events_url, data=body, headers=headers, timeout=limit) as answer:
                return await _read(answer)
        except TimeoutError:
            return Ack(error="operation_timeout")
        except aiohttp.ClientError:
            return Ack(error="dispatch_failed")

    async def close(self) -> None:
        """Close the connections."""
        if self._http:
            await self._http.close()
            self._http = None

    def _headers(self, body: bytes, written: str) -> dict[str, str]:
        fault = self._site.switches.signing_fault
        stamp = str(int(self._site.switches.now()) - (STALE_SECONDS if fault == "stale" else 0))
        return {
            "Content-Type": written,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": "v0=" + ("0" * 64 if fault == "bad" else self._signed(stamp, body)),
        }

    def _signed(self, stamp: str, body: bytes) -> str:
        return hmac.new(self._secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()


def _body(kind: str, payload: Json) -> tuple[bytes, str]:
    """Return the body of a request and its content type: events are JSON, all else is a form."""
    if kind == "events_api":
        return json.dumps(payload).encode(), "application/json"
    return urllib.parse.urlencode(form_fields(kind, payload)).encode(), "application/x-www-form-urlencoded"


async def _read(answer: aiohttp.ClientResponse) -> Ack:
    text = await answer.text()
    if answer.status != web.HTTPOk.status_code:
        server = answer.status >= web.HTTPInternalServerError.status_code
        return Ack(error="http_service_error" if server else "http_client_error")
    if not text:
        return Ack()
    return Ack(json.loads(text) if answer.content_type == "application/json" else {"text": text})
