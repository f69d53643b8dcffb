"""The path of the secret from the form to AISIX: Keyturn checks it, sends it once, and stores it nowhere."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import structlog
from pydantic import SecretStr

from bot.rotation import secret as shape
from bot.rotation.actions import Action
from bot.rotation.credentials import Row, matching
from bot.rotation.errors import (
    ApiError,
    BadInput,
    Uncertain,
    WrongState,
)
from bot.rotation.fingerprint import fingerprint_of, is_same
from bot.rotation.inventory import ProviderKey
from bot.rotation.made_keys import received, stays_on_hold, why_it_stays
from bot.rotation.naming import base_of, words_of
from bot.rotation.parts import Way
from bot.rotation.policy import (
    check_may_give_secret,
    check_offered,
)
from bot.rotation.record import Replacement, Rotation
from bot.rotation.references import hint, is_reference
from bot.rotation.states import State, Track
from bot.rotation.stepping_up import check_way
from bot.rotation.ticket import check_ticket
from bot.service.verbs import Verbs, audited, event
from bot.storage.records import Conflict

log = structlog.get_logger("keyturn.service")


RECOGNIZED_WITHIN = 3.0
"""Seconds in which a provider may list its credentials; the next step waits for that."""

WITHDRAWAL_LOOKS = 15
"""Tenths of a second; Slack wants an answer to a form within three seconds."""

READ_WITHIN = 2.0
"""Seconds until a reference must have been read, for the same reason."""

NOWHERE = "\0"
"""In place of a secret that is not known yet: it is in no text."""


class Came(NamedTuple):
    """Which way a secret came."""

    way: Way
    attempt: int | None = None
    """How many had been given when it was asked for: it is for no later question. None: that is not known."""

    signed_in: str = ""
    """Where, and how."""

    source: str = ""
    """The reference that it was read from, and its version."""

    def replacement(self, name: str, now: datetime, fingerprint: str | None) -> Replacement:
        """Return what is recorded of a secret that came so."""
        return Replacement(name=name, asked_at=now, fingerprint=fingerprint, way=self.way, source=self.source)


FROM_THE_FORM = Came(Way.FORM)


class Replacements(Verbs):
    """The requests that involve a secret."""

    @audited(Action.ENTER_SECRET)
    async def offer_secret_form(self, rotation_id: str, *, by: str) -> Rotation:
        """Return the rotation for the form, if *by* may give the secret now."""
        return await self._opened(await self._may_give_secret(rotation_id, by), by, Action.ENTER_SECRET)

    async def _may_give_secret(self, rotation_id: str, by: str, action: Action = Action.ENTER_SECRET) -> Rotation:
        rotation = await self.load(rotation_id)
        check_may_give_secret(rotation, await self._people.permissions(by))
        check_offered(rotation, action)
        await self._refuse_second(rotation)
        return rotation

    @audited("asked for the page of the secret")
    async def may_be_given(self, rotation_id: str, *, by: str, attempt: int | None = None) -> Rotation:
        """Return the rotation, if *by* may give its secret now, or once a refused one is taken back.

        With an *attempt*, only as long as no other secret has been given since.
        """
        rotation = await self.load(rotation_id)
        if _takes_back(rotation):
            check_may_give_secret(rotation, await self._people.permissions(by))
        else:
            await self._may_give_secret(rotation_id, by)
        check_attempt(rotation, attempt)
        return rotation

    def proposed_name(self, rotation: Rotation) -> str:
        """Propose a display name for the replacement: the old one, with the date and this attempt's tag."""
        base = base_of(rotation.plan.old_key.display_name)
        return f"{base} ({self._now():%Y-%m-%d} {rotation.tag})"

    @audited("gave a secret")
    async def give_secret(
        self, rotation_id: str, submitted: shape.Submitted, *, by: str, came: Came = FROM_THE_FORM
    ) -> Rotation:
        """Check the secret and record that Keyturn will request a replacement; only one submission wins.

        The secret stays here until `create_replacement` takes it: no return value and no error holds it.
        """
        try:
            return await self._accept_secret(rotation_id, submitted, by, came)
        except BaseException as error:
            shape.forget_locals(error)
            raise

    async def _accept_secret(self, rotation_id: str, submitted: shape.Submitted, by: str, came: Came) -> Rotation:
        typed, until = submitted.take(), asyncio.get_running_loop().time() + READ_WITHIN
        await self._wait_for_withdrawal(rotation_id)
        rotation = await self._may_give_secret(rotation_id, by)
        check_attempt(rotation, came.attempt)
        typed, came = await self._resolved(rotation, typed, came, until)
        check_way(came.way, on_a_page=self._rules.secret_on_a_page)
        checked = shape.checked(typed.secret, rotation.plan.old_key, self._own)
        name = self._unique(rotation, typed.name)
        if shape.shares_a_piece(name, checked):
            raise BadInput("This holds a piece of the secret, and a name is shown to everyone.", field="name")
        why, ticket = self._motive(rotation, typed, checked)
        fingerprint = fingerprint_of(checked, rotation.plan.old_key, self._pepper) if self._pepper else None
        begun = self._with_words(rotation, name, why, ticket).but(
            replacement=came.replacement(name, self._now(), fingerprint),
            same_secret_checked=await self._is_another(fingerprint, rotation.plan.old_key),
            attempt=rotation.attempt + 1,
        )
        saved = await self._save(
            begun, by, _gave(came), " · ".join(filter(None, (begun.motive, came.source))), moves=False
        )
        self._given[saved.id, saved.attempt] = checked
        return saved

    async def _resolved(
        self, rotation: Rotation, typed: shape.Typed, came: Came, until: float
    ) -> tuple[shape.Typed, Came]:
        """Return what was typed with the secret that it refers to in the reference's place, and which way that came.

        All that can be refused without the secret is refused first: reading may use up what it is read with.
        """
        if not is_reference(typed.secret):
            return typed, came
        self._unique(rotation, typed.name)
        self._motive(rotation, typed, SecretStr(NOWHERE))
        try:
            async with asyncio.timeout_at(until):
                found = await self._sources.read(typed.secret, rotation.plan.old_key)
        except TimeoutError:
            raise BadInput(f"Nothing was read within {READ_WITHIN:.0f} s. Nothing has changed: try again.") from None
        except ApiError as trouble:
            raise BadInput(str(trouble)) from None
        return typed._replace(secret=found.secret.get_secret_value()), came._replace(
            way=Way.REFERENCE, source=found.source
        )

    def reference_hint(self, rotation: Rotation) -> str:
        """Say which references the form takes in place of the secret; empty if none."""
        return hint(self._sources.allowed(rotation.plan.old_key))

    def _with_words(self, rotation: Rotation, name: str, why: str, ticket: str) -> Rotation:
        return rotation.to(State.RUNNING).but(
            names=(*rotation.names, name), why=why, ticket=ticket, started_at=rotation.started_at or self._now()
        )

    def needs_reason(self, rotation: Rotation) -> bool:
        """Return whether the requester has to say why."""
        return self._rules.require_reason or self._people.governed(rotation).policy.require_reason

    def _motive(self, rotation: Rotation, typed: shape.Typed, secret: SecretStr) -> tuple[str, str]:
        """Return the reason and the ticket; refuse them if they hold the secret, or if there has to be a reason."""
        why, ticket = shape.on_one_line(typed.why), shape.on_one_line(typed.ticket)
        for text, field in ((why, "reason"), (ticket, "ticket")):
            shape.refuse_secret(text, secret, field)
        if self.needs_reason(rotation) and not why:
            raise BadInput("Say why in a few words: it goes into the receipt.", field="reason")
        check_ticket(ticket, self._rules.ticket_pattern)
        return why, ticket

    async def _is_another(self, fingerprint: str | None, old: ProviderKey) -> bool:
        """Return whether the secret certainly differs from the one in *old*; refuse the same one."""
        known = await self._store.fingerprint(old.id) if fingerprint else None
        same = is_same(fingerprint, known) if fingerprint and known else None
        if same:
            raise BadInput(
                "This is the secret that is in use already: it would pass every test, and revoking the old one at "
                "the provider would then stop it too. Make a new one there and paste that."
            )
        return same is False

    async def _wait_for_withdrawal(self, rotation_id: str) -> None:
        """Wait a moment until a refused secret is withdrawn: a person can fill the next form sooner."""
        for _ in range(WITHDRAWAL_LOOKS):
            rotation = await self.load(rotation_id)
            if not _takes_back(rotation):
                return
            await asyncio.sleep(0.1)
        raise BadInput("The refused secret is still being taken back. Press again in a few seconds.")

    def _unique(self, rotation: Rotation, name: str) -> str:
        """Return *name* with this attempt's tag, which finds the key again after a lost answer.

        No policy that names the old key lets go of the new one by its name.
        """
        wanted = " ".join(name.split()) or self.proposed_name(rotation)
        shape.refuse_likeness(wanted.replace(base_of(rotation.plan.old_key.display_name), ""), "name")
        unique = wanted if rotation.tag in words_of(wanted) else f"{wanted} ({rotation.tag})"
        if (left := self._people.left_behind(rotation.plan, unique)).names:
            raise BadInput(f"A key of this name would leave {left.title}: keep what Keyturn proposes.", field="name")
        return unique

    async def _refuse_second(self, rotation: Rotation) -> None:
        other = await self.other_rotation(rotation)
        if other and other.is_over:
            raise WrongState("Another rotation has replaced this key already, and deleted it. Cancel this one.")
        if other:
            raise WrongState("Another rotation of this key is under way. Finish that one first.")

    async def create_replacement(self, rotation: Rotation) -> None:
        """Request the replacement from the control plane, once; record the outcome, never the secret.

        Only then start the next step: an earlier run could not tell whether the replacement exists.
        """
        assert rotation.replacement is not None
        plan, wanted = rotation.plan, rotation.replacement
        secret = self._given.pop((rotation.id, rotation.attempt))
        recognized = asyncio.create_task(self._recognized(rotation, secret))
        try:
            key_id = await self._control_plane.create_key(plan.old_key, wanted.name, plan.needed_in, secret)
        except Uncertain as trouble:
            log.warning("create_uncertain", rotation=rotation.id, why=str(trouble))
            await self._record_creation(rotation, wanted, trouble=trouble)
        except ApiError as refusal:
            await self._record_creation(rotation, wanted.but(refusal=str(refusal)))
        else:
            if key_id:
                await self._record_creation(rotation, wanted.but(key_id=key_id))
        if row := await recognized:
            await self._record_row(rotation, row)
        await self._jobs.advance(rotation, again="+created")

    async def _recognized(self, rotation: Rotation, secret: SecretStr) -> Row | None:
        """Return the one credential at the provider whose hint fits the secret, while it is here; else None.

        A provider that is slow or in trouble costs that knowledge, and nothing else.
        """
        account = self._providers.of(rotation.plan.old_key)
        if account is None:
            return None
        try:
            async with asyncio.timeout(RECOGNIZED_WITHIN):
                return matching(await account.rows(), secret)
        except (ApiError, TimeoutError) as trouble:
            log.info("credential_not_recognized", rotation=rotation.id, kind=type(trouble).__name__)
            return None

    async def _record_row(self, rotation: Rotation, row: Row) -> None:
        """Record which credential at its provider the new key has, if the rotation still has that new key."""
        assert rotation.replacement is not None
        current = await self.load(rotation.id)
        while (new := current.replacement) and new.row is None and new.name == rotation.replacement.name:
            with suppress(Conflict):
                known = current.but(replacement=new.but(row=row))
                await self._store.save(known, event("keyturn", "recognized the credential"), at=self._now())
                return
            current = await self.load(rotation.id)

    async def _record_creation(
        self, rotation: Rotation, outcome: Replacement, *, trouble: Uncertain | None = None
    ) -> None:
        """Record the outcome, or the *trouble*, unless the rotation knows it already or needs no such replacement."""
        what = "created" if trouble is None else "could not tell whether it was created"
        current = await self.load(rotation.id)
        while _waits_for(current, outcome):
            known = received(current, outcome.key_id) if outcome.key_id else current
            if trouble:
                known = known.but(note=f"{trouble} Trying again.", trouble_since=known.trouble_since or self._now())
            with suppress(Conflict):
                saved = await self._store.save(known.but(replacement=outcome), event("keyturn", what), at=self._now())
                await self._jobs.announce(saved)
                return
            current = await self.load(rotation.id)
        if outcome.key_id and current.replacement_id != outcome.key_id:
            await self._remove_unwanted(current, outcome.key_id)

    async def _remove_unwanted(self, rotation: Rotation, key_id: str) -> None:
        """Delete a replacement that came too late to be used; keep one that is or may be in use, and say so."""
        inventory = await self._control_plane.inventory()
        key = inventory.key(key_id)
        if key is None:
            return
        why = why_it_stays(rotation, key, inventory, self._gateways)
        if not why and await self._store.hold_on(key.id, self._now()):
            why = stays_on_hold(key.id)
        if why:
            await self._say_left_alone(rotation, why)
        else:
            await self._control_plane.delete_key(key_id)

    async def _say_left_alone(self, rotation: Rotation, why: str) -> None:
        while why not in rotation.left_alone:
            with suppress(Conflict):
                left = rotation.but(left_alone=(*rotation.left_alone, why))
                saved = await self._store.save(left, event("keyturn", "left a key"), at=self._now())
                await self._jobs.announce(saved)
                return
            rotation = await self.load(rotation.id)


def check_attempt(rotation: Rotation, attempt: int | None) -> None:
    """Refuse a secret that was asked for before another one was given."""
    if attempt not in (None, rotation.attempt):
        raise WrongState("Another secret has been given since. Look at the card.")


def _takes_back(rotation: Rotation) -> bool:
    """Return whether a refused secret is being taken back: the next one is asked for in a moment."""
    return rotation.track is Track.WITHDRAW and rotation.state is State.RUNNING


def _gave(came: Came) -> str:
    """Say in the audit trail which way a secret came; older entries, and those of Slack's form, say nothing of it."""
    where = f", signed in at {came.signed_in}" if came.signed_in else ""
    return "gave a secret" if came.way is Way.FORM else f"gave a secret ({came.way}){where}"


def _waits_for(rotation: Rotation, outcome: Replacement) -> bool:
    """Return whether *rotation* still needs the outcome of this replacement."""
    wanted = rotation.replacement
    if rotation.is_over or rotation.track is not Track.FORWARD or wanted is None:
        return False
    return wanted.name == outcome.name and wanted.key_id is None
