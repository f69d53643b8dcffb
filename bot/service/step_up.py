"""Approving on a page, after a sign-in at the company's provider: `APPROVAL_LINK`."""

from datetime import timedelta
from typing import NamedTuple, TypedDict

from bot.rotation.actions import Action
from bot.rotation.attention import objections
from bot.rotation.errors import BadInput, WrongState
from bot.rotation.flags import SEPARATOR, flags
from bot.rotation.policy import Chosen, Pressed, shown_unproved
from bot.rotation.record import Rotation
from bot.service.decisions import Decisions
from bot.service.signing_in import Link, Session, SignIns, kind_of, of
from bot.storage.tickets import hashed

PAGE = kind_of(Action.DELETE_OLD_KEY)

NOW = Pressed(away=timedelta(0))
"""When a page is asked for: right now, and nobody told its reader that it failed."""


class Form(NamedTuple):
    """What the form of the page brings."""

    token: str
    shown: str = ""
    reason: str = ""
    chosen: Chosen = Chosen()


class Page(NamedTuple):
    """What the page shows."""

    rotation: Rotation
    session: Session
    token: str
    """What its form has to send back: no other site knows it."""


class StepUp:
    """The way from the button to an approval that counts. Raises `Refused` with one sentence for who is there."""

    def __init__(self, decisions: Decisions, sign_ins: SignIns, address: str) -> None:
        self._decisions = decisions
        self._sign_ins = sign_ins
        self._address = address

    async def offer(
        self, rotation_id: str, action: Action, *, by: str, pressed: Pressed, shown: str | None = None
    ) -> str:
        """Return a new link for *by* alone, if they may do *action* to what they saw; None is what there is now."""
        shown = shown_unproved(await self._decisions.load(rotation_id)) if shown is None else shown
        rotation = await self._decisions.offer_page(rotation_id, action, by=by, pressed=pressed, shown=shown)
        link = Link(rotation=rotation.id, action=action, by=by, shown=shown)
        return f"{self._address}{await self._sign_ins.link(link)}"

    async def page(self, cookie: str) -> Page:
        """Return what the page shows, if its reader may still approve it."""
        session = await self._sign_ins.session(PAGE, cookie)
        link = session.link
        rotation = await self._decisions.offer_page(
            link.rotation, link.action, by=link.by, pressed=NOW, shown=link.shown
        )
        return Page(rotation, session, of(cookie, "form"))

    async def approve(self, cookie: str, form: Form, pressed: Pressed) -> Rotation:
        """Do what the page showed; whatever comes of it, but for a `BadInput` or no answer, the page has ended."""
        session = await self._sign_ins.own(PAGE, cookie, form.token)
        return await self._sign_ins.once(PAGE, cookie, self._done(session, hashed(cookie), form, pressed))

    async def _done(self, session: Session, click: str, form: Form, pressed: Pressed) -> Rotation:
        link, reason = session.link, form.reason
        given: Given = {"by": link.by, "pressed": pressed, "signed_in": session.signed_in}
        if link.action is Action.START:
            if form.shown.partition(SEPARATOR)[0] != link.shown.partition(SEPARATOR)[0]:
                raise WrongState("What you saw is not what is asked now: look at the card again.")
            if not reason.strip() and objections(await self._decisions.load(link.rotation)):
                raise BadInput("Say why in a few words: it goes into the receipt.", field="reason")
            click = f"page/{click}"
            return await self._decisions.start_moving(
                link.rotation, click=click, shown=form.shown, reason=reason, **given
            )
        if link.action is Action.ACCEPT_UNPROVED:
            return await self._decisions.accept_unproved(link.rotation, form.chosen, reason, shown=link.shown, **given)
        if models_of(form.shown) != models_of(link.shown):
            raise WrongState("What you saw is not what is asked now: look at the card again.")
        if not reason.strip() and flags(await self._decisions.load(link.rotation)):
            raise BadInput("Say why in a few words: it goes into the receipt.", field="reason")
        return await self._decisions.approve(
            link.rotation, click=f"page/{click}", shown=form.shown, reason=reason, **given
        )


class Given(TypedDict):
    """What every approver's word brings from the page."""

    by: str
    pressed: Pressed
    signed_in: str


def models_of(shown: str) -> str:
    """Return the part of a mark that is about the models: the page itself shows what speaks against the delete."""
    return shown.partition(SEPARATOR)[0]
