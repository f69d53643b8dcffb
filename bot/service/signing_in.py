"""The way to a page that is one person's: a link, a sign-in at the company's provider, and the page that this opens.

Three secrets, each of 256 bits, of which Redis has the hash alone. The link goes to the person who pressed; following
it changes nothing. A cookie ties the sign-in to the browser that began it. Another one opens the page, once the
provider has said that the same person signed in; the link has ended then.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple, Protocol

import structlog

from bot.rotation.actions import Action
from bot.rotation.errors import BadInput, KeyturnError, NotAllowed, Unanswerable, WrongState
from bot.rotation.frozen import Frozen
from bot.rotation.people import Directory
from bot.rotation.policy import Person
from bot.rotation.record import Rotation
from bot.rotation.stepping_up import check_can_sign_in, check_same_person
from bot.service.verbs import Verbs
from bot.storage.tickets import Tickets, hashed

log = structlog.get_logger("keyturn.sign_in")

LIFE = 600
"""Seconds in which to follow a link and sign in, and then as many on the page."""

BYTES = 32


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
    shown: str = ""
    """The mark of what they were shown."""

    attempt: int = 0
    """How many secrets had been given then: a page for a new one is for no later question."""


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


class Sent(NamedTuple):
    """What a browser sent back from the provider."""

    cookie: str
    state: str
    code: str
    issuer: str = ""
    """Whose answer this is, if the provider tells (RFC 9207)."""


class Opened(NamedTuple):
    """A page that has just been opened: the cookie for the browser, and what it is for."""

    cookie: str
    action: Action


def kind_of(action: Action) -> str:
    """Return the kind of ticket of the page of *action*: that of a secret opens no approval, nor the reverse."""
    return "secret" if action is Action.ENTER_SECRET else "page"


class SignIns:
    """Links, sign-ins and pages. Raises `Refused` with one sentence for who is there."""

    def __init__(
        self, verbs: Verbs, tickets: Tickets, provider: Provider, directory: Directory, now: Callable[[], datetime]
    ) -> None:
        self._verbs = verbs
        self._tickets = tickets
        self._provider = provider
        self._directory = directory
        self._now = now

    async def link(self, link: Link) -> str:
        """Record that its person gets a link, and return the link's secret, which is for them alone."""
        check_can_sign_in(await self._directory.person(link.by))
        await self._verbs.opened_link(link.rotation, link.action, by=link.by)
        secret = secrets.token_urlsafe(BYTES)
        await self._tickets.keep("link", hashed(secret), link.model_dump_json(), LIFE)
        return secret

    async def begin(self, secret: str) -> tuple[str, str]:
        """Return where to sign in, and the cookie for the browser; the link is not used up by that."""
        await self._link(hashed(secret))
        cookie = secrets.token_urlsafe(BYTES)
        state, verifier = of(cookie, "state"), of(cookie, "verifier")
        address = await self._provider.address(state, of(cookie, "nonce"), challenge_of(verifier))
        begun = Begun(link=hashed(secret), at=self._now())
        await self._tickets.keep("sign-in", hashed(state), begun.model_dump_json(), LIFE)
        return address, cookie

    async def come_back(self, sent: Sent) -> Opened:
        """Open the page, if the person of the link has signed in; the link ends here."""
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
            await self._verbs.record_refusal(link.rotation, link.action, refusal, by=link.by)
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

    async def _opened(self, link: Link, person: Person, who: Identified) -> Opened:
        how = f" ({', '.join(who.methods)})" if who.methods else ""
        session = Session(link=link, signed_in=f"{self._provider.issuer}{how}", name=person.name, email=person.email)
        secret = secrets.token_urlsafe(BYTES)
        await self._tickets.keep(kind_of(link.action), hashed(secret), session.model_dump_json(), LIFE)
        return Opened(secret, link.action)

    async def session(self, kind: str, cookie: str) -> Session:
        """Return the page of that kind that a cookie opens."""
        found = await self._tickets.look(kind, hashed(cookie)) if cookie else None
        if found is None:
            raise WrongState(f"This page has been used, or is older than ten minutes. {AGAIN}")
        return Session.model_validate_json(found)

    async def own(self, kind: str, cookie: str, token: str) -> Session:
        """Return the same for a form that was sent; refuse one that this page did not show."""
        session = await self.session(kind, cookie)
        if not hmac.compare_digest(of(cookie, "form").encode(), token.encode(errors="replace")):
            raise NotAllowed("This form is not the one that the page showed. Nothing was done.")
        return session

    async def once(self, kind: str, cookie: str, work: Awaitable[Rotation]) -> Rotation:
        """Do what a page is for; whatever comes of it, but for a `BadInput` or no answer, it has ended."""
        return await once(self._tickets, kind, hashed(cookie), work)


async def once(tickets: Tickets, kind: str, name: str, work: Awaitable[Rotation]) -> Rotation:
    """Await *work*; whatever comes of it, but for a `BadInput` or no answer, the ticket of this name has ended."""
    try:
        done = await work
    except (BadInput, Unanswerable):
        raise
    except KeyturnError:
        await tickets.take(kind, name)
        raise
    with suppress(Unanswerable):  # it is done, and the record lets no form count twice
        await tickets.take(kind, name)
    return done


AGAIN = "Nothing was done. Press the button on the card again for another one."
ENDED = f"This link has been used, or is older than ten minutes. {AGAIN}"


def of(secret: str, purpose: str) -> str:
    """Derive a value for one purpose: it reveals neither *secret* nor another value."""
    made = hmac.digest(secret.encode(errors="replace"), purpose.encode(), "sha256")
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def challenge_of(verifier: str) -> str:
    """Return the challenge of PKCE, by S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
