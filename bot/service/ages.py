"""The provider keys and how old they are."""

from collections.abc import Callable
from datetime import timedelta

from bot.rotation.age import Aged, DueKeys, by_age, due_keys
from bot.rotation.errors import ApiError
from bot.rotation.inventory import ProviderKey
from bot.rotation.plan import make_plan
from bot.rotation.policies import asked_of, shortest
from bot.service.verbs import Verbs, away


class Ages(Verbs):
    """What people ask about keys that are not being rotated."""

    async def keys_by_age(self) -> tuple[Aged, ...]:
        """Return every provider key with its age, the oldest first; raise `Unanswerable` if AISIX gives no list."""
        try:
            keys = await self._control_plane.keys()
        except ApiError as error:
            raise away(error) from error
        return by_age(keys, await self._store.made_at(keys))

    async def due_keys(self) -> DueKeys:
        """Return the keys that are older than `ROTATE_EVERY` allows; raise `Unanswerable` if that is not known."""
        aged = await self.keys_by_age()
        now, every = self._now(), await self._every()
        under_way, holds = await self._store.under_way(), await self._store.holds(now)
        return due_keys(aged, every, now, under_way=under_way, holds=holds)

    async def _every(self) -> Callable[[ProviderKey], timedelta | None]:
        """Return how old each key may get: by the settings for all and the policies that touch it, the shortest."""
        policies, of_all = self._rules.policies, self._rules.rotate_every
        if not any(policy.asks.rotate_every for policy in policies):
            return lambda _: of_all
        inventory = await self._inventory()

        def every(key: ProviderKey) -> timedelta | None:
            asked = asked_of(make_plan(inventory, key, self._gateways), policies)
            return shortest(of_all, asked.rotate_every)

        return every
