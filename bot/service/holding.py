"""Holds on keys: approvers set and lift them."""

import secrets
from functools import partial

from bot.rotation import secret as shape
from bot.rotation.errors import AmbiguousKey, ApiError, UnknownKey, WrongState
from bot.rotation.holds import KeyHold, end_of
from bot.rotation.inventory import Inventory, ProviderKey
from bot.rotation.lookup import find_key
from bot.rotation.nudges import freed
from bot.rotation.policy import check_may_hold
from bot.rotation.record import Rotation
from bot.service.verbs import LooksLikeSecret, Verbs, audited, away, event, publishable

HOLD, UNHOLD = "hold", "unhold"


class Holding(Verbs):
    """What keeps a key from being deleted."""

    @audited(HOLD, of_rotation=False)
    async def offer_hold(self, asked: str, *, by: str) -> tuple[ProviderKey, KeyHold | None]:
        """Return the key that *asked* means and its hold, for the form, if *by* may hold keys."""
        check_may_hold(await self._people.permissions(by))
        key = await self._key_called(asked)
        return key, await self._store.hold_on(key.id, self._now())

    async def _key_called(self, asked: str) -> ProviderKey:
        try:
            keys = await self._control_plane.keys()
            return find_key(Inventory(environments=(), keys=keys, models=()), asked)
        except ApiError as error:
            raise away(error) from error
        except UnknownKey:
            if shape.is_surely_secret(asked) or shape.may_be_secret(asked):
                raise LooksLikeSecret from None
            raise
        except AmbiguousKey as several:  # its answer would offer to rotate one of them
            raise WrongState(f"{len(several.choices)} provider keys match that name: give the id of one.") from None

    @audited(HOLD, of_rotation=False)
    async def hold(self, key_id: str, name: str, reason: str, until: str, *, by: str) -> list[Rotation]:
        """Put a key on hold through the day *until*, for a *reason* that everyone sees.

        Return the rotations under way that have asked AISIX to delete it already: for those it may come too late.
        """
        check_may_hold(await self._people.permissions(by))
        now = self._now()
        hold = KeyHold(
            key_id=key_id,
            name=name,
            reason=publishable(reason, "everyone sees it"),
            by=by,
            at=now,
            until=end_of(until, now.date()),
        )
        await self._store.set_hold(hold, event(by, f"put on hold until {hold.until}", hold.reason))
        return [one for one in await self._shown_again(key_id) if one.delete_asked_at and not one.deleted_at]

    @audited(UNHOLD, of_rotation=False)
    async def unhold(self, asked: str, *, by: str) -> KeyHold:
        """Lift the hold on the key that *asked* means, by its id or its name."""
        check_may_hold(await self._people.permissions(by))
        hold = await self._hold_on(asked)
        if hold is None:
            raise WrongState("No hold counts for that key.")
        await self._store.lift_hold(hold.key_id, event(by, "lifted the hold", hold.reason), at=self._now())
        for rotation in await self._shown_again(hold.key_id):
            if rotation.held_until:
                told = by, "lifted the hold", hold.reason
                await self._jobs.advance(await self._note(partial(self.load, rotation.id), self._freed, *told))
        return hold

    def _freed(self, rotation: Rotation) -> Rotation:
        return freed(self._now(), rotation)

    async def _hold_on(self, asked: str) -> KeyHold | None:
        """Return a hold by the id or name of its key, which AISIX may not list any more, or as the command finds it."""
        holds = await self._store.holds(self._now())
        named = [hold for hold in holds.values() if asked.casefold() in (hold.key_id.casefold(), hold.name.casefold())]
        return named[0] if len(named) == 1 else holds.get((await self._key_called(asked)).id)

    async def _shown_again(self, key_id: str) -> list[Rotation]:
        """Have the cards about a key drawn again, and return their rotations."""
        rotations = [one for one in await self._store.concerning(key_id) if one.plan.old_key.id == key_id]
        for rotation in rotations:
            await self._jobs.announce(rotation, again=f"~hold{secrets.token_hex(4)}")
        return rotations
