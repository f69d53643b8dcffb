"""The page on which a person gives the new secret, below `APPROVAL_LINK`, where `SECRET_FORM` asks for it.

The secret goes from the form straight into `Submitted`; no page shows it again. What else was typed is not lost.
"""

from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from bot.rotation.errors import BadInput, Unanswerable
from bot.rotation.secret import Submitted, Typed, shown_again
from bot.service import RotationService
from bot.service.giving import SecretPages
from handlers.background import Background
from handlers.errors import explain
from handlers.pages import COOKIES, SECRET, answered, fields_of, html, redirected, without_cookie
from handlers.payload import said
from handlers.views.modal import NAME, REASON, TICKET
from handlers.views.modal import SECRET as FIELD
from handlers.views.page import TOKEN, notice
from handlers.views.secret_page import Asked, Wrong, secret_page

NOTHING = "Nothing was created"
TAKEN = f"{SECRET}/taken"


class Sent(NamedTuple):
    """What the form brings."""

    token: str
    submitted: Submitted
    kept: Typed
    """What it may show again."""


def add_secret_page(
    site: web.Application, base: str, pages: SecretPages, rotations: RotationService, background: Background
) -> None:
    """Serve the page below the path *base*."""

    async def shown(cookie: str, kept: Typed | None = None, wrong: Wrong | None = None) -> web.Response:
        page = await pages.page(cookie)
        rotation = page.rotation
        first = Typed("", rotations.proposed_name(rotation), rotation.why, rotation.ticket)
        kept = first if kept is None else kept._replace(name=kept.name or first.name)
        rules = (rotations.needs_reason(rotation), rotations.rules.ticket_pattern, rotations.reference_hint(rotation))
        asked = Asked(*page, kept, *rules)
        return html(secret_page(asked, wrong), wrong.status if wrong else HTTPStatus.OK)

    async def show(request: web.Request) -> web.Response:
        return await shown(request.cookies.get(COOKIES[SECRET], ""))

    async def give(request: web.Request) -> web.Response:
        """Take the secret, and create the replacement in this process, which alone has it."""
        cookie, sent = request.cookies.get(COOKIES[SECRET], ""), await _sent(request)
        try:
            rotation = await pages.give(cookie, sent.token, sent.submitted)
        except BadInput as wrong:
            return await shown(cookie, sent.kept, Wrong(wrong.field, str(wrong), HTTPStatus.CONFLICT))
        except Unanswerable as away:
            return await shown(cookie, sent.kept, Wrong("", explain(away)[0], HTTPStatus.SERVICE_UNAVAILABLE))
        background.begin(rotations.create_replacement(rotation))
        return without_cookie(redirected(base + TAKEN), COOKIES[SECRET])

    async def taken(_: web.Request) -> web.Response:
        return html(notice("New secret taken", THANKS, is_well=True))

    site.add_routes([
        web.get(base + SECRET, answered(show, NOTHING), allow_head=False),
        web.post(base + SECRET, answered(give, NOTHING)),
        web.get(base + TAKEN, answered(taken, NOTHING), allow_head=False),
    ])  # fmt: skip


THANKS = (
    "Keyturn creates the new key now. The card in Slack shows what comes of it; you can close this page. Close the "
    "provider's page, too, if it still shows the secret."
)


async def _sent(request: web.Request) -> Sent:
    """Return what the form brings; nothing of it if it is none."""
    sent = await fields_of(request)
    if sent is None:
        return Sent("", Submitted(), Typed())
    typed = Typed(*(said(sent.get(name)) for name in (FIELD, NAME, REASON, TICKET)))
    return Sent(said(sent.get(TOKEN)), Submitted(*typed), shown_again(typed))
