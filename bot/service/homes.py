"""What each person sees at a glance: what waits for them, what is under way, how old the keys are."""

from collections.abc import Iterable, Mapping

from bot.rotation.errors import NotAllowed, Unanswerable
from bot.rotation.overview import Overview, Sights, overview
from bot.rotation.people import Once, People
from bot.rotation.policy import check_member
from bot.service.verbs import Verbs

LAST = 8
"""How many of the last rotations are shown."""

SEARCHED = 40
"""How many of the newest rotations are searched for those that are over."""

Seen = Overview | NotAllowed | Unanswerable


class Homes(Verbs):
    """The overviews. They change nothing, and no look is recorded in the audit trail."""

    async def homes(self, ids: Iterable[str]) -> Mapping[str, Seen]:
        """Return what each of these people sees now, or why they see nothing; Slack is asked once for each group."""
        people, sights = People(Once(self._directory), self._rules), await self._sights()
        return {person: await self._seen(person, people, sights) for person in ids}

    async def _sights(self) -> Sights:
        last = [one for one in await self._store.recent(SEARCHED) if one.is_over][:LAST]
        return Sights(tuple(map(self._people.strict, await self._store.under_way())), tuple(last))

    async def _seen(self, person: str, people: People, sights: Sights) -> Seen:
        try:
            permissions = await people.permissions(person)
            check_member(permissions.person)
            under = {one.policy: await people.permissions(person, one.policy) for one in sights.under_way}
        except (NotAllowed, Unanswerable) as refusal:
            return refusal
        return overview(sights, permissions, under)
