"""The request to have a secret made by its provider: only the intent is recorded here, and the worker asks."""

from pydantic import SecretStr

from bot.rotation import secret as shape
from bot.rotation.actions import Action
from bot.rotation.credentials import Ability
from bot.rotation.errors import WrongState
from bot.rotation.minting import minted
from bot.rotation.record import Rotation
from bot.service.replacements import NOWHERE, Replacements
from bot.service.verbs import audited

NO_LONGER = "The settings (PROVIDERS) name no provider any more that can make this secret."


class Minting(Replacements):
    """The requests for a secret that nobody sees."""

    @audited(Action.MINT)
    async def offer_mint_form(self, rotation_id: str, *, by: str) -> Rotation:
        """Return the rotation for the form, if *by* may have its provider make the secret now."""
        return await self._opened(await self._may_mint(rotation_id, by), by, Action.MINT)

    async def _may_mint(self, rotation_id: str, by: str) -> Rotation:
        rotation = await self._may_give_secret(rotation_id, by, Action.MINT)
        today = self._providers.of(rotation.plan.old_key)
        if today is None or today.name != rotation.account or Ability.MINT not in today.abilities:
            raise WrongState(f"{NO_LONGER} Press “{Action.ENTER_SECRET.value}”.")
        return rotation

    @audited("had a secret made")
    async def mint(self, rotation_id: str, wanted: shape.Typed, *, by: str) -> Rotation:
        """Record that the provider will be asked for a secret, and AISIX for a key with it."""
        await self._wait_for_withdrawal(rotation_id)
        rotation = await self._may_mint(rotation_id, by)
        name = self._unique(rotation, wanted.name)
        why, ticket = self._motive(rotation, wanted, SecretStr(NOWHERE))
        begun = minted(self._with_words(rotation, name, why, ticket), name, self._now()).but(same_secret_checked=True)
        return await self._save(begun, by, "had a secret made", begun.motive)
