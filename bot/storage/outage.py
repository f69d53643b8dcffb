"""The sentences for people while Redis is away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.exceptions import RedisError

from bot.rotation.errors import Unanswerable

AWAY = "Keyturn's store (Redis) does not answer, so nothing was changed. Try again in a minute."
UNSURE = (
    "Keyturn's store (Redis) stopped answering in the middle, so I cannot tell whether this was recorded. "
    "Look at the card again in a minute."
)
"""The write may still happen: a server that hangs executes it once it continues."""


@asynccontextmanager
async def answering(sentence: str = AWAY) -> AsyncIterator[None]:
    """Turn Redis's errors into `Unanswerable` with one sentence."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unanswerable(sentence) from error
