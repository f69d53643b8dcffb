"""Revoking at the provider: which credential, the evidence at the click, the approval, and enabling it again."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from bot.rotation import chores, revoking
from bot.rotation.actions import Action
from bot.rotation.credentials import Provider, Row
from bot.rotation.errors import ApiError, BadInput, Unanswerable, WrongState
from bot.rotation.parts import Approval, Chore, Look, Phase
from bot.rotation.policy import Permissions, Pressed, check_in_time, check_may_accept, check_may_steer, check_offered
from bot.rotation.record import Rotation
from bot.service.verbs import TRIES, Verbs, audited, away, publishable
from bot.storage.records import Conflict

T = TypeVar("T")
WITHIN = 2.0
"""Seconds for a provider's answer to a click: Slack opens a form within three."""


class Seen(NamedTuple):
    """What an approver decides on: a look right then."""

    rotation: Rotation
    row: Row
    look: Look


class Listed(NamedTuple):
    """What an approver chooses from."""

    rotation: Rotation
    rows: tuple[Row, ...]


class Revoking(Verbs):
    """The buttons of a task that Keyturn can do at the provider."""

    @audited(Action.CHOOSE_ROW)
    async def offer_rows(self, rotation_id: str, *, by: str) -> Listed:
        """Return what the provider lists, for the form that asks which one it is."""
        rotation, _ = await self._may_revoke(rotation_id, by, Action.CHOOSE_ROW)
        rows = revoking.choices(rotation, await self._answered(rotation, lambda provider: provider.rows()))
        if not rows:
            raise WrongState("The provider lists none that it could be: revoke it there by hand.")
        return Listed(await self._opened(rotation, by, Action.CHOOSE_ROW), rows)

    @audited(Action.CHOOSE_ROW)
    async def choose_row(self, rotation_id: str, row_id: str, *, by: str) -> Rotation:
        """Take the word of *by* for which credential it is, if the provider lists it still."""
        rotation, _ = await self._may_revoke(rotation_id, by, Action.CHOOSE_ROW)
        rows = revoking.choices(rotation, await self._answered(rotation, lambda provider: provider.rows()))
        row = next((row for row in rows if row.id == row_id), None)
        if row is None:
            raise BadInput("The provider does not list it any more, or it can't be this one.", field="row")
        if await self._store.is_shared(rotation, row.id):
            raise BadInput("Another key in AISIX has this one: it is in use.", field="row")

        async def changed() -> Rotation:
            fresh, _ = await self._may_revoke(rotation_id, by, Action.CHOOSE_ROW)
            return revoking.chosen(fresh, row, by)

        return await self._changed(changed, by, f"chose the credential {row.id}", "")

    @audited(Action.REVOKE_THERE)
    async def offer_revoke(self, rotation_id: str, *, by: str, pressed: Pressed) -> Seen:
        """Return the evidence of right now, for the form that asks to confirm."""
        rotation, known = await self._may_revoke(rotation_id, by, Action.REVOKE_THERE)
        check_in_time(pressed, known.person, self._rules.click_max_age)
        row, look = await self._looked(rotation)
        return Seen(await self._opened(rotation, by, Action.REVOKE_THERE), row, look)

    @audited(Action.REVOKE_THERE)
    async def revoke_there(self, rotation_id: str, reason: str, *, by: str, pressed: Pressed, shown: str) -> Rotation:
        """Approve the revocation at the provider, on a new look; with enough approvals, it begins.

        *shown* is the mark of what the form showed. Use since the cut-over, or no data, takes a *reason*.
        """
        rotation, known = await self._may_revoke(rotation_id, by, Action.REVOKE_THERE)
        check_in_time(pressed, known.person, self._rules.click_max_age)
        row, look = await self._looked(rotation)
        if shown != revoking.shown(row, look):
            raise BadInput("What is known of its use has changed: close this, and press again.", field="reason")
        if await self._store.is_shared(rotation, row.id):
            raise WrongState("Another key in AISIX has this credential too: it is in use.")
        doubts = revoking.doubts(look)
        reason = publishable(reason) if reason.strip() or doubts else ""
        word = Approval(by=by, at=self._now(), digest=shown, reason=reason, flags=doubts)

        async def changed() -> Rotation:
            fresh, _ = await self._may_revoke(rotation_id, by, Action.REVOKE_THERE)
            return self._approved(fresh, row, word, look)

        return await self._changed(changed, by, f"asked for the revocation of {row.id} at the provider", reason)

    def _approved(self, rotation: Rotation, row: Row, word: Approval, look: Look) -> Rotation:
        task = rotation.revocation
        assert task is not None
        if any(one.by == word.by for one in task.approvals):
            raise WrongState("You have asked for this already; another approver is needed.")
        approvals = (*task.approvals, word)
        if len(approvals) < rotation.approvals_required:
            return rotation.but(revocation=task.but(approvals=approvals))
        return chores.without(revoking.asked(rotation, row, approvals, look, self._now()), Chore.REVOKE)

    @audited(Action.ENABLE_AGAIN)
    async def enable_again(self, rotation_id: str, *, by: str) -> Rotation:
        """Have the credential enabled again at its provider."""

        async def changed() -> Rotation:
            rotation = await self.load(rotation_id)
            check_may_steer(rotation, await self._people.permissions(by))
            check_offered(rotation, Action.ENABLE_AGAIN)
            assert rotation.revocation is not None
            asked = rotation.but(revocation=rotation.revocation.but(enabled_by=by))
            return chores.without(revoking.entered(asked, Phase.ENABLING, self._now()), Chore.REVOKE)

        return await self._changed(changed, by, "asked to enable the credential again", "")

    async def _may_revoke(self, rotation_id: str, by: str, action: Action) -> tuple[Rotation, Permissions]:
        stored = await self.load(rotation_id)
        rotation = self._people.strict(stored)
        permissions = await self._people.permissions(by, rotation.policy)
        check_may_accept(rotation, permissions, self_approval=rotation.self_approval)
        check_offered(rotation, action)
        if self._rules.step_up:
            raise WrongState(
                f"Where approving takes a sign-in (APPROVAL_LINK), Keyturn revokes nothing by a click in Slack: "
                f"revoke it on the provider's own page, then press “{Action.REVOKED.value}”."
            )
        return rotation, permissions

    async def _looked(self, rotation: Rotation) -> tuple[Row, Look]:
        known = revoking.row_of(rotation)
        assert known is not None

        async def look(provider: Provider) -> tuple[Row, Look]:
            row = await provider.read(known.id)
            since = revoking.looks_since(rotation, provider.usage_lag)
            return row, Look(at=self._now(), since=since, usage=await provider.usage(row, since))

        return await self._answered(rotation, look)

    async def _answered(self, rotation: Rotation, ask: Callable[[Provider], Awaitable[T]]) -> T:
        """Ask the provider of today's settings; refuse with a sentence if it does not answer in time."""
        provider = self._providers.named(rotation.account)
        if provider is None:
            raise WrongState(f"The settings (PROVIDERS) have no {rotation.account} any more: revoke it by hand.")
        try:
            async with asyncio.timeout(WITHIN):
                return await ask(provider)
        except TimeoutError:
            raise Unanswerable(f"{provider.title} does not answer in time. Nothing was changed. Try again.") from None
        except ApiError as error:
            raise away(error) from error

    async def _changed(self, changed: Callable[[], Awaitable[Rotation]], by: str, what: str, why: str) -> Rotation:
        """Record a change of the newest version; a step that is recorded in between is no reason to refuse."""
        for _ in range(TRIES):
            with suppress(Conflict):
                return await self._save(await changed(), by, what, why)
        raise WrongState("This rotation moves too fast at the moment. Press again.")
