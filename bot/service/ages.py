"""The provider keys and how old they are."""

from bot.rotation.age import Aged, by_age
from bot.rotation.errors import ApiError
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
