"""The page on which an approver approves, below `APPROVAL_LINK`. Only the form that it shows changes anything."""

from http import HTTPStatus

from aiohttp import web

from bot.rotation.errors import BadInput
from bot.rotation.policy import Chosen, Pressed
from bot.service.step_up import Form, Page, StepUp
from handlers.pages import APPROVAL, COOKIES, answered, fields_of, html
from handlers.payload import said
from handlers.pressed import Absence
from handlers.views.page import CAUSE, REASON, SHOWN, TOKEN, approval, notice

NOTHING = "Nothing was approved"


def add_approval(site: web.Application, base: str, step_up: StepUp, absence: Absence) -> None:
    """Serve the page below the path *base*."""

    async def show(request: web.Request) -> web.Response:
        """Show what is approved, and the form."""
        return _shown(await step_up.page(request.cookies.get(COOKIES[APPROVAL], "")))

    async def approve(request: web.Request) -> web.Response:
        """Approve; show the form again if something is missing in it, or other than it was shown."""
        form, cookie = await _sent(request), request.cookies.get(COOKIES[APPROVAL], "")
        try:
            await step_up.approve(cookie, form, Pressed(away=absence.recent))
        except BadInput as wrong:
            return _shown(await step_up.page(cookie), str(wrong))
        return html(notice("Approved", THANKS, is_well=True))

    site.add_routes([
        web.get(base + APPROVAL, answered(show, NOTHING), allow_head=False),
        web.post(base + APPROVAL, answered(approve, NOTHING)),
    ])  # fmt: skip


THANKS = "Your approval counts. The card in Slack shows what comes of it; you can close this page."


async def _sent(request: web.Request) -> Form:
    """Return what the form brings; nothing of it if it is none."""
    sent = await fields_of(request)
    if sent is None:
        return Form("")
    causes = frozenset(cause for cause in sent.getall(CAUSE, []) if isinstance(cause, str))
    return Form(said(sent.get(TOKEN)), said(sent.get(SHOWN)), said(sent.get(REASON)), Chosen(causes=causes))


def _shown(page: Page, wrong: str = "") -> web.Response:
    who = f"{page.session.name} ({page.session.email})" if page.session.name else page.session.email
    body = approval(page.rotation, page.session.link.action, who, page.token, wrong)
    return html(body, HTTPStatus.CONFLICT if wrong else HTTPStatus.OK)
