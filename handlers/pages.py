"""What the pages after a sign-in share: headers, cookies, the one form, and a sentence where something is refused.

Following a link changes nothing, so it does no harm if a program looks at it first. Nothing here is logged: an address
has a secret in it, and a form may have one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web
from multidict import MultiDictProxy

from bot.oidc import BACK, LINK, SECRET_LINK
from bot.rotation.actions import Action
from bot.rotation.errors import NotAllowed, Refused, Unanswerable
from bot.service.signing_in import LIFE, Sent, SignIns
from handlers.errors import explain
from handlers.views.page import POLICY, notice

APPROVAL, SECRET = "approve", "secret"
"""Below `APPROVAL_LINK`: where the pages are."""

SIGN_IN = "__Host-keyturn-sign-in"
COOKIES = {APPROVAL: "__Host-keyturn-page", SECRET: "__Host-keyturn-secret"}
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
Fields = MultiDictProxy[str | bytes | bytearray | web.FileField]


def add_sign_ins(site: web.Application, base: str, sign_ins: SignIns) -> None:
    """Serve what leads to each page, below the path *base*."""

    async def follow(request: web.Request) -> web.Response:
        """Send the browser to the provider."""
        there, cookie = await sign_ins.begin(request.match_info["secret"])
        return with_cookie(redirected(there), SIGN_IN, cookie)

    async def come_back(request: web.Request) -> web.Response:
        """Take the browser back from the provider; go on at an address without the code."""
        asked = request.query
        if "error" in asked or "code" not in asked:
            raise NotAllowed("You did not sign in. Nothing was done. Follow the link in Slack again.")
        sent = Sent(request.cookies.get(SIGN_IN, ""), asked.get("state", ""), asked["code"], asked.get("iss", ""))
        opened = await sign_ins.come_back(sent)
        place = SECRET if opened.action is Action.ENTER_SECRET else APPROVAL
        return without_cookie(with_cookie(redirected(base + place), COOKIES[place], opened.cookie), SIGN_IN)

    site.add_routes([
        web.get(f"{base}{LINK}{{secret}}", answered(follow), allow_head=False),
        web.get(f"{base}{SECRET_LINK}{{secret}}", answered(follow), allow_head=False),
        web.get(base + BACK, answered(come_back), allow_head=False),
    ])  # fmt: skip


async def fields_of(request: web.Request) -> Fields | None:
    """Return what the form brings; None if it is no form, or is too slow; refuse one that another site sent."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise NotAllowed("This form was not sent by Keyturn's page. Nothing was done.")
    if request.content_type != FORM:
        return None
    try:
        async with asyncio.timeout(BODY_WITHIN):
            return await request.post()
    except (TimeoutError, ValueError, LookupError):
        return None


def answered(page: Handler, title: str = "Nothing was done") -> Handler:
    """Answer with one sentence where *page* raises."""

    async def answering(request: web.Request) -> web.Response:
        try:
            return await page(request)
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - tell the person about any error
            status = next(status for kind, status in STATUS if isinstance(error, kind))
            return html(notice(title, explain(error)[0]), status)

    return answering


STATUS = (
    (Unanswerable, HTTPStatus.SERVICE_UNAVAILABLE),
    (NotAllowed, HTTPStatus.FORBIDDEN),
    (Refused, HTTPStatus.CONFLICT),
    (Exception, HTTPStatus.INTERNAL_SERVER_ERROR),
)


def html(text: str, status: int = HTTPStatus.OK) -> web.Response:
    """Return a page that is never kept."""
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status, headers=HEADERS)


def redirected(address: str) -> web.Response:
    """Send the browser on, without what it has sent."""
    return web.Response(status=HTTPStatus.SEE_OTHER, headers=HEADERS | {"Location": address})


def with_cookie(answer: web.Response, name: str, value: str) -> web.Response:
    """Set a cookie that no script reads, that no other site sends, and that goes over TLS alone."""
    answer.set_cookie(name, value, max_age=LIFE, path="/", secure=True, httponly=True, samesite="Lax")
    return answer


def without_cookie(answer: web.Response, name: str) -> web.Response:
    """Take a cookie away."""
    answer.del_cookie(name, path="/", secure=True, httponly=True, samesite="Lax")
    return answer
