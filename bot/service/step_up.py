"""Approving on a page, after a sign-in at the company's provider: `APPROVAL_LINK`.

Three secrets, each of 256 bits, of which Redis has the hash alone. The link goes to the person who pressed; following
it changes nothing. A cookie ties the sign-in to the browser that began it. Another one opens the page, once the
provider has said that the same person signed in; the link has ended then.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, TypedDict

import structlog

from bot.rotation.actions import Action
from bot.rotation.errors import BadInput, KeyturnError, NotAllowed, Unanswerable, WrongState
from bot.rotation.flags import SEPARATOR, flags
from bot.rotation.frozen import Frozen
from bot.rotation.people import Directory
from bot.rotation.policy import Chosen, Person, Pressed, shown_unproved
from bot.rotation.record import Rotation
from bot.rotation.stepping_up import check_can_sign_in, check_same_person
from bot.service.decisions import Decisions
from bot.storage.tickets import Tickets, hashed

log = structlog.get_logger("keyturn.step_up")

LIFE = 600
"""Seconds in which to follow a link and sign in, and then as many on the page."""

BYTES = 32

NOW = Pressed(away=timedelta(0))
"""When a page is asked for: right now, and nobody told its reader that it failed."""


class Identified(Protocol):
    """Who signed in."""

    @property
    def email(self) -> str:
        """Their address."""

    @property
    def is_verified(self) -> bool:
        """Whether it is verified that it is theirs."""

    @property
    def methods(self) -> tuple[str, ...]:
        """How they signed in."""


class Provider(Protocol):
    """Where people sign in. Raises `Refused` with one sentence."""

    @property
    def issuer(self) -> str:
        """Its name."""

    async def address(self, state: str, nonce: str, challenge: str) -> str:
        """Return where a browser begins a new sign-in."""

    async def signed_in(self, code: str, verifier: str, nonce: str, since: datetime) -> Identified:
        """Redeem a code, and return who signed in."""


class Link(Frozen):
    """What a link is for, and whose it is."""

    rotation: str
    action: Action
    by: str
    shown: str
    """The mark of what they were shown."""


class Begun(Frozen):
    """A sign-in that a browser has begun, from the link of this name."""

    link: str
    at: datetime


class Session(Frozen):
    """A page that is open to the person who signed in."""

    link: Link
    signed_in: str
    """Where, and how."""

    name: str
    email: str


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


class Sent(NamedTuple):
    """What a browser sent back from the provider."""

    cookie: str
    state: str
    code: str
    issuer: str = ""
    """Whose answer this is, if the provider tells (RFC 9207)."""


class StepUp:
    """The way from the button to an approval that counts. Raises `Refused` with one sentence for who is there."""

    def __init__(
        self,
        decisions: Decisions,
        tickets: Tickets,
        provider: Provider,
        directory: Directory,
        now: Callable[[], datetime],
        address: str,
    ) -> None:
        self._decisions = decisions
        self._tickets = tickets
        self._provider = provider
        self._directory = directory
        self._now = now
        self._address = address

    async def offer(
        self, rotation_id: str, action: Action, *, by: str, pressed: Pressed, shown: str | None = None
    ) -> str:
        """Return a new link for *by* alone, if they may do *action* to what they saw; None is what there is now."""
        shown = shown_unproved(await self._decisions.load(rotation_id)) if shown is None else shown
        rotation = await self._decisions.offer_page(rotation_id, action, by=by, pressed=pressed, shown=shown)
        check_can_sign_in(await self._directory.person(by))
        await self._decisions.opened_link(rotation, action, by=by)
        secret = secrets.token_urlsafe(BYTES)
        link = Link(rotation=rotation.id, action=action, by=by, shown=shown)
        await self._tickets.keep("link", hashed(secret), link.model_dump_json(), LIFE)
        return f"{self._address}{secret}"

    async def begin(self, secret: str) -> tuple[str, str]:
        """Return where to sign in, and the cookie for the browser; the link is not used up by that."""
        await self._link(hashed(secret))
        cookie = secrets.token_urlsafe(BYTES)
        state, verifier = of(cookie, "state"), of(cookie, "verifier")
        address = await self._provider.address(state, of(cookie, "nonce"), challenge_of(verifier))
        begun = Begun(link=hashed(secret), at=self._now())
        await self._tickets.keep("sign-in", hashed(state), begun.model_dump_json(), LIFE)
        return address, cookie

    async def come_back(self, sent: Sent) -> str:
        """Return the cookie that opens the page, if the person of the link has signed in; the link ends here."""
        if not hmac.compare_digest(of(sent.cookie, "state").encode(), sent.state.encode(errors="replace")):
            raise NotAllowed(f"This sign-in was not begun in this browser. {AGAIN}")
        if sent.issuer not in ("", self._provider.issuer):
            raise NotAllowed(f"This sign-in is of another provider. {AGAIN}")
        found = await self._tickets.take("sign-in", hashed(sent.state))
        if found is None:
            raise WrongState(f"This sign-in has been used, or is older than ten minutes. {AGAIN}")
        begun = Begun.model_validate_json(found)
        link = await self._link(begun.link)
        try:
            who = await self._provider.signed_in(
                sent.code, of(sent.cookie, "verifier"), of(sent.cookie, "nonce"), begun.at
            )
            await self._end(begun.link)
            person = await self._directory.person(link.by)
            check_same_person(person, who.email, is_verified=who.is_verified)
        except (NotAllowed, WrongState) as refusal:
            log.warning("sign_in_refused", rotation=link.rotation, by=link.by)
            await self._decisions.record_refusal(link.rotation, link.action, refusal, by=link.by)
            raise
        return await self._opened(link, person, who)

    async def _link(self, name: str) -> Link:
        found = await self._tickets.look("link", name)
        if found is None:
            raise WrongState(ENDED)
        return Link.model_validate_json(found)

    async def _end(self, name: str) -> None:
        """Let a link end; only one sign-in can do so."""
        if await self._tickets.take("link", name) is None:
            raise WrongState(ENDED)

    async def _opened(self, link: Link, person: Person, who: Identified) -> str:
        how = f" ({', '.join(who.methods)})" if who.methods else ""
        session = Session(link=link, signed_in=f"{self._provider.issuer}{how}", name=person.name, email=person.email)
        secret = secrets.token_urlsafe(BYTES)
        await self._tickets.keep("page", hashed(secret), session.model_dump_json(), LIFE)
        return secret

    async def page(self, cookie: str) -> Page:
        """Return what the page shows, if its reader may still approve it."""
        session = await self._session(cookie)
        link = session.link
        rotation = await self._decisions.offer_page(
            link.rotation, link.action, by=link.by, pressed=NOW, shown=link.shown
        )
        return Page(rotation, session, of(cookie, "form"))

    async def _session(self, cookie: str) -> Session:
        found = await self._tickets.look("page", hashed(cookie)) if cookie else None
        if found is None:
            raise WrongState(f"This page has been used, or is older than ten minutes. {AGAIN}")
        return Session.model_validate_json(found)

    async def approve(self, cookie: str, form: Form, pressed: Pressed) -> Rotation:
        """Do what the page showed; whatever comes of it, but for a `BadInput` or no answer, the page has ended."""
        session = await self._session(cookie)
        if not hmac.compare_digest(of(cookie, "form").encode(), form.token.encode(errors="replace")):
            raise NotAllowed("This form is not the one that the page showed. Nothing was approved.")
        try:
            approved = await self._done(session, hashed(cookie), form, pressed)
        except (BadInput, Unanswerable):
            raise
        except KeyturnError:
            await self._tickets.take("page", hashed(cookie))
            raise
        with suppress(Unanswerable):  # it is approved, and no form counts twice
            await self._tickets.take("page", hashed(cookie))
        return approved

    async def _done(self, session: Session, click: str, form: Form, pressed: Pressed) -> Rotation:
        link, reason = session.link, form.reason
        given: Given = {"by": link.by, "pressed": pressed, "signed_in": session.signed_in}
        if link.action is Action.START:
            return await self._decisions.start_moving(link.rotation, click=f"page/{click}", shown=link.shown, **given)
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


AGAIN = "Nothing was approved. Press the button on the card again for another one."


ENDED = f"This link has been used, or is older than ten minutes. {AGAIN}"


def models_of(shown: str) -> str:
    """Return the part of a mark that is about the models: the page itself shows what speaks against the delete."""
    return shown.partition(SEPARATOR)[0]


def of(secret: str, purpose: str) -> str:
    """Derive a value for one purpose: it reveals neither *secret* nor another value."""
    made = hmac.digest(secret.encode(errors="replace"), purpose.encode(), "sha256")
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def challenge_of(verifier: str) -> str:
    """Return the challenge of PKCE, by S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
