"""Who opened the Home tab lately, and what it shows them; shared by all processes of one bot."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from redis.asyncio import Redis

from bot.storage.namespace import Namespace
from bot.storage.outage import answering

LATELY = timedelta(days=1)
"""For how long after a person opened Home it is kept up to date."""


class Visit(NamedTuple):
    """When somebody opened Home, and a digest of what it shows."""

    at: float
    digest: str


class Visitors:
    """The people who opened Home. Every method raises `Unanswerable` when Redis is away."""

    def __init__(self, redis: Redis, namespace: Namespace) -> None:
        self._redis: Any = redis
        self._key = namespace.key("visitors")

    async def came(self, person: str, at: datetime, digest: str) -> None:
        """Note that Home shows somebody what has this *digest*; *at* is when they opened it."""
        async with answering():
            await self._redis.hset(self._key, person, f"{at.timestamp():.3f} {digest}")

    async def left(self, person: str) -> None:
        """Forget somebody."""
        async with answering():
            await self._redis.hdel(self._key, person)

    async def lately(self, now: datetime, most: int) -> dict[str, Visit]:
        """Return up to *most* people who opened Home `LATELY`, the last ones first; forget the others."""
        async with answering():
            found = {person: _read(said) for person, said in (await self._redis.hgetall(self._key)).items()}
            since = (now - LATELY).timestamp()
            if old := [person for person, visit in found.items() if visit.at < since]:
                await self._redis.hdel(self._key, *old)
        fresh = sorted((v.at, person) for person, v in found.items() if v.at >= since)
        return {person: found[person] for _, person in reversed(fresh[-most:])}


def _read(said: str) -> Visit:
    at, _, digest = said.partition(" ")
    return Visit(float(at), digest)
