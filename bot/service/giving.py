"""Giving the new secret outside Slack: on a page, after a sign-in (`SECRET_FORM`), or with a token at the command line.

A page or a token is one person's, for one question of one rotation: the record itself refuses a second secret.
"""

import secrets
from typing import NamedTuple

from bot.rotation.actions import Action
from bot.rotation.errors import NotAllowed
from bot.rotation.frozen import Frozen
from bot.rotation.parts import Way
from bot.rotation.record import Rotation
from bot.rotation.secret import Submitted
from bot.service.replacements import Came, Replacements
from bot.service.signing_in import BYTES, LIFE, Link, SignIns, kind_of, of, once
from bot.storage.tickets import Tickets, hashed

PAGE, TOKEN = kind_of(Action.ENTER_SECRET), "token"
ASKED = "asked for a token for the command line"


class SecretPage(NamedTuple):
    """What the page of a new secret shows."""

    rotation: Rotation
    who: str
    token: str
    """What its form has to send back: no other site knows it."""


class SecretPages:
    """The way from the button to a secret that is given on a page. Raises `Refused` with one sentence."""

    def __init__(self, replacements: Replacements, sign_ins: SignIns, address: str) -> None:
        self._replacements = replacements
        self._sign_ins = sign_ins
        self._address = address

    async def offer(self, rotation_id: str, *, by: str) -> str:
        """Return a new link for *by* alone, if they may give the secret now."""
        rotation = await self._replacements.may_be_given(rotation_id, by=by)
        link = Link(rotation=rotation.id, action=Action.ENTER_SECRET, by=by, attempt=rotation.attempt)
        return f"{self._address}{await self._sign_ins.link(link)}"

    async def page(self, cookie: str) -> SecretPage:
        """Return what the page shows, if its reader may still give the secret that it is for."""
        session = await self._sign_ins.session(PAGE, cookie)
        link = session.link
        rotation = await self._replacements.may_be_given(link.rotation, by=link.by, attempt=link.attempt)
        who = f"{session.name} ({session.email})" if session.name else session.email
        return SecretPage(rotation, who, of(cookie, "form"))

    async def give(self, cookie: str, token: str, submitted: Submitted) -> Rotation:
        """Give the secret; whatever comes of it, but for a `BadInput` or no answer, the page has ended."""
        session = await self._sign_ins.own(PAGE, cookie, token)
        link = session.link
        came = Came(Way.PAGE, link.attempt, session.signed_in)
        work = self._replacements.give_secret(link.rotation, submitted, by=link.by, came=came)
        return await self._sign_ins.once(PAGE, cookie, work)


class Errand(Frozen):
    """What a token is for, and whose it is."""

    rotation: str
    by: str
    attempt: int


class CommandLineTokens:
    """Tokens with which a person gives the secret at the command line. Raises `Refused` with one sentence."""

    def __init__(self, replacements: Replacements, tickets: Tickets) -> None:
        self._replacements = replacements
        self._tickets = tickets

    async def offer(self, rotation_id: str, *, by: str) -> str:
        """Return a new token for *by* alone, if they may give the secret now."""
        rotation = await self._replacements.may_be_given(rotation_id, by=by)
        await self._replacements.opened_link(rotation.id, ASKED, by=by)
        token = secrets.token_urlsafe(BYTES)
        errand = Errand(rotation=rotation.id, by=by, attempt=rotation.attempt)
        await self._tickets.keep(TOKEN, hashed(token), errand.model_dump_json(), LIFE)
        return token

    async def give(self, rotation_id: str, token: str, submitted: Submitted, *, user: str) -> Rotation:
        """Give the secret as the person of the token; *user* is who uses it, for the audit trail of a refusal."""
        found = await self._tickets.look(TOKEN, hashed(token))
        errand = Errand.model_validate_json(found) if found else None
        if errand is None or errand.rotation != rotation_id:
            refusal = NotAllowed(REFUSED)
            await self._replacements.record_refusal(rotation_id, "gave a secret", refusal, by=user)
            raise refusal
        came = Came(Way.COMMAND_LINE, errand.attempt)
        work = self._replacements.give_secret(rotation_id, submitted, by=errand.by, came=came)
        return await once(self._tickets, TOKEN, hashed(token), work)


REFUSED = (
    "This token is not for this rotation, or has been used, or is older than ten minutes. Nothing was created. The "
    "person who asked for the rotation gets another one in Slack: /rotate-key token ID."
)
