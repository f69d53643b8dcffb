"""A clock for limits that mean the same on a slow machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

TICK = 0.02
"""Seconds."""


class LoopClock:
    """Time as the event loop has it: where the loop gets no turn, as on a busy machine, it stands still.

    So a limit of a second is a second in which the bot could work, and no time-out is met for want of a processor.
    """

    def __init__(self, began: datetime | None = None) -> None:
        self._began = began or datetime.now(UTC)
        self._ticks = 0

    def now(self) -> datetime:
        return self._began + self._ticks * timedelta(seconds=TICK)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._ticks += 1


@asynccontextmanager
async def loop_clock(began: datetime | None = None) -> AsyncIterator[LoopClock]:
    """Have a clock that runs until the end of the block, from now on or from when it *began*."""
    clock = LoopClock(began)
    ticking = asyncio.create_task(clock._tick())  # noqa: SLF001 - the two are one thing
    try:
        yield clock
    finally:
        ticking.cancel()
