"""A lease: one process at a time works on a rotation, and it verifies its lease in Redis before it deletes.

A process can be paused for any time without noticing (`docker pause`, migration of a virtual machine). So no process
trusts its memory: the call that renews the lease compares, in Redis and by Redis's clock, a token unique to the
acquisition and the version of the record that the process has read.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import structlog
from redis.exceptions import RedisError

from bot.rotation.errors import LeaseLost, Unanswerable
from bot.storage.outage import answering
from bot.storage.scripts import HOLD, RELEASE
from bot.telemetry.metrics import LEASES

log = structlog.get_logger("keyturn.lease")

RETRY = 0.05
"""Seconds between two tries to get a lease."""


def running_clock() -> float:
    """Return seconds of a clock that keeps running while this process, or its machine, is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Moment(NamedTuple):
    """When the lease was verified: by our clock just before the call, and by Redis's clock."""

    here: float
    there: float
    lasts: float
    """Seconds from then on during which nobody else can get the lease."""

    def until(self, later: "Moment") -> float:
        """Return the seconds from this moment until now, or until the *later* one by Redis's clock, if that is more."""
        return max(running_clock() - self.here, later.there - self.there)

    @property
    def left(self) -> float:
        """Return for how many more seconds the lease is certainly ours; negative after that."""
        return self.here + self.lasts - running_clock()


class Lease:
    """A lease called *name* for some *seconds*; *record* is the key of the record that it protects."""

    def __init__(self, redis: Any, name: str, record: str, seconds: float) -> None:
        self._redis = redis
        self._keys = [name, record]
        self._token = secrets.token_hex(16)
        self.mark = secrets.token_hex(8)
        """The name of this acquisition; a record may have it, as it is not the token."""

        self._lasts = seconds
        self._hold = redis.register_script(HOLD)
        self._release = redis.register_script(RELEASE)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[bool]:
        """Hold the lease until the end of the block, and yield whether it was acquired.

        If another process takes the lease over, the holder's task is cancelled.
        """
        async with answering():
            mine = await self._acquire()
        keeper = asyncio.create_task(self._keep(asyncio.current_task())) if mine else None
        LEASES.inc(mine)
        try:
            yield mine
        finally:
            LEASES.dec(mine)
            if keeper is not None:
                keeper.cancel()
                with suppress(RedisError, OSError):
                    await self._release(keys=self._keys[:1], args=[self._token])

    async def _acquire(self) -> bool:
        """Acquire the lease; retry for half of its duration."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._lasts / 2
        while not await self._redis.set(self._keys[0], self._token, nx=True, px=self._milliseconds):
            if clock() + RETRY > end:
                return False
            await asyncio.sleep(RETRY)
        return True

    async def verified(self, version: int | None = None) -> Moment:
        """Renew the lease and return when that was; raise `LeaseLost` if it is no longer ours.

        With a *version*, raise it also if the record has another version by now.
        """
        here = running_clock()
        expected = "" if version is None else version
        async with answering():
            found = await self._hold(keys=self._keys, args=[self._token, expected, self._milliseconds])
        if not found:
            log.warning("lease_lost", lease=self._keys[0])
            raise LeaseLost("Another process has this rotation in hand.")
        seconds, micros = map(int, found)
        return Moment(here, seconds + micros / 1_000_000, self._lasts)

    async def _keep(self, holder: asyncio.Task[Any] | None) -> None:
        """Renew the lease for as long as its holder lives."""
        while True:
            await asyncio.sleep(self._lasts / 3)
            try:
                await self.verified()
            except LeaseLost:
                if holder is not None:
                    holder.cancel()
                return
            except Unanswerable:
                continue  # nothing is recorded while Redis is away, and nobody else can take over

    @property
    def _milliseconds(self) -> int:
        return int(self._lasts * 1000)
