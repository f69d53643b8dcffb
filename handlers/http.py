"""Serve what comes over HTTP: Slack's requests, in HTTP mode, and the pages of an approval.

The signature is checked here, because Bolt's check logs the body.
"""

import asyncio
import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier

from bot.service import RotationService
from bot.service.giving import SecretPages
from bot.service.signing_in import SignIns
from bot.service.step_up import StepUp
from bot.settings import Settings
from handlers.approval import add_approval
from handlers.background import Background
from handlers.pages import add_sign_ins
from handlers.payload import is_whole
from handlers.pressed import Absence
from handlers.secret_page import add_secret_page

log = structlog.get_logger("keyturn.http")

PATH = "/slack/events"
BODY_WITHIN = 10.0
"""Seconds to receive a complete body; Slack itself gives up after three."""

TIMESTAMP = re.compile(r"[0-9]{1,12}")


class Served(NamedTuple):
    """What is behind the pages; no sign-in where the settings ask for none."""

    rotations: RotationService
    background: Background
    absence: Absence
    sign_ins: SignIns | None
    step_up: StepUp | None
    secret_pages: SecretPages | None


def add_pages(settings: Settings, app: AsyncApp, served: Served, site: web.Application) -> None:
    """Put onto *site* what Slack asks for in HTTP mode, and what people ask for after a sign-in."""
    if settings.http_mode and settings.slack_signing_secret:
        add_slack(site, app, settings.slack_signing_secret.get_secret_value())
    base = urlsplit(settings.approval_link or "").path
    if served.sign_ins and served.step_up:
        add_sign_ins(site, base, served.sign_ins)
        add_approval(site, base, served.step_up, served.absence)
    if served.secret_pages:
        add_secret_page(site, base, served.secret_pages, served.rotations, served.background)


def add_slack(site: web.Application, app: AsyncApp, signing_secret: str) -> None:
    """Serve *app* at `/slack/events`, and refuse requests that Slack did not sign."""
    verifier = SignatureVerifier(signing_secret)

    async def events(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(BODY_WITHIN):
                raw = await request.read()
        except TimeoutError:
            return web.Response(status=408, text="The body did not come in time.\n")
        body = raw.decode(errors="replace")  # bytes that are not text have no valid signature either
        if not _is_signed(verifier, body, request):
            log.warning("signature_refused", hint="SLACK_SIGNING_SECRET and the clock have to be right")
            return web.Response(status=401, text="The signature is wrong or too old.\n")
        asked = _read(body, request)
        if asked is None:
            return web.Response(status=400, text="This is no payload.\n")
        return await to_aiohttp_response(await app.async_dispatch(asked))

    site.add_routes([web.post(PATH, events)])


def _read(body: str, request: web.Request) -> AsyncBoltRequest | None:
    """Parse a request as Bolt does; return None if that fails."""
    headers: Any = dict(request.headers)
    try:
        asked = AsyncBoltRequest(body=body, query=request.query_string, headers=headers)
    except Exception:  # noqa: BLE001 - it may raise anything, and its message quotes the body
        return None
    return asked if is_whole(asked.body) else None


def _is_signed(verifier: SignatureVerifier, body: str, request: web.Request) -> bool:
    timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
    signature = request.headers.get("X-Slack-Signature", "")
    if not TIMESTAMP.fullmatch(timestamp) or not signature.isascii():  # the SDK raises on anything else
        return False
    return verifier.is_valid(body=body, timestamp=timestamp, signature=signature)
