"""One clock for all processes of a bot: Redis's.

Machines disagree about the time, and one may be ten minutes ahead. But a process compares *now* with times that
another one recorded: for a wait, a soak, the age of evidence. So all processes ask Redis for the time, and count on
from there with a monotonic clock.
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
"""Seconds between two requests for the time."""

QUICK = 1.0
"""A slower answer, in seconds, is too imprecise to use."""

JUMP = 2.0
"""A correction of more seconds than this is logged."""


class SharedClock:
    """Redis's time."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._ahead: float | None = None
        """Seconds by which Redis's clock is ahead of the local monotonic clock."""

    def now(self) -> datetime:
        """Return the time."""
        assert self._ahead is not None, "it is set before it is read"
        return datetime.fromtimestamp(running_clock() + self._ahead, UTC)

    async def set(self) -> None:
        """Ask Redis for the time."""
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
        """Ask again every minute; while Redis is away, count on from its last answer."""
        while True:
            await asyncio.sleep(ASK_EVERY)
            with suppress(Unanswerable):
                await self.set()


@asynccontextmanager
async def shared_clock(redis: Any) -> AsyncIterator[SharedClock]:
    """Provide the clock until the end of the block."""
    clock = SharedClock(redis)
    await clock.set()
    keeper = asyncio.create_task(clock.keep())
    try:
        yield clock
    finally:
        keeper.cancel()
