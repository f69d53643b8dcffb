"""What each person sees at a glance: what waits for them, what is under way, how old the keys are."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cached_property

from bot.rotation.age import Aged, is_due
from bot.rotation.errors import NotAllowed, Refused, Unanswerable
from bot.rotation.inventory import ProviderKey
from bot.rotation.overview import Overview, Sights, overview
from bot.rotation.people import Once, People
from bot.rotation.policy import check_member
from bot.service.ages import Ages
from bot.service.lately import Lately

LAST = 8
"""How many of the last rotations are shown."""

SEARCHED = 40
"""How many of the newest rotations are searched for those that are over."""

Seen = Overview | NotAllowed | Unanswerable


DUE = 50
"""How many revocations are read."""

KEYS_WITHIN = 5.0
"""Seconds that Home waits for them."""

KEYS_KEPT = timedelta(minutes=1)
"""How long the list of keys from AISIX is good for everybody who opens Home."""


class Homes(Ages):
    """The overviews. They change nothing, and no look is recorded in the audit trail."""

    async def homes(self, ids: Iterable[str]) -> Mapping[str, Seen]:
        """Return what each of these people sees now, or why they see nothing; Slack is asked once for each group."""
        people, sights = People(Once(self._directory), self._rules), await self._sights()
        return {person: await self._seen(person, people, sights) for person in ids}

    async def key_lately(self, key_id: str) -> ProviderKey | None:
        """Return the provider key of that id, as Home lists it."""
        return next((one.key for one in (await self._keys_lately.get())[0] if one.key.id == key_id), None)

    async def _sights(self) -> Sights:
        last = [one for one in await self._store.recent(SEARCHED) if one.is_over][:LAST]
        under_way = tuple(map(self._people.strict, await self._store.under_way()))
        due = tuple(map(self._people.strict, await self._store.revocations_due(DUE)))
        keys, overdue = await self._keys_if_any()
        return Sights(under_way, tuple(last), due, keys, overdue, await self._store.holds(self._now()))

    async def _keys_if_any(self) -> tuple[tuple[Aged, ...] | None, frozenset[str]]:
        try:
            async with asyncio.timeout(KEYS_WITHIN):
                return await self._keys_lately.get()
        except (Refused, TimeoutError):
            return None, frozenset()

    @cached_property
    def _keys_lately(self) -> Lately[tuple[tuple[Aged, ...], frozenset[str]]]:
        return Lately(self._aged, self._now, KEYS_KEPT)

    async def _aged(self) -> tuple[tuple[Aged, ...], frozenset[str]]:
        """Return every key, and the ids of those that are older than they may get."""
        aged, every, now = await self.keys_by_age(), await self._every(), self._now()
        return aged, frozenset(key.id for key, age in aged if is_due(age, every(key), now))

    async def _seen(self, person: str, people: People, sights: Sights) -> Seen:
        try:
            permissions = await people.paged(person)
            check_member(permissions.person)
            policies = {one.policy for one in (*sights.under_way, *sights.due, *sights.last)}
            under = {policy: await people.paged(person, policy) for policy in policies}
        except (NotAllowed, Unanswerable) as refusal:
            return refusal
        return overview(sights, permissions, under)
