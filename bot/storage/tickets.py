"""What is kept for minutes under the hash of a secret that one person's browser has; Redis never holds the secret."""

import hashlib

from redis.asyncio import Redis

from bot.storage.namespace import Namespace
from bot.storage.outage import answering


def hashed(secret: str) -> str:
    """Return the name under which a secret's value is kept."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


class Tickets:
    """Values by kind and name (`hashed`), each with an end."""

    def __init__(self, redis: Redis, namespace: Namespace) -> None:
        self._redis = redis
        self._namespace = namespace

    async def keep(self, kind: str, name: str, value: str, seconds: int) -> None:
        """Keep a value for so many seconds."""
        async with answering():
            await self._redis.set(self._key(kind, name), value, ex=seconds)

    async def look(self, kind: str, name: str) -> str | None:
        """Return a value; None if there is none, or none any more."""
        async with answering():
            found: str | None = await self._redis.get(self._key(kind, name))
        return found

    async def take(self, kind: str, name: str) -> str | None:
        """Return a value to one caller alone: it is gone then, also if the answer is lost on its way."""
        async with answering():
            found: str | None = await self._redis.getdel(self._key(kind, name))
        return found

    def _key(self, kind: str, name: str) -> str:
        return self._namespace.key("ticket", f"{kind}:{name}")
