"""The pages on which an approver signs in and approves: four addresses below `APPROVAL_LINK`.

Only the form that the page shows changes anything. Following a link changes nothing, so it does no harm if a program
looks at it first. Nothing here is logged: an address has a secret in it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from bot.oidc import BACK, LINK
from bot.rotation.errors import BadInput, NotAllowed, Refused, Unanswerable
from bot.rotation.policy import Chosen, Pressed
from bot.service.step_up import LIFE, Form, Page, Sent, StepUp
from handlers.errors import explain
from handlers.payload import said
from handlers.pressed import Absence
from handlers.views.page import CAUSE, POLICY, REASON, SHOWN, TOKEN, approval, notice

PATH = "approve"
SIGN_IN, PAGE = "__Host-keyturn-sign-in", "__Host-keyturn-page"
"""The cookies; with this prefix no other host of the same domain can set them."""

BODY_WITHIN = 10.0
"""Seconds to receive the form."""

FORM = "application/x-www-form-urlencoded"

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
}

Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_approval(site: web.Application, address: str, step_up: StepUp, absence: Absence) -> None:
    """Serve the pages below the path of *address*, by which people reach this site."""
    base = urlsplit(address).path
    pages = _Pages(step_up, absence, base)
    site.add_routes([
        web.get(f"{base}{LINK}{{secret}}", _answered(pages.follow), allow_head=False),
        web.get(base + BACK, _answered(pages.come_back), allow_head=False),
        web.get(base + PATH, _answered(pages.show), allow_head=False),
        web.post(base + PATH, _answered(pages.approve)),
    ])  # fmt: skip


class _Pages:
    def __init__(self, step_up: StepUp, absence: Absence, base: str) -> None:
        self._step_up = step_up
        self._absence = absence
        self._base = base

    async def follow(self, request: web.Request) -> web.Response:
        """Send the browser to the provider."""
        there, cookie = await self._step_up.begin(request.match_info["secret"])
        return _with_cookie(_to(there), SIGN_IN, cookie)

    async def come_back(self, request: web.Request) -> web.Response:
        """Take the browser back from the provider; go on at an address without the code."""
        asked = request.query
        if "error" in asked or "code" not in asked:
            raise NotAllowed("You did not sign in. Nothing was approved. Follow the link in Slack again.")
        sent = Sent(request.cookies.get(SIGN_IN, ""), asked.get("state", ""), asked["code"], asked.get("iss", ""))
        answer = _with_cookie(_to(self._base + PATH), PAGE, await self._step_up.come_back(sent))
        answer.del_cookie(SIGN_IN, path="/", secure=True, httponly=True, samesite="Lax")
        return answer

    async def show(self, request: web.Request) -> web.Response:
        """Show what is approved, and the form."""
        return _shown(await self._step_up.page(request.cookies.get(PAGE, "")))

    async def approve(self, request: web.Request) -> web.Response:
        """Approve; show the form again if something is missing in it, or other than it was shown."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise NotAllowed("This form was not sent by Keyturn's page. Nothing was approved.")
        cookie = request.cookies.get(PAGE, "")
        try:
            await self._step_up.approve(cookie, await _sent(request), Pressed(away=self._absence.recent))
        except BadInput as wrong:
            return _shown(await self._step_up.page(cookie), str(wrong))
        return _html(notice("Approved", THANKS, is_well=True))


THANKS = "Your approval counts. The card in Slack shows what comes of it; you can close this page."


async def _sent(request: web.Request) -> Form:
    """Return what the form brings; nothing of it if it is no form, or is too slow."""
    if request.content_type != FORM:
        return Form("")
    try:
        async with asyncio.timeout(BODY_WITHIN):
            sent = await request.post()
    except (TimeoutError, ValueError, LookupError):
        return Form("")
    causes = frozenset(cause for cause in sent.getall(CAUSE, []) if isinstance(cause, str))
    return Form(said(sent.get(TOKEN)), said(sent.get(SHOWN)), said(sent.get(REASON)), Chosen(causes=causes))


def _answered(page: Handler) -> Handler:
    """Answer with one sentence where *page* raises."""

    async def answering(request: web.Request) -> web.Response:
        try:
            return await page(request)
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - tell the person about any error
            status = next(status for kind, status in STATUS if isinstance(error, kind))
            return _html(notice("Nothing was approved", explain(error)[0]), status)

    return answering


STATUS = (
    (Unanswerable, HTTPStatus.SERVICE_UNAVAILABLE),
    (NotAllowed, HTTPStatus.FORBIDDEN),
    (Refused, HTTPStatus.CONFLICT),
    (Exception, HTTPStatus.INTERNAL_SERVER_ERROR),
)


def _shown(page: Page, wrong: str = "") -> web.Response:
    who = f"{page.session.name} ({page.session.email})" if page.session.name else page.session.email
    body = approval(page.rotation, page.session.link.action, who, page.token, wrong)
    return _html(body, HTTPStatus.CONFLICT if wrong else HTTPStatus.OK)


def _html(text: str, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status, headers=HEADERS)


def _to(address: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers=HEADERS | {"Location": address})


def _with_cookie(answer: web.Response, name: str, value: str) -> web.Response:
    """Set a cookie that no script reads, that no other site sends, and that goes over TLS alone."""
    answer.set_cookie(name, value, max_age=LIFE, path="/", secure=True, httponly=True, samesite="Lax")
    return answer
