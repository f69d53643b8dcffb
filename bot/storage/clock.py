"""One clock for all processes of a bot: Redis's.

Each machine has a clock of its own, and one of them may be ten minutes ahead. What one process records another one
compares with *now*: a wait, a soak, the age of evidence. So all of them ask Redis what time it is, and go on from
there by a clock that nobody sets.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import structlog

from bot.rotation.errors import Unanswerable
from bot.storage.lease import running_clock
from bot.storage.outage import answering

log = structlog.get_logger("keyturn.clock")

ASK_EVERY = 60.0
"""Seconds between two questions what time it is."""

QUICK = 1.0
"""Seconds within which the answer has to be there to be worth anything."""

JUMP = 2.0
"""Seconds by which the clock may be wrong before that is logged."""


class SharedClock:
    """Time as Redis has it."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._ahead: float | None = None
        """By how many seconds Redis's clock is ahead of the one that runs on here."""

    def now(self) -> datetime:
        """Return the time."""
        assert self._ahead is not None, "it is set before it is read"
        return datetime.fromtimestamp(running_clock() + self._ahead, UTC)

    async def set(self) -> None:
        """Ask Redis what time it is."""
        asked = running_clock()
        async with answering():
            seconds, micros = await self._redis.time()
        answered = running_clock()
        if self._ahead is not None and answered - asked > QUICK:
            return
        ahead = seconds + micros / 1_000_000 - (asked + answered) / 2
        if self._ahead is not None and abs(ahead - self._ahead) > JUMP:
            log.warning("clock_jumped", seconds=round(ahead - self._ahead, 1))
        self._ahead = ahead

    async def keep(self) -> None:
        """Ask again now and then; while Redis is away, go on by what it said last."""
        while True:
            await asyncio.sleep(ASK_EVERY)
            with suppress(Unanswerable):
                await self.set()


@asynccontextmanager
async def shared_clock(redis: Any) -> AsyncIterator[SharedClock]:
    """Have the clock until the end of the block."""
    clock = SharedClock(redis)
    await clock.set()
    keeper = asyncio.create_task(clock.keep())
    try:
        yield clock
    finally:
        keeper.cancel()
